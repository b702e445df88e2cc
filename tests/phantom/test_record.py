"""Records: three lesions at most, each complete, none hiding another."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from radiolucent.phantom.film import draw_case
from radiolucent.phantom.record import CODES, ZONED, ZONES, Lesion, mirrored, sample_lesions

SAMPLED = [sample_lesions(np.random.default_rng(seed)) for seed in range(1500)]


def _thirds(lesion: Lesion) -> set[tuple[str, str]]:
    """(side, third) that a lesion makes opaque or airless, by how it is drawn: written independently of the code."""
    sides = ("left", "right") if lesion.side == "bilateral" else (str(lesion.side),)
    if lesion.code == "cardiomegaly":
        return set()
    if lesion.code == "pleural_effusion":
        zones: tuple[str, ...] = {"mild": ("lower",), "moderate": ("lower", "middle"), "severe": ZONES}[
            str(lesion.severity)
        ]
    elif lesion.code == "pneumothorax":
        zones = ("upper",) if lesion.severity == "severe" else ()
    else:
        zones = (str(lesion.zone),)
    return set(itertools.product(sides, zones))


def test_records_hold_none_to_three_lesions_of_different_codes() -> None:
    counts = {len(record) for record in SAMPLED}
    assert counts == {0, 1, 2, 3}
    for record in SAMPLED:
        assert len({lesion.code for lesion in record}) == len(record)


def test_every_sampled_lesion_is_complete() -> None:
    for lesion in itertools.chain(*SAMPLED):
        assert lesion.code in CODES
        assert (lesion.zone in ZONES) == (lesion.code in ZONED)
        assert (lesion.side is None) == (lesion.code == "cardiomegaly")
        sizes = {"pleural_effusion": ("mild", "moderate", "severe"), "pneumothorax": ("mild", "severe")}
        assert lesion.severity in sizes.get(lesion.code, (None,))
        assert lesion.side != "bilateral" or lesion.code == "pleural_effusion"


def test_every_code_side_zone_and_size_is_drawn() -> None:
    drawn = set(itertools.chain(*SAMPLED))
    assert {le.code for le in drawn} == set(CODES)
    for code in ZONED:
        assert {(le.side, le.zone) for le in drawn if le.code == code} == set(
            itertools.product(("left", "right"), ZONES)
        )
    assert len({(le.side, le.severity) for le in drawn if le.code == "pleural_effusion"}) == 9
    assert len({(le.side, le.severity) for le in drawn if le.code == "pneumothorax"}) == 4


def test_no_two_sampled_lesions_share_a_third_of_a_lung() -> None:
    for record in SAMPLED:
        for one, other in itertools.combinations(record, 2):
            assert not _thirds(one) & _thirds(other), record


def test_no_pneumothorax_is_drawn_where_the_effusion_fills_the_lung() -> None:
    for record in SAMPLED:
        planted = {lesion.code: lesion for lesion in record}
        effusion, air = planted.get("pleural_effusion"), planted.get("pneumothorax")
        if effusion and air and effusion.severity == "severe":
            assert effusion.side not in (air.side, "bilateral")


@pytest.mark.parametrize("seed", range(20, 32))
def test_every_lesion_of_a_sampled_record_can_be_seen_in_the_film(seed: int) -> None:
    case = draw_case(seed, size=128)
    for code, mask in case.masks.items():
        change = np.abs(case.film.astype(int) - case.without[code].astype(int))
        assert mask.any()
        assert change[mask].mean() > 5, (seed, code)


def test_mirrored_is_an_involution_that_changes_sides_only() -> None:
    other = {"left": "right", "right": "left", "bilateral": "bilateral", None: None}
    for record in SAMPLED[:300]:
        twin = mirrored(record)
        assert mirrored(twin) == record
        assert [(t.code, t.zone, t.severity) for t in twin] == [(le.code, le.zone, le.severity) for le in record]
        assert [t.side for t in twin] == [other[le.side] for le in record]
