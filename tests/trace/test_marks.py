"""Seen, guessed or unknown: by statement and piece, from measured reliance only."""

import numpy as np
import pytest

from radiolucent.findings import extract_findings
from radiolucent.trace.kinds import word_kinds
from radiolucent.trace.marks import MARK_MEANINGS, MARK_WORDS, marked
from radiolucent.trace.types import TraceWord
from radiolucent.vlm.words import _WORD


def words(text, language, reliance, probability=None):
    """Words of an answer with given reliance by word; those not named lose nothing and were certain."""
    spans = [match.span() for match in _WORD.finditer(text)]
    kinds = word_kinds(text, spans, language)
    made = []
    for index, (span, kind) in enumerate(zip(spans, kinds, strict=True)):
        said = text[slice(*span)]
        lost = reliance.get(said, 0.0) if reliance is not None else None
        p = (probability or {}).get(said, 0.999)
        made.append(
            TraceWord(
                said, "answer", span, (index, index + 1), p, float(np.log(p)), 0.1, (), lost, kind=kind,
                reliance_blank=lost, reliance_other=lost,
            )
        )  # fmt: skip
    return made


def marks(text, language, reliance, probability=None):
    found = marked(words(text, language, reliance, probability), extract_findings(text, language), text, 0.2)
    return {word.text: word.mark for word in found}


def test_a_denial_is_judged_with_the_finding_that_it_denies():
    found = marks("No pneumothorax.", "en", {"No": 3.0})
    assert found == {"No": "seen", "pneumothorax": "seen", ".": None}


def test_a_side_is_a_piece_of_its_own():
    found = marks("Pneumothorax on the left, large.", "en", {"Pneumothorax": 5.0, "large": 1.0}, {"left": 0.5})
    assert (found["Pneumothorax"], found["left"], found["large"]) == ("seen", "guessed", "seen")
    assert found["on"] is None and found["the"] is None


def test_statements_do_not_lend_each_other_their_reliance():
    found = marks("Pneumothorax on the left. No effusion.", "en", {"Pneumothorax": 5.0, "left": 2.0})
    assert found["Pneumothorax"] == "seen" and found["No"] == found["effusion"] == "guessed"


def test_a_chinese_finding_that_the_words_before_it_settle_is_judged_by_them():
    assert marks("左侧大量气胸。", "zh", {"左": 5.0})["胸"] == "seen"
    assert marks("左侧大量气胸。", "zh", {})["胸"] == "guessed"
    # a finding that had rivals of its own is judged by its own words
    assert marks("左侧大量气胸。", "zh", {"左": 5.0}, {"气": 0.5})["气"] == "guessed"


def test_a_denial_claims_no_place_of_its_own():
    found = marks("两肺未见明显实变。", "zh", {"两": 3.0})
    assert {found[word] for word in "两肺未见实变"} == {"seen"}


def test_the_threshold_itself_counts_as_seen():
    assert marks("No pneumothorax.", "en", {"No": 0.2})["No"] == "seen"
    assert marks("No pneumothorax.", "en", {"No": 0.19})["No"] == "guessed"


def test_nothing_measured_is_unknown_never_guessed():
    assert marks("No pneumothorax.", "en", None)["No"] == "unknown"


@pytest.mark.parametrize("language", [0, 1])
def test_the_words_for_people_never_say_that_the_model_saw_it(language):
    said = [pair[language].lower() for pair in (*MARK_WORDS.values(), *MARK_MEANINGS.values())]
    assert not any(" saw" in text or "seen" in text or "看到" in text or "看见" in text for text in said)
