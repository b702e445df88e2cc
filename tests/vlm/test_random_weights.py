"""A model of random weights is the stock model (buffers, tokens, logits) and behaves so that its speed is telling."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest
import torch
from small_gemma import picture_study
from transformers import Gemma3ForConditionalGeneration

from radiolucent.errors import InsufficientMemory, UnsupportedModel
from radiolucent.vlm import memory
from radiolucent.vlm.gemma3 import Gemma3Model
from radiolucent.vlm.random_weights import FIRST_WORD, SHAPES, config_of, random_model, random_processor
from radiolucent.vlm.types import Prompt

PROMPT = Prompt("Describe the main findings of this chest X-ray.")


@pytest.fixture(scope="module")
def tiny() -> Gemma3Model:
    return random_model("tiny")


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float32])
def test_buffers_and_logits_are_those_of_a_loaded_model(tmp_path: Path, dtype: torch.dtype) -> None:
    model = random_model("tiny", dtype=dtype)
    model.module.save_pretrained(tmp_path)
    loaded = Gemma3ForConditionalGeneration.from_pretrained(tmp_path, dtype=dtype, attn_implementation="sdpa").eval()
    ours, theirs = dict(model.module.named_buffers()), dict(loaded.named_buffers())
    assert ours.keys() == theirs.keys() and len(ours) >= 6
    for name, buffer in theirs.items():
        assert ours[name].dtype == buffer.dtype, name
        torch.testing.assert_close(ours[name], buffer, rtol=0, atol=0, msg=name)
    features = model.encode(picture_study(1))
    inputs = model.prompt_inputs(PROMPT, features)
    fed = {
        "input_ids": torch.tensor(inputs.input_ids)[None],
        "token_type_ids": torch.tensor(inputs.token_type_ids)[None],
        "pixel_values": features.pixels,
    }
    with torch.no_grad():
        expected, found = loaded(**fed).logits, model.module(**fed).logits
    assert torch.isfinite(found).all()
    torch.testing.assert_close(found, expected, rtol=0, atol=0)


def test_buffers_are_those_of_a_constructed_model() -> None:
    model = random_model("tiny", dtype=torch.float32)
    stock = Gemma3ForConditionalGeneration(config_of(SHAPES["tiny"]))
    for name, buffer in stock.named_buffers():
        torch.testing.assert_close(dict(model.module.named_buffers())[name], buffer, rtol=0, atol=0, msg=name)


def test_the_full_shape_is_medgemmas() -> None:
    config = config_of(SHAPES["4b"])
    kinds = config.text_config.layer_types
    assert [index for index, kind in enumerate(kinds) if kind == "full_attention"] == [5, 11, 17, 23, 29]
    assert config.text_config.sliding_window == 1024 and len(kinds) == 34
    with torch.device("meta"):
        module = Gemma3ForConditionalGeneration(config)
    assert round(sum(weight.numel() for weight in module.parameters()) / 1e9, 2) == 4.30


def test_every_id_of_the_full_vocabulary_is_a_word_and_control_tokens_are_gemmas() -> None:
    tokenizer = random_processor(SHAPES["4b"]).tokenizer
    names = ("<pad>", "<eos>", "<bos>", "<start_of_turn>", "<end_of_turn>", "<start_of_image>", "<end_of_image>")
    assert [tokenizer.convert_tokens_to_ids(name) for name in names] == [0, 1, 2, 105, 106, 255_999, 256_000]
    assert tokenizer.convert_tokens_to_ids("<image_soft_token>") == 262_144
    assert len(tokenizer) == 262_208
    ids = np.random.default_rng(0).integers(FIRST_WORD, 262_208, 400)
    texts = [tokenizer.decode([int(token)]) for token in ids]
    assert all(text.strip().isalpha() for text, token in zip(texts, ids, strict=True) if token != 262_144)
    assert len(set(texts)) == len(set(ids.tolist()))
    assert tokenizer("".join(texts), add_special_tokens=False)["input_ids"] == ids.tolist()


def test_text_outside_the_vocabulary_is_written_by_its_bytes() -> None:
    tokenizer = random_processor(SHAPES["tiny"]).tokenizer
    for text in ("请分析这张胸部X光片", "naïve?! 42 %", "Describe the main findings of this chest X-ray."):
        assert tokenizer.decode(tokenizer(text, add_special_tokens=False)["input_ids"]) == text


def test_the_prompt_holds_one_image_span_and_few_tokens_of_text(tiny: Gemma3Model) -> None:
    inputs = tiny.prompt_inputs(PROMPT, tiny.encode(picture_study(1)))
    assert [last - first for first, last in inputs.image_spans] == [tiny.profile.cells]
    assert len(inputs.input_ids) - tiny.profile.cells < 30


@pytest.mark.parametrize("shape", ["tiny", "slim"])
def test_writing_goes_on_to_the_length_and_into_words(shape: str) -> None:
    model = random_model(shape)
    assert model.profile.end_tokens  # they could be written; the weights do not choose them
    features = model.encode(picture_study(1))
    written = model.generate(PROMPT, features, max_new_tokens=40)
    sampled = model.sample(PROMPT, features, count=3, max_new_tokens=20)
    for generation in (written, *sampled):
        assert generation.finish == "length"
        assert generation.token_ids.min() >= FIRST_WORD and np.isfinite(generation.logprobs).all()
        assert not set(generation.token_ids.tolist()) & set(model.tokenizer.all_special_ids)
    assert len(set(written.token_ids.tolist())) > 10  # does not repeat one word
    assert len({sample.text for sample in sampled}) > 1


def test_predictions_are_peaked_and_rest_on_the_picture() -> None:
    model = random_model("slim")
    features = model.encode(picture_study(1))
    generation = model.generate(PROMPT, features, max_new_tokens=20)
    logits = model.prefill(PROMPT, features).logits
    assert 4 < float(logits.std()) < 9
    assert float(generation.entropy.mean()) < 0.5 * np.log(len(model.tokenizer))
    blank = model.replay(generation, features, soft_tokens=torch.zeros_like(features.soft_tokens))
    assert float((generation.logprobs - blank.logprobs).mean()) > 1.0


@pytest.mark.parametrize("shape", ["tiny", "slim"])
def test_gradients_at_the_soft_tokens_are_finite_and_not_nothing(shape: str) -> None:
    model = random_model(shape)
    features = model.encode(picture_study(1))
    generation = model.generate(PROMPT, features, max_new_tokens=8)
    soft = features.soft_tokens.float().requires_grad_(True)
    logprobs = model.token_logprobs(generation.prompt_inputs, generation.token_ids, soft)
    (gradient,) = torch.autograd.grad(logprobs.sum(), soft)
    assert torch.isfinite(gradient).all() and 1e-4 < float(gradient.abs().max()) < 1e4


def test_weights_are_drawn_anew_for_another_seed_and_alike_for_the_same() -> None:
    one, same, other = (random_model("tiny", seed=seed).module for seed in (0, 0, 1))
    name = "model.language_model.layers.0.mlp.up_proj.weight"
    weights = [dict(module.named_parameters())[name] for module in (one, same, other)]
    assert torch.equal(weights[0], weights[1]) and not torch.equal(weights[0], weights[2])
    rows = weights[0].float()
    alike = torch.corrcoef(rows).fill_diagonal_(0).abs().max()
    assert alike < 0.9  # no row is a copy of another


def test_an_unknown_shape_is_refused() -> None:
    with pytest.raises(UnsupportedModel, match="4b, 227m, slim, tiny"):
        random_model("5b")


def test_a_model_that_does_not_fit_is_refused_before_it_is_built(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory, "free_bytes", lambda device: 8_000_000_000)
    with pytest.raises(InsufficientMemory, match=r"4b model of random weights needs about 8\.60 GB"):
        random_model("4b")


def test_shapes_hold_a_square_of_cells() -> None:
    for shape in SHAPES.values():
        patches = shape.image_size // shape.patch
        assert patches * shape.patch == shape.image_size and patches**2 % shape.cells == 0
        assert dataclasses.replace(shape).image_token < shape.vocabulary
