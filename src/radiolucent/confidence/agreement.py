"""How far sampled reports agree with the draft, counted on findings with negation understood.

Each sample gives a finding one of four verdicts: present, uncertain, absent, silent. Silence is not denial. The side is
scored conditionally: among the samples that assert the finding and place it, how many place it where the draft does.
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
        side_agreement=_side_agreement(finding, reports),
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


def _same_place(side: Side, sides: set[Side]) -> bool:
    """Both sides named one by one are the same place as ``bilateral``."""
    merged: set[Side] = {"bilateral"} if {"left", "right"} <= sides else sides
    return side in merged
