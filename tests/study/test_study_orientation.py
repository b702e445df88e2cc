"""Sides: from the header, assumed and said so, or none; pixels never flipped."""

import numpy as np
import pytest
from dicom_files import ramp
from hypothesis import given
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from radiolucent.study import load_study
from radiolucent.study.orientation import film_side, slice_normal, slice_side, valid_cosines


def codes(study) -> set[str]:
    return {entry.code for entry in study.warnings}


@pytest.mark.parametrize(
    ("orientation", "right", "source", "told"),
    [
        (["L", "F"], "left", "orientation", set()),
        (["R", "F"], "right", "orientation", {"mirrored"}),
        (["LH", "FL"], "left", "orientation", set()),
        (["L", "H"], None, "none", {"orientation_unclear"}),
        (["R", "H"], None, "none", {"orientation_unclear"}),
        (["F", "L"], None, "none", {"orientation_unclear"}),
        (["H", "R"], None, "none", {"orientation_unclear"}),
        (["A", "F"], None, "none", {"view_conflict"}),
        (["X", "Y"], None, "none", {"orientation_unclear"}),
        (["L"], None, "none", {"orientation_unclear"}),
        (None, "left", "assumed", {"side_assumed"}),
        ([], "left", "assumed", {"side_assumed"}),
    ],
)
def test_films(film, orientation: list[str] | None, right: str | None, source: str, told: set[str]) -> None:
    study = load_study(film(PatientOrientation=orientation))
    geometry = study.frames[0].geometry
    assert (geometry.patient_right, geometry.side_source) == (right, source)
    assert codes(study) == told


def test_a_mirrored_film_gives_the_other_side_for_the_same_column_and_its_pixels_stay(film) -> None:
    plain = load_study(film(PatientOrientation=["L", "F"], name="plain"))
    mirrored = load_study(film(ramp()[:, ::-1].copy(), PatientOrientation=["R", "F"], name="mirrored"))
    np.testing.assert_array_equal(mirrored.frames[0].values, ramp()[:, ::-1])
    cols = ramp().shape[1]
    for column in range(cols):
        # The same anatomy lies in the mirrored column, and belongs to the same side of the patient.
        here = plain.frames[0].geometry.patient_side(column + 0.5)
        there = mirrored.frames[0].geometry.patient_side(cols - 1 - column + 0.5)
        assert here == there == ("right" if column < cols / 2 else "left")


@pytest.mark.parametrize("orientation", [("A", "F"), ("P", "F")])
def test_a_lateral_film_is_known_by_its_orientation(orientation: tuple[str, str]) -> None:
    side = film_side(orientation, None)
    assert (side.view, side.right, side.source) == ("LATERAL", None, "none")
    assert [entry.code for entry in side.notices] == ["lateral_view"]


@pytest.mark.parametrize("keyword", ["Laterality", "ImageLaterality"])
def test_a_film_of_one_side_has_no_two_halves(film, keyword: str) -> None:
    study = load_study(film(**{keyword: "R"}))
    assert study.frames[0].geometry.patient_right is None and codes(study) == {"one_sided"}
    both = load_study(film(**{keyword: "B"}, name="both"))
    assert both.frames[0].geometry.patient_right == "left"


@pytest.mark.parametrize(
    ("cosines", "right", "told"),
    [
        ([1, 0, 0, 0, 1, 0], "left", set()),
        ([-1, 0, 0, 0, 1, 0], "right", {"mirrored"}),
        ([1, 0, 0, 0, -1, 0], "left", {"slice_turned"}),
        ([-1, 0, 0, 0, -1, 0], "right", {"mirrored", "slice_turned"}),
        ([1, 0, 0, 0, 0, -1], "left", set()),  # coronal, head at the top
        ([1, 0, 0, 0, 0, 1], "left", {"slice_turned"}),
        ([0, 1, 0, 0, 0, -1], None, {"orientation_unclear"}),  # sagittal
        ([0, 0, 0, 0, 0, 0], None, {"orientation_unclear"}),
        ([1, 0, 0, 1, 0, 0], None, {"orientation_unclear"}),
        ([1, 0, 0], None, {"orientation_unclear"}),
        (None, "left", {"side_assumed"}),
    ],
)
def test_slices(ct_slice, cosines: list[float] | None, right: str | None, told: set[str]) -> None:
    study = load_study(ct_slice(0, ImageOrientationPatient=cosines))
    assert study.frames[0].geometry.patient_right == right
    assert codes(study) == told


@given(st.integers(0, 2**32 - 1))
def test_the_side_of_any_slice_is_where_the_patient_axes_put_it(seed: int) -> None:
    turn = Rotation.random(random_state=seed).as_matrix()
    rows_to, columns_to = turn[:, 0], turn[:, 1]
    cosines = (*rows_to.tolist(), *columns_to.tolist())
    assert valid_cosines(cosines)
    side = slice_side(cosines).right
    if side is not None:
        # One step to the picture's right moves towards the patient's left (+x in DICOM) or right (-x).
        assert side == ("left" if rows_to[0] > 0 else "right")
    else:
        assert abs(rows_to[0]) < np.sqrt(0.5)
    normal = np.array(slice_normal(cosines))
    assert abs(normal @ rows_to) < 1e-9 and abs(normal @ columns_to) < 1e-9
    assert normal[np.abs(normal).argmax()] > 0
