"""The extractor against hand-labelled text, and the properties that no text may break."""

from __future__ import annotations

import time
import tomllib
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from radiolucent.errors import MalformedInput
from radiolucent.findings import CODES, Finding, extract_findings, extract_report

HERE = Path(__file__).parent
POLARITIES = {"present", "absent", "uncertain"}
SIDES = {"left", "right", "bilateral", "midline"}
ZONES = {"upper", "middle", "lower", "hilar", "diffuse"}
SEVERITIES = {"minimal", "mild", "moderate", "severe"}
CHANGES = {"new", "increased", "decreased", "stable", "resolved"}


def _cases(language: str) -> list[dict[str, Any]]:
    data = tomllib.loads((HERE / f"reports_{language}.toml").read_text(encoding="utf-8"))
    return list(data["cases"])


def _labelled(says: str) -> dict[str, Any]:
    code, *words = says.split()
    assert code in CODES, says

    def one(values: set[str]) -> str | None:
        found = [word for word in words if word in values]
        assert len(found) <= 1, says
        return found[0] if found else None

    polarity = one(POLARITIES)
    certainty = one({"likely", "possible"})
    contradicted = "contradicted" in words
    if polarity == "uncertain" and certainty is None:
        assert contradicted, f"an uncertain label needs its certainty: {says}"
        certainty = "possible"
    known = POLARITIES | SIDES | ZONES | SEVERITIES | CHANGES | {"likely", "possible", "contradicted"}
    assert set(words) <= known, says
    return {
        "code": code,
        "polarity": polarity,
        "side": one(SIDES),
        "zone": one(ZONES),
        "severity": one(SEVERITIES),
        "certainty": certainty or "definite",
        "change": one(CHANGES),
        "contradicted": contradicted,
    }


def _read(text: str) -> list[dict[str, Any]]:
    keys = ("code", "polarity", "side", "zone", "severity", "certainty", "change", "contradicted")
    return [{key: getattr(finding, key) for key in keys} for finding in extract_findings(text)]


def _sorted(findings: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return sorted(findings, key=lambda finding: (finding["code"], str(finding["side"])))


ALL = [(language, case) for language in ("en", "zh") for case in _cases(language)]
TRAPS = [(language, case) for language, case in ALL if case.get("trap")]


def test_there_are_enough_labelled_sentences() -> None:
    assert len(ALL) >= 200
    assert len(TRAPS) >= len(ALL) // 3


@pytest.mark.parametrize(("language", "case"), TRAPS, ids=[case["text"][:40] for _, case in TRAPS])
def test_trap_is_read_exactly(language: str, case: dict[str, Any]) -> None:
    assert _sorted(_read(case["text"])) == _sorted([_labelled(says) for says in case["says"]])


@pytest.mark.parametrize("language", ["en", "zh"])
def test_every_code_is_found_and_denied_with_f1_of_at_least_95_percent(language: str) -> None:
    right: Counter[str] = Counter()
    labelled: Counter[str] = Counter()
    read: Counter[str] = Counter()
    exact = total = 0
    for case in _cases(language):
        truth = [_labelled(says) for says in case["says"]]
        found = _read(case["text"])
        expected = Counter((each["code"], each["polarity"]) for each in truth)
        got = Counter((each["code"], each["polarity"]) for each in found)
        for (code, _), count in (expected & got).items():
            right[code] += count
        for (code, _), count in expected.items():
            labelled[code] += count
        for (code, _), count in got.items():
            read[code] += count
        exact += _sorted(truth) == _sorted(found)
        total += 1
    print(f"\n{language}: {total} texts, {exact / total:.1%} read exactly")
    for code in CODES:
        precision = right[code] / read[code] if read[code] else 1.0
        recall = right[code] / labelled[code] if labelled[code] else 1.0
        print(f"  {code:28s} n={labelled[code]:3d} precision {precision:.2f} recall {recall:.2f}")
        assert labelled[code] > 0, f"{code} has no labelled example in {language}"
    f1 = 2 * right.total() / (labelled.total() + read.total())
    print(f"  F1 over (code, polarity): {f1:.3f}")
    assert f1 >= 0.95
    assert exact / total >= 0.95


@pytest.mark.parametrize(
    ("text", "normal"),
    [(case["text"], case["normal"]) for _, case in ALL if "normal" in case],
)
def test_a_blanket_statement_sets_the_flag_and_denies_no_code(text: str, normal: bool) -> None:
    report = extract_report(text)
    assert report.normal is normal
    assert report.unmatched == ()


def test_contradictions_are_listed_with_both_statements() -> None:
    text = "右侧胸腔积液。未见胸腔积液。"
    report = extract_report(text)
    (contradiction,) = report.contradictions
    assert contradiction.code == "pleural_effusion"
    assert [text[slice(*span)] for span in (contradiction.first, contradiction.second)] == ["胸腔积液", "胸腔积液"]
    assert report.findings[0].contradicted
    assert report.findings[0].polarity == "uncertain"


def test_unmatched_sentences_are_reported_not_dropped() -> None:
    text = "The wibble is frobnicated. Small left effusion. 主动脉迂曲。"
    report = extract_report(text)
    assert [text[slice(*span)] for span in report.unmatched] == ["The wibble is frobnicated.", "主动脉迂曲。"]


def test_sections_that_assert_nothing_are_kept_apart() -> None:
    text = "HISTORY: pneumothorax.\nFINDINGS: Small left effusion."
    report = extract_report(text)
    assert [text[slice(*span)] for span in report.not_asserting] == ["pneumothorax."]
    assert [finding.code for finding in report.findings] == ["pleural_effusion"]


def test_a_nodule_or_mass_never_has_a_severity() -> None:
    for text in ("Large nodule. Severe mass.", "巨大肿块。重度结节。"):
        assert [finding.severity for finding in extract_findings(text)] == [None, None]


@pytest.mark.parametrize(
    ("word", "severity"),
    [
        ("trace", "minimal"),
        ("tiny", "minimal"),
        ("minimal", "minimal"),
        ("small", "mild"),
        ("mild", "mild"),
        ("moderate", "moderate"),
        ("large", "severe"),
        ("severe", "severe"),
        ("marked", "severe"),
        ("少许", "minimal"),
        ("微量", "minimal"),
        ("少量", "mild"),
        ("轻度", "mild"),
        ("中量", "moderate"),
        ("大量", "severe"),
        ("重度", "severe"),
    ],
)
def test_severity_words(word: str, severity: str) -> None:
    text = f"右侧{word}胸腔积液" if word > "一" else f"{word} right pleural effusion"
    (finding,) = extract_findings(text)
    assert (finding.code, finding.side, finding.severity) == ("pleural_effusion", "right", severity)


def test_language_restricts_the_rules() -> None:
    text = "Small left effusion. 未见气胸。"
    assert [finding.code for finding in extract_findings(text, "en")] == ["pleural_effusion"]
    assert [finding.code for finding in extract_findings(text, "zh")] == ["pneumothorax"]
    with pytest.raises(MalformedInput, match="'fr'"):
        extract_findings(text, "fr")


def _check_spans(text: str, findings: tuple[Finding, ...]) -> None:
    for finding in findings:
        first, last = finding.chars
        assert 0 <= first < last <= len(text)
        assert text[first:last] == finding.words
        assert 0 <= finding.sentence[0] <= first
        assert last <= finding.sentence[1] <= len(text)
    keys = [(finding.code, finding.side) for finding in findings]
    assert len(keys) == len(set(keys))


PIECES = st.sampled_from(
    [
        *("No ", "no ", "not seen", "未见", "无", "气胸", "effusion", "积液", "心影", "增大", "，", "。", "; ", ", "),
        *(
            "or ",
            "and ",
            "right ",
            "左侧",
            "possible ",
            "考虑",
            "不除外",
            "较前",
            "吸收",
            "heart is ",
            "enlarged",
            ": ",
        ),
        *(
            "1. ",
            "- ",
            "\n",
            "FINDINGS:",
            "病史：",
            "除",
            "外",
            "肋膈角",
            "消失",
            "**",
            "?",
            "？",
            "İ",
            "ﬁ",
            "\u200b",
            "\x00",
        ),
    ]
)


@settings(max_examples=150, deadline=None)
@given(st.one_of(st.text(max_size=200), st.lists(PIECES, max_size=25).map("".join)))
def test_any_text_is_read_without_error_and_spans_hold(text: str) -> None:
    report = extract_report(text)
    _check_spans(text, report.findings)
    for first, last in (*report.unmatched, *report.normal_statements, *report.not_asserting):
        assert 0 <= first < last <= len(text)


@pytest.mark.parametrize(("language", "case"), ALL, ids=[case["text"][:40] for _, case in ALL])
def test_spans_hold_on_every_labelled_text(language: str, case: dict[str, Any]) -> None:
    _check_spans(case["text"], extract_findings(case["text"]))


@settings(max_examples=50, deadline=None)
@given(st.sampled_from([case["text"] for _, case in ALL]), st.sampled_from([case["text"] for _, case in ALL]))
def test_reading_is_deterministic_and_paragraphs_do_not_change_spans(first: str, second: str) -> None:
    text = first + "\n\n" + second
    assert extract_findings(text) == extract_findings(text)
    _check_spans(text, extract_findings(text))


def test_speed_is_printed() -> None:
    text = "\n".join(case["text"] for _, case in ALL[:12])
    extract_findings(text)
    start = time.perf_counter()
    extract_findings(text)
    print(f"\n{len(text)} characters in {1000 * (time.perf_counter() - start):.1f} ms")


def test_pathological_repetition_stays_quick() -> None:
    start = time.perf_counter()
    for piece in ("no ", "心影", "the heart is and size is ", "pleural ", "、增多", "a " * 5 + ", ", "影的亦均"):
        extract_findings((piece * 2000)[:4000])
    assert time.perf_counter() - start < 20
