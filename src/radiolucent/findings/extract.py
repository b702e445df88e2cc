"""Report text to findings: the public entry of this package."""

from __future__ import annotations

from dataclasses import dataclass, replace

from radiolucent.errors import MalformedInput
from radiolucent.findings.engine import read_sentence
from radiolucent.findings.rules import Rules, load_rules
from radiolucent.findings.sentences import CJK, LATIN, plain, split_sentences
from radiolucent.findings.settle import Contradiction, Statement, settle
from radiolucent.findings.types import Finding

LANGUAGES = ("en", "zh")


@dataclass(frozen=True)
class ReportFindings:
    """Everything that the rules understood of a report, and what they did not.

    Parameters
    ----------
    findings
        One a (code, side), in the order of the text.
    unmatched
        Spans of sentences in an asserting section from which nothing was understood.
    normal
        A blanket normal statement is made and nothing is present or uncertain.
    contradictions
        Pairs of statements; the finding concerned is ``uncertain`` and marked ``contradicted``.
    normal_statements
        Spans of the sentences that call the film, or an organ, normal.
    not_asserting
        Spans of sentences in sections that assert nothing (history, technique, recommendation).
    """

    findings: tuple[Finding, ...]
    unmatched: tuple[tuple[int, int], ...]
    normal: bool
    contradictions: tuple[Contradiction, ...] = ()
    normal_statements: tuple[tuple[int, int], ...] = ()
    not_asserting: tuple[tuple[int, int], ...] = ()


def extract_findings(text: str, language: str | None = None) -> tuple[Finding, ...]:
    """Findings that a report asserts, denies or leaves open.

    Parameters
    ----------
    text
        A report, or any part of one, in English, Chinese or both.
    language
        ``"en"`` or ``"zh"`` restricts the rules to that language; None uses those whose script occurs.

    Returns
    -------
    tuple of Finding
        One a (code, side), in the order of the text.

    Raises
    ------
    MalformedInput
        Where ``language`` is unknown.

    Examples
    --------
    >>> [(f.code, f.polarity, f.side, f.severity) for f in extract_findings("未见炎症，右侧少量胸腔积液")]
    [('inflammation', 'absent', None, None), ('pleural_effusion', 'present', 'right', 'mild')]
    """
    return extract_report(text, language).findings


def extract_report(text: str, language: str | None = None) -> ReportFindings:
    """Findings, unmatched sentences, blanket normality and contradictions of a report.

    See :func:`extract_findings` for the parameters.

    Examples
    --------
    >>> report = extract_report("No acute cardiopulmonary abnormality.")
    >>> report.normal, report.findings
    (True, ())
    """
    known = _rules(text, language)
    statements: list[Statement] = []
    unmatched: list[tuple[int, int]] = []
    normal_statements: list[tuple[int, int]] = []
    not_asserting: list[tuple[int, int]] = []
    cleaned, blanket, open_scope = plain(text), False, ""
    for sentence in split_sentences(text, known):
        span = (sentence.first, sentence.last)
        if not sentence.asserts:
            not_asserting.append(span)
            continue
        words = cleaned[sentence.first : sentence.last]
        reading = read_sentence(words, _present(words, known), open_scope if sentence.item else "")
        if not sentence.item or reading.open_scope:
            open_scope = reading.open_scope
        if reading.normal:
            normal_statements.append(span)
            blanket = blanket or reading.normal == "blanket"
        for finding, partial in zip(reading.findings, reading.partial, strict=True):
            first, last = finding.chars[0] + sentence.first, finding.chars[1] + sentence.first
            placed = replace(finding, chars=(first, last), words=text[first:last], sentence=span)
            statements.append(Statement(placed, partial))
        understood = reading.findings or reading.normal or reading.open_scope
        if not understood and (CJK.search(words) or LATIN.search(words)):
            unmatched.append(span)
    findings, contradictions = settle(statements)
    abnormal = any(finding.polarity != "absent" for finding in findings)
    return ReportFindings(
        findings,
        tuple(unmatched),
        blanket and not abnormal,
        contradictions,
        tuple(normal_statements),
        tuple(not_asserting),
    )


def _rules(text: str, language: str | None) -> tuple[Rules, ...]:
    if language is None:
        return tuple(load_rules(name) for name in LANGUAGES)
    if language not in LANGUAGES:
        raise MalformedInput(f"Language {language!r} is unknown; use 'en', 'zh' or None for either.")
    return (load_rules(language),)


def _present(words: str, known: tuple[Rules, ...]) -> tuple[Rules, ...]:
    """The rules whose script occurs; Chinese reports hold Latin terms, English ones no Chinese."""
    script = {"en": LATIN, "zh": CJK}
    return tuple(rules for rules in known if script[rules.language].search(words)) or known[:1]
