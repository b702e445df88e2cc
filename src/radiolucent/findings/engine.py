"""One sentence to mentions: what it asserts, denies or leaves open, where, and how much.

The sentence is matched against the rules in tiers, then read from left to right. A cue before a finding
("no", 未见, 考虑) holds until a word that stops it, or a comma after which something new begins; a cue after a
finding ("is not seen", 不除外) reaches back over a list. Modifiers belong to the finding on their side of the
coordinator.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, replace

from radiolucent.findings.matching import Match, attributes_of, find_matches, same_span
from radiolucent.findings.mentions import Mention, as_finding, settle_attributes, share_place
from radiolucent.findings.rules import ATTRIBUTE_KINDS, FINDING_KINDS, Grammar, Rules
from radiolucent.findings.sentences import CJK
from radiolucent.findings.types import Finding

_SOFT_BREAK = re.compile(r"[，,]|(?<=[\u4e00-\u9fff])\s+(?=[\u4e00-\u9fff])|\s[-–—]\s")
_HARD_BREAK = re.compile(r"[；;]|——")
_NOW = re.compile(r"\s*(?:now|currently|现|目前)", re.IGNORECASE)  # "moderate effusion, now large"
_LONG_LIST_ITEM = 4  # words of a comma's stretch without a finding that may still belong to "no focal, lobar, or …"


@dataclass(frozen=True)
class Reading:
    """What one sentence says.

    Parameters
    ----------
    findings
        With positions relative to the sentence.
    partial
        For each finding, whether it is a denial of a part only.
    normal
        ``blanket``, ``organ`` or None.
    open_scope
        ``absent`` where the sentence ends in a colon after a bare negation, so that the list below is denied.
    """

    findings: tuple[Finding, ...]
    partial: tuple[bool, ...]
    normal: str | None
    open_scope: str = ""


@dataclass(frozen=True)
class Segment:
    """A stretch between commas; ``hard`` where a semicolon came before it."""

    first: int
    last: int
    hard: bool
    matches: tuple[Match, ...]


def read_sentence(sentence: str, rules: Iterable[Rules], scope: str = "") -> Reading:
    """Read one sentence.

    Parameters
    ----------
    scope
        Scope that is already open when the sentence begins (an item of a denied list).
    """
    known = tuple(rules)
    matches = find_matches(sentence, known)
    kinds = {match.kind for match in matches}
    normal = None
    if "normal" in kinds:
        blanket = any(match.kind == "normal" and match.value == "blanket" for match in matches)
        normal = "blanket" if blanket else "organ"
    if not kinds & set(FINDING_KINDS):
        denies = kinds & {"negation_before"} and sentence.rstrip().endswith((":", "："))
        return Reading((), (), normal, "absent" if denies else "")
    grammars = {rule.language: rule.grammar for rule in known}
    mentions = _Reader(sentence, matches, grammars, scope).read()
    kept = [mention for mention in mentions if mention.asserted]
    return Reading(
        tuple(as_finding(mention, sentence) for mention in kept), tuple(mention.partial for mention in kept), normal
    )


class _Reader:
    """State while one sentence is read from left to right."""

    def __init__(self, sentence: str, matches: tuple[Match, ...], grammars: dict[str, Grammar], scope: str) -> None:
        self.sentence = sentence
        self.matches = matches
        self.grammars = grammars
        self.scope = scope
        self.scope_language = ""
        self.mentions: list[Mention] = []
        self.pending: dict[str, str] = {}
        self.in_exception = False

    def read(self) -> list[Mention]:
        segments = self._segments()
        for number, segment in enumerate(segments):
            if number and self.scope and not (self.in_exception or self._carries(segment, segments[number + 1 :])):
                self.scope = ""
            self._read_segment(segment)
        return self.mentions

    # ------------------------------------------------------------ commas

    def _segments(self) -> list[Segment]:
        inside = bytearray(len(self.sentence) + 1)
        for match in self.matches:
            if match.kind in FINDING_KINDS or match.kind in ("normal", "ignore"):
                inside[match.first + 1 : match.last] = b"\x01" * max(0, match.last - match.first - 1)
        cuts = []
        for pattern, hard in ((_SOFT_BREAK, False), (_HARD_BREAK, True)):
            for found in pattern.finditer(self.sentence):
                digits = (
                    self.sentence[found.start() - 1 : found.start()].isdigit()
                    and self.sentence[found.end() : found.end() + 1].isdigit()
                )
                if not inside[found.start()] and not digits:
                    cuts.append((found.start(), found.end(), hard))
        segments: list[Segment] = []
        first, hard = 0, False
        for start, end, is_hard in sorted(cuts):
            segments.append(self._segment(first, start, hard))
            first, hard = end, is_hard
        segments.append(self._segment(first, len(self.sentence), hard))
        return [segment for segment in segments if segment.last > segment.first]

    def _segment(self, first: int, last: int, hard: bool) -> Segment:
        inside = tuple(match for match in self.matches if match.first >= first and match.first < last)
        return Segment(first, last, hard, inside)

    def _grammar(self, segment: Segment) -> tuple[str, Grammar]:
        text = self.sentence[segment.first : segment.last]
        language = "zh" if "zh" in self.grammars and CJK.search(text) else "en"
        if language not in self.grammars:
            language = next(iter(self.grammars))
        return language, self.grammars[language]

    def _carries(self, segment: Segment, later: list[Segment]) -> bool:
        """Whether the open cue reaches over the comma into this segment, which then is one more list item."""
        if segment.hard or self.scope == "affirmed":
            return False
        language, grammar = self._grammar(segment)
        text = self.sentence[segment.first : segment.last]
        if grammar.list_word.match(text):
            return True
        ahead = any(grammar.list_word.match(self.sentence[s.first : s.last]) for s in later if not s.hard) or (
            re.search(r"\b(?:or|nor)\b", text) is not None
        )
        findings = [match for match in segment.matches if match.kind in FINDING_KINDS]
        if self.scope != "absent" and not ahead:
            return False
        if not findings:
            words = text.split()
            plain_words = language == "en" and len(words) <= _LONG_LIST_ITEM and not grammar.clause_opener.search(text)
            return plain_words and (ahead or bool(grammar.soft_list_word.match(text)))
        head = findings[0]
        if head.kind != "term":
            return False
        before = [match for match in segment.matches if match.first < head.first]
        if any(match.kind not in ATTRIBUTE_KINDS for match in before):
            return False
        own = {match.kind for match in before} | {match.kind for match in self._inside(head)}
        if own & {"severity", "side", "change"} and not ahead:
            return False
        lead = self.sentence[segment.first : head.first]
        if language == "zh":
            return len(re.sub(r"[明显确的及和或亦也并、\s]", "", lead)) <= 1
        if grammar.clause_opener.search(lead) or len(lead.split()) > _LONG_LIST_ITEM:
            return False
        rest = [match for match in segment.matches if match.first >= head.last]
        return ahead or not any(match.kind == "affirm" for match in rest) or bool(grammar.soft_list_word.match(text))

    # ------------------------------------------------------------ one segment

    def _read_segment(self, segment: Segment) -> None:
        language, grammar = self._grammar(segment)
        slots = self._slots(segment)
        if not slots and self._attributes_only(segment, grammar):
            self._hang(segment)
            return
        own = self._modifiers(segment, slots, grammar, language)
        if slots and self.pending:
            own[0] = {**self.pending, **own[0]}
        self.pending = {}
        here: list[Mention] = []
        position = 0
        for match in segment.matches:
            if match.kind in FINDING_KINDS:
                if position < len(slots) and slots[position][0].first == match.first:
                    group = [self._mention(each, own[position], segment, here, language) for each in slots[position]]
                    here += group
                    position += 1
            else:
                self._apply(match, here, segment)
        self._share_places(here, segment, grammar)
        self.mentions += here

    def _slots(self, segment: Segment) -> list[list[Match]]:
        """Findings grouped where one phrase names two codes (hydropneumothorax)."""
        slots: list[list[Match]] = []
        for match in segment.matches:
            if match.kind in FINDING_KINDS:
                if slots and same_span(slots[-1][0], match):
                    slots[-1].append(match)
                else:
                    slots.append([match])
        return slots

    def _inside(self, match: Match) -> list[Match]:
        """Modifiers inside a finding's own words (胸腔少量积液, blunting of the left costophrenic angle)."""
        return [
            replace(found, first=found.first + match.first, last=found.last + match.first)
            for found in attributes_of(self.sentence[match.first : match.last], match.language)
        ]

    def _modifiers(
        self, segment: Segment, slots: list[list[Match]], grammar: Grammar, language: str
    ) -> list[dict[str, str]]:
        """For each slot the modifiers on its side of the coordinators."""
        windows: list[list[tuple[int, int]]] = [[] for _ in slots]
        edge = segment.first
        for number, slot in enumerate(slots):
            first = slot[0].first
            gap = self.sentence[edge:first]
            if number == 0:
                windows[0].append((edge, first))
            else:
                cuts = [found for found in grammar.coordinator.finditer(gap) if not self._covered(edge + found.start())]
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
        result = []
        for number, slot in enumerate(slots):
            inside = [found for found in self._inside(slot[0]) if found.kind != "change" or self._compares(slot[0])]
            around = [
                match
                for match in segment.matches
                if match.kind in ATTRIBUTE_KINDS and any(first <= match.first < last for first, last in windows[number])
            ]
            result.append(settle_attributes([*around, *inside], slot[0]))
        return result

    def _compares(self, match: Match) -> bool:
        """ "Increased markings" and 纹理增多 name a finding; only a comparison makes the word one of change."""
        return "较前" in self.sentence[match.first : match.last]

    def _covered(self, position: int) -> bool:
        return any(
            match.first <= position < match.last for match in self.matches if match.kind in ("side", "zone", "severity")
        )

    def _attributes_only(self, segment: Segment, grammar: Grammar) -> bool:
        attributes = [match for match in segment.matches if match.kind in ATTRIBUTE_KINDS]
        others = [match for match in segment.matches if match.kind not in ATTRIBUTE_KINDS]
        which = all(self.sentence[match.first : match.last].lower() == "which" for match in others)
        if not attributes or not which:
            return False
        letters = list(self.sentence[segment.first : segment.last])
        for match in segment.matches:
            for index in range(match.first, min(match.last, segment.last)):
                letters[index - segment.first] = " "
        return not re.sub(r"[\W\d_]", "", grammar.filler.sub("", "".join(letters)))

    def _hang(self, segment: Segment) -> None:
        """A stretch of modifiers alone belongs to the finding before it, else to the one after it."""
        attributes = settle_attributes(list(segment.matches), None)
        if not self.mentions or segment.hard:
            self.pending = {**self.pending, **attributes}
            return
        last = self.mentions[-1].match
        updates = _NOW.match(self.sentence[segment.first : segment.last]) is not None
        for mention in self.mentions:
            if same_span(mention.match, last):
                earlier = mention.attributes
                mention.attributes = {**earlier, **attributes} if updates else {**attributes, **earlier}

    def _mention(
        self, match: Match, own: dict[str, str], segment: Segment, here: list[Mention], language: str
    ) -> Mention:
        mention = Mention(match.value, match, attributes=dict(own), partial="partial" in own)
        if match.kind == "absent":
            mention.polarity = "absent"
            mention.scope = "said"
            return mention
        if match.kind == "uncertain":
            mention.polarity, mention.certainty, mention.scope = "uncertain", "possible", "said"
            return mention
        self._maybe_close(match, own, here, language)
        mention.scope = self.scope
        if self.scope == "absent":
            mention.polarity = "absent"
        elif self.scope == "resolved":
            mention.polarity = "absent"
            mention.attributes["change"] = "resolved"
        elif self.scope in ("likely", "possible"):
            mention.polarity, mention.certainty = "uncertain", self.scope
            mention.placed_by_cue = not here
        elif self.scope == "silent":
            mention.asserted = False
        return mention

    def _maybe_close(self, match: Match, own: dict[str, str], here: list[Mention], language: str) -> None:
        """ "No effusion and small nodule": and/with plus a size begins something new; so does a new clause."""
        if self.scope not in ("absent", "resolved") or not here:
            return
        gap = self.sentence[here[-1].match.last : match.first]
        joined = re.search(r"\b(?:and|with|plus)\b", gap, re.IGNORECASE) and not re.search(r"\b(?:or|nor)\b", gap)
        anew = match.kind == "clause" or (joined and own.keys() & {"severity", "change"})
        if language == "en" and anew:
            self.scope = ""

    # ------------------------------------------------------------ cues

    def _apply(self, match: Match, here: list[Mention], segment: Segment) -> None:
        kind = match.kind
        if self._reads_the_other_way(match, here, segment):
            return
        if kind == "negation_before":
            if not (self.in_exception and self.scope == "affirmed"):
                self.scope = "absent"
        elif kind == "resolution_before":
            self.scope = "resolved"
        elif kind in ("possible_before", "likely_before"):
            self._hedge(kind.removesuffix("_before"), here, match)
        elif kind in ("negation_after", "possible_after", "likely_after", "resolution_after"):
            self._reach_back(match, here, segment)
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
        if "possible_before" not in kinds or "possible_after" not in kinds:
            return False
        return match.kind == ("possible_before" if here else "possible_after")

    def _hedge(self, level: str, here: list[Mention], match: Match) -> None:
        """A hedge inside a denial changes nothing ("no suspicious nodule"), unless "and" begins anew."""
        if self.scope == "silent":
            return
        if self.scope in ("absent", "resolved"):
            start = here[-1].match.last if here else match.first
            if not re.search(r"\band\s*$", self.sentence[start : match.first], re.IGNORECASE):
                return
        if self.scope == "likely" and level == "possible" and match.language == "zh":
            return
        self.scope = level
        if re.fullmatch(r"versus|vs\.?", self.sentence[match.first : match.last], re.IGNORECASE) and here:
            here[-1].polarity, here[-1].certainty = "uncertain", "possible"

    def _reach_back(self, match: Match, here: list[Mention], segment: Segment) -> None:
        reached = self._reached(match, here)
        for mention in reached:
            if match.kind == "negation_after":
                mention.polarity, mention.certainty = "absent", "definite"
                if mention.attributes.get("change") in ("decreased", "resolved"):
                    mention.attributes["change"] = "resolved"
            elif match.kind == "resolution_after":
                mention.polarity, mention.certainty = "absent", "definite"
                mention.attributes["change"] = "resolved"
            elif mention.polarity != "absent" or mention.scope != "absent":
                mention.polarity = "uncertain"
                mention.placed_by_cue = len(reached) == len(here)
                mention.certainty = match.kind.removesuffix("_after")
            mention.scope = "said"
        self.scope = ""

    def _reached(self, match: Match, here: list[Mention]) -> list[Mention]:
        before = [mention for mention in here if mention.match.last <= match.first]
        if not before:
            last = self.mentions[-1:] if not here else []
            return [mention for mention in self.mentions if last and same_span(mention.match, last[0].match)]
        reached = [before[-1]]
        pool = before[:-1]
        listed = re.search(r"[，,]\s*(?:and|or)\s+[^，,]*$", self.sentence[: before[0].match.last], re.IGNORECASE)
        if listed and self.mentions:
            pool = self.mentions + pool
        for mention in reversed(pool):
            between = self.sentence[mention.match.last : reached[-1].match.first]
            joined = re.fullmatch(
                r"\s*(?:[，,]?\s*(?:and|or|nor)?\s*(?:[a-z]+\s+){0,2}|[、及和与或/]+|以及)\s*", between, re.IGNORECASE
            )
            if same_span(mention.match, reached[-1].match) or (
                joined and not mention.scope and not self._affirmed(mention)
            ):
                reached.append(mention)
            else:
                break
        return reached

    def _affirmed(self, mention: Mention) -> bool:
        """Whether "there is" or 可见 asserts it, so that a later "cannot be excluded" is not about it."""
        between = [
            match
            for match in self.matches
            if match.last <= mention.match.first and match.kind in ("affirm", "negation_before", "likely_before")
        ]
        return any(match.first >= mention.match.first - 60 for match in between)

    # ------------------------------------------------------------ places

    def _share_places(self, here: list[Mention], segment: Segment, grammar: Grammar) -> None:
        """ "Right consolidation and effusion": what has no place of its own stands where its neighbour does."""
        previous: Mention | None = self.mentions[-1] if self.mentions else None
        for index, mention in enumerate(here):
            if index == 0:
                leads = mention.placed_by_cue and previous is not None and not segment.hard
                if leads and previous is not None:
                    share_place(previous, mention)
            else:
                share_place(here[index - 1], mention)
        for index in range(len(here) - 1, 0, -1):
            between = self.sentence[here[index - 1].match.last : here[index].match.first]
            if re.fullmatch(r"\s*(?:and|or|versus|vs\.?|、|及|和)\s*", between, re.IGNORECASE):
                share_place(here[index], here[index - 1])
