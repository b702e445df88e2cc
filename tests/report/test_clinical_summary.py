"""What a clinician reads first: the question answered, reasons to look again, and never a clearance."""

from __future__ import annotations

from dataclasses import replace

import pytest
import synthetic

from radiolucent.report.console import chain_pieces, report_pieces, summary_pieces
from radiolucent.report.summary import asked_codes, clinical_summary
from radiolucent.vlm.types import Prompt

MAKE = {"en": synthetic.explain_en, "zh": synthetic.explain_zh}
CLEARANCE = ("no disease", "is normal", "ruled out", "无异常", "无病变。", "已排除")


@pytest.mark.parametrize("language", ["en", "zh"])
@pytest.mark.parametrize("written", ["en", "zh"])
def test_either_language_can_be_asked_of_either_explanation(language: str, written: str) -> None:
    summary = clinical_summary(MAKE[written](), language)
    chinese = any("\u4e00" <= character <= "\u9fff" for character in summary.answer)
    assert chinese is (language == "zh") and summary.text.startswith(summary.answer)
    assert summary.text.endswith(summary.closing)


def test_a_question_about_a_finding_is_answered_first() -> None:
    explanation = synthetic.explain_en()
    asked = replace(explanation, prompt=Prompt("Is there a pneumothorax or a fracture?", "en"))
    answer = clinical_summary(asked).answer
    assert answer.startswith("Pneumothorax: the draft denies it.")
    assert "Fracture: the draft does not mention it; this does not exclude it." in answer
    assert answer.index("Fracture") < answer.index("effusion")


def test_codes_are_read_from_questions_in_both_languages() -> None:
    assert asked_codes("Is there a pleural effusion or pneumothorax?") == ("pleural_effusion", "pneumothorax")
    assert asked_codes("有无气胸？") == ("pneumothorax",)
    assert asked_codes("请分析这张胸部X光片，描述主要发现") == ()


@pytest.mark.parametrize("language", ["en", "zh"])
def test_a_withheld_map_is_to_be_rechecked_and_never_clears(language: str) -> None:
    summary = clinical_summary(MAKE[language](withheld=("pleural_effusion.right",)), language)
    said = next(one for one in summary.recheck if "effusion" in one.lower() or "积液" in one)
    assert ("does not mean that the finding is absent" in said) or ("不代表无此病变" in said)
    assert not any(clear in summary.text.lower() for clear in CLEARANCE)
    assert ("not excluded" in summary.closing) or ("不代表排除" in summary.closing)


@pytest.mark.parametrize("language", ["en", "zh"])
def test_guessed_words_unsure_findings_and_unverified_sides_are_listed(language: str) -> None:
    explanation = MAKE[language]()
    words = tuple(replace(word, mark="guessed" if word.mark else None) for word in explanation.trace.words)
    summary = clinical_summary(replace(explanation, trace=replace(explanation.trace, words=words)), language)
    text = "\n".join(summary.recheck)
    assert ("does not depend on the image" in text) or ("不依赖图像" in text)
    assert ("unsure" in text) or ("不确定" in text)
    assert ("not verified" in text) or ("左右未核实" in text)


def test_nothing_recognised_is_not_called_normal() -> None:
    explanation = replace(synthetic.explain_en(), findings=(), maps={}, faithfulness={}, trace=None, confidence=None)
    assert "does not mean that the film is normal" in clinical_summary(explanation).answer


@pytest.mark.parametrize("language", ["en", "zh"])
def test_the_terminal_gets_the_whole_report_its_marks_and_every_step(language: str) -> None:
    explanation = MAKE[language]()
    said = "".join(text for text, _ in report_pieces(explanation))
    assert said.startswith(explanation.report)
    chain = "".join(text for text, _ in chain_pieces(explanation))
    for step in explanation.trace.chain:
        assert (step.zh if language == "zh" else step.en) in chain
    for contrast in explanation.trace.contrasts:
        assert contrast.ask(language) in chain
    assert clinical_summary(explanation).answer in "".join(text for text, _ in summary_pieces(explanation))
    assert chain_pieces(replace(explanation, trace=None)) == []
