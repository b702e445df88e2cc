"""Kinds of words, checked against hand-written labels and against the grammar that the phantoms' reports come from."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from radiolucent.phantom.grammar import write_report
from radiolucent.phantom.record import Lesion
from radiolucent.trace.kinds import CLINICAL, KIND_WORDS, word_kinds
from radiolucent.vlm.words import _WORD

LABELLED = [
    ("en", "No pneumothorax.", "negation finding punctuation"),
    ("en", "The heart is enlarged.", "grammar anatomy grammar finding punctuation"),
    (
        "en",
        "Small left pleural effusion cannot be excluded.",
        "severity side finding finding hedge grammar hedge punctuation",
    ),
    (
        "en",
        "Consolidation in the right lower zone.",
        "finding grammar grammar side anatomy anatomy punctuation",
    ),
    ("zh", "左侧气胸不除外。", "side side finding finding hedge hedge hedge punctuation"),
    ("zh", "未见气胸。", "negation negation finding finding punctuation"),
    (
        "zh",
        "右侧胸腔少量积液。",
        "side side finding finding severity severity finding finding punctuation",
    ),
    ("zh", "左上肺野见实变影。", "side anatomy anatomy anatomy grammar finding finding finding punctuation"),
]
SPANS = {language: _WORD for language in ("en", "zh")}


def kinds(text, language):
    return word_kinds(text, [match.span() for match in _WORD.finditer(text)], language)


@pytest.mark.parametrize(("language", "text", "expected"), LABELLED)
def test_words_have_the_kinds_that_a_reader_gives_them(language, text, expected):
    assert " ".join(kinds(text, language)) == expected


def test_every_kind_has_a_name_in_both_languages():
    assert all(en and re.search("[\u4e00-\u9fff]", zh) for en, zh in KIND_WORDS.values())
    assert set(KIND_WORDS) - {"grammar", "punctuation"} == CLINICAL


@pytest.mark.parametrize("language", ["en", "zh"])
@pytest.mark.parametrize("form", [0, 1, 2, 3])
def test_sides_zones_and_findings_of_every_phantom_wording_are_clinical(language, form):
    lesions = [
        Lesion("pleural_effusion", "left", severity="mild"),
        Lesion("consolidation", "right", "upper"),
        Lesion("cardiomegaly"),
    ]
    text = write_report(lesions, language, form)
    found = dict(zip([match.group().lower() for match in _WORD.finditer(text)], kinds(text, language), strict=True))
    wanted = {
        "en": {"left": "side", "right": "side", "consolidation": "finding", "effusion": "finding", "upper": "anatomy"},
        "zh": {"左": "side", "右": "side", "实": "finding", "液": "finding", "上": "anatomy"},
    }[language]
    assert {word: found[word] for word in wanted} == wanted


@given(st.text(alphabet="No heartis消左右肺。., 未见气胸é\n", max_size=60), st.sampled_from(["en", "zh"]))
def test_any_text_gets_one_kind_a_word(text, language):
    spans = [match.span() for match in _WORD.finditer(text)]
    assert len(word_kinds(text, spans, language)) == len(spans)
