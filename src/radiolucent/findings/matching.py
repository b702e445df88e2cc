"""Where the rules hold in a sentence: earlier tiers before later ones, longer matches before shorter."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Callable, Iterable
from functools import cache, lru_cache
from typing import NamedTuple, TypeAlias

from radiolucent.findings.measures import measures_in
from radiolucent.findings.rules import FINDING_KINDS, MODIFIERS, PLACE_KINDS, Rule, load_rules


class Match(NamedTuple):
    """Where a rule matched, in the sentence's own positions."""

    kind: str
    value: str
    first: int
    last: int
    language: str
    detail: str = ""


_Try: TypeAlias = tuple[int, Callable[[str, int], re.Match[str] | None], Rule]  # number, pattern's match, rule
_STARTS = re.compile(r"(?<![a-z])[a-z]|[^a-z\s]")


class Lookup(NamedTuple):
    """Rules by the characters that a match of theirs can begin with: one table a length, the longest first."""

    tables: tuple[tuple[int, dict[str, tuple[_Try, ...]]], ...]


def find_matches(sentence: str, languages: tuple[str, ...]) -> tuple[Match, ...]:
    """Every rule that holds in a lower-case sentence: longest first in a tier, earlier tiers before later ones."""
    tiers: tuple[list[Match], ...] = ([], [], [])
    modifiers: dict[str, list[Match]] = defaultdict(list)
    for tier, match in _candidates(sentence, _sentence_lookup(languages)):
        if tier == MODIFIERS:
            modifiers[match.kind].append(match)
        else:
            tiers[tier].append(match)
    taken = bytearray(len(sentence))
    accepted: list[Match] = []
    for found in tiers:
        accepted += _longest(found, taken)
    spans = [match for match in accepted if match.kind in FINDING_KINDS]
    untold = bytearray(taken)  # 下肺野 reaches into 肺野密度增高影: a place may overlap a finding's words
    for match in spans:
        untold[match.first : match.last] = bytes(match.last - match.first)
    for kind, found in modifiers.items():  # kinds may overlap each other ("right lower": side and zone), never a cue
        if kind in PLACE_KINDS:
            found = [match for match in found if not any(span.first <= match.first < span.last for span in spans)]
            accepted += _longest(found, bytearray(len(sentence)) if kind == "partial" else bytearray(untold))
        else:
            accepted += _longest(found, bytearray(taken))
    vessels = [match for match in accepted if match.kind == "vessels"]
    if vessels:  # 肺门血管影 speaks of vessels, not of a place
        accepted = [m for m in accepted if m.kind != "zone" or not any(v.first <= m.first < v.last for v in vessels)]
    accepted += [
        Match(kind, value, first, last, languages[0])
        for kind, value, first, last in measures_in(sentence)
        if not any(match.first < last and first < match.last for match in spans)
    ]
    accepted.sort(key=lambda match: (match.first, match.last))
    return tuple(accepted)


@lru_cache(maxsize=4096)
def matches_inside(words: str, language: str) -> tuple[Match, ...]:
    """The modifiers inside a finding's own words (胸腔少量积液, blunting of the left costophrenic angle)."""
    kinds: dict[str, list[Match]] = defaultdict(list)
    for _, match in _candidates(words, _inside_lookup(language)):
        kinds[match.kind].append(match)
    return tuple(match for found in kinds.values() for match in _longest(found, bytearray(len(words))))


@cache
def _sentence_lookup(languages: tuple[str, ...]) -> Lookup:
    return _lookup(rule for language in languages for rule in load_rules(language).rules)


@cache
def _inside_lookup(language: str) -> Lookup:
    return _lookup(load_rules(language).inside)


def _lookup(rules: Iterable[Rule]) -> Lookup:
    table: dict[str, dict[int, _Try]] = defaultdict(dict)
    for number, rule in enumerate(rules):
        for opening in rule.openings:
            if not opening or opening[0].isspace():
                raise ValueError(f"A {rule.kind} rule may begin with anything: {rule.value} {rule.pattern.pattern}")
            table[opening][number] = (number, rule.pattern.match, rule)
    tables: dict[int, dict[str, tuple[_Try, ...]]] = defaultdict(dict)
    for opening in table:
        tries: dict[int, _Try] = {}
        for length in range(1, len(opening) + 1):  # what may begin with fewer characters may begin with these
            tries |= table.get(opening[:length], {})
        tables[len(opening)][opening] = tuple(tries.values())
    return Lookup(tuple(sorted(tables.items(), reverse=True)))


def _candidates(text: str, lookup: Lookup) -> list[tuple[int, Match]]:
    """What each rule's ``finditer`` would find, in one pass over the text; never begins inside a Latin word."""
    found: list[tuple[int, Match]] = []
    ends: dict[int, int] = {}
    for start in _STARTS.finditer(text):
        position = start.start()
        for length, table in lookup.tables:
            if (tries := table.get(text[position : position + length])) is not None:
                break
        else:
            continue
        for number, matches, rule in tries:
            match = matches(text, position)
            if match is None or ends.get(number, 0) > position:
                continue
            last = match.end()
            if last > position:
                ends[number] = last
                found.append((rule.tier, Match(rule.kind, rule.value, position, last, rule.language, rule.detail)))
    return found


def _longest(found: list[Match], taken: bytearray) -> list[Match]:
    """Longest first; two readings of one and the same span are both kept."""
    accepted: list[Match] = []
    spans: set[tuple[int, int]] = set()
    said: set[tuple[str, str, int, int]] = set()
    if len(found) > 1:
        found = sorted(found, key=lambda match: (match.first - match.last, match.first))
    for match in found:
        key = (match.kind, match.value, match.first, match.last)
        span = (match.first, match.last)
        if key in said or (span not in spans and taken.find(1, match.first, match.last) >= 0):
            continue
        taken[match.first : match.last] = b"\x01" * (match.last - match.first)
        said.add(key)
        spans.add(span)
        accepted.append(match)
    return accepted


def same_span(a: Match, b: Match) -> bool:
    return a.first == b.first and a.last == b.last
