from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from skimage.filters import threshold_otsu

from radiolucent.errors import MalformedInput
from radiolucent.faithfulness.metrics import iou_best, iou_ceiling, iou_of_cells, iou_otsu
from radiolucent.faithfulness.metrics.overlap import areas, otsu
from radiolucent.study.geometry import Geometry

SQUARE = Geometry(rows=64, cols=64, model_size=64, grid=8)
PORTRAIT = Geometry(rows=61, cols=40, model_size=64, grid=8)
seeds = st.integers(0, 2**16)


def disc(geometry, seed):
    row, col, radius = np.random.default_rng(seed).uniform([0.1, 0.1, 2], [0.9, 0.9, 14])
    y, x = np.mgrid[: geometry.rows, : geometry.cols] + 0.5
    return (y - row * geometry.rows) ** 2 + (x - col * geometry.cols) ** 2 <= radius**2


def counted(chosen, mask):
    """IoU over pixels."""
    return (chosen & mask).sum() / (chosen | mask).sum()


@given(seeds)
@settings(deadline=None, max_examples=40)
def test_iou_equals_the_count_of_source_pixels(seed):
    """Oracle: the cells drawn flat on the source; cells are whole pixels, and padding is cut away."""
    for geometry in (SQUARE, Geometry(rows=64, cols=48, model_size=64, grid=8)):
        mask = disc(geometry, seed)
        cells = np.random.default_rng(seed).random((8, 8)) < 0.3
        drawn = geometry.on_source(cells.astype(np.float32)) > 0.5
        assert iou_of_cells(cells, mask, geometry) == pytest.approx(counted(drawn, mask), abs=1e-9)


@given(seeds, st.integers(2, 3), st.sampled_from([(12, 12), (11, 7), (5, 12)]))
@settings(deadline=None, max_examples=40)
def test_the_ceiling_is_the_best_of_every_set_of_cells(seed, grid, size):
    """Oracle: all 2^(grid x grid) sets, their IoU computed cell by cell."""
    geometry = Geometry(rows=size[0], cols=size[1], model_size=48, grid=grid)
    mask = np.random.default_rng(seed).random(size) < 0.3
    mask[size[0] // 2, size[1] // 2] = True
    lesion, picture = areas([mask], [geometry], grid)
    best = 0.0
    for chosen in product([False, True], repeat=grid * grid):
        cells = np.array(chosen).reshape(1, grid, grid)
        shared = lesion[cells].sum()
        best = max(best, shared / (mask.sum() + picture[cells].sum() - shared))
    assert iou_ceiling(mask, geometry) == pytest.approx(best, abs=1e-12)


@pytest.mark.parametrize(("diameter", "figure"), [(1.5, 0.26), (2.2, 0.41), (3.1, 0.52), (4.4, 0.61), (8.8, 0.79)])
def test_the_ceiling_of_a_disc_on_a_35_cm_field(diameter, figure):
    """Mean over places of discs on a 16 x 16 grid."""
    geometry, radius = Geometry(rows=448, cols=448), diameter / 2 / 35 * 448
    y, x = np.mgrid[:448, :448] + 0.5
    places = np.random.default_rng(1).uniform(radius, 448 - radius, (60, 2))
    found = [iou_ceiling((y - row) ** 2 + (x - col) ** 2 <= radius**2, geometry) for row, col in places]
    assert np.mean(found) == pytest.approx(figure, abs=0.035)


def test_a_finer_grid_has_a_higher_ceiling():
    mask = disc(SQUARE, 3)
    found = [iou_ceiling(mask, SQUARE, grid=grid) for grid in (4, 8, 16, 64)]
    assert found == sorted(found) and found[-1] == 1.0


@given(seeds, st.sampled_from([SQUARE, PORTRAIT]))
@settings(deadline=None, max_examples=40)
def test_no_map_beats_the_ceiling_and_the_coverage_reaches_it(seed, geometry):
    mask = disc(geometry, seed)
    ceiling = iou_ceiling(mask, geometry)
    lesion, picture = areas([mask], [geometry], 8)
    perfect = np.divide(lesion, picture, out=np.zeros_like(lesion), where=picture > 0)
    assert iou_best(perfect, mask, geometry) == pytest.approx(ceiling)
    for values in np.random.default_rng(seed).standard_normal((10, 8, 8)):
        assert iou_best(values, mask, geometry) <= ceiling + 1e-12
        assert 0 <= iou_otsu(values, mask, geometry) <= iou_best(np.clip(values, 0, None), mask, geometry) + 1e-12


@given(seeds)
@settings(deadline=None, max_examples=30)
def test_the_best_threshold_is_the_best_of_all(seed):
    mask = disc(SQUARE, seed)
    values = np.random.default_rng(seed).integers(0, 6, (8, 8)).astype(float)
    expected = max(iou_of_cells(values >= level, mask, SQUARE) for level in np.unique(values))
    assert iou_best(values, mask, SQUARE) == pytest.approx(expected)
    assert iou_best(np.exp(values), mask, SQUARE) == iou_best(values, mask, SQUARE)


@given(seeds, st.integers(2, 40))
@settings(deadline=None, max_examples=40)
def test_otsu_equals_scikit_image_on_the_exact_histogram(seed, count):
    rng = np.random.default_rng(seed)
    levels = np.sort(rng.choice(1000, count, replace=False)) / 8.0
    counts = rng.integers(1, 50, count)
    expected = threshold_otsu(hist=(counts.astype(float), levels))
    assert otsu(np.repeat(levels, counts), np.ones(counts.sum())) == expected
    assert otsu(levels, counts.astype(float)) == expected


@given(seeds)
@settings(deadline=None, max_examples=30)
def test_otsu_makes_the_classes_tight(seed):
    """Oracle: the least within-class sum of squares over every split."""
    rng = np.random.default_rng(seed)
    values, weights = rng.random(30), rng.random(30) + 0.1

    def within(threshold):
        parts = [values > threshold, values <= threshold]
        means = [np.average(values[part], weights=weights[part]) for part in parts]
        return sum((weights[p] * (values[p] - m) ** 2).sum() for p, m in zip(parts, means, strict=True))

    least = min(within(level) for level in np.sort(values)[:-1])
    assert within(otsu(values, weights)) == pytest.approx(least)


def test_otsu_iou_of_two_levels_is_that_of_the_upper():
    mask = np.zeros((64, 64), dtype=bool)
    mask[8:24, 8:32] = True  # six cells
    values = np.full((8, 8), 0.2)
    values[1:3, 1:3] = 0.9  # four of them
    assert iou_otsu(values, mask, SQUARE) == pytest.approx(4 / 6)
    assert iou_otsu(1000 * values, mask, SQUARE) == pytest.approx(4 / 6)
    assert iou_otsu(1e-30 * values, mask, SQUARE) == pytest.approx(4 / 6)
    values[5, 5] = -50  # speaks against: counts as nothing, and does not move the threshold below the rest
    assert iou_otsu(values, mask, SQUARE) == pytest.approx(4 / 6)


def test_values_in_the_padding_do_not_move_the_threshold():
    values = np.random.default_rng(0).random((8, 8))
    loud = values.copy()
    loud[:, 0], loud[:, 7] = 99, 99
    mask = disc(PORTRAIT, 1)
    assert iou_otsu(loud, mask, PORTRAIT) == iou_otsu(values, mask, PORTRAIT)
    assert iou_best(loud, mask, PORTRAIT) == iou_best(values, mask, PORTRAIT)


@pytest.mark.parametrize("geometry", [SQUARE, PORTRAIT])
def test_a_constant_map_names_the_whole_picture(geometry):
    mask = disc(geometry, 1)
    assert iou_otsu(np.full((8, 8), 3.0), mask, geometry) == pytest.approx(mask.mean())
    assert iou_best(np.full((8, 8), -3.0), mask, geometry) == pytest.approx(mask.mean())


def test_a_map_without_a_positive_value_names_no_region():
    assert iou_otsu(np.full((8, 8), -1.0), disc(SQUARE, 1), SQUARE) == 0
    assert iou_of_cells(np.zeros((8, 8), dtype=bool), disc(SQUARE, 1), SQUARE) == 0


def test_frames_count_by_their_area():
    """A second frame without lesion adds its chosen pixels to the union; its size may differ."""
    small = Geometry(rows=32, cols=32, model_size=64, grid=8)
    mask, empty = disc(SQUARE, 1), np.zeros((32, 32), dtype=bool)
    cells = np.zeros((2, 8, 8), dtype=bool)
    cells[0, 2:5, 2:5], cells[1, 0, 0] = True, True
    drawn = SQUARE.on_source(cells[0].astype(np.float32)) > 0.5
    expected = (drawn & mask).sum() / ((drawn | mask).sum() + 16)
    assert iou_of_cells(cells, [mask, empty], [SQUARE, small]) == pytest.approx(expected)


@pytest.mark.parametrize("measure", [iou_otsu, iou_best])
def test_bad_input_is_refused(measure):
    with pytest.raises(MalformedInput, match="empty"):
        measure(np.ones((8, 8)), np.zeros((64, 64), dtype=bool), SQUARE)
    with pytest.raises(MalformedInput, match="finite"):
        measure(np.full((8, 8), np.nan), disc(SQUARE, 1), SQUARE)
    with pytest.raises(MalformedInput, match="shape"):
        measure(np.ones((2, 8, 8)), disc(SQUARE, 1), SQUARE)
    with pytest.raises(MalformedInput):
        measure(np.ones((8, 8)), np.ones((3, 3), dtype=bool), SQUARE)
    with pytest.raises(MalformedInput, match="empty"):
        iou_ceiling(np.zeros((64, 64), dtype=bool), SQUARE)
