"""Full maps and their gradients against transformers' eager attention, the independent oracle."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch
from small_gemma import IMAGE_LAST, Shape, picture_study, tiny_model
from transformers import AttentionInterface

from radiolucent.errors import InsufficientMemory
from radiolucent.vlm import memory
from radiolucent.vlm.capture import IMPLEMENTATION
from radiolucent.vlm.full_attention import GraphMaps, mean_attention_maps, open_pass
from radiolucent.vlm.gemma3 import Gemma3Model
from radiolucent.vlm.types import Features, Generation, Prompt

SHAPES = {
    "pooled": (Shape(), 1),
    "three images": (Shape(), 3),
    "window smaller than an image": (Shape(window=9, cells=16), 2),
    "image behind the question": (Shape(template=IMAGE_LAST, window=12), 2),
    "as many key as query heads": (Shape(heads=4, kv_heads=4), 1),
}


def case(shape: Shape, images: int) -> tuple[Gemma3Model, Features, Generation]:
    model = tiny_model(shape)
    features = model.encode(picture_study(images))
    return model, features, model.generate(Prompt("is the effusion seen"), features, max_new_tokens=6)


def eager(model: Gemma3Model, features: Features, generation: Generation, tokens: int):
    """Stock eager call with pixels, the graph kept: (layers x (heads, positions, positions)), log p of the tokens."""
    prompt = generation.prompt_inputs
    ids = torch.cat((torch.tensor(prompt.input_ids), torch.tensor(generation.token_ids[: tokens - 1])))[None]
    types = torch.zeros_like(ids)
    types[0, : len(prompt.input_ids)] = torch.tensor(prompt.token_type_ids)
    model.module.set_attn_implementation("eager")
    model.module.requires_grad_(True)
    try:
        output = model.module(
            input_ids=ids, pixel_values=features.pixels, token_type_ids=types, output_attentions=True, use_cache=False
        )
    finally:
        model.module.set_attn_implementation("sdpa")
        model.module.requires_grad_(False)
    logprobs = output.logits[0, len(prompt.input_ids) - 1 :].float().log_softmax(-1)
    written = torch.tensor(generation.token_ids[:tokens])
    return output.attentions, logprobs.gather(-1, written[:, None])[:, 0]


@pytest.mark.parametrize("name", SHAPES)
def test_every_layers_map_equals_eager_attention(name: str) -> None:
    model, features, generation = case(*SHAPES[name])
    ids = torch.tensor(generation.token_ids)
    oracle, _ = eager(model, features, generation, len(ids))
    maps = mean_attention_maps(model, generation.prompt_inputs, ids, features.soft_tokens)
    some = mean_attention_maps(model, generation.prompt_inputs, ids, features.soft_tokens, heads=[2, 0])
    assert len(maps) == len(model.layer_types) and maps.dtype == torch.float32
    for layer, expected in enumerate(oracle):
        np.testing.assert_allclose(maps[layer], expected[0].mean(0).detach(), atol=1e-5)
        np.testing.assert_allclose(some[layer], expected[0, [0, 2]].mean(0).detach(), atol=1e-5)
    np.testing.assert_allclose(maps.sum(-1), 1.0, atol=1e-5)


@pytest.mark.parametrize("name", SHAPES)
def test_maps_in_the_graph_and_their_gradients_equal_those_of_eager_attention(name: str) -> None:
    model, features, generation = case(*SHAPES[name])
    ids = torch.tensor(generation.token_ids[:4])
    attentions, logprobs = eager(model, features, generation, 4)
    read = open_pass(model, generation.prompt_inputs, ids, features.soft_tokens, [1, 3])
    np.testing.assert_allclose(read.logprobs.detach(), logprobs[[1, 3]].detach(), atol=1e-5)
    both = zip((read.logprobs.sum(), read.logprobs[1]), (logprobs[1] + logprobs[3], logprobs[3]), strict=True)
    for score, oracle_score in both:
        expected = torch.autograd.grad(oracle_score, attentions, retain_graph=True)
        for layer, gradient in enumerate(read.gradients(score, keep=True)):
            np.testing.assert_allclose(read.maps[layer].detach(), attentions[layer].detach(), atol=1e-5)
            scale = float(expected[layer].abs().max())
            np.testing.assert_allclose(gradient, expected[layer], atol=1e-4 * scale + 1e-7)
        assert any(float(gradient.abs().max()) > 0.01 for gradient in expected)


def test_gradients_equal_finite_differences_of_the_map(monkeypatch: pytest.MonkeyPatch) -> None:
    model, features, generation = case(Shape(cells=16), 1)
    inputs, ids = generation.prompt_inputs, torch.tensor(generation.token_ids[:4])
    read = open_pass(model, inputs, ids, features.soft_tokens, [2, 3])
    gradients = read.gradients(read.logprobs.sum(), keep=False)
    row, column = len(inputs.input_ids) + 1, inputs.image_spans[0][0] + 3
    stock = torch.Tensor.softmax

    def score(layer: int, step: float) -> float:
        seen = 0

        def moved(scores: torch.Tensor, *arguments: object, **options: object) -> torch.Tensor:
            nonlocal seen
            weights = stock(scores, *arguments, **options)
            if scores.ndim == 4:
                if seen == layer:
                    weights = weights.clone()
                    weights[0, 1, row, column] += step
                seen += 1
            return weights

        with monkeypatch.context() as patch:
            patch.setattr(torch.Tensor, "softmax", moved)
            return float(open_pass(model, inputs, ids, features.soft_tokens, [2, 3]).logprobs.detach().sum())

    for layer in (0, 1, len(model.layer_types) - 1):
        slope = (score(layer, 0.02) - score(layer, -0.02)) / 0.04
        assert float(gradients[layer][0, 1, row, column]) == pytest.approx(slope, rel=0.05, abs=2e-4)


def test_images_see_themselves_both_ways_and_nothing_crosses_the_sliding_window() -> None:
    window = 9
    model, features, generation = case(Shape(window=window, cells=16), 2)
    maps = mean_attention_maps(
        model, generation.prompt_inputs, torch.tensor(generation.token_ids), features.soft_tokens
    ).numpy()
    positions = np.arange(maps.shape[-1])
    ahead = positions[None, :] > positions[:, None]
    same_image = np.zeros_like(ahead)
    for first, last in generation.image_spans:
        same_image[first:last, first:last] = True
    distance = abs(positions[:, None] - positions[None, :])
    for layer, kind in zip(maps, model.layer_types, strict=True):
        assert (layer[ahead & ~same_image] == 0).all()
        reachable = same_image & ahead if kind == "global" else same_image & ahead & (distance < window)
        assert (layer[reachable] > 0).all()
        crossing = ~ahead & (positions[:, None] - positions[None, :] >= window)
        assert (layer[crossing] == 0).all() == (kind == "sliding")


def test_bfloat16_maps_follow_single_precision() -> None:
    model, features, generation = case(Shape(), 1)
    half = tiny_model(dataclasses.replace(Shape(), dtype=torch.bfloat16))
    ids, soft = torch.tensor(generation.token_ids), features.soft_tokens
    fine = mean_attention_maps(model, generation.prompt_inputs, ids, soft)
    rough = mean_attention_maps(half, generation.prompt_inputs, ids, soft.to(torch.bfloat16))
    np.testing.assert_allclose(rough, fine, atol=0.05)
    read = open_pass(half, generation.prompt_inputs, ids, soft.to(torch.bfloat16), [2])
    assert read.maps[0].dtype == torch.bfloat16
    np.testing.assert_allclose(read.maps[0][0].float().mean(0).detach(), rough[0, :-3, :-3], atol=0.02)


def test_long_prompts_are_refused_before_anything_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    model, features, generation = case(Shape(), 1)
    ids = torch.tensor(generation.token_ids)
    monkeypatch.setattr(memory, "free_bytes", lambda device: 10_000)
    model.module.forward = None  # type: ignore[method-assign]
    for read in (
        lambda: mean_attention_maps(model, generation.prompt_inputs, ids, features.soft_tokens),
        lambda: open_pass(model, generation.prompt_inputs, ids, features.soft_tokens, [1]),
    ):
        with pytest.raises(InsufficientMemory, match=r"positions need about .* GB.*'attention'"):
            read()


def test_no_attention_function_is_left_behind() -> None:
    model, features, generation = case(Shape(), 1)
    ids = torch.tensor(generation.token_ids)
    mean_attention_maps(model, generation.prompt_inputs, ids, features.soft_tokens)
    with pytest.raises(IndexError):
        open_pass(model, generation.prompt_inputs, ids, features.soft_tokens, [99])
    assert model.module.config.text_config._attn_implementation == "sdpa"
    assert IMPLEMENTATION not in AttentionInterface().valid_keys()
    assert not GraphMaps().wanted
