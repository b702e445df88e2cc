"""Teacher-forced scores: equal to the plain call, to batches, and to finite differences."""

from __future__ import annotations

import copy
import dataclasses

import numpy as np
import pytest
import torch
from small_gemma import IMAGE_LAST, Shape, picture_study, tiny_model

from radiolucent.errors import MalformedInput
from radiolucent.vlm.gemma3 import Gemma3Model
from radiolucent.vlm.types import Prompt

PROMPT = Prompt("is the effusion seen")


@pytest.mark.parametrize(
    ("shape", "images"),
    [(Shape(), 1), (Shape(cells=16), 2), (Shape(window=10), 3), (Shape(template=IMAGE_LAST, kv_heads=4), 2)],
)
def test_log_probabilities_equal_the_plain_call(shape: Shape, images: int) -> None:
    model = tiny_model(shape)
    features = model.encode(picture_study(images))
    inputs = model.prompt_inputs(PROMPT, features)
    ids = np.random.default_rng(0).integers(9, 300, 14)
    whole = np.concatenate((inputs.input_ids, ids))
    types = np.concatenate((inputs.token_type_ids, np.zeros_like(ids)))
    with torch.no_grad():
        logits = model.module(
            input_ids=torch.tensor(whole)[None], token_type_ids=torch.tensor(types)[None], pixel_values=features.pixels
        ).logits[0]
    length = len(inputs.input_ids)
    expected = logits[length - 1 : -1].log_softmax(-1)[torch.arange(14), torch.tensor(ids)]
    found = model.token_logprobs(inputs, ids, features.soft_tokens[None])
    torch.testing.assert_close(found[0], expected, atol=1e-5, rtol=0)
    flat = model.token_logprobs(inputs, ids, features.soft_tokens.flatten(0, 1)[None])
    torch.testing.assert_close(found, flat, atol=0, rtol=0)
    some = model.token_logprobs(inputs, ids, features.soft_tokens[None], wanted=[7, 2])
    torch.testing.assert_close(some[0], expected[[7, 2]], atol=1e-5, rtol=0)


def test_a_batch_equals_its_pictures_one_by_one(model: Gemma3Model) -> None:
    features = model.encode(picture_study(2))
    inputs = model.prompt_inputs(PROMPT, features)
    torch.manual_seed(0)
    pictures = features.soft_tokens[None] + torch.randn(7, *features.soft_tokens.shape)
    ids = [30, 40, 50, 60]
    alone = torch.cat([model.token_logprobs(inputs, ids, picture[None]) for picture in pictures])
    for batch_size in (None, 1, 3, 7):
        together = model.token_logprobs(inputs, ids, pictures, batch_size=batch_size)
        torch.testing.assert_close(together, alone, atol=1e-5, rtol=0)
    assert (alone.std(0) > 1e-2).all()  # the picture matters


def test_gradients_equal_finite_differences() -> None:
    model = tiny_model()
    model.module.double()
    features = model.encode(picture_study(1))
    inputs = model.prompt_inputs(PROMPT, features)
    ids = [30, 40, 50]
    soft = features.soft_tokens[None].clone().requires_grad_(True)
    (gradient,) = torch.autograd.grad(model.token_logprobs(inputs, ids, soft).sum(), soft)
    torch.manual_seed(1)
    for direction in (
        gradient / gradient.norm(),
        *torch.nn.functional.normalize(torch.randn(4, soft.numel())).double(),
    ):
        step = 1e-2 * direction.view_as(soft)
        with torch.no_grad():
            ahead, behind = (model.token_logprobs(inputs, ids, soft + sign * step).sum() for sign in (1, -1))
        expected = float((ahead - behind).double() / 2e-2)
        assert float((gradient * direction.view_as(soft)).sum()) == pytest.approx(expected, rel=2e-3, abs=2e-3)


def test_gradients_reach_the_pixels_and_leave_the_weights_alone(model: Gemma3Model) -> None:
    features = model.encode(picture_study(1))
    inputs = model.prompt_inputs(PROMPT, features)
    pixels = features.pixels.clone().requires_grad_(True)
    model.token_logprobs(inputs, [30, 40], model.encode_pixels(pixels)).sum().backward()
    assert pixels.grad is not None and float(pixels.grad.abs().sum()) > 0
    assert all(parameter.grad is None for parameter in model.module.parameters())


def test_replay_gives_the_log_probabilities_of_the_generation() -> None:
    for shape, images in ((Shape(), 1), (Shape(window=10, cells=16), 2)):
        model = tiny_model(shape)
        features = model.encode(picture_study(images))
        generation = model.generate(PROMPT, features, max_new_tokens=30)
        replay = model.replay(generation, features)
        np.testing.assert_allclose(replay.logprobs, generation.logprobs, atol=5e-5)
        np.testing.assert_allclose(replay.entropy, generation.entropy, atol=5e-4)
        assert replay.rows is None and replay.top is not None and replay.top.tolist() == generation.token_ids.tolist()
        other = model.encode(picture_study(images, seed=5))
        instead = model.replay(generation, features, soft_tokens=other.soft_tokens)
        np.testing.assert_array_equal(instead.logprobs, model.replay(generation, other).logprobs)
        assert np.abs(instead.logprobs - replay.logprobs).max() > 0.05


def test_wrong_shapes_are_refused(model: Gemma3Model) -> None:
    features = model.encode(picture_study(1))
    inputs = model.prompt_inputs(PROMPT, features)
    with pytest.raises(MalformedInput, match="expected"):
        model.token_logprobs(inputs, [30], features.soft_tokens[0])
    with pytest.raises(MalformedInput, match="has room for 4"):
        model.token_logprobs(inputs, [30], features.soft_tokens[None, :, :3])
    with pytest.raises(MalformedInput, match="batch_size"):
        model.token_logprobs(inputs, [30], features.soft_tokens[None], batch_size=0)
    with pytest.raises(MalformedInput, match="were asked for"):
        model.token_logprobs(inputs, [30], features.soft_tokens[None], wanted=[1])
    with pytest.raises(MalformedInput, match="Pixels of shape"):
        model.encode_pixels(features.pixels[:, :1])


def test_a_study_is_encoded_once_and_changed_weights_are_noticed() -> None:
    model = tiny_model()
    study, twin, other = picture_study(2), picture_study(2), picture_study(2, seed=1)
    first = model.encode(study)
    assert model.encode(study).soft_tokens is first.soft_tokens and model.encode(twin).key == first.key
    mirrored = dataclasses.replace(
        study,
        frames=tuple(
            dataclasses.replace(frame, geometry=dataclasses.replace(frame.geometry, patient_right="right"))
            for frame in study.frames
        ),
    )
    again = model.encode(mirrored)  # the same pictures, but not the same sides
    assert again.soft_tokens is first.soft_tokens and again.geometries[0].patient_right == "right"
    assert model.encodes == 2
    assert model.encode(other).key != first.key and model.encodes == 4
    copied = copy.deepcopy(model)
    with torch.no_grad():
        for parameter in copied.module.model.vision_tower.parameters():
            parameter.normal_(0, 0.3)
    assert not torch.equal(copied.encode(study).soft_tokens, first.soft_tokens)
    with torch.no_grad():
        model.module.model.multi_modal_projector.mm_input_projection_weight.mul_(2)
    torch.testing.assert_close(model.encode(study).soft_tokens, first.soft_tokens * 2)
