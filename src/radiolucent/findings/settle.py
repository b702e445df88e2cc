"""Many statements to one finding a (code, side): what wins, what is subsumed, what contradicts.

The last statement wins where it, or the one before, speaks of change; a plain assertion beside a plain denial is
flagged and left uncertain. A denial of a part ("no new …", "no other …", "no large …") contradicts nothing, nor does
the denial of one kind of device beside another.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, replace

from radiolucent.findings.types import Finding, Severity

# A sign from which a finding is inferred: where its meaning is hedged in the same sentence ("blunting, may be a small
# effusion"), the finding is. What is seen itself stays seen (团块影，肺癌不除外).
_SIGN = re.compile(r"costophrenic|\bcp\b|肋[膈隔]|后沟")

# Lung compressed by a pneumothorax, in percent, from which it is called moderate and large (外科学, 人民卫生出版社:
# 小量 < 30 %, 中量 30-50 %, 大量 > 50 %).
_MODERATE_FROM, _LARGE_ABOVE = 30, 50


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
    codes: dict[str, list[Statement]] = {}
    for statement in statements:
        codes.setdefault(statement.finding.code, []).append(statement)
    for code, said in codes.items():
        settled, clashes = _settle_devices(said) if code == "support_devices" else _settle_code(said)
        findings += settled
        contradictions += clashes
    graded = (_graded_by_percent(finding) for finding in findings)
    return tuple(sorted(graded, key=lambda finding: finding.chars)), tuple(contradictions)


def _settle_devices(statements: list[Statement]) -> tuple[list[Finding], list[Contradiction]]:
    """Each kind by itself, then one finding a side: a tube that is gone denies no catheter that is there."""
    kinds = dict.fromkeys(_kind(statement.finding) for statement in statements)
    settled: list[Finding] = []
    clashes: list[Contradiction] = []
    for kind in kinds:
        found, clashing = _settle_code([each for each in statements if _kind(each.finding) == kind])
        settled += found
        clashes += clashing
    seen = [finding for finding in settled if finding.polarity != "absent"]
    if seen:
        named = any(finding.attributes for finding in seen)  # a device without a name beside a named one is that one
        held_sides = {side for finding in seen if finding.side for side in _sides(finding.side)}
        gone = [f for f in settled if f.polarity == "absent" and f.side and not _sides(f.side) & held_sides]
        settled = [f for f in seen if f.attributes or f.side or not named] + gone
    held: dict[str | None, Finding] = {}
    for finding in sorted(settled, key=lambda finding: finding.chars):
        earlier = held.get(finding.side)
        if earlier is None:
            held[finding.side] = finding
        elif earlier.polarity == finding.polarity:
            change = earlier.change if earlier.change == finding.change else None
            held[finding.side] = replace(earlier, change=change, attributes=_both(earlier, finding))
        elif earlier.polarity != "present" and finding.polarity == "present":
            held[finding.side] = finding
    return list(held.values()), clashes


def _kind(finding: Finding) -> str:
    return dict(finding.attributes).get("kind", "")


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
        elif finding.change is not None or _went_away(finding, [held[side] for side in rivals]):
            for side in rivals:  # wording of change: the last statement wins
                other = held.pop(side)
                change = finding.change or "resolved"
                held[finding.side or other.side] = replace(finding, side=finding.side or other.side, change=change)
        elif finding.polarity == "absent":
            for side in rivals:
                clashes += _clashes(held[side], finding)
                held[side] = _doubted(held[side])
        else:
            for side in rivals:
                clashes += _clashes(finding, held.pop(side))
            held[finding.side] = _doubted(finding)
    return _subsumed(held), clashes


def _went_away(denied: Finding, earlier: list[Finding]) -> bool:
    """气胸较前吸收，现未见气胸: the sentence itself says that what it denies was there before."""
    return denied.polarity == "absent" and any(
        other.change in ("decreased", "resolved") and other.sentence == denied.sentence for other in earlier
    )


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
    if earlier is None or (earlier.polarity == "absent") != (later.polarity == "absent"):
        return later
    if earlier.polarity == "absent":
        return replace(later, attributes=_both(earlier, later))
    seen = _stays_seen(earlier, later)
    firm = earlier if seen or earlier.contradicted else later
    spoken = earlier if seen else later
    return replace(
        later,
        zone=later.zone if later.zone or later.zones else earlier.zone,
        zones=later.zones or earlier.zones,
        words=spoken.words,
        chars=spoken.chars,
        severity=later.severity or earlier.severity,
        change=later.change or earlier.change,
        contradicted=later.contradicted or earlier.contradicted,
        polarity=firm.polarity,
        certainty=firm.certainty,
        size_mm=later.size_mm or earlier.size_mm,
        percent=later.percent if later.percent is not None else earlier.percent,
        count=later.count or earlier.count,
        attributes=_both(earlier, later),
    )


def _both(earlier: Finding, later: Finding) -> tuple[tuple[str, str], ...]:
    return tuple(dict.fromkeys((*earlier.attributes, *later.attributes)))


def _stays_seen(earlier: Finding, later: Finding) -> bool:
    """Whether ``later`` only hedges, in the same sentence, what the thing that ``earlier`` saw may be."""
    same = earlier.sentence == later.sentence and (earlier.polarity, later.polarity) == ("present", "uncertain")
    return same and not _SIGN.search(earlier.words.lower())


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
        earlier, later = sorted((one, replace(bare, side=one.side)), key=lambda finding: finding.chars)
        joined = _joined(earlier, later)
        firm = joined if one.sentence == bare.sentence else one
        kept[kept.index(one)] = replace(
            joined,
            words=one.words,
            chars=one.chars,
            sentence=one.sentence,
            polarity=firm.polarity,
            certainty=firm.certainty,
        )
    return kept


def _graded_by_percent(finding: Finding) -> Finding:
    """A pneumothorax that is given in percent alone gets the severity that the percentage stands for."""
    if finding.percent is None or finding.severity is not None:
        return finding
    severity: Severity = "mild" if finding.percent < _MODERATE_FROM else "moderate"
    return replace(finding, severity="severe" if finding.percent > _LARGE_ABOVE else severity)
