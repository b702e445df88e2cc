import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import average_precision_score

from radiolucent.errors import MalformedInput
from radiolucent.faithfulness.metrics import average_precision, chance, rank_accuracy
from radiolucent.faithfulness.metrics.overlap import areas
from radiolucent.faithfulness.pointing import on_grid, reachable
from radiolucent.study.geometry import Geometry

SQUARE = Geometry(rows=64, cols=64, model_size=64, grid=8)
PORTRAIT = Geometry(rows=61, cols=40, model_size=64, grid=8)  # cells cut pixels; padding on both sides
seeds = st.integers(0, 2**16)
truths = pytest.mark.parametrize("truth", ["cells", "area"])


def disc(geometry, seed=None, row=0.4, col=0.5, radius=9):
    if seed is not None:
        row, col, radius = np.random.default_rng(seed).uniform([0.2, 0.2, 3], [0.8, 0.8, 14])
    y, x = np.mgrid[: geometry.rows, : geometry.cols] + 0.5
    return (y - row * geometry.rows) ** 2 + (x - col * geometry.cols) ** 2 <= radius**2


def lesion_cells(mask, geometry):
    """The cells judged and those of the lesion, flat."""
    grid, covered = on_grid(np.zeros((8, 8)), mask, geometry)
    shown = np.isfinite(grid)
    return shown[0], reachable(covered)[0]


@given(seeds, st.sampled_from([SQUARE, PORTRAIT]), st.booleans())
@settings(deadline=None, max_examples=60)
def test_average_precision_over_cells_equals_scikit_learn(seed, geometry, tied):
    mask = disc(geometry, seed)
    values = np.random.default_rng(seed).standard_normal((8, 8)).round(0 if tied else 6)
    shown, lesion = lesion_cells(mask, geometry)
    expected = average_precision_score(lesion[shown], values[shown])
    assert average_precision(values, mask, geometry) == pytest.approx(expected, abs=1e-12)


@given(seeds, st.booleans())
@settings(deadline=None, max_examples=30)
def test_average_precision_over_area_equals_scikit_learn_over_the_source_pixels(seed, tied):
    """Oracle: every source pixel a sample, its score that of the flat cell it lies in; cells are whole pixels."""
    for geometry in (SQUARE, Geometry(rows=64, cols=48, model_size=64, grid=8)):
        mask = disc(geometry, seed)
        values = np.random.default_rng(seed).standard_normal((8, 8)).round(0 if tied else 6).astype(np.float32)
        pixels = geometry.on_source(values)
        expected = average_precision_score(mask.ravel(), pixels.ravel())
        assert average_precision(values, mask, geometry, truth="area") == pytest.approx(expected, abs=1e-9)


@given(seeds)
@settings(deadline=None, max_examples=30)
def test_average_precision_over_area_equals_scikit_learn_with_weights_where_cells_cut_pixels(seed):
    mask = disc(PORTRAIT, seed)
    values = np.random.default_rng(seed).standard_normal((8, 8)).round(1)
    lesion, picture = areas([mask], [PORTRAIT], 8)
    weights = np.concatenate([lesion.ravel(), (picture - lesion).clip(0).ravel()])
    labels = np.repeat([1, 0], 64)
    expected = average_precision_score(labels, np.tile(values.ravel(), 2), sample_weight=weights)
    assert average_precision(values, mask, PORTRAIT, truth="area") == pytest.approx(expected, abs=1e-9)


@truths
@given(seeds, st.sampled_from([SQUARE, PORTRAIT]))
@settings(deadline=None, max_examples=30)
def test_only_the_order_of_cells_counts(truth, seed, geometry):
    mask = disc(geometry, seed)
    values = np.random.default_rng(seed).integers(-3, 4, (8, 8)).astype(float)
    for changed in (np.exp(values), values**3 - 7, 0.001 * values):
        assert average_precision(changed, mask, geometry, truth=truth) == average_precision(
            values, mask, geometry, truth=truth
        )
        assert rank_accuracy(changed, mask, geometry) == rank_accuracy(values, mask, geometry)


@given(seeds, st.sampled_from([SQUARE, PORTRAIT]))
@settings(deadline=None, max_examples=30)
def test_the_lesions_own_cells_score_one(seed, geometry):
    mask = disc(geometry, seed)
    cells = reachable(on_grid(np.zeros((8, 8)), mask, geometry)[1]).astype(float)
    assert average_precision(cells, mask, geometry) == 1
    assert rank_accuracy(cells, mask, geometry) == 1


@given(seeds)
@settings(deadline=None, max_examples=20)
def test_over_area_no_order_beats_that_of_the_coverage(seed):
    """Of two neighbours in the order, the better covered one first is the better: cells of equal area."""
    mask = disc(SQUARE, seed)
    lesion, _ = areas([mask], [SQUARE], 8)
    strict = np.argsort(np.argsort(lesion, axis=None, kind="stable")).reshape(8, 8)
    best = average_precision(strict, mask, SQUARE, truth="area")
    rng = np.random.default_rng(seed)
    for scale in (0.01, 2, 10, 100):
        other = strict + scale * rng.standard_normal((8, 8))
        assert 0 < average_precision(other, mask, SQUARE, truth="area") <= best + 1e-12


@given(seeds, st.sampled_from([SQUARE, PORTRAIT]), st.floats(-5, 5))
@settings(deadline=None, max_examples=30)
def test_a_constant_map_scores_exactly_chance(seed, geometry, level):
    mask, constant = disc(geometry, seed), np.full((8, 8), level)
    share = chance(mask, geometry)
    assert average_precision(constant, mask, geometry) == pytest.approx(share)
    assert rank_accuracy(constant, mask, geometry) == pytest.approx(share)
    assert average_precision(constant, mask, geometry, truth="area") == pytest.approx(mask.mean())


def test_rank_accuracy_is_the_share_of_the_first_k():
    mask = np.zeros((64, 64), dtype=bool)
    mask[8:24, 8:24] = True  # four whole cells, (1..2, 1..2)
    values = np.zeros((8, 8))
    values[1, 1], values[1, 2], values[5, 5], values[6, 6] = 4, 3, 2, 1
    assert rank_accuracy(values, mask, SQUARE) == 0.5
    values[2, 1] = 1  # one place left for (2, 1) and (6, 6): half a hit in the mean
    assert rank_accuracy(values, mask, SQUARE) == pytest.approx((2 + 0.5) / 4)


def test_random_maps_rank_at_chance():
    mask = disc(SQUARE)
    draws = np.random.default_rng(0).standard_normal((2000, 8, 8))
    found = [rank_accuracy(values, mask, SQUARE) for values in draws]
    assert np.mean(found) == pytest.approx(chance(mask, SQUARE), abs=4 * np.std(found) / np.sqrt(2000))


def test_padding_is_not_judged():
    mask, geometry = disc(PORTRAIT), PORTRAIT
    values = np.random.default_rng(0).standard_normal((8, 8))
    loud = values.copy()
    loud[:, 0] = 99  # x in [0, 7.6) of a square whose picture starts at 10
    for truth in ("cells", "area"):
        assert average_precision(loud, mask, geometry, truth=truth) == average_precision(
            values, mask, geometry, truth=truth
        )
    assert rank_accuracy(loud, mask, geometry) == rank_accuracy(values, mask, geometry)


def test_a_lesion_at_the_very_edge_is_judged_by_the_cells_that_count():
    """A mask whose best cell has its centre in the padding still has lesion cells among those that are judged."""
    mask = np.zeros((61, 40), dtype=bool)
    mask[16:22, 0:8] = True  # picture from 10 on: the cell of columns 7.6 to 15.3 has its centre at 11.4, inside
    grid, covered = on_grid(np.zeros((8, 8)), mask, PORTRAIT)
    assert (reachable(covered) & np.isfinite(grid)).any()
    only_padding = Geometry(rows=64, cols=38, model_size=64, grid=4)  # picture from 13 to 51, cells of 16
    sliver = np.zeros((64, 38), dtype=bool)
    sliver[20:24, 0:2] = True  # cell (1, 0): centre at 8, padding
    with pytest.raises(MalformedInput, match="padding"):
        average_precision(np.ones((4, 4)), sliver, only_padding)


def test_several_frames_are_judged_together():
    empty, mask = np.zeros((64, 64), dtype=bool), disc(SQUARE)
    values = np.random.default_rng(0).standard_normal((2, 8, 8))
    _, lesion = lesion_cells(mask, SQUARE)
    expected = average_precision_score(np.concatenate([np.zeros(64), lesion.ravel()]), values.ravel())
    assert average_precision(values, [empty, mask], [SQUARE, SQUARE]) == pytest.approx(expected)


@truths
def test_bad_input_is_refused(truth):
    mask = disc(SQUARE)
    with pytest.raises(MalformedInput, match="empty"):
        average_precision(np.ones((8, 8)), np.zeros((64, 64), dtype=bool), SQUARE, truth=truth)
    with pytest.raises(MalformedInput, match="finite"):
        average_precision(np.full((8, 8), np.inf), mask, SQUARE, truth=truth)
    with pytest.raises(MalformedInput, match="shape"):
        average_precision(np.ones((2, 8, 8)), mask, SQUARE, truth=truth)
    with pytest.raises(MalformedInput, match="whole picture"):
        average_precision(np.ones((8, 8)), np.ones((64, 64), dtype=bool), SQUARE, truth=truth)
    with pytest.raises(MalformedInput, match="finite"):
        rank_accuracy(np.full((8, 8), np.nan), mask, SQUARE)
    with pytest.raises(MalformedInput, match="unknown"):
        average_precision(np.ones((8, 8)), mask, SQUARE, truth="pixels")
