"""The display stage against pydicom's own and against the standard's formulas, written out."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydicom.dataset import Dataset
from pydicom.pixels.processing import apply_windowing

from radiolucent.errors import MalformedInput
from radiolucent.study import Display, apply_display
from radiolucent.study.display import window_from_values, window_range

VALUES = np.arange(-1200, 1200, dtype=np.float32).reshape(60, 40)


@given(
    st.sampled_from(["LINEAR", "LINEAR_EXACT", "SIGMOID"]),
    st.floats(-1000, 1000),
    st.floats(2, 2000),
)
def test_windows_are_those_of_pydicom(function: str, centre: float, width: float) -> None:
    header = Dataset()
    header.WindowCenter, header.WindowWidth, header.VOILUTFunction = round(centre, 3), round(width, 3), function
    header.PhotometricInterpretation, header.BitsStored, header.PixelRepresentation = "MONOCHROME2", 16, 0
    header.RescaleSlope, header.RescaleIntercept = 1, 0
    with np.errstate(over="ignore"):
        expected = apply_windowing(VALUES.astype(np.float64), header) / 65535
    low, high = window_range(float(header.WindowCenter), float(header.WindowWidth), function)
    picture = apply_display(VALUES, Display(low, high, function=function))
    np.testing.assert_allclose(picture, expected, atol=2e-4)


def test_the_standard_s_linear_formula_written_out() -> None:
    centre, width = 40.0, 400.0
    expected = [
        0.0 if x <= centre - 0.5 - (width - 1) / 2
        else 1.0 if x > centre - 0.5 + (width - 1) / 2
        else (x - (centre - 0.5)) / (width - 1) + 0.5
        for x in VALUES.ravel().tolist()
    ]  # fmt: skip
    picture = apply_display(VALUES, Display(*window_range(centre, width)))
    np.testing.assert_allclose(picture.ravel(), expected, atol=1e-5)


def test_a_window_of_width_one_is_a_threshold() -> None:
    picture = apply_display(VALUES, Display(*window_range(0.5, 1)))
    np.testing.assert_array_equal(picture, VALUES > 0)


@given(st.floats(-500, 500), st.floats(1, 900), st.booleans(), st.sampled_from(["LINEAR", "SIGMOID"]))
def test_pictures_lie_between_black_and_white(low: float, width: float, inverted: bool, function: str) -> None:
    picture = apply_display(VALUES, Display(low, low + width, inverted, function))
    assert picture.dtype == np.float32 and picture.shape == VALUES.shape
    assert picture.min() >= 0 and picture.max() <= 1


@pytest.mark.parametrize("function", ["LINEAR", "LINEAR_EXACT", "SIGMOID"])
@pytest.mark.parametrize("span", [0, 1e-50, 1e-30, 1e30])
def test_windows_of_any_width_give_numbers(function: str, span: float) -> None:
    with np.errstate(all="raise", under="ignore"):
        picture = apply_display(VALUES, Display(-span / 2, span / 2, function=function))
    assert np.isfinite(picture).all() and picture.min() >= 0 and picture.max() <= 1


def test_inversion_is_one_minus_and_happens_once() -> None:
    plain = apply_display(VALUES, Display(-1000, 1000))
    np.testing.assert_allclose(apply_display(VALUES, Display(-1000, 1000, inverted=True)), 1 - plain, atol=1e-6)


@pytest.mark.parametrize("inverted", [False, True])
def test_padding_is_black_in_either_polarity(inverted: bool) -> None:
    padding = VALUES < -1000
    picture = apply_display(VALUES, Display(-1000, 1000, inverted, padding=padding))
    assert (picture[padding] == 0).all() and picture[~padding].max() > 0.9


def test_lookup_tables_start_at_low_and_end_at_high() -> None:
    table = np.array([0, 0.1, 0.5, 1], np.float32)
    values = np.array([[-5, 10, 11], [12, 13, 99]], np.float32)
    picture = apply_display(values, Display(10, 13, lut=table))
    np.testing.assert_allclose(picture, [[0, 0, 0.1], [0.5, 1, 1]])


def test_displaying_leaves_the_values_alone() -> None:
    values = VALUES.copy()
    apply_display(values, Display(-10, 10, inverted=True, padding=values > 0))
    np.testing.assert_array_equal(values, VALUES)


def test_colour_is_shown_as_it_is() -> None:
    colour = np.random.default_rng(0).integers(0, 256, (4, 5, 3), dtype=np.uint8)
    np.testing.assert_allclose(apply_display(colour, Display(0, 255)) * 255, colour, atol=1e-4)


@pytest.mark.parametrize("window", [(0, 0), (0, -5), (0, 0.5), (np.nan, 10), (0, np.inf)])
def test_windows_the_standard_does_not_know_are_refused(window: tuple[float, float]) -> None:
    with pytest.raises(MalformedInput, match="width"):
        window_range(*window)


def test_unknown_functions_are_refused() -> None:
    with pytest.raises(MalformedInput, match="CUBIC"):
        apply_display(VALUES, Display(0, 1, function="CUBIC"))


def test_the_window_from_values_ignores_padding_and_outliers() -> None:
    values = np.linspace(100, 200, 10_000, dtype=np.float32).reshape(100, 100)
    padded = values.copy()
    padded[:40] = -5000
    low, high = window_from_values(padded, padded == -5000)
    assert low == pytest.approx(140.3, abs=0.1) and high == pytest.approx(199.7, abs=0.1)


def test_the_window_of_a_mark_on_an_even_ground_spans_both() -> None:
    values = np.zeros((100, 100), np.float32)
    values[0, 0] = 7
    assert window_from_values(values) == (0, 7)
