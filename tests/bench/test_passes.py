"""Passes counted at the modules: what the code says it runs and what it runs must be the same."""

from __future__ import annotations

import pytest
import torch

from radiolucent.bench.passes import PassCount, counted_passes
from radiolucent.bench.workload import film
from radiolucent.vlm.decode import fork_cache, step
from radiolucent.vlm.gemma3 import Gemma3Model
from radiolucent.vlm.random_weights import random_model
from radiolucent.vlm.types import Prompt

PROMPT = Prompt("Describe the main findings.")


@pytest.fixture(scope="module")
def model() -> Gemma3Model:
    return random_model("tiny", dtype=torch.float32)


def test_a_generation_is_one_encode_one_prefill_and_a_step_a_token_less_one(model: Gemma3Model) -> None:
    with counted_passes(model.module) as count:
        model.generate(PROMPT, model.encode(film(64, mark=1)), max_new_tokens=7)
    assert count == PassCount(encodes=1, prefills=1, steps=6)


def test_sixteen_samples_share_encode_and_prefill(model: Gemma3Model) -> None:
    with counted_passes(model.module) as count:
        model.sample(PROMPT, model.encode(film(64, mark=2)), count=16, max_new_tokens=5)
    assert count == PassCount(encodes=1, prefills=1, steps=4)


def test_a_replay_is_a_forward_and_a_batch_counts_every_picture(model: Gemma3Model) -> None:
    features = model.encode(film(64))
    generation = model.generate(PROMPT, features, max_new_tokens=4)
    with counted_passes(model.module) as count:
        model.replay(generation, features)
    assert count == PassCount(forwards=1)
    pictures = features.soft_tokens.flatten(0, 1)[None].repeat(5, 1, 1)
    with counted_passes(model.module) as count:
        model.token_logprobs(generation.prompt_inputs, generation.token_ids, pictures)
    assert count == PassCount(forwards=5)


def test_pictures_of_a_batch_are_each_an_encode(model: Gemma3Model) -> None:
    size = model.profile.image_size
    with counted_passes(model.module) as count:
        model.encode_pixels(torch.zeros(3, 3, size, size))
    assert count == PassCount(encodes=3)


def test_steps_from_a_forked_cache_are_no_prefill(model: Gemma3Model) -> None:
    features = model.encode(film(64))
    start = model.prefill(PROMPT, features)
    with counted_passes(model.module) as count, torch.no_grad():
        step(model.module, torch.tensor([600, 601]), fork_cache(start.cache, 2), start.length, None)
    assert count == PassCount(steps=1)


def test_hooks_are_gone_afterwards_also_after_an_exception(model: Gemma3Model) -> None:
    with pytest.raises(KeyError), counted_passes(model.module) as count:
        raise KeyError
    model.encode(film(64, mark=3))
    assert count == PassCount()
    assert not model.module.model.vision_tower._forward_hooks
    assert not model.module.model.language_model._forward_pre_hooks


def test_counts_add() -> None:
    assert PassCount(1, 2, 3, 4) + PassCount(10, 20, 30, 40) == PassCount(11, 22, 33, 44)
