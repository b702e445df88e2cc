import numpy as np
import pytest
import torch
from captum.metrics import infidelity as captum_infidelity
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import pearsonr

from radiolucent.errors import MalformedInput
from radiolucent.faithfulness.metrics import infidelity, sensitivity_n
from radiolucent.faithfulness.metrics.sensitivity import random_squares

seeds = st.integers(0, 2**16)


def additive(weights, offset=0.0):
    return lambda hidden: offset + (weights * ~hidden).sum(axis=(1, 2, 3))


def crossed(weights):
    """Not additive: neighbours multiply."""

    def score(hidden):
        shown = np.where(hidden, 0.0, weights)
        return shown.sum(axis=(1, 2, 3)) + (shown[..., 1:] * shown[..., :-1]).sum(axis=(1, 2, 3))

    return score


def weights_of(seed, frames=1, grid=5):
    return np.random.default_rng(seed).standard_normal((frames, grid, grid))


def recording(score):
    seen = []

    def recorded(hidden):
        seen.append(hidden)
        return score(hidden)

    return recorded, seen


@given(seeds, st.floats(0.1, 50), st.integers(1, 2))
@settings(deadline=None, max_examples=20)
def test_the_true_effects_of_an_additive_model_score_one_in_any_unit(seed, factor, frames):
    weights = weights_of(seed, frames)
    found = sensitivity_n(factor * weights, additive(weights, 4), [1, 5, 20], subsets=20, seed=seed)
    np.testing.assert_allclose(found, 1, atol=1e-9)
    np.testing.assert_allclose(sensitivity_n(-weights, additive(weights), [1, 5], subsets=20), -1, atol=1e-9)
    exact = infidelity(weights, additive(weights, 4), perturbations=30, seed=seed)
    assert exact.raw == pytest.approx(0, abs=1e-12) and exact.factor == pytest.approx(1)
    scaled = infidelity(factor * weights, additive(weights), perturbations=30, seed=seed)
    assert scaled.relative == pytest.approx(0, abs=1e-9) and scaled.factor == pytest.approx(1 / factor)
    opposed = infidelity(-weights, additive(weights), perturbations=30, seed=seed)
    assert (opposed.relative, opposed.factor) == (1, 0)


@given(seeds)
@settings(deadline=None, max_examples=20)
def test_sensitivity_equals_pearson_over_the_subsets_that_were_hidden(seed):
    weights, values = weights_of(seed), weights_of(seed + 1)
    score, seen = recording(crossed(weights))
    found = sensitivity_n(values, score, [2, 7], subsets=15, seed=seed)
    assert len(seen) == 1 and not seen[0][0].any()
    for number, size in enumerate([2, 7]):
        hidden = seen[0][1 + 15 * number : 16 + 15 * number]
        assert (hidden.sum(axis=(1, 2, 3)) == size).all()
        sums = [values[one].sum() for one in hidden]
        costs = crossed(weights)(np.zeros((1, 1, 5, 5), bool)) - crossed(weights)(hidden)
        assert found[number] == pytest.approx(pearsonr(sums, costs).statistic)


@pytest.mark.parametrize("perturbation", ["squares", "subsets"])
@pytest.mark.parametrize("seed", range(4))
def test_infidelity_equals_captum_on_the_same_perturbations(perturbation, seed):
    """Captum's infidelity with I = "these cells are hidden", on the same draws; its normalised form too."""
    weights = weights_of(seed)
    values = weights + 0.3 * weights_of(seed + 1)
    score, seen = recording(crossed(weights))
    ours = infidelity(values, score, perturbation=perturbation, perturbations=40, seed=seed)
    hidden = torch.from_numpy(seen[0][1:].astype(float))
    given_out = iter(hidden)

    def forward(shown):  # 1 where a cell is visible
        return torch.from_numpy(crossed(weights)(shown.detach().numpy() < 0.5))

    def perturb(inputs):
        count = len(inputs)
        removed = torch.stack([next(given_out) for _ in range(count)])
        return removed, inputs - removed

    arguments = (forward, perturb, torch.ones(1, 1, 5, 5, dtype=torch.double), torch.from_numpy(values)[None])
    plain = captum_infidelity(*arguments, n_perturb_samples=40)
    given_out = iter(hidden)
    normalised = captum_infidelity(*arguments, n_perturb_samples=40, normalize=True)
    assert ours.raw == pytest.approx(float(plain), rel=1e-6)
    assert ours.factor > 0  # captum would allow a negative factor
    assert ours.scaled == pytest.approx(float(normalised), rel=1e-6)


@given(seeds, st.sampled_from(["squares", "subsets"]))
@settings(deadline=None, max_examples=30)
def test_infidelity_is_bounded_and_scaling_never_hurts(seed, perturbation):
    values, score = weights_of(seed), crossed(weights_of(seed + 1))
    found = infidelity(values, score, perturbation=perturbation, perturbations=25, seed=seed)
    assert 0 <= found.relative <= 1 + 1e-12 and found.scaled <= found.raw + 1e-9 and found.factor >= 0
    again = infidelity(1e-3 * values, score, perturbation=perturbation, perturbations=25, seed=seed)
    assert again.relative == pytest.approx(found.relative) and again.scaled == pytest.approx(found.scaled)


def test_a_map_that_says_nothing_gets_the_defined_value():
    score = crossed(weights_of(0))
    np.testing.assert_array_equal(sensitivity_n(np.full((5, 5), 0.1), score, [3, 4]), 0)
    np.testing.assert_array_equal(sensitivity_n(weights_of(0), lambda hidden: np.full(len(hidden), 0.1), [3]), 0)
    zeros = infidelity(np.zeros((5, 5)), score)
    assert (zeros.relative, zeros.factor) == (1, 0) and zeros.raw == zeros.scaled
    silent = infidelity(np.zeros((5, 5)), lambda hidden: np.zeros(len(hidden)))
    assert (silent.raw, silent.relative) == (0, 0)
    talking = infidelity(weights_of(0), lambda hidden: np.zeros(len(hidden)))
    assert talking.raw > 0 and talking.relative == 1


def test_random_maps_foretell_nothing_in_the_mean():
    score = additive(weights_of(0))
    found = [sensitivity_n(weights_of(seed), score, [6], subsets=30, seed=seed)[0] for seed in range(1, 200)]
    assert abs(np.mean(found)) < 4 * np.std(found) / np.sqrt(len(found))


def test_squares_are_squares_inside_the_picture_and_everywhere():
    inside = np.ones((2, 6, 6), dtype=bool)
    inside[:, :, 0] = False
    squares = random_squares(inside, 2000, np.random.default_rng(0))
    assert not (squares & ~inside).any() and squares.any(axis=(1, 2, 3)).all()
    assert (squares.any(axis=(2, 3)).sum(axis=1) == 1).all()
    assert squares.any(axis=0)[inside].all()
    for square in squares[:200]:
        _, rows, columns = np.nonzero(square)
        height, width = np.ptp(rows) + 1, np.ptp(columns) + 1
        assert square.sum() == height * width and height <= 3 and (width == height or columns.min() == 1)


def test_padding_is_never_hidden_and_its_values_never_count():
    inside = np.ones((1, 5, 5), dtype=bool)
    inside[:, 0] = False
    weights = weights_of(0)
    values = np.where(inside, weights, np.nan)
    for measure in (
        lambda score: sensitivity_n(values, score, [4, 19], inside=inside, subsets=10),
        lambda score: infidelity(values, score, inside=inside),
        lambda score: infidelity(values, score, inside=inside, perturbation="subsets"),
    ):
        score, seen = recording(additive(weights))
        measure(score)
        assert not seen[0][:, ~inside].any()
    np.testing.assert_allclose(sensitivity_n(values, additive(weights), [4], inside=inside), 1)
    assert infidelity(values, additive(weights), inside=inside).raw == pytest.approx(0)


def test_bad_input_is_refused():
    values, score = weights_of(0), additive(weights_of(0))
    for sizes in ([], [0], [25], [3, 26]):
        with pytest.raises(MalformedInput, match="expected 1 to 24"):
            sensitivity_n(values, score, sizes)
    with pytest.raises(MalformedInput, match="at least 3"):
        sensitivity_n(values, score, [2], subsets=2)
    with pytest.raises(MalformedInput, match="finite"):
        sensitivity_n(np.full((5, 5), np.nan), score, [2])
    with pytest.raises(MalformedInput, match="finite"):
        sensitivity_n(values, lambda hidden: np.full(len(hidden), np.inf), [2])
    with pytest.raises(MalformedInput, match="at least 1"):
        infidelity(values, score, perturbations=0)
    with pytest.raises(MalformedInput, match="unknown"):
        infidelity(values, score, perturbation="gaussian")
    with pytest.raises(MalformedInput, match="shape"):
        infidelity(np.ones((2, 5, 4)), score)
