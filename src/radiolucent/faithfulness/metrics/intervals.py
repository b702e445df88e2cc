"""Intervals for numbers measured on films: the bootstrap, whole films drawn with replacement.

Findings of one film are not independent, so films are resampled and not findings (cluster bootstrap, Field & Welsh
2007, J R Stat Soc B 69:369). ``percentile`` takes the resampled statistic's quantiles; ``bca`` corrects them for bias
and skew (Efron 1987, JASA 82:171), better for skewed statistics, at one jackknife more.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.stats import norm

from radiolucent.errors import MalformedInput
from radiolucent.faithfulness.pointing import ranked_above

RESAMPLES = 1000
LEVEL = 0.95
USABLE = 0.9  # least share of resamples on which the statistic must be defined: an AUROC with 3 positive films has 0.95

Statistic = Callable[[NDArray[np.float64]], float]
"""Values of some cases -> a number; NaN where it is not defined on them."""

BootstrapMethod = Literal["percentile", "bca"]


@dataclass(frozen=True)
class Interval:
    """A number and its bootstrap interval.

    Parameters
    ----------
    value
        On all cases.
    low, high
        Bounds of the 95 % interval, unless another level was asked for.
    cases
        Independent cases that it rests on.
    """

    value: float
    low: float
    high: float
    cases: int


def bootstrap(
    values: NDArray[np.float64],
    clusters: NDArray[np.generic],
    *,
    statistic: Statistic | None = None,
    method: BootstrapMethod = "percentile",
    seed: int = 0,
    level: float = LEVEL,
    resamples: int = RESAMPLES,
) -> tuple[float, float]:
    """Interval of a statistic, whole clusters drawn with replacement.

    A single cluster gives an interval of no width, which says nothing of other cases; :func:`interval` refuses it.

    Parameters
    ----------
    values
        (n,), or (n, k) where the statistic takes k numbers a row.
    clusters
        (n,): the cluster (film) that each row belongs to.
    statistic
        The mean where None.
    method
        ``percentile`` or ``bca``.

    Raises
    ------
    MalformedInput
        Where the shapes disagree, a value is not finite, an option is out of range, or the statistic is undefined on
        more than a tenth of the resamples.
    """
    rows, index, count = _checked(values, clusters, method, level, resamples)
    draws = np.random.default_rng(seed).integers(count, size=(resamples, count))
    if statistic is None and rows.ndim == 1:
        sums, sizes = np.bincount(index, weights=rows), np.bincount(index)
        drawn = sums[draws].sum(axis=1) / sizes[draws].sum(axis=1)
        statistic = _mean
    else:
        statistic = _mean if statistic is None else statistic
        members = [np.flatnonzero(index == cluster) for cluster in range(count)]
        drawn = np.array([statistic(rows[np.concatenate([members[c] for c in draw])]) for draw in draws])
    defined = drawn[~np.isnan(drawn)]
    if len(defined) < USABLE * resamples:
        raise MalformedInput(
            f"The statistic is defined on {len(defined)} of {resamples} resamples of {count} cases; use more cases."
        )
    tail = (1 - level) / 2
    quantiles = np.array([tail, 1 - tail])
    if method == "bca":
        quantiles = _corrected(quantiles, rows, index, count, statistic, defined)
    low, high = np.quantile(defined, quantiles)
    return float(low), float(high)


def interval(
    values: ArrayLike,
    clusters: ArrayLike,
    *,
    statistic: Statistic | None = None,
    method: BootstrapMethod = "percentile",
    seed: int = 0,
    level: float = LEVEL,
    resamples: int = RESAMPLES,
) -> Interval:
    """A statistic with its interval; arguments and errors as in :func:`bootstrap`, and at least two clusters."""
    rows, names = np.asarray(values, dtype=np.float64), np.asarray(clusters)
    cases = len(np.unique(names))
    if cases < 2:
        raise MalformedInput(f"{cases} case; an interval needs at least 2 independent ones.")
    low, high = bootstrap(rows, names, statistic=statistic, method=method, seed=seed, level=level, resamples=resamples)
    return Interval((_mean if statistic is None else statistic)(rows), low, high, cases)


def paired_difference(
    first: ArrayLike,
    second: ArrayLike,
    clusters: ArrayLike,
    *,
    method: BootstrapMethod = "percentile",
    seed: int = 0,
    level: float = LEVEL,
    resamples: int = RESAMPLES,
) -> Interval:
    """Mean of first less second, measured on the same findings, with its interval.

    Pairing takes out how hard each film is: two methods whose own intervals overlap may still differ surely.

    Parameters
    ----------
    first, second
        (n,): the two methods' numbers, row by row of the same finding.
    clusters, method, seed, level, resamples
        As in :func:`bootstrap`.
    """
    one, two = np.asarray(first, dtype=np.float64), np.asarray(second, dtype=np.float64)
    if one.shape != two.shape or one.ndim != 1:
        raise MalformedInput(f"Values of shapes {one.shape} and {two.shape}; pairs need one row each.")
    return interval(one - two, clusters, method=method, seed=seed, level=level, resamples=resamples)


def auroc(scores: ArrayLike, labels: ArrayLike) -> float:
    """Chance that a positive scores above a negative, ties counted half (area under the ROC curve).

    Parameters
    ----------
    scores
        (n,) finite.
    labels
        (n,) bool, or 0 and 1; both must occur.

    References
    ----------
    Hanley & McNeil 1982, Radiology 143:29.
    """
    given = _labelled(scores, labels)
    if len(np.unique(given[:, 1])) < 2:
        raise MalformedInput("All labels are the same; an AUROC needs positives and negatives.")
    return _auroc(given)


def auroc_interval(
    scores: ArrayLike,
    labels: ArrayLike,
    clusters: ArrayLike,
    *,
    method: BootstrapMethod = "percentile",
    seed: int = 0,
    level: float = LEVEL,
    resamples: int = RESAMPLES,
) -> Interval:
    """AUROC with its interval; resamples without both labels are left out (at most a tenth of them may be).

    Arguments as in :func:`auroc` and :func:`bootstrap`.
    """
    auroc(scores, labels)
    given = _labelled(scores, labels)
    return interval(given, clusters, statistic=_auroc, method=method, seed=seed, level=level, resamples=resamples)


def _mean(rows: NDArray[np.float64]) -> float:
    return float(rows.mean())


def _auroc(rows: NDArray[np.float64]) -> float:
    hits, others = rows[rows[:, 1] == 1, 0], rows[rows[:, 1] == 0, 0]
    return ranked_above(hits, others) if len(hits) and len(others) else float("nan")


def _labelled(scores: ArrayLike, labels: ArrayLike) -> NDArray[np.float64]:
    given, truth = np.asarray(scores, dtype=np.float64), np.asarray(labels, dtype=np.float64)
    if given.ndim != 1 or given.shape != truth.shape or given.size == 0:
        raise MalformedInput(f"Scores of shape {given.shape} and labels of shape {truth.shape}; expected (n,) each.")
    if not np.isin(truth, (0, 1)).all():
        raise MalformedInput("Labels other than 0 and 1 (or false and true).")
    if not np.isfinite(given).all():
        raise MalformedInput("A score is not finite; it cannot be ranked.")
    return np.stack([given, truth], axis=1)


def _checked(
    values: NDArray[np.float64], clusters: NDArray[np.generic], method: str, level: float, resamples: int
) -> tuple[NDArray[np.float64], NDArray[np.int64], int]:
    """The rows, the number of each row's cluster, and how many clusters there are."""
    rows = np.asarray(values, dtype=np.float64)
    if rows.ndim == 0 or len(rows) == 0 or np.shape(clusters) != rows.shape[:1]:
        raise MalformedInput(
            f"Values of shape {rows.shape} and clusters of shape {np.shape(clusters)}; expected a cluster for each of "
            "at least one row."
        )
    if not np.isfinite(rows).all():
        raise MalformedInput("A value is not finite; leave out what could not be measured, and say how much it was.")
    if method not in ("percentile", "bca"):
        raise MalformedInput(f"Bootstrap '{method}' is unknown; use 'percentile' or 'bca'.")
    if not 0 < level < 1 or resamples < 1:
        raise MalformedInput(f"Level {level} and {resamples} resamples; expected a level between 0 and 1, 1 or more.")
    names, index = np.unique(clusters, return_inverse=True)
    return rows, index.reshape(-1), len(names)


def _corrected(
    quantiles: NDArray[np.float64],
    rows: NDArray[np.float64],
    index: NDArray[np.int64],
    count: int,
    statistic: Statistic,
    drawn: NDArray[np.float64],
) -> NDArray[np.float64]:
    """Quantiles moved by the bias of the resamples and by the acceleration from leaving each cluster out."""
    value = statistic(rows)
    below = ((drawn < value).mean() + (drawn <= value).mean()) / 2
    if count < 2 or not 0 < below < 1:
        return quantiles  # resamples all alike, or all on one side: nothing to correct by
    left_out = np.array([statistic(rows[index != cluster]) for cluster in range(count)])
    if not np.isfinite(left_out).all():
        raise MalformedInput("The statistic is undefined without one of the cases; use 'percentile', or more cases.")
    pull = left_out.mean() - left_out
    spread = float((pull**2).sum())
    acceleration = float((pull**3).sum()) / (6 * spread**1.5) if spread > 0 else 0.0
    bias = norm.ppf(below)
    shifted = bias + norm.ppf(quantiles)
    moved: NDArray[np.float64] = norm.cdf(bias + shifted / (1 - acceleration * shifted))
    return moved
