"""A finding while it is being read: its modifiers, the place it shares with a neighbour, and what it becomes."""

from __future__ import annotations

from dataclasses import dataclass, field

from radiolucent.findings.matching import Match
from radiolucent.findings.types import Finding, Polarity
from radiolucent.findings.vocabulary import VOCABULARY


@dataclass
class Mention:
    """A finding being read; ``partial`` denials ("no new …", "no other …") deny only part of the code."""

    code: str
    match: Match
    polarity: Polarity = "present"
    certainty: str = "definite"
    scope: str = ""
    attributes: dict[str, str] = field(default_factory=dict)
    partial: bool = False
    asserted: bool = True
    placed_by_cue: bool = False


def share_place(source: Mention, target: Mention) -> None:
    """Give ``target`` the place of ``source``, where it has none and both are things seen in one place."""
    code = VOCABULARY[target.code]
    given = VOCABULARY[source.code]
    if not code.shares_place or not given.shares_place or "absent" in (source.polarity, target.polarity):
        return
    if "side" in target.attributes or "zone" in target.attributes:
        return
    if "side" in source.attributes:
        target.attributes["side"] = source.attributes["side"]
    if "zone" in source.attributes and code.zoned:
        target.attributes["zone"] = source.attributes["zone"]


def settle_attributes(matches: list[Match], head: Match | None) -> dict[str, str]:
    """One value a kind: both sides make ``bilateral``, two zones make none, the strongest-placed size wins."""
    values: dict[str, str] = {}
    sides = {match.value for match in matches if match.kind == "side"}
    if "bilateral" in sides or {"left", "right"} <= sides:
        values["side"] = "bilateral"
    elif sides:
        values["side"] = sorted(sides)[0]
    zones = {match.value for match in matches if match.kind == "zone"}
    if "diffuse" in zones or len(zones) >= 3:
        values["zone"] = "diffuse"
    elif len(zones) == 1:
        values["zone"] = next(iter(zones))
    for kind in ("severity", "change"):
        found = [match for match in matches if match.kind == kind]
        if found:
            if head is not None:
                found.sort(key=lambda match: _distance(match, head))
            values[kind] = found[0].value if head is not None else found[-1].value
    if any(match.kind == "partial" for match in matches):
        values["partial"] = "yes"
    return values


def _distance(match: Match, head: Match) -> int:
    if match.last <= head.first:
        return head.first - match.last
    return max(0, match.first - head.last)


def as_finding(mention: Mention, sentence: str) -> Finding:
    """The mention as a finding, its spans relative to the sentence; what the code cannot have is dropped."""
    code, attributes = VOCABULARY[mention.code], mention.attributes
    side = attributes.get("side") if code.sided else None
    if mention.polarity == "absent" and side in ("bilateral", "midline"):
        side = None  # a denial of both sides is a denial
    graded = code.graded and mention.polarity != "absent"
    zone = attributes.get("zone") if code.zoned else ("hilar" if mention.code == "hilar_enlargement" else None)
    return Finding(
        code=mention.code,
        polarity=mention.polarity,
        side=side,  # type: ignore[arg-type]
        zone=zone,  # type: ignore[arg-type]
        severity=attributes.get("severity") if graded else None,  # type: ignore[arg-type]
        words=sentence[mention.match.first : mention.match.last],
        chars=(mention.match.first, mention.match.last),
        certainty="definite" if mention.polarity != "uncertain" else mention.certainty,  # type: ignore[arg-type]
        change=attributes.get("change"),
    )
