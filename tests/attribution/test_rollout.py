"""Rollout against the full matrix product of eager attention maps."""

import numpy as np
import pytest
import torch
from eager_oracle import cells, contrasted, first_row, grids, read
from tiny_gemma import sampled, tiny_model, written

from radiolucent.attribution.maps import EmptyMap
from radiolucent.attribution.rollout import rolled_rows, rollout, rollouts
from radiolucent.errors import InsufficientMemory, MalformedInput
from radiolucent.vlm import memory
from radiolucent.vlm.types import Target

TARGETS = [Target((0, 1)), Target((2, 5)), Target((2, 5), foil=(300, 301))]


def product(maps, residual, heads=slice(None)):
    """Abnar and Zuidema: every layer's mean map mixed with the identity, later layers multiplied from the left."""
    rolled = None
    for layer in maps:
        mean = layer[0].detach().double().numpy()[heads].mean(axis=0)
        mixed = residual * np.eye(len(mean)) + (1 - residual) * mean
        rolled = mixed if rolled is None else mixed @ rolled
    return rolled


@pytest.mark.parametrize("images", [1, 2])
@pytest.mark.parametrize("target", TARGETS, ids=str)
@pytest.mark.parametrize(("heads", "residual"), [(None, 0.5), ([1], 0.2)])
def test_rollout_is_the_predicting_row_of_the_layers_product(images, target, heads, residual):
    case = sampled(images)
    model, features, generation = case
    made = rollout(model, features, generation, target, heads=heads, residual=residual)

    def rows(answer, start, stop):
        whole = product(read(case, answer)[0], residual, slice(None) if heads is None else heads)
        np.testing.assert_allclose(whole.sum(axis=1), 1, atol=1e-5)
        row = first_row(generation)
        return whole[row + start : row + stop].mean(axis=0)[cells(generation)]

    first, last = target.tokens
    expected = rows(generation.token_ids, first, last)
    if target.foil:
        expected = expected - rows(contrasted(generation, target), first, first + len(target.foil))
    np.testing.assert_allclose(made.values, grids(expected, images), atol=1e-5 * abs(expected).max() + 1e-8)
    assert (made.method, made.claim) == ("rollout", "attended")
    assert made.forwards == 1 + (target.foil is not None) and made.backwards == 0


def test_the_first_layer_is_applied_first():
    rng = np.random.default_rng(0)
    maps = rng.random((3, 5, 5))
    maps /= maps.sum(axis=-1, keepdims=True)
    start = np.eye(5)[3]
    forward = product([layer[None, None] for layer in torch.from_numpy(maps)], 0.5)
    reverse = product([layer[None, None] for layer in torch.from_numpy(maps[::-1].copy())], 0.5)
    rolled = rolled_rows(torch.from_numpy(maps), torch.from_numpy(start)[None], 0.5)[0]
    np.testing.assert_allclose(rolled, forward[3], rtol=1e-12)
    assert abs(forward[3] - reverse[3]).max() > 0.01


def test_several_targets_share_one_pass_and_give_the_single_maps():
    model, features, generation = sampled(1)
    shared_row = Target((3, 4), foil=(302,))
    made = rollouts(model, features, generation, [*TARGETS, shared_row])
    assert isinstance(made[3], EmptyMap)
    for one, target in zip(made, TARGETS, strict=False):
        alone = rollout(model, features, generation, target)
        np.testing.assert_allclose(one.values, alone.values, rtol=1e-5, atol=1e-8)
        assert one.forwards == 2
    assert all(isinstance(one, EmptyMap) for one in rollouts(model, features, generation, [shared_row]))


def test_bad_choices_and_long_prompts_are_refused(monkeypatch):
    model, features, generation = written(1)
    for options in ({"residual": 1.0}, {"residual": -0.1}, {"heads": [5]}, {"heads": []}):
        with pytest.raises(MalformedInput):
            rollout(model, features, generation, Target((1, 2)), **options)
    monkeypatch.setattr(memory, "free_bytes", lambda device: 1000)
    with pytest.raises(InsufficientMemory, match="short prompts"):
        rollout(model, features, generation, Target((1, 2)))
    assert tiny_model().module.config.text_config._attn_implementation == "sdpa"
