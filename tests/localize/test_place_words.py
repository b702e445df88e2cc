"""Words for places: the patient's sides, honest zones, and the anatomy table."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from known_lungs import chest

from radiolucent.errors import MalformedInput
from radiolucent.findings import CODES
from radiolucent.localize import (
    ALLOWED,
    BOX_CAPTION,
    WITHHELD,
    LungFields,
    allowed_mask,
    estimate_lung_fields,
    find_regions,
    place_of,
    place_of_region,
)
from radiolucent.localize.wording import (
    LUNGS_NOT_FOUND,
    NO_PLACE_ON_LATERAL,
    SIDE_ASSUMED,
    SIDE_UNKNOWN,
    ZONE_ESTIMATED,
)
from radiolucent.study.geometry import Geometry

SHAPE = (300, 320)
STANDARD = Geometry(*SHAPE, side_source="orientation")
MIRRORED = Geometry(*SHAPE, patient_right="right", side_source="orientation")
POINTS = {  # (column, row): picture side, zone
    (96.0, 70.0): ("left", "upper"),
    (96.0, 135.0): ("left", "middle"),
    (96.0, 205.0): ("left", "lower"),
    (224.0, 70.0): ("right", "upper"),
    (224.0, 205.0): ("right", "lower"),
}


@pytest.fixture(scope="module")
def fields() -> LungFields:
    return estimate_lung_fields(chest(SHAPE)[0])


@pytest.mark.parametrize(("point", "where"), POINTS.items())
def test_picture_left_is_the_patients_right(
    fields: LungFields, point: tuple[float, float], where: tuple[str, str]
) -> None:
    picture, zone = where
    other = {"left": "right", "right": "left"}[picture]
    zh = {"left": "左", "right": "右"}
    zones = {"upper": "上肺野", "middle": "中肺野", "lower": "下肺野"}
    place = place_of(point, STANDARD, fields)
    assert (place.en, place.zh) == (f"{other} {zone} zone", f"{zh[other]}{zones[zone]}")
    mirrored = place_of(point, MIRRORED, fields)
    assert (mirrored.en, mirrored.zh) == (f"{picture} {zone} zone", f"{zh[picture]}{zones[zone]}")
    assert ZONE_ESTIMATED in place.notices


def test_an_assumed_side_is_said_to_be_assumed(fields: LungFields) -> None:
    place = place_of((96.0, 205.0), Geometry(*SHAPE), fields)
    assert SIDE_ASSUMED in place.notices
    assert place.text("en") == "right lower zone (side assumed, not verified)"
    assert place.text("zh") == "右下肺野（左右未核实）"


def test_an_unknown_side_names_the_pictures(fields: LungFields) -> None:
    place = place_of((96.0, 205.0), Geometry(*SHAPE, patient_right=None, side_source="none"), fields)
    assert place.side is None
    assert SIDE_UNKNOWN in place.notices
    assert place.en == "picture left, lower zone (side unknown)"
    assert place.zh == "图像左侧下肺野（左右未知）"


def test_a_lateral_view_has_neither_side_nor_zone(fields: LungFields) -> None:
    place = place_of((96.0, 205.0), STANDARD, fields, view="LATERAL")
    assert (place.en, place.zh, place.side, place.zone) == ("", "", None, None)
    assert place.notices == (NO_PLACE_ON_LATERAL,)


@pytest.mark.parametrize("missing", [None, "unsure"])
def test_without_lungs_no_zone_is_claimed(fields: LungFields, missing: str | None) -> None:
    given = None if missing is None else replace(fields, unsure=True)
    place = place_of((96.0, 205.0), STANDARD, given)
    assert (place.en, place.zh, place.zone) == ("right side", "右侧", None)
    assert LUNGS_NOT_FOUND in place.notices


def test_the_middle_is_heart_or_mediastinum(fields: LungFields) -> None:
    assert place_of((160.0, 190.0), STANDARD, fields).structure == "heart"
    upper = place_of((160.0, 70.0), STANDARD, fields)
    assert (upper.structure, upper.side, upper.zh) == ("mediastinum", "midline", "纵隔区")


def test_a_region_across_the_midline_is_on_both_sides(fields: LungFields) -> None:
    values = np.zeros((16, 16))
    values[10, 4:12] = 1.0
    (region,) = find_regions(values, STANDARD).regions
    place = place_of_region(region, STANDARD, fields)
    assert place.side == "bilateral"
    assert place.zh.startswith("双")


def test_a_map_region_on_a_padded_film_gets_the_right_words(fields: LungFields) -> None:
    values = np.zeros((16, 16))
    column, row = STANDARD.to_grid(np.array([96.0, 205.0])).astype(int)
    values[row, column] = 1.0
    (region,) = find_regions(values, STANDARD).regions
    assert place_of_region(region, STANDARD, fields).en == "right lower zone"


def test_the_anatomy_table_covers_the_vocabulary() -> None:
    assert set(ALLOWED) == set(CODES)


def outside_allowed(code: str, point: tuple[float, float], fields: LungFields | None) -> bool | None:
    mask = allowed_mask(code, fields)
    return None if mask is None else not mask[int(point[1]), int(point[0])]


def test_a_point_in_a_lung_is_allowed_for_lung_findings_and_a_corner_never_is(fields: LungFields) -> None:
    lung, corner = (96.0, 135.0), (3.0, 3.0)
    for code in CODES:
        assert outside_allowed(code, corner, fields) == ("anywhere" not in ALLOWED[code])
        if "lungs" in ALLOWED[code] or "pleura" in ALLOWED[code]:
            assert not outside_allowed(code, lung, fields)


def test_pleura_reaches_further_than_lung(fields: LungFields) -> None:
    beside = (96.0 - 0.13 * 320 - 20, 135.0)  # 20 pixels outside the lung's edge
    assert outside_allowed("nodule", beside, fields)
    assert not outside_allowed("pleural_effusion", beside, fields)
    lungs, pleura = allowed_mask("nodule", fields), allowed_mask("pneumothorax", fields)
    assert lungs is not None
    assert pleura is not None
    assert not (lungs & ~pleura).any()


def test_the_heart_is_allowed_for_the_heart(fields: LungFields) -> None:
    assert not outside_allowed("cardiomegaly", (160.0, 190.0), fields)
    assert outside_allowed("cardiomegaly", (60.0, 70.0), fields)


def test_without_lungs_it_cannot_be_told(fields: LungFields) -> None:
    assert outside_allowed("nodule", (3.0, 3.0), None) is None
    assert outside_allowed("nodule", (3.0, 3.0), replace(fields, unsure=True)) is None
    unsure = allowed_mask("support_devices", replace(fields, unsure=True))
    assert unsure is not None and unsure.all(), "what may lie anywhere needs no lungs"
    with pytest.raises(MalformedInput, match="wibble"):
        outside_allowed("wibble", (3.0, 3.0), fields)


def test_a_lesion_that_hides_a_lung_base_is_still_inside_the_allowed_space() -> None:
    picture, left, _ = chest(SHAPE)
    rows = np.arange(SHAPE[0])[:, None] > 190
    picture[left & rows] = 0.7  # an effusion fills the base
    hidden = estimate_lung_fields(picture)
    assert not hidden.unsure
    assert not outside_allowed("pleural_effusion", (96.0, 205.0), hidden)
    assert not outside_allowed("consolidation", (96.0, 205.0), hidden)


def test_the_wording_is_the_agreed_one() -> None:
    assert BOX_CAPTION.en == "area the model relied on, not the lesion's outline; not for measurement"
    assert BOX_CAPTION.zh == "模型依赖区域，非病灶轮廓，不可测量"
    assert WITHHELD.en.endswith("this does not mean that the finding is absent.")
    assert WITHHELD.zh == "未能证实该描述依据的图像区域，不代表无此病变。"
