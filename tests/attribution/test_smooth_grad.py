"""SmoothGrad: the noise is seeded, scaled to each image's tokens, and the same whatever the batch."""

import numpy as np
import pytest
import torch
from analytic import CELLS, GRID, HIDDEN, AnalyticModel
from tiny_gemma import sampled

from radiolucent.attribution.gradients import target_gradients
from radiolucent.attribution.saliency import saliency
from radiolucent.attribution.smooth_grad import smooth_grad
from radiolucent.attribution.targets import soft_rows
from radiolucent.vlm.types import Target

TARGET = Target((2, 5), foil=(300, 301))


@pytest.fixture(params=[1, 2], ids=["one image", "two images"])
def case(request):
    return sampled(request.param)


@pytest.mark.parametrize("batch", [1, 3, 50])
def test_batches_change_nothing(case, batch):
    model, features, generation = case
    made = smooth_grad(model, features, generation, TARGET, copies=5, batch=batch)
    whole = smooth_grad(model, features, generation, TARGET, copies=5, batch=5)
    np.testing.assert_allclose(made.values, whole.values, rtol=1e-4, atol=1e-6 * whole.values.max())
    assert (made.forwards, made.backwards) == (10, 10)


def test_a_seed_gives_the_same_map_again_and_another_seed_another(case):
    model, features, generation = case
    state = torch.random.get_rng_state()
    first = smooth_grad(model, features, generation, TARGET, copies=2, seed=3)
    again = smooth_grad(model, features, generation, TARGET, copies=2, seed=3)
    other = smooth_grad(model, features, generation, TARGET, copies=2, seed=4)
    np.testing.assert_array_equal(first.values, again.values)
    assert not np.allclose(first.values, other.values, rtol=1e-3)
    assert torch.equal(state, torch.random.get_rng_state())  # nobody else's random numbers were used up


def test_it_goes_over_into_saliency_as_the_noise_goes_to_nothing(case):
    model, features, generation = case
    smooth = smooth_grad(model, features, generation, TARGET, copies=3, noise=1e-6)
    plain = saliency(model, features, generation, TARGET)
    np.testing.assert_allclose(smooth.values, plain.values, rtol=1e-3, atol=1e-4 * plain.values.max())


def test_where_the_model_is_linear_noise_changes_nothing():
    model = AnalyticModel(2)
    features, generation = model.features(), model.generation()
    target = Target((1, 3), foil=(7,))
    made = smooth_grad(model, features, generation, target, copies=4, noise=2.0)
    expected = model.weight(target, generation).norm(dim=1).reshape(2, GRID, GRID)
    np.testing.assert_allclose(made.values, expected, rtol=1e-5)
    assert model.sequences == made.forwards == 8


def test_where_the_model_is_curved_it_is_the_gradient_at_the_mean_of_the_noisy_copies():
    """A quadratic's gradient is linear in the tokens. Oracle: the copies drawn here, each image by its own spread."""
    model = AnalyticModel(2, curvature=0.3)
    features, generation = model.features(), model.generation()
    target = Target((1, 3))
    tokens = features.soft_tokens
    draws = torch.Generator().manual_seed(5)
    noise = [torch.randn(2 * CELLS, HIDDEN, generator=draws, dtype=torch.float64) for _ in range(3)]
    spread = 0.4 * tokens.flatten(1).std(dim=1, correction=0)
    assert abs(float(spread[0] - spread[1])) > 1e-3
    mean = soft_rows(features) + sum(noise) / 3 * spread.repeat_interleave(CELLS)[:, None]
    expected = target_gradients(model, generation, mean, [target]).values[0, 0].norm(dim=-1)
    made = smooth_grad(model, features, generation, target, copies=3, noise=0.4, seed=5, batch=2)
    np.testing.assert_allclose(made.values.reshape(-1), expected, rtol=1e-5)
