import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from radiolucent.errors import MalformedInput
from radiolucent.faithfulness.metrics import impute, imputed_score, removal_curves, road_curves

WEIGHTS = {(1, 1): 1 / 12, (0, 1): 1 / 6, (-1, 1): 1 / 12, (1, -1): 1 / 12, (0, -1): 1 / 6, (-1, -1): 1 / 12}
WEIGHTS |= {(1, 0): 1 / 6, (-1, 0): 1 / 6}
seeds = st.integers(0, 2**16)


def tokens(seed, frames=1, grid=6, channels=3):
    return np.random.default_rng(seed).standard_normal((frames, grid, grid, channels))


def holes(seed, shape, share=0.5):
    hidden = np.random.default_rng(seed).random(shape) < share
    hidden[..., 0, 0] = False
    return hidden


def mean_of_neighbours(frame, inside, row, column):
    total, weight = 0.0, 0.0
    for (down, right), share in WEIGHTS.items():
        r, c = row + down, column + right
        if 0 <= r < len(frame) and 0 <= c < len(frame) and inside[r, c]:
            total, weight = total + share * frame[r, c], weight + share
    return total / weight


@given(seeds, st.floats(0.1, 0.9))
@settings(deadline=None, max_examples=30)
def test_every_filled_cell_is_the_weighted_mean_of_its_neighbours(seed, share):
    rows, hidden = tokens(seed, frames=2), holes(seed, (2, 2, 6, 6), share)
    inside = np.ones((2, 6, 6), dtype=bool)
    inside[1, :, 4:] = False
    hidden &= inside
    for copy, one in zip(impute(rows, hidden, inside=inside, noise=0), hidden, strict=True):
        np.testing.assert_array_equal(copy[~one], rows[~one])
        for frame, row, column in np.argwhere(one):
            expected = mean_of_neighbours(copy[frame], inside[frame], row, column)
            np.testing.assert_allclose(copy[frame, row, column], expected, atol=1e-10)


@given(seeds)
@settings(deadline=None, max_examples=8)
def test_it_equals_relaxation_to_the_fixed_point(seed):
    """Oracle: set every hidden cell to its neighbours' mean, again and again."""
    rows, hidden = tokens(seed, grid=4, channels=1), holes(seed, (1, 1, 4, 4))
    relaxed = np.where(hidden[0, ..., None], 0.0, rows)[0]
    for _ in range(200):
        for row, column in np.argwhere(hidden[0, 0]):
            relaxed[row, column] = mean_of_neighbours(relaxed, np.ones((4, 4), bool), row, column)
    np.testing.assert_allclose(impute(rows, hidden, noise=0)[0, 0], relaxed, atol=1e-8)


@given(seeds)
@settings(deadline=None, max_examples=20)
def test_filled_values_stay_between_the_visible_ones_and_constants_stay(seed):
    rows, hidden = tokens(seed), holes(seed, (3, 1, 6, 6))
    for copy, one in zip(impute(rows, hidden, noise=0), hidden, strict=True):
        shown = rows[~one]
        assert (copy >= shown.min(axis=0) - 1e-9).all() and (copy <= shown.max(axis=0) + 1e-9).all()
    np.testing.assert_allclose(impute(np.full_like(rows, 7.0), hidden), 7.0)


def test_a_slope_is_filled_exactly_away_from_the_border():
    slope = np.add.outer(2.0 * np.arange(6), 5.0 * np.arange(6))[None, ..., None]
    hidden = np.zeros((1, 1, 6, 6), dtype=bool)
    hidden[..., 1:5, 1:5] = True
    np.testing.assert_allclose(impute(slope, hidden, noise=0)[0], slope, atol=1e-9)


def test_padding_is_no_neighbour():
    rows = tokens(0)
    inside = np.ones((1, 6, 6), dtype=bool)
    inside[:, :, 0] = False
    hidden = np.zeros((1, 1, 6, 6), dtype=bool)
    hidden[..., 2:4, 1] = True
    changed = rows.copy()
    changed[:, :, 0] = 1e6
    one = impute(rows, hidden, inside=inside, noise=0)
    two = impute(changed, hidden, inside=inside, noise=0)
    np.testing.assert_array_equal(one[..., 1:, :], two[..., 1:, :])


def test_the_noise_is_the_stated_share_of_each_channels_spread():
    rows = tokens(0, grid=16, channels=2) * [1.0, 10.0]
    hidden = holes(1, (20, 1, 16, 16))
    difference = impute(rows, hidden, noise=0.04, seed=3) - impute(rows, hidden, noise=0)
    assert (difference[~hidden] == 0).all()
    np.testing.assert_allclose(difference[hidden].std(axis=0), 0.04 * rows[0].std(axis=(0, 1)), rtol=0.05)
    np.testing.assert_array_equal(impute(rows, hidden, seed=3), impute(rows, hidden, seed=3))


def test_the_curves_of_the_true_order_on_a_sum_of_tokens():
    """A bright square on black: hiding it whole leaves nothing to infer it from; the LeRF fill keeps it."""
    rows = np.zeros((1, 6, 6, 1))
    rows[0, 2:4, 2:4] = 1.0
    seen = []

    def scored(filled):
        seen.append(len(filled))
        return filled[..., 0].sum(axis=(1, 2, 3))

    curves = road_curves(rows[..., 0], rows, scored, noise=0, random_orders=20, batch=7)
    assert max(seen) == 7
    np.testing.assert_allclose(curves.hidden, np.rint(np.arange(1, 10) * 3.6) / 36)
    assert curves.morf == pytest.approx(np.zeros(9), abs=1e-9)
    assert (curves.lerf >= 4 - 1e-9).all()  # the square stays, and what is filled beside it is not negative
    assert curves.gap > curves.random_gaps.max()


def test_the_imputed_score_serves_any_curve():
    rows = tokens(0, channels=1)
    scored = imputed_score(rows, lambda filled: filled[..., 0].sum(axis=(1, 2, 3)), noise=0)
    one = removal_curves(rows[..., 0], scored, shares=[0.2, 0.6], random_orders=1)
    assert one.hidden == pytest.approx([7 / 36, 22 / 36])
    with pytest.raises(MalformedInput, match="nothing is left"):
        removal_curves(rows[..., 0], scored, step=12)


def test_bad_input_is_refused():
    rows, hidden = tokens(0), holes(0, (1, 1, 6, 6))
    with pytest.raises(MalformedInput, match="nothing is left"):
        impute(rows, np.ones((1, 1, 6, 6), dtype=bool))
    with pytest.raises(MalformedInput, match="shape"):
        impute(rows, hidden[0])
    with pytest.raises(MalformedInput, match="finite"):
        impute(np.full_like(rows, np.nan), hidden)
    with pytest.raises(MalformedInput, match="outside"):
        impute(rows, hidden, inside=np.zeros((1, 6, 6), dtype=bool))
    with pytest.raises(MalformedInput, match="shape"):
        impute(rows, hidden, inside=np.ones((1, 5, 5), dtype=bool))
    for noise in (-1.0, np.nan):
        with pytest.raises(MalformedInput, match="noise"):
            impute(rows, hidden, noise=noise)
    with pytest.raises(MalformedInput, match="batch"):
        imputed_score(rows, lambda filled: filled[..., 0, 0, 0, 0], batch=0)
