"""From measured signals to a score and a letter: the one rule by which every map is graded.

The rule, in words
------------------
1. *Nothing to grade* (withheld, score 0): the map has no region, no region of the finding was tested, or hiding the
   whole picture costs the words less than ``LEAST_NATS``: the picture adds nothing to them.
2. *Score*: a logistic sum of five signals, each in [0, 1] and none with a negative weight: ``lift`` (share of the
   words' probability that is lost without the picture), ``necessity``, ``sufficiency``, ``gap`` (the region's effect
   over its controls', as a share of the picture's) and ``agreement`` (of the finding's other maps with the region).
   Evidence outside the anatomy allowed for the finding loses a fixed sum.
3. A map whose own region was not tested has the score of the region that was, times the ``overlap`` of the two.
4. *Letter*: a region of the map's own that passed the tests of :mod:`radiolucent.attribution.verification` is A or B
   from their thresholds on, and else C. One that did not pass, and whose effect is not ``LEAST_NATS`` above its
   controls' 95th percentile, is withheld. Any other map is C from its threshold on, and else withheld. Evidence outside
   the allowed anatomy is at most C: verified reliance is shown, because it must be seen to be doubted, and never
   called verified there; only against a region that did not pass its own tests its place counts too.

People see A and B as *verified*, C as *weak*, and no colours of a withheld map. Weights and thresholds were fitted on
phantoms, see ``grade_rule.json`` beside this file, which names the films. A score is no probability of disease, and
for any other model than the one it was fitted with it is only an order.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, fields
from functools import cache
from importlib import resources
from pathlib import Path
from typing import Any

from radiolucent.attribution.verification import LEAST_NATS
from radiolucent.errors import MalformedInput
from radiolucent.faithfulness.types import Grade, Letter

SHARES = ("lift", "necessity", "sufficiency", "gap", "agreement")
SHOWN: Mapping[Letter, Grade] = {"A": "verified", "B": "verified", "C": "weak", "withheld": "not shown"}


@dataclass(frozen=True)
class Signals:
    """What was measured of one region.

    Parameters
    ----------
    everything
        Nats that the words lose with the whole picture hidden: what the image adds to them.
    necessity, sufficiency, gap
        Shares of ``everything``: lost with the region hidden; kept with it alone; the region's effect above its
        controls', 0 where no control was run.
    agreement
        Of the finding's other maps with the region, 0 for chance and 1 for the same cells; None where there are none.
    outside
        Whether the region lies outside the anatomy allowed for the finding; None where that is not known.
    verified
        Whether the region passed the verification.
    overlap
        Of the map's own region with the tested one; 1 where the tested region is the map's own.
    own
        Whether the tested region is the map's own.
    other_side
        Whether the region lies outside only because it is on the patient's other side; None where that is not known,
        or the finding has no side. Said to people and not weighed: ``outside`` is.
    """

    everything: float
    necessity: float = 0.0
    sufficiency: float = 0.0
    gap: float = 0.0
    agreement: float | None = None
    outside: bool | None = None
    verified: bool = False
    overlap: float = 1.0
    own: bool = True
    other_side: bool | None = None

    def __post_init__(self) -> None:
        for name in ("everything", "necessity", "sufficiency", "gap", "agreement", "overlap"):
            value = getattr(self, name)
            if value is not None and not math.isfinite(value):
                raise MalformedInput(f"The signal {name} is {value}; grades need finite measurements.")

    @property
    def lift(self) -> float:
        """Share of the words' probability that is lost without the picture."""
        return -math.expm1(-max(self.everything, 0.0))


@dataclass(frozen=True)
class Rule:
    """Weights and thresholds of the module's rule.

    Parameters
    ----------
    intercept, weights
        Of the logistic sum; a weight, not negative, for each of ``SHARES``.
    outside
        Added, not positive, where the evidence lies outside the allowed anatomy.
    no_agreement
        Stands for an agreement that could not be measured.
    least
        Scores from which on A and B are given to a verified region, and C to any other map.
    fitted_on, checked_on
        The films, and what was measured on them.
    """

    intercept: float
    weights: Mapping[str, float]
    outside: float
    no_agreement: float
    least: Mapping[str, float]
    fitted_on: Mapping[str, Any]
    checked_on: Mapping[str, Any]

    def __post_init__(self) -> None:
        if tuple(self.weights) != SHARES or tuple(self.least) != ("A", "B", "C"):
            raise MalformedInput(
                f"The rule weighs {', '.join(self.weights)} and gives {', '.join(self.least)}; expected "
                f"{', '.join(SHARES)} and A, B, C."
            )
        numbers = [self.intercept, self.outside, self.no_agreement, *self.weights.values(), *self.least.values()]
        if not all(isinstance(number, (int, float)) and math.isfinite(number) for number in numbers):
            raise MalformedInput("The rule holds a weight or threshold that is not a finite number.")
        if min(self.weights.values()) < 0 or self.outside > 0:
            raise MalformedInput("A weight against the evidence: more of a signal may never lower a score.")
        if not (1 >= self.least["A"] >= self.least["B"] > 0 and 1 >= self.least["C"] > 0):
            raise MalformedInput("The thresholds must lie within (0, 1], and B's not above A's.")


def load_rule(path: Path | None = None) -> Rule:
    """The rule of a file; the packaged one where None.

    Raises
    ------
    MalformedInput
        Where the file is no such rule.
    """
    if path is None:
        return _packaged()
    return _read(path.read_text(encoding="utf-8"), str(path))


def score(signals: Signals, rule: Rule | None = None) -> float:
    """In [0, 1]; never falls when a signal rises."""
    rule = load_rule() if rule is None else rule
    if signals.everything < LEAST_NATS:
        return 0.0
    return _logistic(signals, rule, rule.outside if signals.outside else 0.0)


def letter(signals: Signals, rule: Rule | None = None) -> Letter:
    """A, B, C or withheld; never falls when a signal rises."""
    rule = load_rule() if rule is None else rule
    if signals.everything < LEAST_NATS:
        return "withheld"
    # where the evidence lies is not held against that the words rely on it
    reliance = _logistic(signals, rule, 0.0)
    if signals.verified and signals.own:
        if signals.outside or reliance < rule.least["B"]:
            return "C"
        return "A" if reliance >= rule.least["A"] else "B"
    if failed(signals):
        return "withheld"
    held = score(signals, rule) if signals.own else reliance
    return "C" if held >= rule.least["C"] else "withheld"


def failed(signals: Signals) -> bool:
    """Whether the map's own region was tested and did no better than its controls."""
    return signals.own and not signals.verified and signals.gap * signals.everything < LEAST_NATS


def _logistic(signals: Signals, rule: Rule, more: float) -> float:
    values = {name: getattr(signals, name) for name in SHARES}
    if signals.agreement is None:
        values["agreement"] = rule.no_agreement
    total = rule.intercept + more
    total += sum(weight * min(max(values[name], 0.0), 1.0) for name, weight in rule.weights.items())
    return min(max(signals.overlap, 0.0), 1.0) / (1 + math.exp(-total))


@cache
def _packaged() -> Rule:
    file = resources.files("radiolucent.faithfulness").joinpath("grade_rule.json")
    return _read(file.read_text(encoding="utf-8"), "the packaged grade_rule.json")


def _read(text: str, name: str) -> Rule:
    try:
        stored = json.loads(text)
    except json.JSONDecodeError as error:
        raise MalformedInput(f"{name} is not JSON ({error}); expected a fitted grading rule.") from None
    expected = {field.name for field in fields(Rule)}
    if not isinstance(stored, dict) or set(stored) != expected:
        found = ", ".join(sorted(stored)) if isinstance(stored, dict) else type(stored).__name__
        raise MalformedInput(f"{name} holds {found}; a grading rule holds {', '.join(sorted(expected))}.")
    for key in ("weights", "least", "fitted_on", "checked_on"):
        if not isinstance(stored[key], dict):
            raise MalformedInput(f"{name}: {key} is {type(stored[key]).__name__}; expected an object.")
    return Rule(**stored)
