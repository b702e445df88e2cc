"""Places on one film: peaks and regions named by the patient's sides, outside the anatomy, and what is not named."""

from __future__ import annotations

import numpy as np
import pytest
from known_lungs import chest
from numpy.typing import NDArray

from radiolucent.errors import MalformedInput
from radiolucent.findings.types import Side
from radiolucent.localize.film_places import FilmPlaces, film_places, other_side_notice, outside_notice
from radiolucent.localize.words import Place
from radiolucent.study import load_study

GRID = 16


def places(
    *, patient_right: str | None = "left", view: str | None = "PA", flipped: bool = False, volume: bool = False
) -> FilmPlaces:
    picture = chest()[0].astype(np.float32)
    picture = np.ascontiguousarray(picture[:, ::-1]) if flipped else picture
    study = load_study(picture, patient_right=patient_right, view=view)  # type: ignore[arg-type]
    return film_places(study.frames[0], volume=volume)


def on(film: FilmPlaces, column: float, row: float, spread: int = 0) -> NDArray[np.float64]:
    """A map whose mass lies around a point given as shares of the film's width and height."""
    geometry = film.frame.geometry.for_model(896, GRID)
    r, c = geometry.cell_of(column * geometry.cols, row * geometry.rows)
    values = np.zeros((GRID, GRID))
    values[r - spread : r + spread + 1, c - spread : c + spread + 1] = 0.6
    values[r, c] = 1.0
    return values


def outside(film: FilmPlaces, code: str, values: NDArray[np.float64]) -> bool | None:
    anatomy = film.allowed(code, GRID)
    return None if anatomy is None else anatomy.outside(values)


def found(place: Place | None) -> Place:
    assert place is not None
    return place


@pytest.mark.parametrize(
    ("column", "row", "side", "zone"),
    [
        (0.30, 0.24, "right", "upper"),
        (0.30, 0.45, "right", "middle"),
        (0.30, 0.66, "right", "lower"),
        (0.70, 0.24, "left", "upper"),
        (0.70, 0.66, "left", "lower"),
    ],
)
def test_peak_and_region_are_named_by_the_patients_side(column: float, row: float, side: str, zone: str) -> None:
    film = places()
    assert film.fields is not None and not film.fields.unsure
    for place in (found(film.of_peak(on(film, column, row))), found(film.of_map(on(film, column, row)))):
        assert (place.side, place.zone, place.structure) == (side, zone, "lung")
        assert place.text("en") == f"{side} {zone} zone"
        assert ("右" if side == "right" else "左") in place.text("zh")


@pytest.mark.parametrize(("column", "row"), [(0.30, 0.24), (0.70, 0.66)])
def test_a_mirrored_film_names_the_same_patients_side(column: float, row: float) -> None:
    upright, mirrored = places(), places(patient_right="right", flipped=True)
    there = found(upright.of_map(on(upright, column, row)))
    here = found(mirrored.of_map(on(mirrored, 1 - column, row)))
    assert (here.side, here.zone) == (there.side, there.zone)
    assert here.text("en") == there.text("en") and here.text("zh") == there.text("zh")


def test_the_peak_is_the_highest_cell_and_the_region_the_heaviest() -> None:
    film = places()
    values = on(film, 0.30, 0.66, spread=1) + 1.02 * on(film, 0.70, 0.24)  # 9 cells of 0.6 and more; one cell of 1.02
    assert found(film.of_peak(values)).side == "left"
    assert found(film.of_map(values)).side == "right"


def test_only_positive_values_count() -> None:
    film = places()
    values = on(film, 0.30, 0.66) - 5 * on(film, 0.70, 0.24)
    assert found(film.of_map(values)).side == found(film.of_peak(values)).side == "right"


def test_an_empty_map_has_no_place() -> None:
    film = places()
    for values in (np.zeros((GRID, GRID)), -np.ones((GRID, GRID))):
        assert film.of_map(values) is None
        assert film.of_peak(values) is None
        assert outside(film, "nodule", values) is None


def test_a_lateral_view_names_no_place() -> None:
    film = places(patient_right=None, view="LATERAL")
    place = found(film.of_map(on(film, 0.30, 0.66)))
    assert (place.side, place.zone, place.text("en"), place.text("zh")) == (None, None, "", "")


def test_a_side_that_is_only_assumed_says_so() -> None:
    film = places(patient_right=None)  # an array that states no side: taken by convention
    assert film.frame.geometry.side_source == "assumed"
    place = found(film.of_peak(on(film, 0.30, 0.66)))
    assert "not verified" in place.text("en") and "未核实" in place.text("zh")


def test_a_slice_has_no_lung_outline_and_no_zone() -> None:
    film = places(volume=True)
    assert film.fields is None
    place = found(film.of_map(on(film, 0.30, 0.66)))
    assert place.side == "right" and place.zone is None
    assert outside(film, "nodule", on(film, 0.02, 0.02)) is None


def test_a_film_without_contrast_names_no_zone() -> None:
    film = film_places(load_study(np.full((200, 200), 0.5, np.float32), patient_right="left", view="PA").frames[0])
    assert found(film.of_map(on(film, 0.30, 0.66))).zone is None
    assert outside(film, "nodule", on(film, 0.30, 0.66)) is None


def test_outside_the_anatomy_allowed_for_a_finding() -> None:
    film = places()
    assert outside(film, "nodule", on(film, 0.30, 0.45)) is False
    assert outside(film, "nodule", on(film, 0.03, 0.05)) is True  # the film's corner: air around the patient
    assert outside(film, "cardiomegaly", on(film, 0.5, 0.62)) is False
    assert outside(film, "cardiomegaly", on(film, 0.03, 0.05)) is True
    with pytest.raises(MalformedInput, match="vocabulary"):
        outside(film, "broken_heart", on(film, 0.30, 0.45))


PICTURE_LEFT, PICTURE_RIGHT, CORNER = (0.30, 0.45), (0.70, 0.45), (0.03, 0.05)


@pytest.mark.parametrize("code", ["nodule", "pleural_effusion", "pneumothorax"])
@pytest.mark.parametrize("patient_right", ["left", "right"])
def test_evidence_on_the_patients_other_side_is_outside_and_told_from_evidence_elsewhere(
    code: str, patient_right: str
) -> None:
    film = places(patient_right=patient_right)
    here, there = (PICTURE_LEFT, PICTURE_RIGHT) if patient_right == "left" else (PICTURE_RIGHT, PICTURE_LEFT)
    anatomy = film.allowed(code, GRID, side="right")
    assert anatomy is not None
    assert [anatomy.outside(on(film, *point)) for point in (here, there, CORNER)] == [False, True, True]
    assert [anatomy.other_side(on(film, *point)) for point in (here, there, CORNER)] == [False, True, False]
    both = 2 * on(film, *here) + on(film, *there)
    assert (anatomy.outside(both), anatomy.other_side(both)) == (False, False)  # most of it is where it may be
    tilted = 0.9 * on(film, *here) + on(film, *there)
    assert (anatomy.outside(tilted), anatomy.other_side(tilted)) == (True, True)


def test_both_sides_are_all_of_the_anatomy_and_share_no_more_than_the_middle() -> None:
    film = places()
    left, right = (film.allowed("pleural_effusion", GRID, side=side) for side in ("left", "right"))
    whole = film.allowed("pleural_effusion", GRID)
    assert left is not None and right is not None and whole is not None and whole.either_side is None
    assert np.allclose(np.maximum(left.cells, right.cells), whole.cells) and np.allclose(left.either_side, whole.cells)
    assert film.midline is not None
    shared = np.flatnonzero((left.cells * right.cells).any(axis=0))
    assert len(shared) <= 2 and abs(shared.mean() + 0.5 - film.midline / film.frame.geometry.cols * GRID) <= 1


@pytest.mark.parametrize("side", [None, "bilateral", "midline"])
def test_without_a_side_of_its_own_a_finding_is_held_to_none(side: Side | None) -> None:
    anatomy = places().allowed("pleural_effusion", GRID, side=side)
    assert anatomy is not None and anatomy.either_side is None
    assert anatomy.other_side(on(places(), *PICTURE_LEFT)) is None


@pytest.mark.parametrize("code", ["cardiomegaly", "enlarged_cardiomediastinum", "mediastinal_shift", "fracture"])
def test_the_heart_the_mediastinum_and_what_may_lie_anywhere_have_no_side(code: str) -> None:
    sided, whole = places().allowed(code, GRID, side="left"), places().allowed(code, GRID)
    assert sided is not None and whole is not None and sided.either_side is None
    assert np.array_equal(sided.cells, whole.cells)


def test_a_mass_keeps_the_whole_mediastinum_on_either_side() -> None:
    film = places()
    heart, mass = film.allowed("enlarged_cardiomediastinum", GRID), film.allowed("mass", GRID, side="left")
    assert heart is not None and mass is not None and film.fields is not None and film.fields.mediastinum is not None
    top = film.fields.mediastinum[1]
    column = int((film.fields.mediastinum[0] + 1) / film.frame.geometry.cols * GRID)  # its patient's right border
    row = int((top + 20) / film.frame.geometry.rows * GRID)
    assert mass.cells[row, column] == pytest.approx(heart.cells[row, column]) and mass.cells[row, column] > 0


@pytest.mark.parametrize("shown", [{"patient_right": None, "view": "LATERAL"}, {"volume": True}])
def test_where_the_side_or_the_midline_is_unknown_no_side_is_held_against_a_map(shown: dict[str, str]) -> None:
    anatomy = places(**shown).allowed("pleural_effusion", GRID, side="left")  # type: ignore[arg-type]
    assert anatomy is None or anatomy.either_side is None


def test_a_map_that_is_not_square_is_refused() -> None:
    film = places()
    for ask in (film.of_map, film.of_peak, lambda values: outside(film, "nodule", values)):
        with pytest.raises(MalformedInput):
            ask(np.ones((GRID, GRID - 1)))


@pytest.mark.parametrize("notice", [outside_notice, other_side_notice])
def test_notices_name_the_finding_in_both_languages(notice) -> None:  # type: ignore[no-untyped-def]
    made = notice("Right nodule", "右侧结节")
    assert made.en.startswith("Right nodule: ") and made.zh.startswith("右侧结节：")
    assert made.text("zh") == made.zh
