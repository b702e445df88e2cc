"""The demo model: a stock Gemma 3 in small, that can look from the first step, with a tokenizer that loses nothing."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st
from transformers import AutoProcessor, Gemma3ForConditionalGeneration, Gemma3TextConfig

from radiolucent.phantom import grammar, model
from radiolucent.phantom.record import CODES, Lesion

RECORD = (Lesion("pleural_effusion", "bilateral", severity="severe"), Lesion("nodule", "left", "upper"))


@pytest.fixture(scope="module")
def net(processor: Any) -> Any:
    return model.build_model(model.build_config(len(processor.tokenizer), model.special_ids(processor.tokenizer)), 1)


def _ids(processor: Any, text: str) -> list[int]:
    return list(processor.tokenizer(text, add_special_tokens=False).input_ids)


# U+2581 stands for a space inside the tokenizer, as in Gemma's own.
@given(st.text(max_size=40).filter(lambda t: "▁" not in t and not any(s in t for s in model.SPECIAL)))
@example("左侧胸腔少量积液。心影增大；未见气胸。")
@example("Nodule in the left upper zone.  Two  spaces,\ttab\r\n")
@example("🫁 żółć عربى \x00 龘")
@example("<0x41>")
@settings(max_examples=150, deadline=None)
def test_any_text_comes_back_from_its_tokens(processor: Any, text: str) -> None:
    ids = _ids(processor, text)
    assert processor.tokenizer.decode(ids, clean_up_tokenization_spaces=False) == text
    assert processor.tokenizer.unk_token_id not in ids


def test_every_chinese_character_of_the_grammar_is_one_token(processor: Any) -> None:
    asked = [q for form in range(5) for q in grammar.report_questions(form, "zh")]
    for text in (*asked, *(grammar.write_report(RECORD, "zh", form) for form in range(5))):
        # The semicolon between two findings is no sentence's own, so it is spelled in its three bytes.
        assert len(_ids(processor, text)) == len(text) + 2 * text.count("；")


def test_every_special_token_is_one_token_and_stays_out_of_decoded_text(processor: Any) -> None:
    ids = model.special_ids(processor.tokenizer)
    assert len(set(ids.values())) == len(model.SPECIAL)
    for token, number in ids.items():
        assert _ids(processor, token) == [number]
    text = "<start_of_turn>model\nNo nodule.<end_of_turn>"
    assert processor.tokenizer.decode(_ids(processor, text), skip_special_tokens=True) == "model\nNo nodule."


def test_question_and_answer_have_the_same_tokens_apart_as_together(processor: Any) -> None:
    for language in ("en", "zh"):
        questions = [grammar.report_questions(f, language)[0] for f in range(5)]  # type: ignore[arg-type]
        questions += [q for code in CODES for q in grammar.yes_no_questions(code, language)]  # type: ignore[arg-type]
        answers = [grammar.write_report(RECORD, language, f) for f in range(5)]  # type: ignore[arg-type]
        answers += ["Yes.", "有。"]
        for question, answer in itertools.product(questions, answers):
            asked = f"{question}<end_of_turn>\n<start_of_turn>model\n"
            assert _ids(processor, asked + answer) == _ids(processor, asked) + _ids(processor, answer)


def test_sentences_have_the_same_tokens_apart_as_together(processor: Any) -> None:
    for language, form in itertools.product(("en", "zh"), range(5)):
        text = grammar.write_report(RECORD, language, form)  # type: ignore[arg-type]
        for cut in (i for i, c in enumerate(text) if c in " 。"):
            at = cut if text[cut] == " " else cut + 1  # a space belongs to the word after it
            assert _ids(processor, text) == _ids(processor, text[:at]) + _ids(processor, text[at:])


def test_the_tokenizer_is_the_same_every_time(processor: Any) -> None:
    again = model.build_processor().tokenizer.backend_tokenizer.to_str()
    assert again == processor.tokenizer.backend_tokenizer.to_str()


def test_the_class_is_the_stock_one(net: Any) -> None:
    assert type(net) is Gemma3ForConditionalGeneration
    assert net.lm_head.weight is net.get_input_embeddings().weight
    assert sum(p.numel() for p in net.parameters()) < 5_000_000


def test_every_sixth_text_layer_is_global_as_in_the_4b_model(net: Any) -> None:
    stock = Gemma3TextConfig(num_hidden_layers=34).layer_types
    mine = net.config.text_config.layer_types
    assert mine == stock[: len(mine)]
    assert [i for i, kind in enumerate(mine) if kind == "full_attention"] == [5]


def test_an_image_takes_one_token_a_patch(processor: Any, net: Any) -> None:
    vision = net.config.vision_config
    patches = (vision.image_size // vision.patch_size) ** 2
    assert patches == net.config.mm_tokens_per_image == processor.image_seq_length == 256


def test_the_projector_is_not_zero(net: Any) -> None:
    weight = net.model.multi_modal_projector.mm_input_projection_weight
    assert float(weight.detach().std()) == pytest.approx(128**-0.5, rel=0.05)


def test_the_position_code_tells_every_row_and_column_apart(net: Any) -> None:
    code = net.model.vision_tower.embeddings.position_embedding.weight.detach().numpy()
    grid = code.reshape(16, 16, 128)
    assert np.allclose(grid[:, :, :64], grid[:, :1, :64])  # one half says the row
    assert np.allclose(grid[:, :, 64:], grid[:1, :, 64:])  # the other the column
    apart = np.linalg.norm(code[:, None] - code[None], axis=-1)
    assert apart[~np.eye(256, dtype=bool)].min() > 0.1
    nearby = np.linalg.norm(grid[0, 0] - grid[0], axis=-1)
    assert (np.diff(nearby[:4]) > 0).all()  # neighbours are alike


def test_the_first_kernels_are_orthonormal_and_read_grey(net: Any) -> None:
    weight = net.model.vision_tower.embeddings.patch_embedding.weight.detach().numpy().astype(np.float64)
    assert np.allclose(weight[:, 0], weight[:, 1]) and np.allclose(weight[:, 0], weight[:, 2])
    flat = weight.sum(axis=1).reshape(len(weight), -1)
    products = flat @ flat.T
    assert np.allclose(products[1:, 1:], np.eye(len(flat) - 1), atol=1e-5)
    assert np.allclose(products[0, 1:], 0, atol=1e-5)
    assert products[0, 0] == pytest.approx(1 / 64, rel=1e-4)  # the mean grey is scaled down by 8


def test_the_same_seed_gives_the_same_weights_and_another_seed_others(processor: Any, net: Any) -> None:
    again = model.build_model(net.config, 1).state_dict()
    other = model.build_model(net.config, 2).state_dict()
    assert all(torch.equal(value, again[name]) for name, value in net.state_dict().items())
    name = "model.multi_modal_projector.mm_input_projection_weight"
    assert not torch.equal(net.state_dict()[name], other[name])


def test_a_written_folder_loads_as_any_gemma_3_folder(processor: Any, net: Any, tmp_path: Path) -> None:
    model.write_folder(net, processor, tmp_path)
    loaded, notes = Gemma3ForConditionalGeneration.from_pretrained(
        tmp_path, dtype=torch.float32, output_loading_info=True
    )
    assert not notes["missing_keys"] and not notes["unexpected_keys"] and not notes["mismatched_keys"]
    for name, value in loaded.state_dict().items():
        assert torch.equal(value, net.state_dict()[name].to(torch.float16).float()), name
    read = AutoProcessor.from_pretrained(tmp_path)
    messages = [{"role": "user", "content": [{"type": "image"}, {"type": "text", "text": "有气胸吗？"}]}]
    asked = processor.apply_chat_template(messages, add_generation_prompt=True, tokenize=False)
    assert read.apply_chat_template(messages, add_generation_prompt=True, tokenize=False) == asked
    assert asked.count("<start_of_image>") == 1 and asked.endswith("<start_of_turn>model\n")
    picture = np.zeros((64, 64, 3), dtype=np.uint8)
    ours, theirs = (p(text=asked, images=[picture], return_tensors="pt") for p in (processor, read))
    assert torch.equal(ours["input_ids"], theirs["input_ids"])
    assert torch.equal(ours["pixel_values"], theirs["pixel_values"])
    assert (tmp_path / "model.safetensors").stat().st_size < 5_000_000
