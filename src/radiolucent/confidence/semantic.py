"""How many things the sampled reports mean, and how evenly: semantic entropy over their finding-sets.

Two reports mean the same where they assert, or leave open, the same findings on the same sides; wording, order and
denials do not count, since a report that is silent about a finding and one that denies it paint the same patient.
The vote counts of these sets settle the discrete semantic entropy of Farquhar et al. 2024 (Nature 630, 625), which
needs no log-probabilities, and no model of entailment where findings are closed sets.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence

from radiolucent.errors import MalformedInput
from radiolucent.findings.types import Finding, Polarity, Side

Meaning = frozenset[tuple[str, Side | None, Polarity]]
"""(code, side, polarity) of every finding that is not absent."""


def meaning(report: Sequence[Finding]) -> Meaning:
    """What a report means, wording aside."""
    return frozenset((entry.code, entry.side, entry.polarity) for entry in report if entry.polarity != "absent")


def semantic_entropy(reports: Sequence[Sequence[Finding]]) -> tuple[float, int]:
    """Entropy over the finding-sets of sampled reports, and how many of them differ.

    Parameters
    ----------
    reports
        Findings of each sampled report.

    Returns
    -------
    entropy
        -sum p log p in nats over the sets' shares p: 0 where all mean the same, log K where all K differ.
    meanings
        Number of different sets.

    Raises
    ------
    MalformedInput
        Where there is no report.
    """
    if not reports:
        raise MalformedInput("No sampled report was given; an entropy needs at least one.")
    counts = Counter(meaning(report) for report in reports).values()
    total = len(reports)
    return max(0.0, -sum(count / total * math.log(count / total) for count in counts)), len(counts)
