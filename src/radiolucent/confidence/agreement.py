"""How far sampled reports agree with the draft, counted on findings with negation understood.

Each sample gives a finding one of four verdicts: present, uncertain, absent, silent. Silence is not denial. Side and
severity are scored conditionally: among the samples that assert the finding and place it (or grade it), how many place
(or grade) it as the draft does, with an interval of its own.
A sample that asserts the finding on the other side only counts as present with a side that disagrees, as long as the
draft names the finding on one side; where the draft rules on several sides, each is counted for itself.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Literal

from radiolucent.confidence.intervals import Interval, interval
from radiolucent.confidence.types import FindingConfidence
from radiolucent.errors import MalformedInput
from radiolucent.findings.types import Finding, Side

Verdict = Literal["present", "uncertain", "absent", "silent"]
_STRONGEST_FIRST: tuple[Literal["present", "uncertain", "absent"], ...] = ("present", "uncertain", "absent")


def agreement(
    draft: Sequence[Finding],
    reports: Sequence[Sequence[Finding]],
    *,
    rule: Interval = "jeffreys",
    level: float = 0.95,
) -> tuple[FindingConfidence, ...]:
    """Counts, interval and side agreement for every finding of the draft.

    Parameters
    ----------
    draft
        Findings of the report shown to people.
    reports
        Findings of each sampled report.
    rule, level
        Interval of the supporting share; see :func:`radiolucent.confidence.intervals.interval`.

    Returns
    -------
    One entry for each finding of the draft, in its order.
    """
    if not reports:
        raise MalformedInput("No sampled report was given; agreement needs at least one.")
    return tuple(_entry(finding, draft, reports, rule, level) for finding in draft)


def verdict(finding: Finding, report: Sequence[Finding], *, any_side: bool = False) -> Verdict:
    """What a report says about a finding of the draft.

    Parameters
    ----------
    any_side
        True: a report that names the finding on another side only still speaks about it.
    """
    named = [entry for entry in report if entry.code == finding.code]
    about = [entry for entry in named if sides_meet(entry.side, finding.side)]
    if not about and any_side:
        about = [entry for entry in named if entry.polarity != "absent"]
    said = {entry.polarity for entry in about}
    return next((polarity for polarity in _STRONGEST_FIRST if polarity in said), "silent")


def sides_meet(one: Side | None, other: Side | None) -> bool:
    """True where two sides can mean the same place: equal, one of them unsaid, or both sides taking in one."""
    if one is None or other is None or one == other:
        return True
    return {one, other} in ({"bilateral", "left"}, {"bilateral", "right"})


def omitted(draft: Sequence[Finding], reports: Sequence[Sequence[Finding]]) -> dict[str, int]:
    """Findings that samples assert and the draft does not mention: code -> samples that assert it, most first."""
    known = {finding.code for finding in draft}
    counts = Counter(
        code for report in reports for code in {f.code for f in report if f.polarity == "present"} if code not in known
    )
    return dict(counts.most_common())


def mentioned(reports: Sequence[Sequence[Finding]]) -> tuple[Finding, ...]:
    """One finding without a side for every code that any report speaks about, most mentioned first."""
    counts = Counter(code for report in reports for code in sorted({finding.code for finding in report}))
    return tuple(Finding(code=code) for code, _ in counts.most_common())


def term_frequencies(reports: Sequence[Sequence[Finding]], *, include_uncertain: bool = False) -> dict[str, float]:
    """Percent of samples that assert each finding, highest first, negation understood.

    The share is shrunk by Jeffreys's prior, (k + 1/2) / (n + 1), because a few samples can never show 100 %: ten of
    ten reads 95.5.

    Parameters
    ----------
    include_uncertain
        True: hedged mentions count as well. Denials never do: "未见炎症" is no mention of 炎症.

    Returns
    -------
    code -> percent in (0, 100)
    """
    if not reports:
        raise MalformedInput("No sampled report was given; a frequency needs at least one.")
    counted = {"present", "uncertain"} if include_uncertain else {"present"}
    counts = Counter(code for report in reports for code in {f.code for f in report if f.polarity in counted})
    return {code: 100 * (count + 0.5) / (len(reports) + 1) for code, count in counts.most_common()}


def _entry(
    finding: Finding, draft: Sequence[Finding], reports: Sequence[Sequence[Finding]], rule: Interval, level: float
) -> FindingConfidence:
    alone = sum(entry.code == finding.code for entry in draft) == 1 and finding.polarity != "absent"
    counts = Counter(verdict(finding, report, any_side=alone) for report in reports)
    low, high = interval(counts[finding.polarity], len(reports), rule=rule, level=level)
    side, severity = _side_agreement(finding, reports), _severity_agreement(finding, reports)
    return FindingConfidence(
        code=finding.code,
        side=finding.side,
        present=counts["present"],
        uncertain=counts["uncertain"],
        absent=counts["absent"],
        silent=counts["silent"],
        samples=len(reports),
        low=low,
        high=high,
        polarity=finding.polarity,
        interval=rule,
        level=level,
        side_agreement=side,
        side_interval=_share_interval(side, rule, level),
        severity_agreement=severity,
        severity_interval=_share_interval(severity, rule, level),
    )


def _side_agreement(finding: Finding, reports: Sequence[Sequence[Finding]]) -> tuple[int, int] | None:
    """(samples that place it on the draft's side, samples that assert and place it); None where it has no side."""
    if finding.side is None or finding.polarity == "absent":
        return None
    placed = [
        {f.side for f in report if f.code == finding.code and f.polarity != "absent" and f.side is not None}
        for report in reports
    ]
    located = [sides for sides in placed if sides]
    agree = sum(_same_place(finding.side, sides) for sides in located)
    return agree, len(located)


def _severity_agreement(finding: Finding, reports: Sequence[Sequence[Finding]]) -> tuple[int, int] | None:
    """(samples of the draft's severity, samples that assert it with one); None where the draft gives none.

    Where a sample grades several sides, those on the draft's side speak.
    """
    if finding.severity is None or finding.polarity == "absent":
        return None
    graded = [
        {
            entry.severity
            for entry in report
            if entry.code == finding.code
            and entry.polarity != "absent"
            and entry.severity is not None
            and sides_meet(entry.side, finding.side)
        }
        for report in reports
    ]
    told = [severities for severities in graded if severities]
    return sum(severities == {finding.severity} for severities in told), len(told)


def _share_interval(share: tuple[int, int] | None, rule: Interval, level: float) -> tuple[float, float] | None:
    """None where there is no share, or nothing to take one of."""
    return None if share is None or share[1] == 0 else interval(*share, rule=rule, level=level)


def _same_place(side: Side, sides: set[Side]) -> bool:
    """Both sides named one by one are the same place as ``bilateral``."""
    merged: set[Side] = {"bilateral"} if {"left", "right"} <= sides else sides
    return side in merged
