"""Relevance against full matrices of eager attention and autograd's gradients of it."""

import copy
from dataclasses import replace

import numpy as np
import pytest
import torch
from eager_oracle import cells, contrasted, first_row, grids, read
from tiny_gemma import sampled

from radiolucent.attribution.relevance import relevance, relevances
from radiolucent.errors import InsufficientMemory
from radiolucent.vlm import memory
from radiolucent.vlm.types import Target

TARGETS = [
    Target((0, 1)),
    Target((2, 5)),
    Target((2, 5), foil=(300, 301)),
    Target((3, 4), foil=(302,)),
    Target((1, 3), foil=(300, 301, 302)),
]


def expected_map(case, target):
    """Chefer et al., equations 5 and 6, as matrices."""
    generation = case[2]
    first, last = target.tokens
    maps, logprobs, _, _ = read(case, generation.token_ids)
    slopes = [one[0].double() for one in torch.autograd.grad(logprobs[first:last].sum(), maps, allow_unused=True)]
    if target.foil:
        answer = contrasted(generation, target)
        other_maps, other, _, _ = read(case, answer)
        shared = first_row(generation) + 1 + first
        for slope, own, one, there in zip(
            slopes, maps, torch.autograd.grad(other[first:].sum(), other_maps), other_maps, strict=True
        ):
            torch.testing.assert_close(own[..., :shared, :shared], there[..., :shared, :shared], atol=1e-5, rtol=1e-4)
            slope[:, :shared, :shared] -= one[0, :, :shared, :shared].double()
    relevant = torch.eye(maps[0].shape[-1], dtype=torch.double)
    for slope, layer in zip(slopes, maps, strict=True):
        relevant = relevant + (slope * layer[0].detach().double()).clamp(min=0).mean(0) @ relevant
    row = first_row(generation)
    return relevant[row + first : row + last].mean(0)[cells(generation)].numpy()


@pytest.mark.parametrize("images", [1, 2])
@pytest.mark.parametrize("target", TARGETS, ids=str)
def test_relevance_is_the_predicting_row_of_the_matrices(images, target):
    case = sampled(images)
    made = relevance(*case, target)
    expected = expected_map(case, target)
    np.testing.assert_allclose(made.values, grids(expected, images), rtol=1e-3, atol=1e-5 * expected.max())
    assert (made.method, made.claim) == ("relevance", "attended") and made.values.min() >= 0
    passes = 1 + (target.foil is not None)
    assert (made.forwards, made.backwards) == (passes, passes)


def test_another_word_in_the_same_row_is_told_apart():
    case = sampled(1)
    maps = [relevance(*case, target).values for target in (Target((3, 4)), Target((3, 4), foil=(302,)))]
    assert np.corrcoef(maps[0].ravel(), maps[1].ravel())[0, 1] < 0.999


def test_several_targets_share_the_forward_and_give_the_single_maps():
    case = sampled(1)
    made = relevances(*case, TARGETS)
    for one, target in zip(made, TARGETS, strict=True):
        np.testing.assert_allclose(one.values, relevance(*case, target).values, rtol=1e-3, atol=1e-7)
        assert (one.forwards, one.backwards) == (4, 8)  # the answer and three foils; five spans and three foils


def test_bfloat16_weights_give_the_same_map_up_to_their_precision():
    model, features, generation = sampled(1)
    half = copy.deepcopy(model)
    half.module.to(torch.bfloat16)
    rough = replace(
        features, soft_tokens=features.soft_tokens.to(torch.bfloat16), pixels=features.pixels.to(torch.bfloat16)
    )
    fine = relevance(model, features, generation, Target((2, 5))).values
    coarse = relevance(half, rough, generation, Target((2, 5))).values
    assert np.corrcoef(fine.ravel(), coarse.ravel())[0, 1] > 0.95


def test_a_graph_that_would_not_fit_is_refused(monkeypatch):
    monkeypatch.setattr(memory, "free_bytes", lambda device: 100_000)
    with pytest.raises(InsufficientMemory, match="short prompts"):
        relevance(*sampled(1), Target((1, 2)))
