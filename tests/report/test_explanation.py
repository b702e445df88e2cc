"""The explanation and the types that it is made of: what they refuse, and what they say of themselves."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from synthetic import build, explain_en, explain_zh, found

from radiolucent.confidence.types import QUADRANT_WORDS, Confidence, FindingConfidence
from radiolucent.errors import MalformedInput
from radiolucent.faithfulness.types import GRADE_WORDS
from radiolucent.findings.types import Finding
from radiolucent.localize import WITHHELD
from radiolucent.trace.types import Trace, TraceWord


def test_the_report_is_the_answer_without_the_thinking() -> None:
    explanation = explain_en(thinking="First the angles.")
    assert explanation.report == explanation.generation.text
    assert "First" not in explanation.report


def test_the_main_finding_is_the_first_present_one_then_the_first_uncertain_one() -> None:
    text = "No effusion. Perhaps a nodule. A fracture."
    absent = found(text, "No effusion", "pleural_effusion", polarity="absent")
    doubtful = found(text, "Perhaps a nodule", "nodule", polarity="uncertain")
    present = found(text, "A fracture", "fracture")
    assert build(text, (absent, doubtful, present), "?", "en").main_finding == present
    assert build(text, (absent, doubtful), "?", "en").main_finding == doubtful
    assert build(text, (absent,), "?", "en").main_finding is None


def test_the_language_and_the_demo_flag_are_those_of_the_run() -> None:
    assert explain_zh().language == "zh" and explain_en().language == "en"
    assert explain_en().is_demo and not explain_en(demo=False).is_demo


def test_an_explanation_is_a_value_and_not_a_key() -> None:
    assert explain_en() == explain_en()
    assert explain_en() != explain_en(seed=1)
    assert explain_en() != "text"
    with pytest.raises(TypeError):
        hash(explain_en())


def test_shown_frames_must_exist() -> None:
    with pytest.raises(MalformedInput, match="outside"):
        dataclasses.replace(explain_en(), shown_frames=(3,))


def test_counts_add_to_the_samples_and_support_follows_the_drafts_polarity() -> None:
    entry = FindingConfidence("nodule", "left", 3, 2, 1, 4, samples=10, low=0.1, high=0.6, polarity="absent")
    assert entry.support == 1 and entry.finding_id == Finding("nodule", side="left").id
    with pytest.raises(MalformedInput, match="add"):
        FindingConfidence("nodule", None, 3, 2, 1, 4, samples=11, low=0.1, high=0.6)
    with pytest.raises(MalformedInput, match="interval"):
        FindingConfidence("nodule", None, 3, 2, 1, 4, samples=10, low=0.7, high=0.6)
    confidence = Confidence((entry,), 10, 0.8, 1.0, 0)
    assert confidence.of("nodule.left") == entry and confidence.of("nodule") is None
    assert not confidence.calibrated


def test_trace_maps_have_one_entry_a_layer() -> None:
    word = TraceWord("x", "answer", (0, 1), (0, 1), 0.5, -0.7, 0.1, attended=np.zeros((2, 1, 4, 4), dtype=np.float32))
    Trace((word,), (0, 5), ("sliding", "global"))
    with pytest.raises(MalformedInput, match="layer types"):
        Trace((), (0, 1), ("global",))
    with pytest.raises(MalformedInput, match="attended"):
        Trace((word,), (0,), ("global",))


def test_the_words_for_people_do_no_harm() -> None:
    """危险 and 'no evidence' read as a critical value and as 'no disease' in a reading room."""
    shown = [word for pair in (*QUADRANT_WORDS.values(), *GRADE_WORDS.values()) for word in pair]
    shown += [WITHHELD.en, WITHHELD.zh]
    assert not any(bad in word.lower() for word in shown for bad in ("danger", "危险", "no image evidence"))
    assert QUADRANT_WORDS["not image-based"] == ("not image-based", "未依据图像")
    assert "does not mean that the finding is absent" in WITHHELD.en and "不代表无此病变" in WITHHELD.zh
