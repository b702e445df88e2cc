"""How good probabilities are: calibration error, Brier score, AUROC, and the error that is left when less is kept.

All take ``probability`` float (n,) in [0, 1] and ``right`` bool (n,).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.stats import rankdata

from radiolucent.errors import MalformedInput

BINS = 10
RESAMPLES = 1000

Metric = Callable[[NDArray[np.float64], NDArray[np.bool_]], float]


def calibration_error(probability: ArrayLike, right: ArrayLike, *, bins: int = BINS) -> float:
    """Expected calibration error over bins of equal count (Nixon et al. 2019, adaptive ECE).

    Bins of equal width leave most bins of a confident model nearly empty. Each bin's |mean probability - share right|
    counts by its size.
    """
    stated, truth = _checked(probability, right)
    parts = _equal_bins(stated, bins)
    return float(sum(len(p) * abs(stated[p].mean() - truth[p].mean()) for p in parts) / len(stated))


def brier(probability: ArrayLike, right: ArrayLike) -> float:
    """Mean squared distance between probability and truth (Brier 1950)."""
    stated, truth = _checked(probability, right)
    return float(np.mean((stated - truth) ** 2))


def auroc(score: ArrayLike, right: ArrayLike) -> float:
    """Chance that a right finding scores above a wrong one; nan where all are right or all are wrong."""
    stated = np.asarray(score, dtype=np.float64)
    truth = np.asarray(right, dtype=bool)
    if stated.shape != truth.shape or stated.ndim != 1 or not np.isfinite(stated).all():
        raise MalformedInput(f"Scores {stated.shape} and truths {truth.shape}: expected finite and of one length.")
    right_ones = int(truth.sum())
    wrong_ones = len(truth) - right_ones
    if not right_ones or not wrong_ones:
        return float("nan")
    # Mann and Whitney's count of ranks: bootstraps ask for it thousands of times
    above = rankdata(stated)[truth].sum() - right_ones * (right_ones + 1) / 2
    return float(above / (right_ones * wrong_ones))


@dataclass(frozen=True, eq=False)
class RiskCoverage:
    """Error among the most confident, for every share kept.

    Parameters
    ----------
    coverage
        float64 (n,): share kept, 1/n to 1.
    risk
        float64 (n,): share of wrong ones among those kept; ties are averaged over every order.
    """

    coverage: NDArray[np.float64]
    risk: NDArray[np.float64]

    def at(self, coverage: float) -> float:
        """Risk with this share kept."""
        place = int(np.searchsorted(self.coverage, coverage - 1e-9))
        return float(self.risk[min(place, len(self.risk) - 1)])

    @property
    def area(self) -> float:
        """Mean risk over all coverages (AURC, Geifman et al. 2019)."""
        return float(self.risk.mean())


def risk_coverage(score: ArrayLike, right: ArrayLike) -> RiskCoverage:
    """The risk-coverage curve (El-Yaniv and Wiener 2010)."""
    stated, truth = np.asarray(score, dtype=np.float64), np.asarray(right, dtype=bool)
    if stated.shape != truth.shape or stated.ndim != 1 or len(stated) == 0 or not np.isfinite(stated).all():
        raise MalformedInput(f"Scores {stated.shape} and truths {truth.shape}: expected finite and of one length.")
    order = np.argsort(-stated, kind="stable")
    wrong = (~truth[order]).astype(np.float64)
    _, starts, counts = np.unique(-stated[order], return_index=True, return_counts=True)
    for start, count in zip(starts, counts, strict=True):
        wrong[start : start + count] = wrong[start : start + count].mean()
    kept = np.arange(1, len(wrong) + 1)
    return RiskCoverage(kept / len(wrong), np.cumsum(wrong) / kept)


def reliability(probability: ArrayLike, right: ArrayLike, *, bins: int = BINS) -> list[tuple[float, float, int]]:
    """(mean probability, share right, count) of bins of equal count, lowest first."""
    stated, truth = _checked(probability, right)
    parts = _equal_bins(stated, bins)
    return [(float(stated[p].mean()), float(truth[p].mean()), len(p)) for p in parts]


def interval(
    metric: Metric,
    values: ArrayLike,
    right: ArrayLike,
    cases: Sequence[str],
    *,
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> tuple[float, float]:
    """Bootstrap 95 % interval of a metric; whole cases are drawn, since findings of one film are not independent."""
    stated, truth = np.asarray(values, dtype=np.float64), np.asarray(right, dtype=bool)
    names = np.asarray(cases)
    if not len(stated) == len(truth) == len(names) > 0:
        raise MalformedInput(f"{len(stated)} values, {len(truth)} truths, {len(names)} case names; expected as many.")
    _, group = np.unique(names, return_inverse=True)
    members = [np.flatnonzero(group == one) for one in range(group.max() + 1)]
    draw = np.random.default_rng(seed)
    found = []
    for _ in range(resamples):
        picked = np.concatenate([members[one] for one in draw.integers(len(members), size=len(members))])
        value = metric(stated[picked], truth[picked])
        if np.isfinite(value):
            found.append(value)
    if not found:
        return float("nan"), float("nan")
    low, high = np.quantile(found, [0.025, 0.975])
    return float(low), float(high)


def _equal_bins(stated: NDArray[np.float64], bins: int) -> list[NDArray[np.int64]]:
    """Indices of bins of about equal count, lowest first; equal values share a bin, and no bin is empty."""
    place = ((rankdata(stated) - 0.5) / len(stated) * bins).astype(np.int64)
    return [np.flatnonzero(place == one) for one in np.unique(place)]


def _checked(probability: ArrayLike, right: ArrayLike) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    stated, truth = np.asarray(probability, dtype=np.float64), np.asarray(right, dtype=bool)
    if stated.ndim != 1 or stated.shape != truth.shape or len(stated) == 0:
        raise MalformedInput(f"Probabilities {stated.shape} and truths {truth.shape}: expected one length above 0.")
    if not (np.isfinite(stated).all() and stated.min() >= 0 and stated.max() <= 1):
        raise MalformedInput("Probabilities must be finite and in [0, 1].")
    return stated, truth
