"""Report text to findings: the public entry of this package."""

from __future__ import annotations

from dataclasses import dataclass, replace

from radiolucent.errors import MalformedInput
from radiolucent.findings.engine import read_sentence
from radiolucent.findings.mentions import NOTHING, Modifiers, as_finding
from radiolucent.findings.rules import load_rules
from radiolucent.findings.sentences import CJK, LATIN, lower, plain, split_sentences
from radiolucent.findings.settle import Contradiction, Statement, settle
from radiolucent.findings.types import Finding
from radiolucent.findings.vocabulary import VOCABULARY

LANGUAGES = ("en", "zh")
LONGEST_TEXT = 200_000  # characters; a whole patient's reports are shorter


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
        Spans of sentences that assert nothing: questions, and sections such as history, technique and
        recommendation.
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
        Where ``language`` is unknown, or the text is not a string or longer than any report.

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
    languages = _languages(text, language)
    cleaned = plain(text)
    folded = lower(cleaned)
    statements: list[Statement] = []
    unmatched: list[tuple[int, int]] = []
    normal_statements: list[tuple[int, int]] = []
    not_asserting: list[tuple[int, int]] = []
    blanket, open_scope = False, ""
    said_before = False
    for sentence in split_sentences(text, tuple(load_rules(name) for name in languages)):
        span = (sentence.first, sentence.last)
        words = folded[sentence.first : sentence.last]
        spoken = _spoken(words, languages)
        if not sentence.asserts or _asks(words, spoken):
            not_asserting.append(span)
            continue
        reading = read_sentence(words, spoken, open_scope if sentence.item else "")
        if not sentence.item or reading.open_scope:
            open_scope = reading.open_scope
        if reading.normal:
            normal_statements.append(span)
            blanket = blanket or reading.normal == "blanket"
        for mention in reading.mentions:
            statements.append(Statement(as_finding(mention, text, span), mention.modifiers.partial))
        described = reading.described is not NOTHING and said_before and _describe(statements, reading.described)
        understood = reading.mentions or reading.normal or reading.open_scope or described
        if not understood and (CJK.search(words) or LATIN.search(words)):
            unmatched.append(span)
        said_before = bool(reading.mentions or described)
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


def _languages(text: str, language: str | None) -> tuple[str, ...]:
    if not isinstance(text, str):
        raise MalformedInput(f"A report is text; got {type(text).__name__}. Pass the report as a string.")
    if len(text) > LONGEST_TEXT:
        raise MalformedInput(
            f"The text has {len(text):,} characters; a report has at most {LONGEST_TEXT:,}. Pass one report at a time."
        )
    if language is None:
        return LANGUAGES
    if language not in LANGUAGES:
        raise MalformedInput(f"Language {language!r} is unknown; use 'en', 'zh' or None for either.")
    return (language,)


def _spoken(words: str, languages: tuple[str, ...]) -> tuple[str, ...]:
    """The languages whose script occurs; Chinese reports hold Latin terms, English ones no Chinese."""
    script = {"en": LATIN, "zh": CJK}
    return tuple(language for language in languages if script[language].search(words)) or languages[:1]


def _asks(words: str, languages: tuple[str, ...]) -> bool:
    """Whether the sentence is a question, unlike a hedge with a question mark (肺炎？)."""
    return any(load_rules(language).grammar.question.search(words) for language in languages)


def _describe(statements: list[Statement], described: Modifiers) -> bool:
    """Give the last finding what the next sentence says of it ("It measures 8 mm."); False where it can have none."""
    for index in range(len(statements) - 1, -1, -1):
        finding = statements[index].finding
        if finding.polarity == "absent":
            continue
        code = VOCABULARY[finding.code]
        pairs = tuple(pair for pair in described.described if pair[0] in code.described)
        percent = described.percent if finding.code == "pneumothorax" else None
        size = described.size_mm if code.measured else ()
        if pairs or size or percent is not None:
            filled = replace(
                finding,
                attributes=tuple(dict.fromkeys((*finding.attributes, *pairs))),
                size_mm=finding.size_mm or size,
                percent=finding.percent if finding.percent is not None else percent,
            )
            statements[index] = replace(statements[index], finding=filled)
            return True
        return False
    return False
