"""A calibration held against films that it was not fitted on, beside the scores that need none, and what is demanded.

What is measured is what people see: the probability from the samples drawn until a decision. That it loses little
against all samples is one of the demands.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from radiolucent.calibrate.compare import auroc_of, mean_drawn, risk_of, scores
from radiolucent.calibrate.observations import Observations, Observed
from radiolucent.confidence.calibration import Calibration, measured
from radiolucent.confidence.scores import auroc, brier, interval
from radiolucent.errors import MalformedInput

MOST_ECE, LEAST_AUROC, MOST_SAMPLES, MOST_LOSS = 0.05, 0.85, 10.0, 0.01
HALF = 0.5  # of the error rate may be left with the 70 % most confident findings kept
BEATEN = (
    ("frequency", "sampling frequency", "采样频率"),
    ("sequence", "naive sequence probability", "序列概率"),
    ("p_true", "P(True)", "P(True)"),
)


@dataclass(frozen=True)
class Demand:
    """One thing that must hold, with what was measured.

    Parameters
    ----------
    value
        nan where it could not be measured: then it does not hold.
    at_most
        Whether the bound is the largest value allowed, or the least.
    strict
        Whether the bound itself fails.
    """

    en: str
    zh: str
    value: float
    bound: float
    at_most: bool
    strict: bool = False

    @property
    def held(self) -> bool:
        """Whether it holds."""
        better = self.bound - self.value if self.at_most else self.value - self.bound
        return bool(better > 0 if self.strict else better >= 0)


@dataclass(frozen=True, eq=False)
class Checked:
    """What a calibration is worth on films that it never saw.

    Parameters
    ----------
    probability, right
        float64, bool (findings,): what people see, and whether the finding is right.
    overall, asserted
        Name -> (value, low, high) for ECE, Brier score and AUROC, over all findings and over those that are not
        denials; see :func:`radiolucent.confidence.calibration.measured`.
    base_brier
        Brier score of always stating the share that is right: the score of one who knows only that.
    auroc, risk
        Score -> as in :class:`radiolucent.calibrate.compare.Calibrated`.
    ahead
        Score -> (AUROC by which the probability is ahead of it, 95 % interval), film by film.
    loss
        AUROC that stopping early costs the probability, with its 95 % interval.
    """

    calibration: Calibration
    films: int
    findings: int
    wrong: int
    unfit: Mapping[str, str]
    seeds: tuple[int, int] | None
    probability: NDArray[np.float64]
    right: NDArray[np.bool_]
    overall: Mapping[str, Any]
    asserted: Mapping[str, Any] | None
    base_brier: float
    auroc: Mapping[str, tuple[float, float, float]]
    risk: Mapping[str, Mapping[str, float]]
    ahead: Mapping[str, tuple[float, float, float]]
    loss: tuple[float, float, float]
    drawn: float
    all_scores: Mapping[str, NDArray[np.float64]]

    @property
    def demands(self) -> tuple[Demand, ...]:
        """What must hold."""
        whole, kept = self.risk["calibrated"]["all"], self.risk["calibrated"]["70 %"]
        return (
            Demand("calibration error (ECE)", "校准误差（ECE）", self.overall["ece"][0], MOST_ECE, True),
            Demand("AUROC for “this is right”", "“该征象正确”的AUROC", self.overall["auroc"][0], LEAST_AUROC, False),
            *(
                Demand(f"AUROC ahead of {name}", f"AUROC高于{zh}的差值", self.ahead[score][0], 0.0, False, strict=True)
                for score, name, zh in BEATEN
            ),
            Demand(
                "share of the error rate left with the surest 70 % kept",
                "保留最确信的70%后剩余的错误率比例",
                kept / whole if whole else float("nan"),
                HALF,
                True,
            ),
            Demand("samples drawn on average", "平均采样份数", self.drawn, MOST_SAMPLES, True),
            Demand("AUROC lost by stopping early", "提前停止损失的AUROC", self.loss[0], MOST_LOSS, True),
        )


def check(
    seen: Observations, calibration: Calibration, *, seeds: tuple[int, int] | None = None, seed: int = 0
) -> Checked:
    """Hold a calibration against observed films.

    Parameters
    ----------
    seeds
        First and last seed, where the films are phantoms.
    seed
        Of the bootstrap.

    Raises
    ------
    MalformedInput
        Where the films are among those that it was fitted on, or all findings are right (or wrong): nothing can be
        told apart then.
    """
    calibration.check_unseen(seeds)
    found = seen.findings
    right = np.array([one.labelled.right for one in found], dtype=bool)
    if right.all() or not right.any():
        raise MalformedInput(f"All {len(right)} findings are {'right' if right.all() else 'wrong'}; give more films.")
    films = [one.labelled.case for one in found]
    early = np.array([_probability(calibration, one, one.labelled.signals) for one in found])
    full = np.array([_probability(calibration, one, one.full) for one in found])
    every = scores(found, early)
    asserted = [place for place, one in enumerate(found) if one.labelled.polarity != "absent"]
    mixed = bool(asserted) and len(set(right[asserted].tolist())) == 2
    return Checked(
        calibration=calibration,
        films=seen.films,
        findings=len(found),
        wrong=int((~right).sum()),
        unfit=seen.unfit,
        seeds=seeds,
        probability=early,
        right=right,
        overall=measured(early, right, films, seed=seed),
        asserted=measured(early[asserted], right[asserted], [films[p] for p in asserted], seed=seed) if mixed else None,
        base_brier=brier(np.full(len(right), right.mean()), right),
        auroc=auroc_of(every, found, seed=seed),
        risk=risk_of(every, found),
        ahead={name: _ahead(early, every[name], right, films, seed) for name in every if name != "calibrated"},
        loss=_ahead(full, early, right, films, seed),
        drawn=mean_drawn(found),
        all_scores=every,
    )


def _probability(calibration: Calibration, one: Observed, signals: Any) -> float:
    return calibration.probability(one.labelled.code, one.labelled.polarity, signals)


def _ahead(
    one: NDArray[np.float64], other: NDArray[np.float64], right: NDArray[np.bool_], films: Sequence[str], seed: int
) -> tuple[float, float, float]:
    """By how much the first score's AUROC is above the other's, with its 95 % interval over films."""

    def difference(both: NDArray[np.float64], truth: NDArray[np.bool_]) -> float:
        return auroc(both[:, 0], truth) - auroc(both[:, 1], truth)

    both = np.stack([one, other], axis=1)
    return (difference(both, right), *interval(difference, both, right, films, seed=seed))
