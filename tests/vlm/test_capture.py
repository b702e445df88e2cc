"""Captured rows against eager attention, the independent oracle, on every shape."""

from __future__ import annotations

import threading

import numpy as np
import pytest
import torch
from small_gemma import IMAGE_LAST, Shape, picture_study, tiny_model
from transformers import AttentionInterface
from transformers.masking_utils import AttentionMaskInterface

from radiolucent.errors import MalformedInput
from radiolucent.vlm.capture import IMPLEMENTATION, RowRecorder, row_capture
from radiolucent.vlm.gemma3 import Gemma3Model
from radiolucent.vlm.types import AttentionRows, Features, Generation, Prompt

SLIDING_FIRST = ("sliding_attention", "full_attention", "sliding_attention", "full_attention")
GLOBAL_FIRST = ("full_attention", "sliding_attention", "sliding_attention")
SHAPES = {
    "pooled": (Shape(), 1),
    "no pooling": (Shape(cells=16), 1),
    "three images": (Shape(), 3),
    "window of 12 behind a prompt of 40": (Shape(window=12), 2),
    "window of 12, global layer first": (Shape(window=12, layers=GLOBAL_FIRST), 2),
    "window smaller than an image": (Shape(window=9, cells=16), 2),
    "image behind the question": (Shape(template=IMAGE_LAST), 2),
    "one group of heads": (Shape(heads=4, kv_heads=1), 1),
    "as many key as query heads": (Shape(heads=4, kv_heads=4), 1),
    "all layers global": (Shape(layers=("full_attention",) * 2), 2),
    "all layers sliding": (Shape(layers=("sliding_attention",) * 2, window=15), 2),
    "window filled while writing": (Shape(window=55), 2),
    "window filled by the last prompt token": (Shape(window=37), 2),
}


def eager_rows(model: Gemma3Model, generation: Generation, features: Features) -> list[np.ndarray]:
    """Full eager maps of the stock call with pixels, predicting rows only: per layer (heads, tokens, positions)."""
    ids = torch.cat((torch.tensor(generation.prompt_inputs.input_ids), torch.tensor(generation.token_ids[:-1])))[None]
    types = torch.zeros_like(ids)
    types[0, : len(generation.prompt_inputs.input_ids)] = torch.tensor(generation.prompt_inputs.token_type_ids)
    model.module.set_attn_implementation("eager")
    try:
        with torch.no_grad():
            output = model.module(
                input_ids=ids,
                pixel_values=features.pixels,
                token_type_ids=types,
                output_attentions=True,
                use_cache=False,
            )
    finally:
        model.module.set_attn_implementation("sdpa")
    first = len(generation.prompt_inputs.input_ids) - 1
    assert len(output.attentions) == len(model.layer_types)
    return [maps[0, :, first:].float().numpy() for maps in output.attentions]


def assert_rows_equal(rows: AttentionRows, oracle: list[np.ndarray], generation: Generation, tolerance: float) -> None:
    image = [position for first, last in generation.image_spans for position in range(first, last)]
    prompt = len(generation.prompt_inputs.input_ids)
    text = [position for position in range(prompt) if position not in set(image)]
    for layer, maps in enumerate(oracle):
        np.testing.assert_allclose(rows.image[layer], maps[..., image], atol=tolerance)
        np.testing.assert_allclose(rows.prompt_text[layer], maps[..., text].sum(-1), atol=tolerance)
        np.testing.assert_allclose(rows.generated[layer], maps[..., prompt:].sum(-1), atol=tolerance)


@pytest.mark.parametrize("name", SHAPES)
def test_rows_equal_eager_attention_in_replay_and_while_generating(name: str) -> None:
    shape, images = SHAPES[name]
    model = tiny_model(shape)
    features = model.encode(picture_study(images))
    generation = model.generate(Prompt("is the effusion seen"), features, max_new_tokens=40)
    oracle = eager_rows(model, generation, features)
    replay = model.replay(generation, features, capture=True)
    assert generation.rows is not None and replay.rows is not None
    assert np.std([maps.std() for maps in oracle]) > 0 and max(maps.max() for maps in oracle) > 0.3  # not uniform
    assert_rows_equal(generation.rows, oracle, generation, 1e-5)
    assert_rows_equal(replay.rows, oracle, generation, 1e-5)
    assert generation.rows.layer_types == tuple(
        "global" if kind == "full_attention" else "sliding" for kind in shape.layers
    )


def test_each_row_adds_to_one_and_bf16_is_stored_in_half_precision() -> None:
    for dtype, stored, tolerance in ((torch.float32, np.float32, 1e-6), (torch.bfloat16, np.float16, 2e-3)):
        model = tiny_model(dtype=dtype, window=12)
        features = model.encode(picture_study(2))
        rows = model.generate(Prompt("is the effusion seen"), features, max_new_tokens=12).rows
        assert rows is not None and rows.image.dtype == stored
        total = rows.image.astype(np.float64).sum(-1) + rows.prompt_text + rows.generated
        np.testing.assert_allclose(total, 1.0, atol=tolerance)
        assert (rows.prompt_text >= 0).all()


def test_bf16_rows_follow_eager_attention() -> None:
    model = tiny_model(dtype=torch.bfloat16)
    features = model.encode(picture_study(1))
    generation = model.generate(Prompt("is the effusion seen"), features, max_new_tokens=8)
    replay = model.replay(generation, features, capture=True)
    assert replay.rows is not None
    oracle = eager_rows(model, generation, features)
    assert_rows_equal(replay.rows, oracle, generation, 0.03)


def test_a_sliding_layer_gives_no_weight_to_images_its_window_has_left() -> None:
    model = tiny_model(window=6)
    features = model.encode(picture_study(2))
    rows = model.generate(Prompt("is the effusion seen on the right"), features, max_new_tokens=10).rows
    assert rows is not None
    for layer, kind in enumerate(rows.layer_types):
        assert (rows.image[layer] == 0).all() == (kind == "sliding")


def test_capturing_changes_no_logits(model: Gemma3Model) -> None:
    features = model.encode(picture_study(2))
    prompt = Prompt("is the effusion seen")
    plain = model.generate(prompt, features, max_new_tokens=15, capture=False)
    captured = model.generate(prompt, features, max_new_tokens=15)
    assert plain.rows is None
    np.testing.assert_array_equal(plain.token_ids, captured.token_ids)
    np.testing.assert_array_equal(plain.logprobs, captured.logprobs)


def implementations(model: Gemma3Model) -> tuple[str, ...]:
    config = model.module.config
    return tuple(part._attn_implementation for part in (config, config.text_config, config.vision_config))


def assert_nothing_left(model: Gemma3Model) -> None:
    assert implementations(model) == ("sdpa", "sdpa", "sdpa")
    assert IMPLEMENTATION not in AttentionInterface().valid_keys()
    assert IMPLEMENTATION not in AttentionMaskInterface().valid_keys()


def test_the_registration_is_undone_after_success_failure_and_nesting(model: Gemma3Model) -> None:
    features = model.encode(picture_study(1))
    model.generate(Prompt("seen"), features, max_new_tokens=2)
    assert_nothing_left(model)
    with pytest.raises(ZeroDivisionError), row_capture(model.module):
        raise ZeroDivisionError
    assert_nothing_left(model)
    other = tiny_model(seed=1)
    with row_capture(model.module):
        with row_capture(other.module), row_capture(model.module):
            assert implementations(model)[1] == IMPLEMENTATION
        assert implementations(model)[1] == IMPLEMENTATION and implementations(other)[1] == "sdpa"
        model.generate(Prompt("seen"), features, max_new_tokens=2)
    assert_nothing_left(model)
    assert_nothing_left(other)


def test_threads_capture_side_by_side() -> None:
    model = tiny_model()
    features = model.encode(picture_study(1))
    questions = ["is the effusion seen", "is the heart seen", "no", "right lung"] * 2
    alone = [model.generate(Prompt(question), features, max_new_tokens=8) for question in questions]
    together: dict[int, Generation] = {}

    def run(index: int) -> None:
        together[index] = model.generate(Prompt(questions[index]), features, max_new_tokens=8)

    threads = [threading.Thread(target=run, args=(index,)) for index in range(len(questions))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for index, expected in enumerate(alone):
        np.testing.assert_array_equal(together[index].token_ids, expected.token_ids)
        assert together[index].rows is not None and expected.rows is not None
        np.testing.assert_allclose(together[index].rows.image, expected.rows.image, atol=1e-6)
    assert_nothing_left(model)


def test_rows_of_a_batch_are_refused(model: Gemma3Model) -> None:
    features = model.encode(picture_study(1))
    inputs = model.prompt_inputs(Prompt("seen"), features)
    with pytest.raises(MalformedInput, match="8 were given"):
        model.prefill_inputs(inputs, features.soft_tokens.repeat(2, 1, 1))
    recorder = RowRecorder(("global",), [0], 1, torch.float32)
    recorder.expect(0, (0,))
    with pytest.raises(RuntimeError, match="single sequence"):
        recorder.record(0, torch.zeros(2, 1, 1, 4), torch.zeros(2, 1, 1, 4), None, 1.0)
