"""What a run says about a model's limits."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from radiolucent.faithfulness.limits.judging import JudgedFilm

Outcome = Literal["recall", "alarm", "wrong_side"]
Relation = Literal["is", "below", "from", "with", "without"]
Design = Literal["sample", "paired"]
ANY = "any"  # every finding together


@dataclass(frozen=True)
class Condition:
    """What a group of lesions or films has in common.

    Parameters
    ----------
    factor
        ``finding``, ``side``, ``zone``, ``severity``, ``size``, ``contrast``, ``distractors``, ``company``, or an
        imposed factor.
    level
        A name, or a number in the factor's own unit.
    """

    factor: str
    relation: Relation
    level: str | float


@dataclass(frozen=True)
class Share:
    """A counted share with its 95 % interval.

    Parameters
    ----------
    hits, count
        Of recall: lesions found and planted. Of alarms: films alarmed and films without the finding. Of wrong sides:
        lesions put on a wrong side and lesions found with a side.
    """

    hits: int
    count: int
    low: float
    high: float

    @property
    def rate(self) -> float:
        """The share; NaN where nothing was counted."""
        return self.hits / self.count if self.count else float("nan")


@dataclass(frozen=True)
class Row:
    """One line of the table.

    Parameters
    ----------
    conditions
        All of them hold; a range of sizes has two.
    usual
        Whether this is the level of the unchanged film in a paired set.
    difference
        Of a paired set: the rate less the usual film's, on the same cases, and its 95 % interval.
    """

    design: Design
    outcome: Outcome
    code: str
    factor: str
    conditions: tuple[Condition, ...]
    share: Share
    usual: bool = False
    difference: tuple[float, float, float] | None = None


@dataclass(frozen=True)
class Comparison:
    """Two groups held against each other by an exact test.

    Parameters
    ----------
    condition
        Of the group that does worse.
    against
        Of the group that it is held against; None for all others.
    weak, others
        Their shares. In a paired set the same cases with and without the condition.
    within
        The weakness inside which a second step looks, None in the first step.
    p, adjusted
        As tested (Fisher's exact test; in paired sets the exact sign test over cases), and after Holm's correction
        for all comparisons of its step.
    changed
        Paired sets: cases that got worse and cases that got better.
    is_worse
        Whether the condition's group is the one that does worse.
    """

    design: Design
    outcome: Outcome
    code: str
    condition: Condition
    against: Condition | None
    weak: Share
    others: Share
    p: float
    adjusted: float = 1.0
    within: Condition | None = None
    changed: tuple[int, int] | None = None
    is_worse: bool = True
    members: frozenset[tuple[int, str]] = field(default=frozenset(), repr=False)  # (seed, code) of the weak group's bad


@dataclass(frozen=True)
class Suggestion:
    """Something a developer can act on.

    Parameters
    ----------
    main
        The comparison that it rests on.
    narrower
        Where inside that weakness it is worst, from the second step.
    also
        Other conditions under which the same misses stand out.
    en, zh
        The sentences shown.
    """

    main: Comparison
    narrower: tuple[Comparison, ...]
    also: tuple[Comparison, ...]
    en: str
    zh: str

    def text(self, language: str) -> str:
        """The sentences in ``"en"`` or ``"zh"``."""
        return self.zh if language == "zh" else self.en


@dataclass(frozen=True)
class Limits:
    """Where a model fails, as far as these films can tell.

    Parameters
    ----------
    settings
        Model, weights, question, seeds, films: what the records were made with.
    rows
        The table by factor.
    comparisons
        Every test that was made, first step and second.
    suggestions
        Weaknesses that the tests support, surest first.
    films
        Every film that was read, held against its truth.
    reading
        Language of the reports.
    """

    settings: Mapping[str, Any]
    rows: tuple[Row, ...]
    comparisons: tuple[Comparison, ...]
    suggestions: tuple[Suggestion, ...]
    films: tuple[JudgedFilm, ...]
    reading: Literal["en", "zh"]

    def tests(self, step: int) -> int:
        """How many comparisons a step (1 or 2) made."""
        return sum((comparison.within is not None) == (step == 2) for comparison in self.comparisons)
