"""One line a method: scores of many maps joined, with bootstrap intervals.

Intervals are percentile bootstraps over films, not findings: two findings of one film are not independent.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from radiolucent.attribution.registry import method as method_of
from radiolucent.faithfulness.baselines import BASELINES
from radiolucent.faithfulness.types import Grade

RESAMPLES = 1000
LEVEL = 0.95


@dataclass(frozen=True)
class Score:
    """One map held against one lesion.

    Parameters
    ----------
    hit, energy, auc, chance
        As in :mod:`radiolucent.faithfulness.pointing`; an empty map scores hit 0, energy 0, auc 0.5.
    grade
        The map's own, blind to the mask; None where maps were not graded.
    forwards, backwards, seconds
        What the map cost.
    """

    case: str
    code: str
    method: str
    hit: float
    energy: float
    auc: float
    chance: float
    empty: bool = False
    forwards: int = 0
    backwards: int = 0
    seconds: float = 0.0
    grade: Grade | None = None


@dataclass(frozen=True)
class MethodRow:
    """A method's line in the table; intervals are 95 % bootstraps over films.

    Parameters
    ----------
    claim
        The method's, or ``baseline``.
    verified
        Share of the maps graded verified, and ``hit_verified`` the hit rate among those; None where not graded, or
        none was verified.
    """

    method: str
    claim: str
    findings: int
    hit: float
    hit_low: float
    hit_high: float
    energy: float
    energy_low: float
    energy_high: float
    auc: float
    chance: float
    empty: int
    forwards: float
    seconds: float
    verified: float | None = None
    hit_verified: float | None = None

    @property
    def hit_interval(self) -> tuple[float, float]:
        """``hit_low`` and ``hit_high``."""
        return self.hit_low, self.hit_high


def tabulate(scored: Sequence[Score], *, seed: int = 0) -> tuple[MethodRow, ...]:
    """A line for each method among the scores, best hit rate first; filter the scores first for one code or size."""
    names = dict.fromkeys(score.method for score in scored)
    rows = [_row(name, [score for score in scored if score.method == name], seed) for name in names]
    return tuple(sorted(rows, key=lambda row: -row.hit))


def bootstrap(
    values: NDArray[np.float64], clusters: NDArray[np.int64], *, seed: int = 0, level: float = LEVEL
) -> tuple[float, float]:
    """Percentile interval of the mean, whole clusters drawn with replacement.

    Parameters
    ----------
    values, clusters
        (n,): a value and the cluster (film) that it belongs to.
    """
    names, index = np.unique(clusters, return_inverse=True)
    sums = np.bincount(index, weights=values)
    sizes = np.bincount(index)
    draws = np.random.default_rng(seed).integers(len(names), size=(RESAMPLES, len(names)))
    means = sums[draws].sum(axis=1) / sizes[draws].sum(axis=1)
    tail = (1 - level) / 2
    low, high = np.quantile(means, [tail, 1 - tail])
    return float(low), float(high)


def _row(name: str, scored: Sequence[Score], seed: int) -> MethodRow:
    graded = [score for score in scored if score.grade is not None]
    verified = [score.hit for score in graded if score.grade == "verified"]
    cases = {case: number for number, case in enumerate(dict.fromkeys(score.case for score in scored))}
    clusters = np.array([cases[score.case] for score in scored])
    hits = np.array([score.hit for score in scored])
    energies = np.array([score.energy for score in scored])
    hit_low, hit_high = bootstrap(hits, clusters, seed=seed)
    energy_low, energy_high = bootstrap(energies, clusters, seed=seed)
    return MethodRow(
        method=name,
        claim="baseline" if name in BASELINES else method_of(name).claim,
        findings=len(scored),
        hit=float(hits.mean()),
        hit_low=hit_low,
        hit_high=hit_high,
        energy=float(energies.mean()),
        energy_low=energy_low,
        energy_high=energy_high,
        auc=float(np.mean([score.auc for score in scored])),
        chance=float(np.mean([score.chance for score in scored])),
        empty=sum(score.empty for score in scored),
        forwards=float(np.mean([score.forwards for score in scored])),
        seconds=float(np.mean([score.seconds for score in scored])),
        verified=len(verified) / len(graded) if graded else None,
        hit_verified=float(np.mean(verified)) if verified else None,
    )
