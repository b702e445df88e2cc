"""Arrays in: shapes, dtypes, what is stated and what is assumed."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from radiolucent.errors import MalformedInput, UnsupportedInput
from radiolucent.study import load_study

GREY = np.linspace(0, 1, 12 * 10).reshape(12, 10)


def codes(study) -> set[str]:
    return {entry.code for entry in study.warnings}


@given(arrays.arrays(np.float32, (5, 7), elements=st.floats(0, 1, width=32)))
def test_pictures_in_zero_to_one_are_shown_as_they_are(picture: np.ndarray) -> None:
    study = load_study(picture, view="PA", patient_right="left")
    np.testing.assert_array_equal(study.frames[0].picture(), picture)
    assert codes(study) <= {"no_contrast"}


@pytest.mark.parametrize(
    ("array", "frames", "shape", "dtype"),
    [
        (GREY, 1, (12, 10), np.float32),
        ((GREY * 255).astype(np.uint8), 1, (12, 10), np.float32),
        ((GREY * 60000).astype(np.uint16), 1, (12, 10), np.float32),
        ((GREY * 2000 - 1000).astype(np.int16), 1, (12, 10), np.float32),
        (GREY > 0.5, 1, (12, 10), np.float32),
        (np.stack([GREY] * 4), 4, (12, 10), np.float32),
        (np.stack([GREY] * 3, axis=2), 1, (12, 10, 3), np.uint8),
        (np.stack([(GREY * 255).astype(np.uint8)] * 3, axis=2), 1, (12, 10, 3), np.uint8),
    ],
)
def test_shapes_and_types(array: np.ndarray, frames: int, shape: tuple[int, ...], dtype: type) -> None:
    study = load_study(array)
    assert len(study.frames) == frames and study.modality == "OT" and study.source.format == "array"
    for frame in study.frames:
        assert frame.values.shape == shape and frame.values.dtype == dtype
        assert (frame.geometry.rows, frame.geometry.cols) == shape[:2]
        assert frame.picture().min() >= 0 and frame.picture().max() <= 1
    assert {"side_assumed", "view_unknown"} <= codes(study)


def test_deeper_values_get_a_window_from_the_data_and_say_so() -> None:
    study = load_study((GREY * 4000).astype(np.uint16))
    assert "window_from_data" in codes(study)
    assert np.ptp(study.frames[0].picture()) == 1
    stated = load_study((GREY * 4000).astype(np.uint16), window=(0, 8000))
    assert "window_from_data" not in codes(stated)
    assert stated.frames[0].picture().max() == pytest.approx(0.5)


def test_what_the_caller_states_is_taken() -> None:
    study = load_study(GREY, modality="DX", patient_right="right", spacing=(0.2, 0.3), view="AP")
    geometry = study.frames[0].geometry
    assert (geometry.patient_right, geometry.side_source) == ("right", "array")
    assert (geometry.spacing, geometry.spacing_kind) == ((0.2, 0.3), "detector")
    assert (study.modality, study.view, study.frames[0].view) == ("DX", "AP", "AP")
    assert codes(study) == {"view_ap"}


def test_ct_arrays_are_hounsfield_slices() -> None:
    study = load_study(np.stack([GREY * 2000 - 1000] * 2), modality="CT", spacing=(0.7, 0.7), window=(-1350, 150))
    assert [frame.label for frame in study.frames] == ["slice 1", "slice 2"]
    assert study.frames[0].geometry.spacing_kind == "patient"
    np.testing.assert_allclose(study.frames[0].values, GREY * 2000 - 1000, rtol=1e-6)
    assert codes(study) == {"side_assumed"}


def test_a_lateral_view_has_no_sides() -> None:
    study = load_study(GREY, view="LATERAL", patient_right="left")
    assert study.frames[0].geometry.patient_right is None
    assert study.frames[0].geometry.side_source == "none"
    assert "lateral_view" in codes(study) and "side_assumed" not in codes(study)


def test_a_constant_picture_is_opened_with_a_warning() -> None:
    study = load_study(np.full((8, 8), 300, np.uint16))
    assert "no_contrast" in codes(study)
    assert np.isfinite(study.frames[0].picture()).all()


def test_the_digest_knows_the_same_picture_again() -> None:
    first = load_study(GREY).source.sha256
    assert first == load_study(GREY.copy(order="F")).source.sha256
    assert first == load_study(GREY, view="PA", patient_right="left").source.sha256
    changed = GREY.copy()
    changed[0, 0] = 0.5
    assert first != load_study(changed).source.sha256
    assert first != load_study(GREY.reshape(10, 12)).source.sha256


def test_a_study_does_not_change_with_the_array_it_came_from() -> None:
    array = GREY.astype(np.float32)
    study = load_study(array)
    array[:] = 0
    assert study.frames[0].values.max() == 1


@pytest.mark.parametrize(
    "array",
    [
        np.array([[np.nan, 1.0]]),
        np.array([[np.inf, 1.0]]),
        np.zeros(5),
        np.zeros((2, 2, 2, 2)),
        np.zeros((0, 5)),
        np.zeros((5, 0, 3)),
        np.array([["a", "b"]]),
        np.array([[1 + 2j]]),
        np.array([[object()]]),
        np.array([["2020-01-01"]], dtype="M8[D]"),
        np.array([[2**40, 0]]),
        np.array([[1e300, 0.0]]),
        np.array([[1e38, -1e38]], np.float32),
        np.full((4, 4, 3), 1.5),
        np.full((4, 4, 3), -0.5),
        np.full((4, 4, 3), 300, np.int32),
        np.broadcast_to(np.uint8(0), (30000, 30000)),
        np.broadcast_to(np.float32(0), (5000, 10, 10)),
    ],
)
def test_arrays_that_are_no_picture_are_refused(array: np.ndarray) -> None:
    with pytest.raises(MalformedInput):
        load_study(array)


@pytest.mark.parametrize(
    "stated",
    [
        {"view": "OBLIQUE"},
        {"patient_right": "up"},
        {"spacing": (0, 1)},
        {"spacing": (np.nan, 1)},
        {"spacing": (-1, 1)},
        {"window": (1, 1)},
        {"window": (0, np.inf)},
        {"window": (np.nan, 1)},
    ],
)
def test_wrong_statements_are_refused(stated: dict) -> None:
    with pytest.raises(MalformedInput):
        load_study(GREY, **stated)


def test_other_modalities_are_refused() -> None:
    with pytest.raises(UnsupportedInput, match="MR"):
        load_study(GREY, modality="MR")
