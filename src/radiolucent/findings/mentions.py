"""A finding while it is being read: its modifiers, and what it becomes."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from radiolucent.findings.matching import Match
from radiolucent.findings.measures import numbers
from radiolucent.findings.rules import DESCRIPTIVE_KINDS
from radiolucent.findings.types import Finding, Polarity
from radiolucent.findings.vocabulary import VOCABULARY

_TOP_DOWN = ("upper", "middle", "lower", "hilar")


@dataclass(frozen=True, slots=True)
class Modifiers:
    """What stands around a finding. A ``partial`` denial ("no new …", "no other …") denies only part of the code."""

    side: str | None = None
    zones: tuple[str, ...] = ()
    severity: str | None = None
    change: str | None = None
    partial: bool = False
    size_mm: tuple[float, ...] = ()
    percent: float | None = None
    count: str | None = None
    described: tuple[tuple[str, str], ...] = ()

    def filled(self, other: Modifiers) -> Modifiers:
        """These, and of ``other`` what these leave open."""
        if other is NOTHING:
            return self
        if self is NOTHING:
            return other
        return Modifiers(
            self.side or other.side,
            self.zones or other.zones,
            self.severity or other.severity,
            self.change or other.change,
            self.partial or other.partial,
            self.size_mm or other.size_mm,
            self.percent if self.percent is not None else other.percent,
            self.count or other.count,
            tuple(dict.fromkeys((*self.described, *other.described))),
        )


NOTHING = Modifiers()


@dataclass
class Mention:
    """A finding being read."""

    code: str
    match: Match
    polarity: Polarity = "present"
    certainty: str = "definite"
    scope: str = ""
    modifiers: Modifiers = field(default=NOTHING)
    asserted: bool = True
    placed_by_cue: bool = False
    cue: int | None = None  # where the denial that it stands in begins

    @property
    def placed(self) -> bool:
        return bool(self.modifiers.side or self.modifiers.zones)


def settle_modifiers(matches: Iterable[Match], head: Match | None) -> Modifiers:
    """One value a kind: both sides make ``bilateral``; of two sizes the nearest to the finding's words wins."""
    kinds: dict[str, list[Match]] = {}
    for match in matches:
        kinds.setdefault(match.kind, []).append(match)
    if not kinds:
        return NOTHING

    def nearest(kind: str) -> str | None:
        found = kinds.get(kind)
        if not found:
            return None
        return found[-1].value if head is None else min(found, key=lambda match: _distance(match, head)).value

    size, percent = nearest("size"), nearest("percent")
    return Modifiers(
        _side({match.value for match in kinds.get("side", ())}),
        _zones({zone for match in kinds.get("zone", ()) for zone in match.value.split("+")}),
        nearest("severity"),
        nearest("change"),
        "partial" in kinds,
        numbers(size) if size else (),
        numbers(percent)[0] if percent else None,
        nearest("count"),
        tuple((kind, match.value) for kind in DESCRIPTIVE_KINDS for match in kinds.get(kind, ())),
    )


def _side(sides: set[str]) -> str | None:
    if "bilateral" in sides or {"left", "right"} <= sides:
        return "bilateral"
    return min(sides) if sides else None


def _zones(zones: set[str]) -> tuple[str, ...]:
    if "diffuse" in zones or len(zones & {"upper", "middle", "lower"}) == 3:
        return ("diffuse",)
    return tuple(zone for zone in _TOP_DOWN if zone in zones)


def _distance(match: Match, head: Match) -> int:
    if match.last <= head.first:
        return head.first - match.last
    return max(0, match.first - head.last)


def as_finding(mention: Mention, text: str, sentence: tuple[int, int]) -> Finding:
    """The mention as a finding, its spans moved from the sentence to the text; what the code cannot have is dropped."""
    code, said = VOCABULARY[mention.code], mention.modifiers
    denied = mention.polarity == "absent"
    side = said.side if code.sided else None
    if (denied and side in ("bilateral", "midline")) or (side == "midline" and mention.code == "support_devices"):
        side = None  # a denial of both sides is a denial; of a tube in the midline, no side is worth saying
    zones = said.zones if code.zoned else (("hilar",) if mention.code == "hilar_enlargement" else ())
    return Finding(
        code=mention.code,
        polarity=mention.polarity,
        side=side,  # type: ignore[arg-type]
        zone=zones[0] if len(zones) == 1 else None,  # type: ignore[arg-type]
        severity=said.severity if code.graded and not denied else None,  # type: ignore[arg-type]
        words=text[sentence[0] + mention.match.first : sentence[0] + mention.match.last],
        chars=(sentence[0] + mention.match.first, sentence[0] + mention.match.last),
        sentence=sentence,
        certainty="definite" if mention.polarity != "uncertain" else mention.certainty,  # type: ignore[arg-type]
        change=said.change if not denied or said.change == "resolved" else None,  # "no new …" speaks of no change
        zones=zones if zones != ("diffuse",) else (),  # type: ignore[arg-type]
        size_mm=said.size_mm if code.measured and not denied else (),
        percent=said.percent if mention.code == "pneumothorax" and not denied else None,
        count=_count(said.count) if code.counted and not denied else None,  # type: ignore[arg-type]
        attributes=_attributes(mention, denied),
    )


def _count(written: str | None) -> int | str | None:
    return int(written) if written and written.isdigit() else written


def _attributes(mention: Mention, denied: bool) -> tuple[tuple[str, str], ...]:
    """Names in the vocabulary's order, values in the text's."""
    names = VOCABULARY[mention.code].described
    said = [*mention.modifiers.described] if not denied else []
    if "kind" in names and mention.match.detail:
        said.append(("kind", mention.match.detail))
    return tuple(
        sorted({pair for pair in said if pair[0] in names}, key=lambda pair: (names.index(pair[0]), said.index(pair)))
    )
