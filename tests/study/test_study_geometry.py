"""Geometry: exact inverses, and maps carried to the source against a pixel-by-pixel oracle."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.ndimage import map_coordinates

from radiolucent.errors import MalformedInput
from radiolucent.study import Geometry

sizes = st.integers(1, 90)
geometries = st.builds(
    Geometry,
    rows=st.integers(1, 3000),
    cols=st.integers(1, 3000),
    model_size=st.sampled_from([64, 224, 256, 896]),
    grid=st.sampled_from([1, 7, 14, 16, 64]),
    patient_right=st.sampled_from(["left", "right", None]),
)
small = st.builds(Geometry, rows=sizes, cols=sizes)
coordinates = st.floats(-4000, 4000)
points = st.lists(st.tuples(coordinates, coordinates), min_size=1, max_size=8).map(np.array)


@given(geometries, points)
def test_square_and_source_are_inverse(geometry: Geometry, at: np.ndarray) -> None:
    np.testing.assert_allclose(geometry.to_source(geometry.to_square(at)), at, atol=1e-8)
    np.testing.assert_allclose(geometry.to_square(geometry.to_source(at)), at, atol=1e-8)


@given(geometries, points)
def test_grid_and_source_are_inverse(geometry: Geometry, at: np.ndarray) -> None:
    np.testing.assert_allclose(geometry.from_grid(geometry.to_grid(at)), at, atol=1e-8)


@given(geometries)
def test_the_longer_edge_fills_the_square_and_the_shorter_is_centred(geometry: Geometry) -> None:
    (left, top), (right, bottom) = geometry.to_square(np.array([[0, 0], [geometry.cols, geometry.rows]], dtype=float))
    pixel = geometry.model_size / geometry.edge
    longer, shorter = (
        ((left, right), (top, bottom)) if geometry.cols >= geometry.rows else ((top, bottom), (left, right))
    )
    np.testing.assert_allclose(longer, (0, geometry.model_size), atol=1e-6)
    # One source pixel may be left over where the padding is odd.
    assert abs(shorter[0] - (geometry.model_size - shorter[1])) <= pixel + 1e-6


@given(geometries, st.data())
def test_the_centre_of_a_cell_s_box_lies_in_that_cell(geometry: Geometry, data: st.DataObject) -> None:
    row, column = (data.draw(st.integers(0, geometry.grid - 1)) for _ in range(2))
    x0, y0, x1, y1 = geometry.cell_box(row, column)
    assert geometry.cell_of((x0 + x1) / 2, (y0 + y1) / 2) == (row, column)
    np.testing.assert_allclose([x1 - x0, y1 - y0], geometry.edge / geometry.grid)


@given(geometries)
def test_cells_tile_the_padded_square(geometry: Geometry) -> None:
    last = geometry.grid - 1
    x0, y0, *_ = geometry.cell_box(0, 0)
    *_, x1, y1 = geometry.cell_box(last, last)
    left, top = geometry.offset
    np.testing.assert_allclose([x0, y0], [-left, -top], atol=1e-6)
    np.testing.assert_allclose([x1 - x0, y1 - y0], [geometry.edge] * 2)
    for cell in range(last):
        assert geometry.cell_box(0, cell)[2] == pytest.approx(geometry.cell_box(0, cell + 1)[0])


@given(geometries, coordinates, coordinates)
def test_points_outside_fall_into_the_nearest_cell(geometry: Geometry, column: float, row: float) -> None:
    assert all(0 <= index < geometry.grid for index in geometry.cell_of(column, row))


@given(small, st.integers(1, 20), st.integers(0, 2**32 - 1))
@settings(deadline=None)
def test_flat_maps_match_a_walk_over_the_pixels(geometry: Geometry, n: int, seed: int) -> None:
    values = np.random.default_rng(seed).normal(size=(n, n)).astype(np.float32)
    left, top = geometry.offset
    expected = np.empty((geometry.rows, geometry.cols), np.float32)
    for row in range(geometry.rows):
        for column in range(geometry.cols):
            # Integer arithmetic: the cell of the pixel's centre, (2 i + 1) / 2 of `edge` pixels over n cells.
            cell_row = (2 * (row + top) + 1) * n // (2 * geometry.edge)
            cell_column = (2 * (column + left) + 1) * n // (2 * geometry.edge)
            expected[row, column] = values[cell_row, cell_column]
    np.testing.assert_array_equal(geometry.on_source(values), expected)


@given(small, st.integers(1, 20), st.integers(0, 2**32 - 1))
@settings(deadline=None)
def test_smooth_maps_match_scipy(geometry: Geometry, n: int, seed: int) -> None:
    values = np.random.default_rng(seed).normal(size=(n, n))
    left, top = geometry.offset
    rows, columns = np.mgrid[: geometry.rows, : geometry.cols].astype(float)
    at = [(rows + 0.5 + top) * n / geometry.edge - 0.5, (columns + 0.5 + left) * n / geometry.edge - 0.5]
    expected = map_coordinates(values, at, order=1, mode="nearest")
    np.testing.assert_allclose(geometry.on_source(values, smooth=True), expected, atol=1e-5)


@given(small, st.integers(1, 20))
def test_smoothing_adds_no_values_of_its_own(geometry: Geometry, n: int) -> None:
    values = np.random.default_rng(n).normal(size=(n, n)).astype(np.float32)
    smooth = geometry.on_source(values, smooth=True)
    assert values.min() - 1e-6 <= smooth.min() and smooth.max() <= values.max() + 1e-6


@given(small, st.sampled_from([(), (3,)]))
def test_padding_is_cut_away_again(geometry: Geometry, channels: tuple[int, ...]) -> None:
    picture = np.random.default_rng(0).random((geometry.rows, geometry.cols, *channels))
    padded = geometry.pad(picture, fill=-1)
    left, top = geometry.offset
    assert padded.shape[:2] == (geometry.edge, geometry.edge)
    np.testing.assert_array_equal(padded[top : top + geometry.rows, left : left + geometry.cols], picture)
    assert (padded == -1).sum() == padded.size - picture.size
    if not channels:
        np.testing.assert_array_equal(geometry.on_source(padded), picture.astype(np.float32))


@given(geometries, coordinates)
def test_the_two_halves_of_a_picture_are_the_patient_s_two_sides(geometry: Geometry, column: float) -> None:
    side = geometry.patient_side(column)
    if geometry.patient_right is None:
        assert side is None
    else:
        half = "left" if column < geometry.cols / 2 else "right"
        assert side == ("right" if half == geometry.patient_right else "left")


def test_the_right_lung_is_on_the_left_of_a_standard_film() -> None:
    assert Geometry(100, 80).patient_side(10) == "right"
    assert Geometry(100, 80, patient_right="right").patient_side(10) == "left"


@given(geometries, st.sampled_from([(224, 14), (896, 16)]))
def test_another_model_changes_only_the_square(geometry: Geometry, other: tuple[int, int]) -> None:
    seen = geometry.for_model(*other)
    assert (seen.model_size, seen.grid) == other
    assert seen.for_model(geometry.model_size, geometry.grid) == geometry


@pytest.mark.parametrize("wrong", [{"rows": 0}, {"cols": 0}, {"rows": -1}, {"grid": 0}, {"model_size": 8, "grid": 16}])
def test_impossible_geometries_are_refused(wrong: dict[str, int]) -> None:
    with pytest.raises(MalformedInput):
        Geometry(**{"rows": 5, "cols": 5, **wrong})


def test_maps_that_are_not_square_and_pictures_of_another_size_are_refused() -> None:
    geometry = Geometry(6, 4)
    with pytest.raises(MalformedInput):
        geometry.on_source(np.zeros((2, 3)))
    with pytest.raises(MalformedInput):
        geometry.pad(np.zeros((4, 6)))
