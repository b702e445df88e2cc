"""Which modifier belongs to which finding of a stretch between commas."""

from __future__ import annotations

from radiolucent.findings.matching import Match, matches_inside, same_span
from radiolucent.findings.mentions import Modifiers, settle_modifiers
from radiolucent.findings.rules import ATTRIBUTE_KINDS
from radiolucent.findings.segments import Segment


def slots_of(segment: Segment) -> list[list[Match]]:
    """Its findings, grouped where one phrase names two codes (hydropneumothorax)."""
    slots: list[list[Match]] = []
    for match in segment.findings:
        if slots and same_span(slots[-1][0], match):
            slots[-1].append(match)
        else:
            slots.append([match])
    return slots


def slot_modifiers(sentence: str, segment: Segment, slots: list[list[Match]]) -> list[Modifiers]:
    """For each slot the modifiers on its side of the coordinators, and those inside its own words."""
    attributes = [match for match in segment.matches if match.kind in ATTRIBUTE_KINDS]
    windows = _windows(sentence, segment, slots)
    settled = []
    for slot, window in zip(slots, windows, strict=True):
        head = slot[0]
        around = [m for m in attributes if any(first <= m.first < last for first, last in window)]
        settled.append(settle_modifiers([*around, *own_modifiers(sentence, head)], head))
    return settled


def own_modifiers(sentence: str, head: Match) -> list[Match]:
    """Modifiers inside a finding's own words (胸腔少量积液).

    "Increased markings" and 纹理增多 name a finding; only a comparison makes the word one of change.
    """
    words = sentence[head.first : head.last]
    return [
        match._replace(first=match.first + head.first, last=match.last + head.first)
        for match in matches_inside(words, head.language)
        if match.kind != "change" or "较前" in words
    ]


def _windows(sentence: str, segment: Segment, slots: list[list[Match]]) -> list[list[tuple[int, int]]]:
    grammar = segment.grammar
    windows: list[list[tuple[int, int]]] = [[] for _ in slots]
    edge = segment.first
    for number, slot in enumerate(slots):
        first = slot[0].first
        if number == 0:
            windows[0].append((edge, first))
        else:
            gap = sentence[edge:first]
            cuts = [
                found
                for found in grammar.coordinator.finditer(gap)
                if not any(m.first <= edge + found.start() < m.last for m in segment.matches if m.kind in _HOLDING)
            ]
            cues = [m for m in segment.matches if edge <= m.first < first and m.kind not in ATTRIBUTE_KINDS]
            if cuts:
                windows[number - 1].append((edge, edge + cuts[-1].start()))
                windows[number].append((edge + cuts[-1].end(), first))
            elif cues:
                windows[number - 1].append((edge, cues[0].first))
                windows[number].append((cues[-1].last, first))
            elif grammar.preposition.match(gap):
                windows[number - 1].append((edge, first))
            else:
                windows[number].append((edge, first))
        edge = slot[0].last
    if slots:
        windows[-1].append((edge, segment.last))
    return windows


_HOLDING = ("side", "zone", "severity", "size")  # "right and left", "mid and lower", "2 x 3": no new item begins there
