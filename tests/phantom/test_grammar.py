"""What is written from a record is read back as that record, by an extractor that knows nothing of the grammar."""

from __future__ import annotations

import itertools
from collections.abc import Iterable

import numpy as np
import pytest

from radiolucent.findings import Finding, extract_findings
from radiolucent.phantom import grammar
from radiolucent.phantom.record import CODES, ZONED, ZONES, Lesion, sample_lesions

LANGUAGES = ("en", "zh")
HEDGED, ABNORMAL_ONLY = 3, 1
SINGLE = [
    Lesion("cardiomegaly"),
    *(Lesion(c, s, z) for c in ZONED for s in ("left", "right") for z in ZONES),
    *(
        Lesion("pleural_effusion", s, severity=z)
        for s in ("left", "right", "bilateral")
        for z in ("mild", "moderate", "severe")
    ),
    *(Lesion("pneumothorax", s, severity=z) for s in ("left", "right") for z in ("mild", "severe")),
]
RECORDS = sorted(
    {
        (),
        *((lesion,) for lesion in SINGLE),
        *(sample_lesions(np.random.default_rng((91, seed))) for seed in range(60)),
    },
    key=repr,
)


def _said(findings: Iterable[Finding]) -> set[tuple[str | None, ...]]:
    return {(f.code, f.polarity, f.side, f.zone, f.severity) for f in findings}


def _meant(record: tuple[Lesion, ...], form: int) -> set[tuple[str | None, ...]]:
    planted = {lesion.code: lesion for lesion in record}
    meant: set[tuple[str | None, ...]] = set()
    for code in CODES:
        lesion = planted.get(code)  # type: ignore[call-overload]
        if lesion is not None:
            severity = None if form == HEDGED else lesion.severity  # what is not sure is not measured either
            polarity = "uncertain" if form == HEDGED else "present"
            meant.add((code, polarity, lesion.side, lesion.zone, severity))
        elif form != ABNORMAL_ONLY:
            meant.add((code, "absent", None, None, None))
    return meant


def test_there_are_five_forms_in_each_language() -> None:
    assert all(len(grammar.FORMS[language]) >= 5 for language in LANGUAGES)
    assert 0 < grammar.TRAINED_FORMS <= 5


@pytest.mark.parametrize(("language", "form"), list(itertools.product(LANGUAGES, range(5))))
def test_a_report_is_read_back_as_its_record(language: str, form: int) -> None:
    for record in RECORDS:
        text = grammar.write_report(record, language, form)  # type: ignore[arg-type]
        assert _said(extract_findings(text)) == _meant(record, form), (record, text)


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_order_of_the_record_does_not_matter(language: str) -> None:
    record = (Lesion("nodule", "left", "upper"), Lesion("cardiomegaly"))
    for form in range(5):
        one = grammar.write_report(record, language, form)  # type: ignore[arg-type]
        assert one == grammar.write_report(record[::-1], language, form)  # type: ignore[arg-type]


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_forms_of_a_record_are_worded_differently(language: str) -> None:
    record = (Lesion("consolidation", "right", "lower"), Lesion("pneumothorax", "left", severity="mild"))
    assert len({grammar.write_report(record, language, form) for form in range(5)}) == 5  # type: ignore[arg-type]


@pytest.mark.parametrize("code", CODES)
def test_yes_no_answers_follow_the_record(code: str) -> None:
    mine = next(lesion for lesion in SINGLE if lesion.code == code)
    others = tuple(lesion for lesion in SINGLE if lesion.code != code)
    assert grammar.answer_yes_no((mine,), code, "en") == "Yes."
    assert grammar.answer_yes_no((mine,), code, "zh") == "有。"
    assert grammar.answer_yes_no(others, code, "en") == "No."
    assert grammar.answer_yes_no(others, code, "zh") == "没有。"


@pytest.mark.parametrize("lesion", SINGLE, ids=repr)
def test_where_answers_name_the_side_and_zone_alone(lesion: Lesion) -> None:
    english = grammar.answer_where((lesion,), lesion.code, "en").lower()
    chinese = grammar.answer_where((lesion,), lesion.code, "zh")
    words = {"left": ("left", "左"), "right": ("right", "右"), "bilateral": ("both", "双")}
    for side, (en, zh) in words.items():
        assert (en in english) == (zh in chinese) == (side == lesion.side)
    for zone, zh in zip(ZONES, "上中下", strict=True):
        assert (zone in english) == (zh in chinese) == (zone == lesion.zone)
    if lesion.code == "cardiomegaly":
        assert "heart" in english and "心" in chinese


@pytest.mark.parametrize(("code", "language"), list(itertools.product(CODES, LANGUAGES)))
def test_asked_where_an_absent_finding_is_the_answer_denies_it(code: str, language: str) -> None:
    text = grammar.answer_where((), code, language)  # type: ignore[arg-type]
    assert _said(extract_findings(text)) == {(code, "absent", None, None, None)}


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_question_decides_the_form_and_the_finding(language: str) -> None:
    asked: list[str] = []
    for form in range(5):
        asked += grammar.report_questions(form, language)  # type: ignore[arg-type]
    for code in CODES:
        yes_no = grammar.yes_no_questions(code, language)  # type: ignore[arg-type]
        where = grammar.where_questions(code, language)  # type: ignore[arg-type]
        name = {"en": grammar.EN_NAME, "zh": grammar.ZH_NAME}[language][code]
        assert len(yes_no) >= 5 and len(where) >= 3
        assert all(name in question for question in (*yes_no, *where))
        asked += [*yes_no, *where]
    assert len(set(asked)) == len(asked)
    assert grammar.report_questions(0, language)[0] == grammar.DEFAULT_QUESTION[language]  # type: ignore[arg-type]


def test_languages_do_not_mix() -> None:
    for record, form in itertools.product(RECORDS, range(5)):
        assert grammar.write_report(record, "en", form).isascii()
        assert not any(c.isascii() and c.isalpha() for c in grammar.write_report(record, "zh", form))
