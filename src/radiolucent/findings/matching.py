"""Where the rules hold in a sentence: earlier tiers before later ones, longer matches before shorter."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from radiolucent.findings.rules import ATTRIBUTE_KINDS, FINDING_KINDS, Rule, Rules, load_rules


@dataclass(frozen=True)
class Match:
    """Where a rule matched, in the sentence's own positions."""

    kind: str
    value: str
    first: int
    last: int
    language: str


def find_matches(sentence: str, rules: Iterable[Rules]) -> tuple[Match, ...]:
    """Every rule that holds: longest first inside a tier, earlier tiers before later ones."""
    taken = bytearray(len(sentence))
    accepted: list[Match] = []
    known = tuple(rules)
    for tier in range(3):
        found = [match for language in known for match in _all(sentence, language.tiers[tier], language.language)]
        accepted += _longest(found, taken)
    spans = [match for match in accepted if match.kind in FINDING_KINDS]
    untold = bytearray(taken)  # 下肺野 reaches into 肺野密度增高影: a place may overlap a finding's words
    for match in spans:
        untold[match.first : match.last] = bytes(match.last - match.first)
    for kind in ATTRIBUTE_KINDS:  # kinds may overlap each other ("right lower": side and zone), never a cue
        found = [match for language in known for match in _all(sentence, language.attributes[kind], language.language)]
        free = kind in ("side", "zone", "partial")
        if free:
            found = [match for match in found if not any(span.first <= match.first < span.last for span in spans)]
        claimed = bytearray(len(sentence)) if kind == "partial" else untold if free else taken
        accepted += _longest(found, bytearray(claimed))
    return tuple(sorted(accepted, key=lambda match: (match.first, match.last)))


def _all(sentence: str, rules: tuple[Rule, ...], language: str) -> list[Match]:
    return [
        Match(rule.kind, rule.value, found.start(), found.end(), language)
        for rule in rules
        for found in rule.pattern.finditer(sentence)
        if found.end() > found.start() or rule.kind == "except"
    ]


def _longest(found: list[Match], taken: bytearray) -> list[Match]:
    accepted: list[Match] = []
    for match in sorted(found, key=lambda match: (match.first - match.last, match.first)):
        twin = any((match.first, match.last) == (other.first, other.last) for other in accepted)
        same = any(
            match.kind == other.kind and match.value == other.value for other in accepted if same_span(match, other)
        )
        if same or (not twin and any(taken[match.first : match.last])):
            continue
        taken[match.first : match.last] = b"\x01" * (match.last - match.first)
        accepted.append(match)
    return accepted


def same_span(a: Match, b: Match) -> bool:
    return (a.first, a.last) == (b.first, b.last)


def attributes_of(words: str, language: str) -> list[Match]:
    inside = load_rules(language).inside
    return [
        match
        for kind in ATTRIBUTE_KINDS
        for match in _longest(_all(words, inside[kind], language), bytearray(len(words)))
    ]
