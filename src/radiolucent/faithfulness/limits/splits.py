"""How lesions and films are split by each property: the rows of the table, and the pairs of groups that are tested."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import numpy as np

from radiolucent.faithfulness.limits.types import Condition
from radiolucent.faithfulness.limits.units import Unit
from radiolucent.phantom.record import CODES, ZONES

LEVELS = {
    "finding": CODES,
    "side": ("left", "right", "bilateral"),
    "zone": ZONES,
    "severity": ("mild", "moderate", "severe"),
    "distractors": ("letter", "tube", "lead"),
    "company": CODES,
}
NAMED = ("side", "zone", "severity")
MEASURED = ("size", "contrast")
TOGETHER = ("distractors", "company")  # several may hold at once
QUARTILES = (0.25, 0.5, 0.75)

Pair = tuple[Condition, Condition | None]


def row_conditions(units: Sequence[Unit], factor: str) -> list[tuple[Condition, ...]]:
    """The groups of one factor, in order; levels that do not occur are left out."""
    if factor in MEASURED:
        cuts = cuts_of(units, factor)
        if not cuts:
            return []
        below = (Condition(factor, "below", cuts[0]),)
        between = [(Condition(factor, "from", low), Condition(factor, "below", high)) for low, high in pairwise(cuts)]
        return [below, *between, (Condition(factor, "from", cuts[-1]),)]
    if factor in TOGETHER:
        levels = _occurring(units, factor)
        nothing = tuple(Condition(factor, "without", level) for level in LEVELS[factor])
        return [nothing, *((Condition(factor, "with", level),) for level in levels)] if levels else []
    return [(Condition(factor, "is", level),) for level in _occurring(units, factor)]


def tested_pairs(units: Sequence[Unit], factor: str) -> list[Pair]:
    """The comparisons of one factor: each group against the rest, each measure below a cut against the part above."""
    if factor in MEASURED:
        return [(Condition(factor, "below", cut), Condition(factor, "from", cut)) for cut in cuts_of(units, factor)]
    levels = _occurring(units, factor)
    if factor in TOGETHER:
        return [(Condition(factor, "with", level), Condition(factor, "without", level)) for level in levels]
    if len(levels) == 2:
        return [(Condition(factor, "is", levels[0]), Condition(factor, "is", levels[1]))]
    return [(Condition(factor, "is", level), None) for level in levels] if len(levels) > 2 else []


def cuts_of(units: Sequence[Unit], factor: str) -> list[float]:
    """Quartiles of a measure, rounded to a tenth; each leaves units on both sides."""
    values = np.array([unit.traits[factor] for unit in units])
    if len(values) < 4:
        return []
    cuts = sorted({round(float(cut), 1) for cut in np.quantile(values, QUARTILES)})
    return [cut for cut in cuts if (values < cut).any() and (values >= cut).any()]


def _occurring(units: Sequence[Unit], factor: str) -> list[str]:
    present: set[str] = set()
    for unit in units:
        value = unit.traits[factor]
        present |= value if factor in TOGETHER else {value}
    return [level for level in LEVELS[factor] if level in present]
