"""Weights and thresholds of the grading rule, fitted on maps known to be right or wrong; and how well it tells them.

The score is that a map's place touches the lesion: maximum likelihood of the rule's own form, no weight against the
evidence, a small ridge so that signals which never fail on phantoms get no boundless weight. Every set of examples
(a level, a model) counts the same, however many maps it holds. Thresholds are read from the fitted scores, the least
from which on the stated share of maps touches: of A and B among maps whose own region was verified, of C among the
others. Left out there is what relies on a verified region outside the allowed anatomy: it is C by the rule itself,
and says why.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize
from scipy.special import expit

from radiolucent.attribution.verification import LEAST_NATS
from radiolucent.errors import MalformedInput
from radiolucent.faithfulness.grade_examples import Example
from radiolucent.faithfulness.grade_rule import SHARES, Rule, failed, letter, score
from radiolucent.faithfulness.metrics.intervals import Interval, bootstrap
from radiolucent.faithfulness.pointing import ranked_above

RIDGE = 0.003  # the best of 0.001 to 0.03 by area, five-fold over the films fitted on
TOUCHES: Mapping[str, float] = {"A": 0.99, "B": 0.95, "C": 0.9}  # least share of maps that touch
LEAST_EXAMPLES = 50


def fit(sets: Sequence[Sequence[Example]], *, fitted_on: Mapping[str, Any]) -> Rule:
    """The rule for some sets of examples.

    Parameters
    ----------
    sets
        Examples of a level and a model each.
    fitted_on
        What the examples were made from: goes with the rule.

    Raises
    ------
    MalformedInput
        Where there are too few examples, or only right or only wrong ones.
    """
    gradable = [[one for one in examples if one.signals.everything >= LEAST_NATS] for examples in sets]
    pooled = [one for examples in gradable for one in examples]
    right = np.array([one.touches for one in pooled])
    if len(pooled) < LEAST_EXAMPLES or right.all() or not right.any():
        raise MalformedInput(
            f"{len(pooled)} maps to fit on, {int(right.sum())} of them right; at least {LEAST_EXAMPLES} are needed, "
            "right ones and wrong ones."
        )
    known = [one.signals.agreement for one in pooled if one.signals.agreement is not None]
    no_agreement = float(np.median(known)) if known else 0.0
    shares, outside, overlap = _features(pooled, no_agreement)
    weight = np.concatenate([np.full(len(examples), 1 / len(examples)) for examples in gradable if examples])

    def loss(parameters: NDArray[np.float64]) -> float:
        likely = np.clip(_scores(parameters, shares, outside, overlap), 1e-4, 1 - 1e-4)
        surprise = -np.where(right, np.log(likely), np.log(1 - likely))
        return float(np.average(surprise, weights=weight) + RIDGE * np.square(parameters[1:]).mean())

    free, rising, falling = (None, None), (0, None), (None, 0)
    start = np.array([-2.0, *[1.0] * len(SHARES), -2.0])
    bounds = [free, *[rising] * len(SHARES), falling]
    found = minimize(loss, start, method="L-BFGS-B", bounds=bounds).x.round(3)
    scores = _scores(found, shares, outside, overlap)
    own = np.array([one.signals.own for one in pooled])
    verified = own & np.array([one.signals.verified for one in pooled])
    no_better = np.array([failed(one.signals) for one in pooled])
    inside = outside == 0
    letters = {
        letter: _threshold(scores[chosen], right[chosen], weight[chosen], TOUCHES[letter])
        for letter, chosen in (
            ("A", verified & inside),
            ("B", verified & inside),
            ("C", ~verified & ~no_better & (own | inside)),
        )
    }
    return Rule(
        intercept=float(found[0]),
        weights={name: float(value) for name, value in zip(SHARES, found[1:-1], strict=True)},
        outside=float(found[-1]),
        no_agreement=round(no_agreement, 3),
        least=letters,
        fitted_on=dict(fitted_on),
        checked_on={},
    )


def discrimination(examples: Sequence[Example], rule: Rule, *, hits: bool = False, seed: int = 0) -> Interval:
    """Area under the ROC curve of the score for "this map touches the lesion", films drawn with replacement.

    Parameters
    ----------
    hits
        For "its highest cell lies on the lesion" instead.
    """
    right = np.array([one.hits if hits else one.touches for one in examples], dtype=float)
    if not len(right) or right.all() or not right.any():
        raise MalformedInput(f"{len(right)} maps, {int(right.sum())} of them right: nothing to tell apart.")
    values = np.stack([np.array([score(one.signals, rule) for one in examples]), right], axis=1)
    films = np.array([one.film for one in examples])
    low, high = bootstrap(values, films, statistic=_area, seed=seed)
    return Interval(_area(values), low, high, len(set(films.tolist())))


def shares_right(examples: Sequence[Example], rule: Rule) -> dict[str, dict[str, float | int | None]]:
    """Letter -> how many maps have it, and the share of them that touches the lesion."""
    given = [letter(one.signals, rule) for one in examples]
    shares: dict[str, dict[str, float | int | None]] = {}
    for name in ("A", "B", "C", "withheld"):
        right = [one.touches for one, has in zip(examples, given, strict=True) if has == name]
        shares[name] = {"maps": len(right), "touch": round(sum(right) / len(right), 3) if right else None}
    return shares


def _area(values: NDArray[np.float64]) -> float:
    right = values[:, 1] > 0
    if right.all() or not right.any():
        return float("nan")
    return ranked_above(values[right, 0], values[~right, 0])


def _features(
    examples: Sequence[Example], no_agreement: float
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    def share(example: Example, name: str) -> float:
        value = getattr(example.signals, name)
        return no_agreement if value is None else float(value)

    shares = np.array([[share(one, name) for name in SHARES] for one in examples]).clip(0, 1)
    outside = np.array([float(one.signals.outside is True) for one in examples])
    overlap = np.array([one.signals.overlap for one in examples]).clip(0, 1)
    return shares, outside, overlap


def _scores(
    parameters: NDArray[np.float64],
    shares: NDArray[np.float64],
    outside: NDArray[np.float64],
    overlap: NDArray[np.float64],
) -> NDArray[np.float64]:
    found: NDArray[np.float64] = overlap * expit(parameters[0] + shares @ parameters[1:-1] + parameters[-1] * outside)
    return found


def _threshold(
    scores: NDArray[np.float64], right: NDArray[np.bool_], weight: NDArray[np.float64], share: float
) -> float:
    """The least score from which on at least ``share`` of the maps are right, two digits, rounded up; 1 where none."""
    order = np.argsort(-scores, kind="stable")
    precision = np.cumsum((weight * right)[order]) / np.cumsum(weight[order])
    enough = np.flatnonzero(precision >= share)
    least = scores[order[enough[-1]]] if len(enough) else 1.0
    return float(np.ceil(100 * min(least, 1.0)) / 100)
