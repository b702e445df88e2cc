"""A sentence cut at its commas, and whether a cue that is open ("no", 未见) reaches over the next one."""

from __future__ import annotations

import re
from dataclasses import dataclass

from radiolucent.findings.matching import Match, matches_inside
from radiolucent.findings.rules import ATTRIBUTE_KINDS, FINDING_KINDS, Grammar
from radiolucent.findings.sentences import CJK

_BREAK = re.compile(r"(?P<hard>[；;]|——)|[，,]|(?<=[\u4e00-\u9fff])\s+(?=[\u4e00-\u9fff])|\s[-–—]\s")
_OR = re.compile(r"\b(?:or|nor)\b|或")
_AND = re.compile(r"[明显确的及和或亦也并、\s]")
_LONG_LIST_ITEM = 4  # words of a comma's stretch without a finding that may still belong to "no focal, lobar, or …"


@dataclass(frozen=True, slots=True)
class Segment:
    """A stretch between commas; ``hard`` where a semicolon came before it."""

    first: int
    last: int
    hard: bool
    matches: tuple[Match, ...]
    text: str
    language: str
    grammar: Grammar

    @property
    def findings(self) -> list[Match]:
        return [match for match in self.matches if match.kind in FINDING_KINDS]


def cut_segments(sentence: str, matches: tuple[Match, ...], grammars: dict[str, Grammar]) -> list[Segment]:
    """Cut at commas and semicolons that stand in no finding's own words and between no digits."""
    cuts = []
    for found in _BREAK.finditer(sentence):
        first, last = found.span()
        digits = sentence[first - 1 : first].isdigit() and sentence[last : last + 1].isdigit()
        if digits or any(match.first < first < match.last and _whole(match) for match in matches):
            continue
        cuts.append((first, last, found["hard"] is not None))
    segments: list[Segment] = []
    start, hard = 0, False
    for first, last, is_hard in (*cuts, (len(sentence), len(sentence), False)):
        if first > start:
            inside = tuple(match for match in matches if start <= match.first < first) if cuts else matches
            text = sentence[start:first]
            language = "zh" if "zh" in grammars and CJK.search(text) else "en"
            if language not in grammars:
                language = next(iter(grammars))
            segments.append(Segment(start, first, hard, inside, text, language, grammars[language]))
        start, hard = last, is_hard
    return segments


def _whole(match: Match) -> bool:
    return match.kind in FINDING_KINDS or match.kind in ("normal", "ignore")


def carries_over(segment: Segment, later: list[Segment], scope: str) -> bool:
    """Whether a cue that is open before this segment holds in it, which then is one more item of a list."""
    if segment.hard or scope == "affirmed":
        return False
    grammar, text = segment.grammar, segment.text
    if grammar.list_word.match(text):
        return True
    ahead = _OR.search(text) is not None or any(grammar.list_word.match(s.text) for s in later if not s.hard)
    if scope != "absent" and not ahead:
        return False
    findings = segment.findings
    if not findings:
        if segment.language == "zh" or grammar.clause_opener.search(text) or len(text.split()) > _LONG_LIST_ITEM:
            return False
        return ahead or bool(grammar.soft_list_word.match(text))
    head = findings[0]
    before = [match for match in segment.matches if match.first < head.first]
    if head.kind != "term" or any(match.kind not in ATTRIBUTE_KINDS for match in before):
        return False
    words = text[head.first - segment.first : head.last - segment.first]
    own = {match.kind for match in (*before, *matches_inside(words, head.language))}
    if own & {"severity", "side", "change"} and not ahead:
        return False
    lead = text[: head.first - segment.first]
    if segment.language == "zh":
        places = _AND.sub("", lead)
        return len(places) <= 1 or (ahead and len(places) <= sum(match.last - match.first for match in before))
    if grammar.clause_opener.search(lead) or len(lead.split()) > _LONG_LIST_ITEM:
        return False
    affirmed = any(match.kind == "affirm" for match in segment.matches if match.first >= head.last)
    return ahead or not affirmed or bool(grammar.soft_list_word.match(text))


def only_modifiers(segment: Segment) -> bool:
    """Whether nothing but modifiers and small words stands in it: it then belongs to the finding beside it."""
    others = [match for match in segment.matches if match.kind not in ATTRIBUTE_KINDS]
    words = [segment.text[match.first - segment.first : match.last - segment.first] for match in others]
    if len(others) == len(segment.matches) or any(word != "which" for word in words):
        return False
    letters = list(segment.text)
    for match in segment.matches:
        first, last = match.first - segment.first, min(match.last - segment.first, len(letters))
        letters[first:last] = " " * (last - first)
    return not re.sub(r"[\W\d_]", "", segment.grammar.filler.sub("", "".join(letters)))
