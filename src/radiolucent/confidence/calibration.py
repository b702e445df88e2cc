"""From signals to a probability that a finding is right, fitted on labelled cases and good for one model and question.

A logistic regression on the signals, pooled over all findings with an offset for each code and polarity (Platt 1999,
with the ridge that few labels need), and, where there are labels enough, an isotonic step behind it (Zadrozny and
Elkan 2002). What is reported about it comes from cases that the fit did not see: folds are split by case. A threshold
at a chosen risk comes from conformal risk control (Angelopoulos et al. 2024, arXiv 2208.02814), case by case.

Until a calibration fits a run's weights, question and language, everything is "uncalibrated".
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from sklearn.isotonic import IsotonicRegression
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GroupKFold

from radiolucent.confidence.scores import auroc, brier, calibration_error, interval, risk_coverage
from radiolucent.confidence.signals import NAMES, Signals, table
from radiolucent.errors import MalformedInput, RadiolucentError
from radiolucent.findings.types import Polarity
from radiolucent.vlm.types import Language

FORMAT = "radiolucent.calibration"
VERSION = 2
FOLDS = 5
LEAST_CASES = 50  # below it, five folds by case say nothing
LEAST_WRONG = 10  # findings of the rarer outcome: one for every ten would be needed for each weight
ISOTONIC_FROM = 300  # labels; with fewer an isotonic step overfits
RIDGE = 1.0
SOURCES_ZH = {"synthetic phantoms": "合成模体影像", "labelled films": "已标注影像"}
PACKAGED_OTHER = "packaged film"  # the other patient of the signal ``lift_other``

Kind = Literal["logistic", "isotonic"]


class CalibrationMismatch(RadiolucentError):
    """The calibration was made for other weights, another question or another language."""


@dataclass(frozen=True)
class Labelled:
    """One finding of a draft whose truth is known.

    Parameters
    ----------
    case
        Of the patient: folds never split one.
    right
        Whether the film holds (or, of an absent finding, does not hold) what the draft says.
    """

    case: str
    code: str
    polarity: Polarity
    signals: Signals
    right: bool


@dataclass(frozen=True)
class Calibration:
    """A fitted calibration and what it was fitted on.

    Parameters
    ----------
    weights
        Signal -> weight of its standardised value; ``centre`` and ``scale`` standardise.
    offsets
        "code polarity" -> offset in nats; 0 for one that was not seen.
    steps
        Knots (logistic probability, probability) of the isotonic step; empty where there is none.
    threshold
        Keep findings at or above it: the share of cases with a wrong finding among those kept is at most ``risk``;
        None where no threshold reaches it.
    measured
        Name -> value, or (value, low, high), on cases that the fit did not see.
    other
        The other patient's film of the signal ``lift_other``.
    seeds
        First and last seed of the phantoms it was fitted on; None for other films. A check refuses to overlap them.
    """

    weights_sha256: str
    question: str
    language: Language
    kind: Kind
    intercept: float
    weights: Mapping[str, float]
    centre: Mapping[str, float]
    scale: Mapping[str, float]
    offsets: Mapping[str, float]
    steps: tuple[tuple[float, float], ...]
    risk: float
    threshold: float | None
    cases: int
    findings: int
    date: str
    source: str
    measured: Mapping[str, Any]
    other: str = PACKAGED_OTHER
    seeds: tuple[int, int] | None = None

    def probability(self, code: str, polarity: Polarity, signals: Signals) -> float:
        """Probability in [0, 1] that the finding is right."""
        row = asdict(signals)
        total = self.intercept + self.offsets.get(_kind(code, polarity), 0.0)
        total += sum(self.weights[name] * (row[name] - self.centre[name]) / self.scale[name] for name in NAMES)
        logistic = 1 / (1 + math.exp(-min(max(total, -40.0), 40.0)))
        if not self.steps:
            return logistic
        knots, values = zip(*self.steps, strict=True)
        return float(np.interp(logistic, knots, values))

    def check(self, weights_sha256: str, question: str, language: Language) -> None:
        """Refuse a run that the calibration was not made for.

        Raises
        ------
        CalibrationMismatch
            Saying what differs.
        """
        wanted = {"weights": weights_sha256, "question": question, "language": language}
        made = {"weights": self.weights_sha256, "question": self.question, "language": self.language}
        for name, value in wanted.items():
            if made[name] != value:
                raise CalibrationMismatch(
                    f"The calibration was made for {name} {made[name]!r}; this run has {value!r}. "
                    "Run `radiolucent calibrate` with this model and question."
                )
        if self.other != PACKAGED_OTHER:
            raise CalibrationMismatch(
                f"The calibration was made with {self.other!r} as the other patient; this version has "
                f"{PACKAGED_OTHER!r}. Run `radiolucent calibrate` again."
            )

    def check_unseen(self, seeds: tuple[int, int] | None) -> None:
        """Refuse phantoms that it was fitted on, by their first and last seed; films without seeds are not known.

        Raises
        ------
        MalformedInput
            Where they overlap.
        """
        if self.seeds is None or seeds is None:
            return
        first, last = self.seeds
        if seeds[0] <= last and first <= seeds[1]:
            raise MalformedInput(
                f"The calibration was fitted on seeds {first} to {last}; films from seed {seeds[0]} to {seeds[1]} "
                "are not unseen. Choose another first seed."
            )

    @property
    def digest(self) -> str:
        """SHA-256 of the calibration's content."""
        return hashlib.sha256(json.dumps(asdict(self), sort_keys=True).encode()).hexdigest()

    def note(self, language: str) -> str:
        """What it was fitted on, for people."""
        if language == "zh":
            source = SOURCES_ZH.get(self.source, self.source)
            return f"概率经 {self.cases} 例（{self.findings} 项征象，{source}）校准，{self.date}。"
        return f"Probabilities calibrated on {self.cases} cases ({self.findings} findings, {self.source}), {self.date}."


def fit(
    labelled: Sequence[Labelled],
    *,
    weights_sha256: str,
    question: str,
    language: Language,
    source: str,
    risk: float = 0.1,
    seed: int = 0,
    seeds: tuple[int, int] | None = None,
) -> tuple[Calibration, NDArray[np.float64]]:
    """Fit on labelled findings; also the probabilities that each got from the folds that did not hold its case.

    Parameters
    ----------
    source
        What the cases are, for people, such as "synthetic phantoms".
    risk
        Largest share of cases that may keep a wrong finding above the threshold.
    seeds
        First and last seed, where the cases are phantoms.

    Returns
    -------
    calibration
        Fitted on all cases.
    held_out
        float64 (findings,).

    Raises
    ------
    MalformedInput
        Where the cases are too few, or nearly all findings are right (or wrong): nothing can be fitted.
    """
    groups = np.array([one.case for one in labelled])
    right = np.array([one.right for one in labelled], dtype=bool)
    cases = len(set(groups.tolist()))
    rarer = int(min(right.sum(), (~right).sum())) if len(right) else 0
    if cases < LEAST_CASES or rarer < LEAST_WRONG:
        raise MalformedInput(
            f"{cases} cases with {rarer} findings of the rarer outcome; a calibration needs at least {LEAST_CASES} "
            f"cases and {LEAST_WRONG} right and {LEAST_WRONG} wrong findings. Label more cases."
        )
    if not 0 < risk < 1:
        raise MalformedInput(f"risk = {risk} is not inside (0, 1).")
    logistic, isotonic = np.zeros(len(right)), np.zeros(len(right))
    folds = GroupKFold(FOLDS, shuffle=True, random_state=seed)
    for seen, unseen in folds.split(right, groups=groups):
        part = _logistic([labelled[index] for index in seen])
        logistic[unseen] = [part(labelled[index]) for index in unseen]
    for seen, unseen in folds.split(right, groups=groups):
        isotonic[unseen] = _isotonic(logistic[seen], right[seen]).predict(logistic[unseen])
    kind: Kind = "logistic"
    if len(right) >= ISOTONIC_FROM and brier(isotonic, right) < brier(logistic, right):
        kind = "isotonic"
    held_out = isotonic if kind == "isotonic" else logistic
    whole = _logistic(labelled)
    knots = _isotonic(logistic, right) if kind == "isotonic" else None
    steps = (
        ()
        if knots is None
        else tuple(zip(map(float, knots.X_thresholds_), map(float, knots.y_thresholds_), strict=True))
    )
    return (
        Calibration(
            weights_sha256=weights_sha256,
            question=question,
            language=language,
            kind=kind,
            intercept=whole.intercept,
            weights=whole.weights,
            centre=whole.centre,
            scale=whole.scale,
            offsets=whole.offsets,
            steps=steps,
            risk=risk,
            threshold=risk_threshold(held_out, right, groups.tolist(), risk),
            cases=cases,
            findings=len(right),
            date=datetime.now(UTC).date().isoformat(),
            source=source,
            measured=measured(held_out, right, groups.tolist(), seed=seed),
            seeds=seeds,
        ),
        held_out,
    )


def measured(
    probability: NDArray[np.float64], right: NDArray[np.bool_], cases: Sequence[str], *, seed: int = 0
) -> dict[str, Any]:
    """ECE, Brier score, AUROC with bootstrap 95 % intervals, and the risk at some coverages."""
    curve = risk_coverage(probability, right)
    found: dict[str, Any] = {}
    for name, metric in (("ece", calibration_error), ("brier", brier), ("auroc", auroc)):
        low, high = interval(metric, probability, right, cases, seed=seed)
        found[name] = [float(metric(probability, right)), low, high]
    found["risk_at_coverage"] = {f"{share:.1f}": curve.at(share) for share in (0.5, 0.7, 0.8, 0.9, 1.0)}
    found["aurc"] = curve.area
    return found


def risk_threshold(
    probability: NDArray[np.float64], right: NDArray[np.bool_], cases: Sequence[str], risk: float
) -> float | None:
    """The lowest threshold at which the share of cases that keep a wrong finding is at most ``risk``.

    Conformal risk control: a case's loss is 1 where any finding at or above the threshold is wrong, which falls as the
    threshold rises; (n R + 1) / (n + 1) <= risk then holds for a new case of the same kind, on average.
    """
    names = np.asarray(cases)
    count = len(set(names.tolist()))
    # a case's loss at a threshold: is its most confident wrong finding kept?
    worst = {name: -1.0 for name in names.tolist()}
    for name, stated, truth in zip(names.tolist(), probability, right, strict=True):
        if not truth:
            worst[name] = max(worst[name], float(stated))
    losses = np.array(list(worst.values()))
    for threshold in np.unique(np.concatenate([[0.0], probability])):
        kept_wrong = int((losses >= threshold).sum())
        if (kept_wrong + 1) / (count + 1) <= risk:
            return float(threshold)
    return None


def save(calibration: Calibration, path: Path) -> Path:
    """Write as JSON."""
    document = {"format": FORMAT, "version": VERSION, **asdict(calibration)}
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(document, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    return path


def load(path: Path) -> Calibration:
    """Read what :func:`save` wrote.

    Raises
    ------
    MalformedInput
        Where the file is no calibration, is damaged, or was written by a newer version.
    """
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise MalformedInput(f"{path.name} is no calibration file: {error}") from error
    if not isinstance(document, dict) or document.pop("format", None) != FORMAT:
        raise MalformedInput(f"{path.name} is no calibration file; make one with `radiolucent calibrate`.")
    if document.pop("version", None) != VERSION:
        raise MalformedInput(f"{path.name} was written by another version; make it again with `radiolucent calibrate`.")
    try:
        document["steps"] = tuple((float(x), float(y)) for x, y in document["steps"])
        if document["seeds"] is not None:
            first, last = document["seeds"]
            document["seeds"] = int(first), int(last)
        made = Calibration(**document)
        complete = all(set(part) == set(NAMES) for part in (made.weights, made.centre, made.scale))
    except (TypeError, KeyError, ValueError) as error:
        raise MalformedInput(f"{path.name} is damaged: {error}. Make it again with `radiolucent calibrate`.") from error
    if not complete:
        raise MalformedInput(f"{path.name} knows other signals than {', '.join(NAMES)}; make it again.")
    return made


@dataclass(frozen=True)
class _Logistic:
    intercept: float
    weights: dict[str, float]
    centre: dict[str, float]
    scale: dict[str, float]
    offsets: dict[str, float]

    def __call__(self, one: Labelled) -> float:
        row = asdict(one.signals)
        total = self.intercept + self.offsets.get(_kind(one.code, one.polarity), 0.0)
        total += sum(self.weights[name] * (row[name] - self.centre[name]) / self.scale[name] for name in NAMES)
        return 1 / (1 + math.exp(-min(max(total, -40.0), 40.0)))


def _logistic(labelled: Sequence[Labelled]) -> _Logistic:
    signals = table([one.signals for one in labelled])
    right = np.array([one.right for one in labelled], dtype=bool)
    centre, scale = signals.mean(axis=0), signals.std(axis=0)
    scale = np.where(scale > 0, scale, 1.0)
    kinds = sorted({_kind(one.code, one.polarity) for one in labelled})
    offsets = np.array([[_kind(one.code, one.polarity) == kind for kind in kinds] for one in labelled], dtype=float)
    rows = np.hstack([(signals - centre) / scale, offsets])
    if right.all() or not right.any():  # a fold without a wrong finding: the prior, with Laplace's rule
        share = (right.sum() + 1) / (len(right) + 2)
        return _Logistic(
            math.log(share / (1 - share)),
            dict.fromkeys(NAMES, 0.0),
            dict(zip(NAMES, map(float, centre), strict=True)),
            dict(zip(NAMES, map(float, scale), strict=True)),
            {},
        )
    model = LogisticRegression(C=1 / RIDGE, max_iter=1000).fit(rows, right)
    found = model.coef_[0]
    return _Logistic(
        float(model.intercept_[0]),
        dict(zip(NAMES, map(float, found), strict=False)),
        dict(zip(NAMES, map(float, centre), strict=True)),
        dict(zip(NAMES, map(float, scale), strict=True)),
        dict(zip(kinds, map(float, found[len(NAMES) :]), strict=True)),
    )


def _isotonic(probability: NDArray[np.float64], right: NDArray[np.bool_]) -> IsotonicRegression:
    return IsotonicRegression(y_min=0.0, y_max=1.0, out_of_bounds="clip").fit(probability, right.astype(float))


def _kind(code: str, polarity: Polarity) -> str:
    return f"{code} {polarity}"
