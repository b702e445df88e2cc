import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from radiolucent.errors import MalformedInput
from radiolucent.faithfulness.metrics import removal_curves

seeds = st.integers(0, 2**16)


def additive(weights, offset=0.0):
    """A model whose score is the sum of its visible cells: every curve is known."""
    return lambda hidden: offset + (weights * ~hidden).sum(axis=(1, 2, 3))


def weights_of(seed, frames=1, grid=4):
    return np.random.default_rng(seed).standard_normal((frames, grid, grid))


@given(seeds, st.integers(1, 2), st.floats(-20, 20))
@settings(deadline=None, max_examples=40)
def test_the_true_orders_gap_on_an_additive_model_is_its_closed_form(seed, frames, offset):
    """Sum over the sorted effects w1 >= w2 >= ... of w_i (N + 1 - 2 i) / N."""
    weights = weights_of(seed, frames)
    ordered = np.sort(weights, axis=None)[::-1]
    count = ordered.size
    place = np.arange(1, count + 1)
    expected = (ordered * (count + 1 - 2 * place)).sum() / count
    curves = removal_curves(weights, additive(weights, offset), step=1, random_orders=1)
    assert curves.gap == pytest.approx(expected, abs=1e-9)
    falling = offset + weights.sum() - np.concatenate([[0], np.cumsum(ordered)])
    np.testing.assert_allclose(curves.morf, falling, atol=1e-9)
    assert curves.deletion == pytest.approx(((falling[:-1] + falling[1:]) / 2).mean(), abs=1e-9)


@given(seeds, st.sampled_from([1, 3, 5, 16]))
@settings(deadline=None, max_examples=30)
def test_insertion_run_by_hand_equals_the_lerf_curve(seed, step):
    """Oracle: start from the empty picture and reveal the highest cells first."""
    weights, values = weights_of(seed), weights_of(seed + 1)

    def score(hidden):  # not additive: neighbours interact
        shown = np.where(hidden, 0.0, weights)
        return np.tanh(shown.sum(axis=(1, 2, 3))) + (shown[..., 1:] * shown[..., :-1]).sum(axis=(1, 2, 3))

    order = np.argsort(-values.ravel())
    revealed, heights = [], []
    for hidden_count in reversed([*range(0, 16, step), 16]):
        hidden = np.ones(16, dtype=bool)
        hidden[order[: 16 - hidden_count]] = False
        revealed.append((16 - hidden_count) / 16)
        heights.append(score(hidden.reshape(1, 1, 4, 4))[0])
    curves = removal_curves(values, score, step=step, random_orders=1)
    assert curves.insertion == pytest.approx(np.trapezoid(heights, revealed))


@given(seeds)
@settings(deadline=None, max_examples=30)
def test_no_order_has_a_larger_gap_than_the_true_one_and_its_reverse_is_the_negative(seed):
    weights = weights_of(seed)
    best = removal_curves(weights, additive(weights), step=1, random_orders=20, seed=seed)
    assert (best.random_gaps <= best.gap + 1e-9).all()
    assert best.p_random == pytest.approx(1 / 21)
    worst = removal_curves(-weights, additive(weights), step=1, random_orders=1)
    assert worst.gap == pytest.approx(-best.gap)
    other = removal_curves(weights_of(seed + 1), additive(weights), step=1, random_orders=1)
    assert abs(other.gap) <= best.gap + 1e-9


def test_random_orders_have_no_gap_in_the_mean():
    weights = weights_of(0, grid=6)
    curves = removal_curves(weights, additive(weights), step=4, random_orders=400, seed=1)
    gaps = curves.random_gaps
    assert abs(gaps.mean()) < 4 * gaps.std() / np.sqrt(len(gaps))
    assert curves.random == pytest.approx(weights.sum() / 2, abs=0.2)


def test_a_random_map_is_within_the_random_orders_as_often_as_it_should():
    """The permutation p-value of maps that know nothing is uniform: 5 % of them at or below 0.05."""
    weights = weights_of(0, grid=5)
    low = [
        removal_curves(weights_of(seed + 1, grid=5), additive(weights), step=5, random_orders=19, seed=seed).p_random
        for seed in range(300)
    ]
    assert np.mean(np.array(low) <= 0.05 + 1e-9) == pytest.approx(0.05, abs=4 * np.sqrt(0.05 * 0.95 / 300))
    assert np.mean(low) == pytest.approx(0.525, abs=0.07)


def test_a_constant_map_is_one_more_random_order():
    weights = weights_of(0, grid=5)
    constant = np.zeros((5, 5))
    gaps = [removal_curves(constant, additive(weights), step=1, random_orders=1, seed=seed).gap for seed in range(300)]
    assert abs(np.mean(gaps)) < 4 * np.std(gaps) / np.sqrt(300)
    assert np.std(gaps) > 0.1


@given(seeds)
@settings(deadline=None, max_examples=20)
def test_only_the_order_of_cells_counts(seed):
    values = np.random.default_rng(seed).integers(-2, 3, (1, 4, 4)).astype(float)
    score = additive(weights_of(seed))
    one = removal_curves(values, score, step=3, random_orders=2, seed=seed)
    for changed in (np.exp(values), 10 * values + 4, values**3):
        two = removal_curves(changed, score, step=3, random_orders=2, seed=seed)
        np.testing.assert_array_equal(one.morf, two.morf)
        np.testing.assert_array_equal(one.lerf, two.lerf)


def test_the_gap_does_not_see_an_offset_and_grows_with_the_scores_scale():
    weights = weights_of(3)
    one = removal_curves(weights, additive(weights), step=2)
    two = removal_curves(weights, lambda hidden: 3 * additive(weights)(hidden) - 40, step=2)
    assert two.gap == pytest.approx(3 * one.gap)
    assert two.excess == pytest.approx(3 * one.excess)
    assert two.excess_interval == pytest.approx(tuple(3 * bound for bound in one.excess_interval))
    low, high = one.excess_interval
    assert low < one.excess < high
    assert removal_curves(weights, additive(weights), step=2, random_orders=19).excess_interval is None


def test_padding_is_never_hidden_and_its_values_never_count():
    inside = np.ones((1, 4, 4), dtype=bool)
    inside[:, :, 0] = False
    seen = []

    def score(hidden):
        seen.append(hidden)
        return additive(weights_of(0))(hidden)

    values = weights_of(1)
    values[:, :, 0] = np.inf
    curves = removal_curves(values, score, inside=inside, step=5, random_orders=3)
    hidden = np.concatenate(seen)
    assert not hidden[:, :, :, 0].any()
    np.testing.assert_allclose(curves.hidden, [0, 5 / 12, 10 / 12, 1])


def test_what_is_scored_is_asked_for_once():
    """Nothing hidden and everything hidden are common to all orders."""
    calls = []

    def score(hidden):
        calls.append(len(hidden))
        return additive(weights_of(0))(hidden)

    curves = removal_curves(weights_of(0), score, step=4, random_orders=5)
    assert calls == [2 + 2 * 6 * 3]
    assert curves.random_morf.shape == (5, 5)
    assert (curves.random_morf[:, 0] == curves.morf[0]).all() and (curves.random_lerf[:, -1] == curves.lerf[-1]).all()


def test_shares_name_the_points():
    weights = weights_of(0)
    curves = removal_curves(weights, additive(weights), shares=[0.25, 0.5, 0.75])
    np.testing.assert_allclose(curves.hidden, [0.25, 0.5, 0.75])
    ordered = np.sort(weights, axis=None)[::-1]
    np.testing.assert_allclose(curves.morf, [ordered[4:].sum(), ordered[8:].sum(), ordered[12:].sum()])
    assert curves.deletion == pytest.approx(np.trapezoid(curves.morf, curves.hidden) / 0.5)


def test_the_seed_decides_everything_random():
    score = additive(weights_of(0))
    one, two, other = (removal_curves(np.zeros((4, 4)), score, step=2, seed=seed) for seed in (5, 5, 6))
    np.testing.assert_array_equal(one.random_morf, two.random_morf)
    np.testing.assert_array_equal(one.morf, two.morf)
    assert not np.array_equal(one.morf, other.morf)


def test_bad_input_is_refused():
    values, score = weights_of(0), additive(weights_of(0))
    for bad in (np.full((4, 4), np.nan), np.full((4, 4), -np.inf)):
        with pytest.raises(MalformedInput, match="finite"):
            removal_curves(bad, score)
    with pytest.raises(MalformedInput, match="shape"):
        removal_curves(np.ones((4, 5)), score)
    with pytest.raises(MalformedInput, match="same"):
        removal_curves(values, score, inside=np.ones((1, 3, 3), dtype=bool))
    with pytest.raises(MalformedInput, match="nothing to judge"):
        removal_curves(values, score, inside=np.zeros((1, 4, 4), dtype=bool))
    with pytest.raises(MalformedInput, match="not finite"):
        removal_curves(values, lambda hidden: np.full(len(hidden), np.nan))
    with pytest.raises(MalformedInput, match="one each"):
        removal_curves(values, lambda hidden: np.zeros(3))
    with pytest.raises(MalformedInput, match="step"):
        removal_curves(values, score, step=0)
    with pytest.raises(MalformedInput, match="random"):
        removal_curves(values, score, random_orders=0)
    for shares in ([0.5], [0.5, 0.2], [0.5, 0.51], [-0.1, 0.5], [0.1, 1.2], [np.nan, 1.0]):
        with pytest.raises(MalformedInput):
            removal_curves(values, score, shares=shares)
