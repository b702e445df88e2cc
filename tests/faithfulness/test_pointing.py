import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from radiolucent.attribution.cells import cell_means, coverage, in_picture
from radiolucent.errors import MalformedInput
from radiolucent.faithfulness.pointing import chance, energy_in_mask, pointing_hit, rank_auc
from radiolucent.study.geometry import Geometry

SQUARE = Geometry(rows=64, cols=64, model_size=64, grid=8)
sizes = st.tuples(st.integers(5, 40), st.integers(5, 40), st.integers(2, 7))


def disc(rows, cols, row, col, radius):
    y, x = np.mgrid[:rows, :cols]
    return (y + 0.5 - row) ** 2 + (x + 0.5 - col) ** 2 <= radius**2


@given(sizes, st.integers(0, 2**16))
@settings(deadline=None)
def test_coverage_keeps_the_masks_area_exactly(size, seed):
    rows, cols, grid = size
    geometry = Geometry(rows=rows, cols=cols, model_size=56 * grid, grid=grid)
    mask = np.random.default_rng(seed).random((rows, cols)) < 0.3
    cell_area = (geometry.edge / grid) ** 2
    assert coverage(mask, geometry).sum() * cell_area == pytest.approx(mask.sum(), abs=1e-6)


def test_coverage_equals_a_count_of_pixels_where_cells_are_whole_pixels():
    mask = disc(64, 64, 20, 30, 9)
    expected = mask.reshape(8, 8, 8, 8).mean(axis=(1, 3))
    np.testing.assert_allclose(coverage(mask, SQUARE), expected)


def test_cell_means_of_a_cut_pixel():
    np.testing.assert_allclose(
        cell_means(np.diag([1.0, 2.0, 3.0]), 2), [[1.5 / 2.25, 0.5 / 2.25], [0.5 / 2.25, 3.5 / 2.25]]
    )


def test_a_portrait_film_has_cells_in_the_padding():
    inside = in_picture(Geometry(rows=80, cols=40, model_size=64, grid=8))
    assert not inside[:, :2].any() and not inside[:, 6:].any() and inside[:, 2:6].all()


def test_a_constant_map_scores_exactly_chance():
    mask = disc(64, 64, 20, 30, 9)
    level = chance(mask, SQUARE)
    assert 0 < level < 0.2
    assert pointing_hit(np.ones((1, 8, 8)), mask, SQUARE) == pytest.approx(level)


def test_random_maps_hit_at_chance():
    mask = disc(64, 64, 40, 20, 12)
    rng = np.random.default_rng(0)
    hits = [pointing_hit(rng.standard_normal((8, 8)), mask, SQUARE) for _ in range(4000)]
    level = chance(mask, SQUARE)
    assert np.mean(hits) == pytest.approx(level, abs=4 * np.sqrt(level * (1 - level) / 4000))


def test_a_lesion_smaller_than_a_cell_can_be_hit_in_its_cell_only():
    mask = disc(64, 64, 21, 37, 2)  # inside cell (2, 4), off its centre
    for row in range(8):
        for column in range(8):
            values = np.zeros((8, 8))
            values[row, column] = 1
            assert pointing_hit(values, mask, SQUARE) == (1.0 if (row, column) == (2, 4) else 0.0)


def test_a_cell_that_the_lesion_only_touches_is_a_miss():
    mask = np.zeros((64, 64), dtype=bool)
    mask[16:32, 16:33] = True  # cells (2..3, 2..3) fully, one column of cells (.., 4)
    values = np.zeros((8, 8))
    values[2, 4] = 1
    assert pointing_hit(values, mask, SQUARE) == 0
    values[2, 3] = 2
    assert pointing_hit(values, mask, SQUARE) == 1


def test_a_peak_in_the_padding_is_not_judged():
    geometry = Geometry(rows=80, cols=40, model_size=64, grid=8)
    mask = disc(80, 40, 25, 15, 6)
    values = np.zeros((8, 8))
    values[0, 0] = 9
    inside_best = np.unravel_index(np.argmax(coverage(mask, geometry)), (8, 8))
    values[inside_best] = 1
    assert pointing_hit(values, mask, geometry) == 1


def test_negative_values_are_no_peak_and_no_energy():
    mask = disc(64, 64, 20, 30, 9)
    values = -coverage(mask, SQUARE)
    assert pointing_hit(values, mask, SQUARE) == 0
    assert energy_in_mask(values, mask, SQUARE) == 0


def test_energy_of_the_constant_map_is_the_masks_area_share():
    mask = disc(64, 64, 20, 30, 9)
    assert energy_in_mask(np.full((8, 8), 3.0), mask, SQUARE) == pytest.approx(mask.mean())


def test_energy_of_one_cell_is_its_coverage():
    mask = disc(64, 64, 20, 30, 9)
    covered = coverage(mask, SQUARE)
    values = np.zeros((8, 8))
    values[2, 2] = 5
    assert energy_in_mask(values, mask, SQUARE) == pytest.approx(covered[2, 2])


def test_rank_auc_equals_the_share_of_ordered_pairs():
    mask = disc(64, 64, 20, 30, 12)
    values = np.random.default_rng(1).integers(0, 4, (8, 8)).astype(float)  # many ties
    covered = coverage(mask, SQUARE)
    positive = covered >= 0.5 * covered.max()
    wins = [np.sign(hit - other) / 2 + 0.5 for hit in values[positive] for other in values[~positive]]
    assert rank_auc(values, mask, SQUARE) == pytest.approx(np.mean(wins))
    assert rank_auc(covered, mask, SQUARE) == 1.0
    assert rank_auc(-covered, mask, SQUARE) < 0.1


def test_several_frames_are_judged_together():
    empty = np.zeros((64, 64), dtype=bool)
    mask = disc(64, 64, 20, 30, 9)
    values = np.zeros((2, 8, 8))
    values[1][np.unravel_index(np.argmax(coverage(mask, SQUARE)), (8, 8))] = 1
    assert pointing_hit(values, [empty, mask], [SQUARE, SQUARE]) == 1
    assert pointing_hit(values, [mask, empty], [SQUARE, SQUARE]) == 0
    assert chance([empty, mask], [SQUARE, SQUARE]) == pytest.approx(chance(mask, SQUARE) / 2)


def test_bad_input_is_refused():
    mask = disc(64, 64, 20, 30, 9)
    with pytest.raises(MalformedInput, match="empty"):
        pointing_hit(np.ones((8, 8)), np.zeros((64, 64), dtype=bool), SQUARE)
    with pytest.raises(MalformedInput, match="finite"):
        pointing_hit(np.full((8, 8), np.nan), mask, SQUARE)
    with pytest.raises(MalformedInput, match="shape"):
        pointing_hit(np.ones((2, 8, 8)), mask, SQUARE)
    with pytest.raises(MalformedInput):
        pointing_hit(np.ones((8, 8)), np.ones((3, 3), dtype=bool), SQUARE)
    with pytest.raises(MalformedInput, match="whole picture"):
        rank_auc(np.ones((8, 8)), np.ones((64, 64), dtype=bool), SQUARE)
