"""The bilingual table of terms: each, said by itself, is read as its code."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

import pytest

from radiolucent.findings import CODES, extract_findings, extract_report

TERMS: dict[str, Any] = tomllib.loads((Path(__file__).parent / "terms.toml").read_text(encoding="utf-8"))
PRESENT = [(code, term) for code, tiers in TERMS["present"].items() for terms in tiers.values() for term in terms]


def test_every_code_has_native_terms_in_both_languages() -> None:
    assert set(TERMS["present"]) == set(CODES)
    assert all({"en", "zh"} <= set(tiers) for tiers in TERMS["present"].values())


@pytest.mark.parametrize(("code", "term"), PRESENT)
def test_a_term_by_itself_is_present(code: str, term: str) -> None:
    assert (code, "present") in [(finding.code, finding.polarity) for finding in extract_findings(term)]


@pytest.mark.parametrize(("code", "term"), PRESENT)
def test_a_term_is_read_the_same_in_capitals(code: str, term: str) -> None:
    assert code in {finding.code for finding in extract_findings(term.upper())}


@pytest.mark.parametrize(
    ("polarity", "code", "term"),
    [(p, code, term) for p in ("absent", "uncertain") for code, terms in TERMS[p].items() for term in terms],
)
def test_a_denial_or_hedge_by_itself(polarity: str, code: str, term: str) -> None:
    assert [(finding.code, finding.polarity) for finding in extract_findings(term)] == [(code, polarity)]


@pytest.mark.parametrize("term", TERMS["normal"]["blanket"])
def test_a_blanket_normal(term: str) -> None:
    report = extract_report(term)
    assert report.normal and report.findings == ()


@pytest.mark.parametrize("term", [*TERMS["normal"]["organ"], *TERMS["normal"]["nothing"]])
def test_a_normal_organ_or_another_thing_is_no_finding(term: str) -> None:
    report = extract_report(term)
    assert not report.normal and report.findings == ()
