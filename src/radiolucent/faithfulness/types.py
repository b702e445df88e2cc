"""Whether an explanation can itself be trusted: the grade that a map carries."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

Grade = Literal["verified", "weak", "not shown"]

Letter = Literal["A", "B", "C", "withheld"]
"""The grade inside the program, see :mod:`radiolucent.faithfulness.grade_rule`: A and B are shown as *verified*, C as
*weak*."""

MapKey = tuple[str, str]
"""(method, finding id), as in ``Explanation.maps``."""

GRADE_WORDS: dict[Grade, tuple[str, str]] = {
    "verified": ("verified", "已验证"),
    "weak": ("weak", "较弱"),
    "not shown": ("not shown", "不显示"),
}


@dataclass(frozen=True)
class MapGrade:
    """How a map did against maps that know nothing.

    Parameters
    ----------
    grade
        In the word that people see.
    effect
        Nats that the target loses when the map's region is hidden.
    control_low, control_high
        Range of the same loss over matched control regions (random, mirrored, centre); None where none was run.
    necessity
        Share of the target's log-odds lost with the region hidden; None where not measured.
    sufficiency
        Share kept with everything but the region hidden; None where not measured.
    note
        One sentence on how it was graded, in the prompt's language.
    withheld
        True: no colours may be drawn from this map; people see :data:`radiolucent.localize.WITHHELD` instead.
    score, letter
        What the grade was read from, see :mod:`radiolucent.faithfulness.grade_rule`; never shown to people as a
        probability. None where an explanation was made before there was one.
    lift
        Nats that the target loses with the whole picture hidden.
    gap, gap_interval
        Nats that hiding the region costs above the mean of its controls, and the 95 % bootstrap interval over them;
        None where no control was hidden, and for fewer than 20.
    specificity
        Share of the region's loss that its controls do not have; None where no control was hidden.
    agreement
        Of the finding's other maps with the tested region, from 0 (chance) to 1; None where there are none.
    overlap
        Of the map's own region with the tested one, 1 where it is the same; None where nothing was tested.
    outside
        Whether the evidence lies outside the anatomy allowed for the finding; None where that is not known.
    other_side
        Whether it lies outside only because it is on the patient's other side; None where that is not known, or the
        finding has no side.
    """

    grade: Grade
    effect: float
    control_low: float | None
    control_high: float | None
    necessity: float | None = None
    note: str = ""
    withheld: bool = False
    sufficiency: float | None = None
    score: float | None = None
    letter: Letter | None = None
    lift: float | None = None
    gap: float | None = None
    gap_interval: tuple[float, float] | None = None
    specificity: float | None = None
    agreement: float | None = None
    overlap: float | None = None
    outside: bool | None = None
    other_side: bool | None = None


Faithfulness = Mapping[MapKey, MapGrade]
