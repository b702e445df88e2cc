"""Many statements to one finding a (code, side): what wins, what is subsumed, what contradicts.

The last statement wins where it, or the one before, speaks of change; a plain assertion beside a plain denial is
flagged and left uncertain. A denial of a part ("no new …", "no other …", "no large …") contradicts nothing.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

from radiolucent.findings.types import Finding


@dataclass(frozen=True)
class Contradiction:
    """Two statements about one code that cannot both hold and speak of no change.

    Parameters
    ----------
    first, second
        Spans [first, last) of the two statements in the text.
    """

    code: str
    first: tuple[int, int]
    second: tuple[int, int]


@dataclass(frozen=True)
class Statement:
    """A finding as one sentence states it; ``partial`` where it denies only part of the code."""

    finding: Finding
    partial: bool


def settle(statements: list[Statement]) -> tuple[tuple[Finding, ...], tuple[Contradiction, ...]]:
    """One finding a (code, side): the last statement wins with wording of change, else a clash is flagged."""
    findings: list[Finding] = []
    contradictions: list[Contradiction] = []
    codes = dict.fromkeys(statement.finding.code for statement in statements)
    for code in codes:
        settled, clashes = _settle_code([each for each in statements if each.finding.code == code])
        findings += settled
        contradictions += clashes
    return tuple(sorted(findings, key=lambda finding: finding.chars)), tuple(contradictions)


def _settle_code(statements: list[Statement]) -> tuple[list[Finding], list[Contradiction]]:
    held: dict[str | None, Finding] = {}
    clashes: list[Contradiction] = []
    if any(each.finding.polarity != "absent" for each in statements):
        # "no new …", "no other …", "no large …" beside a finding deny something else
        statements = [each for each in statements if not (each.partial and each.finding.polarity == "absent")]
    for finding in (statement.finding for statement in statements):
        rivals = [side for side, other in held.items() if _clash(other, finding)]
        if not rivals:
            held[finding.side] = _joined(held.get(finding.side), finding)
        elif finding.change is not None:  # wording of change: the last statement wins
            for side in rivals:
                other = held.pop(side)
                held[finding.side or other.side] = finding if finding.side else replace(finding, side=other.side)
        elif finding.polarity == "absent":
            for side in rivals:
                clashes += _clashes(held[side], finding)
                held[side] = _doubted(held[side])
        else:
            for side in rivals:
                clashes += _clashes(finding, held.pop(side))
            held[finding.side] = _doubted(finding)
    return _subsumed(held), clashes


def _clashes(asserted: Finding, denied: Finding) -> list[Contradiction]:
    """A hedge beside a denial is doubt; a plain assertion beside one is a contradiction."""
    if asserted.polarity != "present":
        return []
    first, second = sorted((asserted.chars, denied.chars))
    return [Contradiction(asserted.code, first, second)]


def _doubted(asserted: Finding) -> Finding:
    if asserted.polarity == "uncertain":
        return asserted
    return replace(asserted, polarity="uncertain", certainty="possible", contradicted=True)


def _joined(earlier: Finding | None, later: Finding) -> Finding:
    """The later statement, with what the earlier one said of place and size where the later one is silent."""
    if earlier is None or earlier.polarity == "absent" or later.polarity == "absent":
        return later
    return replace(
        later,
        zone=later.zone or earlier.zone,
        severity=later.severity or earlier.severity,
        change=later.change or earlier.change,
        contradicted=later.contradicted or earlier.contradicted,
        polarity="uncertain" if earlier.contradicted else later.polarity,
        certainty=earlier.certainty if earlier.contradicted else later.certainty,
    )


def _clash(a: Finding, b: Finding) -> bool:
    """Whether one denies where the other asserts."""
    if (a.polarity == "absent") == (b.polarity == "absent"):
        return False
    denied, asserted = (a, b) if a.polarity == "absent" else (b, a)
    if denied.side is None:
        return True
    return asserted.side is not None and bool(_sides(denied.side) & _sides(asserted.side))


def _sides(side: str) -> set[str]:
    return {"left", "right"} if side == "bilateral" else {side}


def _subsumed(held: dict[str | None, Finding]) -> list[Finding]:
    """Drop "effusion" beside "right effusion", and "no left effusion" beside "no effusion"."""
    findings: Iterable[Finding] = held.values()
    sided = [f for f in findings if f.side is not None]
    kept = [f for f in sided if not (f.polarity == "absent" and None in held and held[None].polarity == "absent")]
    bare = held.get(None)
    if bare is None:
        return kept
    same = [f for f in kept if (f.polarity == "absent") == (bare.polarity == "absent")]
    if not same:
        return [*kept, bare]
    if len(same) == 1 and bare.polarity != "absent":  # "right effusion … the effusion has decreased"
        (one,) = same
        known = replace(
            one,
            severity=one.severity or bare.severity,
            zone=one.zone or bare.zone,
            change=one.change or bare.change,
        )
        kept[kept.index(one)] = known
    return kept
