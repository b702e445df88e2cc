"""One sentence to mentions: what it asserts, denies or leaves open, where, and how much.

The sentence is matched against the rules in tiers, then read from left to right. A cue before a finding
("no", 未见, 考虑) holds until a word that stops it, or a comma after which something new begins; a cue after a
finding ("is not seen", 不除外) reaches back over a list. Modifiers belong to the finding on their side of the
coordinator.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from functools import lru_cache

from radiolucent.findings.matching import Match, find_matches, same_span
from radiolucent.findings.mentions import NOTHING, Mention, Modifiers, settle_modifiers
from radiolucent.findings.places import share_denied_sides, share_places
from radiolucent.findings.rules import ATTRIBUTE_KINDS, FINDING_KINDS, load_rules
from radiolucent.findings.segments import Segment, carries_over, cut_segments, only_modifiers
from radiolucent.findings.slots import slot_modifiers, slots_of
from radiolucent.findings.vocabulary import VOCABULARY

_NOW = re.compile(r"\s*(?:now|currently|现|目前)")  # "moderate effusion, now large"
_ANEW = re.compile(r"\b(?:and|with|plus)\b")
_OR = re.compile(r"\b(?:or|nor)\b")
_ENDS_IN_AND = re.compile(r"\band\s*$")
_VERSUS = re.compile(r"versus|vs\.?")
_JOINED = re.compile(r"\s*(?:[，,]?\s*(?:and|or|nor)?\s*(?:[a-z]+\s+){0,2}|[、及和与或/]+|以及)\s*")
_AFFIRMING = ("affirm", "negation_before", "likely_before", "stop")
_AFFIRMS_OVER = 60  # characters
_LIST_BEFORE = re.compile(r"[，,]\s*(?:and|or)\s+[^，,]*$")


@dataclass(frozen=True)
class Reading:
    """What one sentence says.

    Parameters
    ----------
    mentions
        With positions relative to the sentence.
    normal
        ``blanket``, ``organ`` or None.
    open_scope
        ``absent`` where the sentence ends in a colon after a bare negation, so that the list below is denied.
    described
        Sizes, margins and the like in a sentence that names no finding: they belong to the sentence before.
    """

    mentions: tuple[Mention, ...]
    normal: str | None = None
    open_scope: str = ""
    described: Modifiers = NOTHING


@lru_cache(maxsize=1024)  # the samples of one film, and the reports of one hospital, repeat their sentences
def read_sentence(sentence: str, languages: tuple[str, ...], scope: str = "") -> Reading:
    """Read one lower-case sentence.

    Parameters
    ----------
    languages
        Whose rules to use, of ``"en"`` and ``"zh"``.
    scope
        Scope that is already open when the sentence begins (an item of a denied list).
    """
    matches = find_matches(sentence, languages)
    kinds = {match.kind for match in matches}
    normal = None
    if "normal" in kinds:
        blanket = any(match.kind == "normal" and match.value == "blanket" for match in matches)
        normal = "blanket" if blanket else "organ"
    if not kinds & FINDING_KINDS:
        denies = "negation_before" in kinds and sentence.rstrip().endswith((":", "："))
        return Reading((), normal, "absent" if denies else "", _described(matches))
    grammars = {language: load_rules(language).grammar for language in languages}
    mentions = _Reader(sentence, matches, cut_segments(sentence, matches, grammars), scope).read()
    return Reading(tuple(mention for mention in mentions if mention.asserted), normal)


def _described(matches: tuple[Match, ...]) -> Modifiers:
    said = settle_modifiers(matches, None)
    if not (said.size_mm or said.described or said.percent is not None):
        return NOTHING
    return Modifiers(size_mm=said.size_mm, percent=said.percent, described=said.described)


class _Reader:
    """State while one sentence is read from left to right."""

    def __init__(self, sentence: str, matches: tuple[Match, ...], segments: list[Segment], scope: str) -> None:
        self.sentence = sentence
        self.matches = matches
        self.segments = segments
        self.scope = scope
        self.scope_from = 0
        self.mentions: list[Mention] = []
        self.recent: list[Mention] = []  # those of the last stretch that named any
        self.pending = NOTHING
        self.in_exception = False

    def read(self) -> list[Mention]:
        for number, segment in enumerate(self.segments):
            held = self.in_exception or not self.scope
            if number and not held and not carries_over(segment, self.segments[number + 1 :], self.scope):
                self.scope = ""
            self._read_segment(segment)
        share_denied_sides(self.mentions, self.matches)
        return self.mentions

    # ------------------------------------------------------------ one segment

    def _read_segment(self, segment: Segment) -> None:
        slots = slots_of(segment)
        if not slots and self._hang(segment):
            return
        own = slot_modifiers(self.sentence, segment, slots)
        if slots:
            own[0] = own[0].filled(self.pending)
            self.pending = NOTHING
        here: list[Mention] = []
        position = 0
        for match in segment.matches:
            if match.kind in FINDING_KINDS:
                if position < len(slots) and slots[position][0] is match:
                    group = [self._mention(each, own[position], here, segment.language) for each in slots[position]]
                    here += group
                    position += 1
            elif match.kind not in ATTRIBUTE_KINDS:
                self._apply(match, here, segment)
        share_places(self.sentence, segment, self.mentions[-1:], here)
        self.mentions += here
        self.recent = here or self.recent

    def _hang(self, segment: Segment) -> bool:
        """A stretch of modifiers alone belongs to the finding before it, else to the one after it."""
        said = settle_modifiers(segment.matches, None)
        if said is NOTHING:
            self.pending = NOTHING
            return False
        if not only_modifiers(segment):
            self.pending = self._describe(said)
            return False
        if not self.mentions or segment.hard:
            self.pending = said.filled(self.pending)
            return True
        updates = _NOW.match(segment.text) is not None
        for mention in self._last():
            earlier = mention.modifiers
            mention.modifiers = said.filled(earlier) if updates else earlier.filled(said)
        for mention in self.recent:  # "calcification and fibrosis, unchanged": both are
            mention.modifiers = mention.modifiers.filled(Modifiers(change=said.change))
        self.pending = self._describe(said)
        return True

    def _describe(self, said: Modifiers) -> Modifiers:
        """Size, margin and the like go to the last findings that can have them; what is left over, to the next."""
        left: list[tuple[str, str]] = []
        for pair in said.described:
            having = [m for m in self.mentions if pair[0] in VOCABULARY[m.code].described and m.polarity != "absent"]
            for mention in [m for m in having if any(m is each for each in self.recent)] or having[-1:]:
                mention.modifiers = mention.modifiers.filled(Modifiers(described=(pair,)))
            if not having:
                left.append(pair)
        measured = [m for m in self.mentions if VOCABULARY[m.code].measured and m.polarity != "absent"]
        if said.size_mm and measured:
            measured[-1].modifiers = measured[-1].modifiers.filled(Modifiers(size_mm=said.size_mm))
        if said.percent is not None:
            for mention in self.mentions:
                mention.modifiers = mention.modifiers.filled(Modifiers(percent=said.percent))
        size = () if measured else said.size_mm
        return Modifiers(size_mm=size, described=tuple(left)) if left or size else NOTHING

    def _last(self) -> list[Mention]:
        return [mention for mention in self.mentions if same_span(mention.match, self.mentions[-1].match)]

    def _mention(self, match: Match, own: Modifiers, here: list[Mention], language: str) -> Mention:
        mention = Mention(match.value, match, modifiers=own)
        if self.scope == "silent":
            mention.asserted = False
        if match.kind == "absent":
            mention.polarity, mention.scope = "absent", "said"
            return mention
        if match.kind == "uncertain":
            mention.polarity, mention.certainty, mention.scope = "uncertain", "possible", "said"
            return mention
        self._maybe_close(match, own, here, language)
        mention.scope = self.scope
        if self.scope == "absent":
            mention.polarity, mention.cue = "absent", self.scope_from
        elif self.scope == "resolved":
            mention.polarity = "absent"
            mention.modifiers = replace(own, change="resolved")
        elif self.scope in ("likely", "possible"):
            mention.polarity, mention.certainty = "uncertain", self.scope
            mention.placed_by_cue = not here
        return mention

    def _maybe_close(self, match: Match, own: Modifiers, here: list[Mention], language: str) -> None:
        """ "No effusion and small nodule": and/with plus a size begins something new; so does a new clause."""
        if self.scope not in ("absent", "resolved") or language != "en":
            return
        if not here or self.scope_from >= here[-1].match.last:
            return
        gap = self.sentence[here[-1].match.last : match.first]
        joined = _ANEW.search(gap) and not _OR.search(gap)
        if match.kind == "clause" or (joined and (own.severity or own.change)):
            self.scope = ""

    # ------------------------------------------------------------ cues

    def _apply(self, match: Match, here: list[Mention], segment: Segment) -> None:
        kind = match.kind
        if self._reads_the_other_way(match, here, segment):
            return
        if kind == "negation_before":
            if not (self.in_exception and self.scope == "affirmed"):
                self.scope, self.scope_from = "absent", match.first
        elif kind == "resolution_before":
            self.scope, self.scope_from = "resolved", match.first
        elif kind in ("possible_before", "likely_before"):
            self._hedge(kind.removesuffix("_before"), here, match)
        elif kind in ("negation_after", "possible_after", "likely_after", "resolution_after"):
            self._reach_back(match, here, segment)
        elif kind == "not_asserted_after":
            for mention in self._reached(match, here) if here else ():
                mention.asserted = False
        elif kind == "stop" or (kind == "affirm" and self.scope != "silent"):
            if not self.in_exception:
                self.scope = ""
        elif kind == "except":
            self.scope = "affirmed"
            self.in_exception = match.language == "zh"
        elif kind == "except_end":
            if self.in_exception:
                self.scope, self.in_exception = "", False
        elif kind == "not_asserted":
            self.scope = "silent"
        elif kind == "normal":
            self.scope = ""

    def _reads_the_other_way(self, match: Match, here: list[Mention], segment: Segment) -> bool:
        """不能排除 stands before a finding or after one: after, where this stretch already holds a finding."""
        kinds = {other.kind for other in segment.matches if same_span(other, match)}
        level, _, where = match.kind.partition("_")
        if not {f"{level}_before", f"{level}_after"} <= kinds:
            return False
        return where == ("before" if here else "after")

    def _hedge(self, level: str, here: list[Mention], match: Match) -> None:
        """A hedge inside a denial changes nothing ("no suspicious nodule"), unless "and" begins anew."""
        if self.scope == "silent":
            return
        if self.scope in ("absent", "resolved"):
            start = here[-1].match.last if here else match.first
            if not _ENDS_IN_AND.search(self.sentence[start : match.first]):
                return
        if self.scope == "likely" and level == "possible" and match.language == "zh":
            return
        self.scope = level
        if here and _VERSUS.fullmatch(self.sentence[match.first : match.last]):
            here[-1].polarity, here[-1].certainty = "uncertain", "possible"
            here[-1].placed_by_cue = len(here) == 1

    def _reach_back(self, match: Match, here: list[Mention], segment: Segment) -> None:
        reached = self._reached(match, here)
        for mention in reached:
            if match.kind == "negation_after":
                mention.polarity, mention.certainty = "absent", "definite"
                if mention.modifiers.change in ("decreased", "resolved"):
                    mention.modifiers = replace(mention.modifiers, change="resolved")
            elif match.kind == "resolution_after":
                mention.polarity, mention.certainty = "absent", "definite"
                mention.modifiers = replace(mention.modifiers, change="resolved")
            elif mention.polarity != "absent" or mention.scope != "absent":
                likely = match.kind == "likely_after" or (mention.scope == "likely" and match.language == "zh")
                mention.polarity, mention.certainty = "uncertain", "likely" if likely else "possible"
                mention.placed_by_cue = len(reached) == len(here)
            elif not here and mention.modifiers.partial:  # "no large pneumothorax; a small one is possible"
                said = settle_modifiers(segment.matches, None)
                mention.polarity, mention.certainty = "uncertain", "possible"
                mention.modifiers = replace(said.filled(replace(mention.modifiers, severity=None)), partial=False)
            mention.scope = "said"
        self.scope = ""

    def _reached(self, match: Match, here: list[Mention]) -> list[Mention]:
        before = [mention for mention in here if mention.match.last <= match.first]
        if not before:
            return self._last() if self.mentions and not here else []
        reached = [before[-1]]
        pool = before[:-1]
        if self.mentions and _LIST_BEFORE.search(self.sentence[: before[0].match.last]):
            pool = self.mentions + pool
        for mention in reversed(pool):
            between = self._bare(mention.match.last, reached[-1].match.first)
            listed = _JOINED.fullmatch(between) and not mention.scope and not self._affirmed(mention)
            if not (same_span(mention.match, reached[-1].match) or listed):
                break
            reached.append(mention)
        return reached

    def _bare(self, first: int, last: int) -> str:
        """The words of a stretch without its modifiers."""
        kept = bytearray(b"\x01" * (last - first))
        for match in self.matches:
            if match.kind in ATTRIBUTE_KINDS and first <= match.first and match.last <= last:
                kept[match.first - first : match.last - first] = bytes(match.last - match.first)
        return "".join(letter for letter, keep in zip(self.sentence[first:last], kept, strict=True) if keep)

    def _affirmed(self, mention: Mention) -> bool:
        """Whether "there is" or 可见 asserts it, so that a later "cannot be excluded" is not about it."""
        before = [match for match in self.matches if match.last <= mention.match.first and match.kind in _AFFIRMING]
        return bool(before) and before[-1].kind != "stop" and before[-1].first >= mention.match.first - _AFFIRMS_OVER
