"""The gate fires whenever the replay is another pass, and only then."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import pytest
import torch
from small_gemma import Shape, picture_study, tiny_model

from radiolucent.errors import MalformedInput, ParityError
from radiolucent.vlm.gemma3 import Gemma3Model
from radiolucent.vlm.parity import BF16_LOOSEST, FP32_BOUND, check_parity, measured_bound
from radiolucent.vlm.types import Features, Generation, Prompt

PROMPT = Prompt("is the effusion seen")
DTYPES = (torch.float32, torch.bfloat16)


def run(dtype: torch.dtype, **changes: Any) -> tuple[Gemma3Model, Features, Generation]:
    model = tiny_model(Shape(dtype=dtype, cells=16, **changes))
    features = model.encode(picture_study(2))
    return model, features, model.generate(PROMPT, features, max_new_tokens=40)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("window", [512, 14])
def test_an_honest_replay_passes(dtype: torch.dtype, seed: int, window: int) -> None:
    model, features, generation = run(dtype, seed=seed, window=window)
    worst = check_parity(model, generation, model.replay(generation, features), features=features)
    assert worst <= (FP32_BOUND if dtype == torch.float32 else BF16_LOOSEST)
    for sample in model.sample(PROMPT, features, count=3, max_new_tokens=20):
        check_parity(model, sample, model.replay(sample, features), features=features)


@pytest.mark.parametrize("dtype", DTYPES)
def test_it_fires_when_token_type_ids_are_withheld(dtype: torch.dtype, monkeypatch: pytest.MonkeyPatch) -> None:
    model, features, generation = run(dtype)
    check_parity(model, generation, model.replay(generation, features), features=features)
    forward = model.module.forward

    def without(*args: Any, **kwargs: Any) -> Any:
        kwargs.pop("token_type_ids")
        return forward(*args, **kwargs)

    monkeypatch.setattr(model.module, "forward", without)
    with pytest.raises(ParityError, match="not the pass that wrote the words: at token"):
        check_parity(model, generation, model.replay(generation, features), features=features)


@pytest.mark.parametrize("dtype", DTYPES)
def test_it_fires_when_the_mask_inside_images_is_causal(dtype: torch.dtype) -> None:
    model, features, generation = run(dtype)
    inputs = generation.prompt_inputs
    causal = dataclasses.replace(inputs, token_type_ids=np.zeros_like(inputs.token_type_ids))
    replay = model.replay(dataclasses.replace(generation, prompt_inputs=causal), features)
    with pytest.raises(ParityError):
        check_parity(model, generation, replay, features=features)


@pytest.mark.parametrize("dtype", DTYPES)
def test_it_fires_when_one_token_is_altered_and_names_it(dtype: torch.dtype) -> None:
    model, features, generation = run(dtype)
    for index in (0, 17, len(generation.token_ids) - 1):
        ids = generation.token_ids.copy()
        ids[index] = generation.alternatives[index][-1].token_id
        altered = dataclasses.replace(generation, token_ids=ids)
        with pytest.raises(ParityError, match=rf"at token {index} "):
            check_parity(model, altered, model.replay(altered, features), features=features)


def test_it_fires_on_other_pictures_other_weights_and_broken_numbers() -> None:
    model, features, generation = run(torch.float32)
    other = model.encode(picture_study(2, seed=8))
    with pytest.raises(ParityError):
        check_parity(model, generation, model.replay(generation, other))
    with pytest.raises(ParityError):
        check_parity(model, generation, tiny_model(Shape(cells=16, seed=5)).replay(generation, features))
    replay = model.replay(generation, features)
    broken = replay.logprobs.copy()
    broken[3] = np.nan
    with pytest.raises(ParityError, match="at token 3 "):
        check_parity(model, generation, dataclasses.replace(replay, logprobs=broken))
    with pytest.raises(ParityError, match="covers 39 tokens"):
        check_parity(model, generation, dataclasses.replace(replay, logprobs=replay.logprobs[:-1]))


def test_another_likeliest_token_is_allowed_only_in_a_near_tie() -> None:
    model, features, generation = run(torch.float32)
    replay = model.replay(generation, features)
    assert replay.top is not None
    swapped = replay.top.copy()
    swapped[5] = generation.alternatives[5][1].token_id
    other = dataclasses.replace(replay, top=swapped)
    margin = generation.alternatives[5][0].logprob - generation.alternatives[5][1].logprob
    with pytest.raises(ParityError, match="at token 5 "):
        check_parity(model, generation, other, bound=margin * 0.9)
    check_parity(model, generation, other, bound=margin * 1.1)


def test_the_bf16_bound_is_measured_once_and_covers_the_noise() -> None:
    model, features, generation = run(torch.bfloat16)
    replay = model.replay(generation, features)
    worst = check_parity(model, generation, replay, features=features)
    assert model.parity_bound is not None and FP32_BOUND <= model.parity_bound <= BF16_LOOSEST
    assert worst <= model.parity_bound
    assert check_parity(model, generation, replay) == worst
    model.parity_bound = None
    assert check_parity(model, generation, replay) == worst  # measured on a mid-grey picture
    assert FP32_BOUND < model.parity_bound <= BF16_LOOSEST
    cut = dataclasses.replace(
        generation.prompt_inputs, input_ids=generation.prompt_inputs.input_ids[: generation.image_spans[-1][1]]
    )
    with pytest.raises(MalformedInput, match="ends in an image"):
        measured_bound(model, cut, features.soft_tokens)
    exact, seen, written = run(torch.float32)
    assert measured_bound(exact, written.prompt_inputs, seen.soft_tokens) == FP32_BOUND
