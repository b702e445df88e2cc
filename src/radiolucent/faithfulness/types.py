"""Whether an explanation can itself be trusted: the grade that a map carries."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

Grade = Literal["verified", "weak", "not shown"]

MapKey = tuple[str, str]
"""(method, finding id), as in ``Explanation.maps``."""

GRADE_WORDS: dict[Grade, tuple[str, str]] = {
    "verified": ("verified", "已验证"),
    "weak": ("weak", "较弱"),
    "not shown": ("not shown", "不显示"),
}

# Not "no image evidence found": that reads as "no disease".
WITHHELD_EN = "No region could be shown to support this sentence; this does not mean that the finding is absent."
WITHHELD_ZH = "未能证实该描述依据的图像区域，不代表无此病变。"


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
        True: no colours may be drawn from this map; people see the withheld sentence instead.
    """

    grade: Grade
    effect: float
    control_low: float | None
    control_high: float | None
    necessity: float | None = None
    note: str = ""
    withheld: bool = False
    sufficiency: float | None = None


Faithfulness = Mapping[MapKey, MapGrade]
