"""Packing is exact: each segment's logits are those of the stock model asked alone."""

import numpy as np
import pytest
import torch
from PIL import Image

from radiolucent.phantom import grammar, model
from radiolucent.phantom.packing import IGNORED, Packer
from radiolucent.phantom.record import Lesion

RECORD = (Lesion("cardiomegaly"), Lesion("nodule", "left", "upper"))


@pytest.fixture(scope="module")
def parts():
    processor = model.build_processor()
    ids = model.special_ids(processor.tokenizer)
    return processor, model.build_model(model.build_config(len(processor.tokenizer), ids), seed=3).eval()


def test_packed_logits_equal_the_stock_forward(parts):
    processor, net = parts
    packer = Packer(processor)
    picture = Image.fromarray(np.random.default_rng(0).integers(0, 255, (256, 256), dtype=np.uint8)).convert("RGB")
    asked = [
        (grammar.DEFAULT_QUESTION["en"], grammar.write_report(RECORD, "en"), 1.0),
        (grammar.DEFAULT_QUESTION["zh"], grammar.write_report(RECORD, "zh"), 1.0),
        ("有气胸吗？", "没有。", 3.0),
    ]
    packed = packer.pack_segments([asked])
    with torch.no_grad():
        for number, (question, answer, _) in enumerate(asked):
            messages = [{"role": "user", "content": [{"type": "image"}, {"type": "text", "text": question}]}]
            text = processor.apply_chat_template(messages, add_generation_prompt=True, tokenize=False)
            inputs = processor(
                text=text + answer + "<end_of_turn>", images=[picture], return_tensors="pt", add_special_tokens=False
            )
            stock = net(**inputs).logits[0]
            patches = net.model.vision_tower(pixel_values=inputs["pixel_values"]).last_hidden_state
            logits = net.lm_head(packer.hidden(net, patches, packed))[0]
            before = sum(len(packer.segment(q, a)[0]) for q, a, _ in asked[:number])
            ids, start = packer.segment(question, answer)
            first = len(packer.prefix) + before
            assert inputs["input_ids"][0].tolist() == [*packer.prefix, *ids]
            mine, theirs = logits[first : first + len(ids)], stock[len(packer.prefix) :]
            assert torch.allclose(mine, theirs, atol=2e-5)
            labels = packed.labels[0, first : first + len(ids)]
            assert labels[start - 1 : -1].tolist() == list(ids[start:])  # row p - 1 predicts token p
            assert (labels[: start - 1] == IGNORED).all() and labels[-1] == IGNORED


def test_drawn_questions_answer_the_record(parts):
    packer = Packer(parts[0])
    segments = packer.draw_questions(RECORD, np.random.default_rng(1))
    assert len(segments) == 2 + 5 + 2
    yes = [answer for question, answer, weight in segments if weight == 3.0]
    assert sum(answer in ("Yes.", "有。") for answer in yes) == 2
