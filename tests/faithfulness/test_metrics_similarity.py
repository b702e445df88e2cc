import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import spearmanr
from skimage.metrics import structural_similarity

from radiolucent.errors import MalformedInput
from radiolucent.faithfulness.metrics import compare_maps, rank_correlation, ssim

seeds = st.integers(0, 2**16)


def maps(seed, grid=16, frames=1):
    return np.random.default_rng(seed).standard_normal((2, frames, grid, grid))


def grey(values):
    return (values / np.abs(values).max() + 1) / 2


def ssim_by_hand(one, two, window=5):
    """Wang et al.'s formula over every window, sample covariance, values from 0 to 1."""
    low, high = 0.01**2, 0.03**2
    found = []
    for row in range(one.shape[0] - window + 1):
        for column in range(one.shape[1] - window + 1):
            a = one[row : row + window, column : column + window].ravel()
            b = two[row : row + window, column : column + window].ravel()
            cov = np.cov(a, b)
            found.append(
                (2 * a.mean() * b.mean() + low)
                * (2 * cov[0, 1] + high)
                / ((a.mean() ** 2 + b.mean() ** 2 + low) * (cov[0, 0] + cov[1, 1] + high))
            )
    return np.mean(found)


@given(seeds)
@settings(deadline=None, max_examples=10)
def test_ssim_equals_its_formula_window_by_window(seed):
    one, two = maps(seed, grid=9)[:, 0]
    expected = ssim_by_hand(grey(one), grey(two))
    assert ssim(one, two) == pytest.approx(expected, abs=1e-9)
    expected = ssim_by_hand(np.abs(one) / np.abs(one).max(), np.abs(two) / np.abs(two).max())
    assert compare_maps(one, two).ssim_absolute == pytest.approx(expected, abs=1e-9)


@given(seeds)
@settings(deadline=None, max_examples=30)
def test_spearman_equals_scipy_with_ties(seed):
    one, two = np.random.default_rng(seed).integers(-2, 3, (2, 1, 6, 6)).astype(float)
    found = compare_maps(one, two)
    assert found.rank == pytest.approx(spearmanr(one.ravel(), two.ravel()).statistic)
    assert found.rank_absolute == pytest.approx(spearmanr(np.abs(one).ravel(), np.abs(two).ravel()).statistic)


@given(seeds, st.floats(1e-6, 1e6))
@settings(deadline=None, max_examples=30)
def test_equal_maps_are_alike_in_any_unit_and_numbers_are_symmetric(seed, factor):
    one, two = maps(seed, grid=8)
    for value in vars(compare_maps(one, factor * one)).values():
        assert value == pytest.approx(1)
    forward, backward = compare_maps(one, two), compare_maps(two, factor * one)
    for name, value in vars(forward).items():
        assert -1 <= value <= 1 and vars(backward)[name] == pytest.approx(value)
        assert forward.of(name) == value


@given(seeds)
@settings(deadline=None, max_examples=20)
def test_ranks_do_not_see_a_monotone_change(seed):
    one, two = maps(seed, grid=8)
    expected = rank_correlation(one, two)
    assert rank_correlation(np.exp(one), two**3) == pytest.approx(expected)
    assert rank_correlation(-one, two) == pytest.approx(-expected)


def test_a_map_turned_into_its_negative_is_alike_only_without_signs():
    one = maps(0)[0]
    found = compare_maps(one, -one)
    assert found.rank == pytest.approx(-1) and found.ssim < -0.9
    assert found.rank_absolute == pytest.approx(1) and found.ssim_absolute == pytest.approx(1)


def test_random_maps_are_unlike():
    found = [compare_maps(*maps(seed)) for seed in range(100)]
    for name in ("ssim", "rank", "rank_absolute"):
        values = np.array([one.of(name) for one in found])
        assert abs(values.mean()) < 4 * values.std() / 10
    assert np.mean([one.ssim_absolute for one in found]) < 0.5


def test_maps_of_one_value_get_the_defined_numbers():
    flat, other = np.full((1, 8, 8), 3.0), maps(0, grid=8)[0]
    assert rank_correlation(flat, other) == 0 and rank_correlation(flat, 9 * flat) == 1
    assert ssim(flat, 0.5 * flat) == pytest.approx(1)
    assert ssim(np.zeros((8, 8)), np.zeros((8, 8))) == pytest.approx(1)
    assert ssim(np.zeros((8, 8)), other) < 0.2


def test_only_the_pictures_cells_count():
    one, two = maps(0, grid=8)
    inside = np.ones((1, 8, 8), dtype=bool)
    inside[:, :, :2] = False
    loud = one.copy()
    loud[:, :, :2] = np.nan
    found = compare_maps(loud, two, inside=inside)
    assert found == compare_maps(one, two, inside=inside)
    drawn = [grey(part[0, :, 2:]) for part in (one, two)]
    assert found.ssim == pytest.approx(structural_similarity(*drawn, win_size=5, data_range=1.0))
    assert found.rank == pytest.approx(spearmanr(one[0, :, 2:].ravel(), two[0, :, 2:].ravel()).statistic)


def test_frames_count_by_their_windows_and_an_empty_frame_not_at_all():
    one, two = maps(0, grid=8, frames=2)
    inside = np.ones((2, 8, 8), dtype=bool)
    inside[1, :, 5:] = False
    drawn = [(part / np.abs(part[inside]).max() + 1) / 2 for part in (one, two)]
    parts = [
        structural_similarity(*(part[frame, :, :columns] for part in drawn), win_size=5, data_range=1.0)
        for frame, columns in ((0, 8), (1, 5))
    ]
    assert ssim(one, two, inside=inside) == pytest.approx((16 * parts[0] + 4 * parts[1]) / 20)
    inside[1] = False
    assert ssim(one, two, inside=inside) == pytest.approx(ssim(one[0], two[0]))


def test_a_thin_picture_has_a_smaller_window():
    one, two = maps(0, grid=8)
    inside = np.zeros((1, 8, 8), dtype=bool)
    inside[:, :, 2:6] = True
    drawn = [grey(part[0, :, 2:6]) for part in (one, two)]
    expected = structural_similarity(*drawn, win_size=3, data_range=1.0)
    assert ssim(one, two, inside=inside) == pytest.approx(expected)
    inside[:, :, 4:] = False
    with pytest.raises(MalformedInput, match="3 x 3"):
        ssim(one, two, inside=inside)


def test_bad_input_is_refused():
    one, two = maps(0, grid=8)
    hole = np.ones((1, 8, 8), dtype=bool)
    hole[0, 4, 4] = False
    with pytest.raises(MalformedInput, match="rectangle"):
        ssim(one, two, inside=hole)
    assert -1 < rank_correlation(one, two, inside=hole) < 1
    with pytest.raises(MalformedInput, match="same"):
        ssim(one, two[:, :4, :4])
    with pytest.raises(MalformedInput, match="finite"):
        compare_maps(one, np.full((8, 8), np.nan))
    with pytest.raises(MalformedInput, match="at least 2"):
        rank_correlation(np.ones((1, 1)), np.ones((1, 1)))
    with pytest.raises(MalformedInput, match="unknown"):
        compare_maps(one, two).of("pearson")
