"""A calibration fitted on what was observed, beside the scores that need none, all on the same findings."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from radiolucent.calibrate.cases import TrueCase
from radiolucent.calibrate.observations import Observed, Say, observe
from radiolucent.confidence.calibration import Calibration, fit, save
from radiolucent.confidence.plots import plot_reliability, plot_risk_coverage
from radiolucent.confidence.scores import auroc, interval, risk_coverage
from radiolucent.vlm.gemma3 import Gemma3Model
from radiolucent.vlm.types import Prompt

SCORE_WORDS: Mapping[str, tuple[str, str]] = {
    "calibrated": ("calibrated", "校准概率"),
    "margin": ("yes/no question alone", "仅直接提问（是/否）"),
    "frequency": ("sampling frequency", "采样频率"),
    "early": ("frequency, stopped early", "提前停止的采样频率"),
    "sequence": ("sequence probability", "序列概率"),
    "p_true": ("P(True)", "P(True)"),
    "entropy": ("semantic entropy", "语义熵"),
}


@dataclass(frozen=True, eq=False)
class Calibrated:
    """A calibration and the comparison of confidence scores that it rests on.

    Parameters
    ----------
    held_out
        float64 (findings,): probability of each finding from the folds that did not hold its case.
    auroc
        Score -> (AUROC for "this finding is right", 95 % interval); ``calibrated`` is the held-out probability.
    risk
        Score -> {"all": share wrong, "70 %": share wrong among the 70 % most confident}.
    drawn
        Samples drawn until a decision, mean over films.
    """

    calibration: Calibration
    held_out: NDArray[np.float64]
    auroc: Mapping[str, tuple[float, float, float]]
    risk: Mapping[str, Mapping[str, float]]
    drawn: float

    def as_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return {
            "calibration": asdict(self.calibration),
            "auroc": {name: list(values) for name, values in self.auroc.items()},
            "risk": {name: dict(values) for name, values in self.risk.items()},
            "samples_until_decided": self.drawn,
        }

    def text(self, language: str) -> str:
        """A few lines for people."""
        made, zh = self.calibration, language == "zh"
        ece, low, high = made.measured["ece"]
        lines = [made.note(language), f"ECE {ece:.3f} ({low:.3f}–{high:.3f})"]
        for name, (value, below, above) in self.auroc.items():
            kept, whole = self.risk[name]["70 %"], self.risk[name]["all"]
            shown = SCORE_WORDS[name][zh]
            lines.append(
                f"{shown:<24} AUROC {value:.3f} ({below:.3f}–{above:.3f})  "
                + (
                    f"错误率 {whole:.1%}，保留最确信的70%时 {kept:.1%}"
                    if zh
                    else f"wrong {whole:.1%}, surest 70 % {kept:.1%}"
                )
            )
        lines.append(
            f"平均采样 {self.drawn:.1f} 份即可判定" if zh else f"{self.drawn:.1f} samples until a decision on average"
        )
        return "\n".join(lines)


def calibrate(
    model: Gemma3Model,
    cases: Iterable[TrueCase],
    prompt: Prompt,
    *,
    source: str,
    seeds: tuple[int, int] | None = None,
    risk: float = 0.1,
    seed: int = 0,
    out: Path | None = None,
    say: Say | None = None,
) -> Calibrated:
    """Observe, fit, compare, and write ``calibration.json``, ``reliability.png`` and ``risk_coverage.png``.

    Films that are done are kept in ``observed.jsonl`` beside them; an interrupted run goes on from there.
    """
    kept = None if out is None else out / "observed.jsonl"
    seen = observe(model, cases, prompt, seed=seed, kept=kept, say=say).findings
    result = compared(seen, model.weights_hash, prompt, source=source, seeds=seeds, risk=risk, seed=seed)
    if out is not None:
        right = np.array([one.labelled.right for one in seen])
        save(result.calibration, out / "calibration.json")
        plot_reliability(result.held_out, right, out / "reliability.png")
        shown = {SCORE_WORDS[name][0]: values for name, values in scores(seen, result.held_out).items()}
        plot_risk_coverage(shown, right, out / "risk_coverage.png")
    return result


def compared(
    seen: Sequence[Observed],
    weights_sha256: str,
    prompt: Prompt,
    *,
    source: str,
    seeds: tuple[int, int] | None = None,
    risk: float = 0.1,
    seed: int = 0,
) -> Calibrated:
    """Fit a calibration on what was observed, and every score's AUROC and risk on the same findings."""
    calibration, held_out = fit(
        [one.labelled for one in seen],
        weights_sha256=weights_sha256,
        question=prompt.question,
        language=prompt.language,
        source=source,
        risk=risk,
        seed=seed,
        seeds=seeds,
    )
    found = scores(seen, held_out)
    return Calibrated(
        calibration=calibration,
        held_out=held_out,
        auroc=auroc_of(found, seen, seed=seed),
        risk=risk_of(found, seen),
        drawn=mean_drawn(seen),
    )


def scores(seen: Sequence[Observed], calibrated: NDArray[np.float64]) -> dict[str, NDArray[np.float64]]:
    """Score -> float64 (findings,), the larger the surer."""
    plain = ("frequency", "early", "sequence", "p_true")
    return {
        "calibrated": calibrated,
        "margin": np.array([one.labelled.signals.margin for one in seen]),
        **{name: np.array([getattr(one, name) for one in seen]) for name in plain},
        "entropy": -np.array([one.entropy for one in seen]),
    }


def auroc_of(
    found: Mapping[str, NDArray[np.float64]], seen: Sequence[Observed], *, seed: int = 0
) -> dict[str, tuple[float, float, float]]:
    """Score -> AUROC for "this finding is right" with its 95 % interval over films."""
    right = np.array([one.labelled.right for one in seen])
    films = [one.labelled.case for one in seen]
    return {
        name: (auroc(values, right), *interval(auroc, values, right, films, seed=seed))
        for name, values in found.items()
    }


def risk_of(found: Mapping[str, NDArray[np.float64]], seen: Sequence[Observed]) -> dict[str, dict[str, float]]:
    """Score -> share wrong of all, and of the 70 % most confident."""
    right = np.array([one.labelled.right for one in seen])
    curves = {name: risk_coverage(values, right) for name, values in found.items()}
    return {name: {"all": curve.at(1.0), "70 %": curve.at(0.7)} for name, curve in curves.items()}


def mean_drawn(seen: Sequence[Observed]) -> float:
    """Samples drawn until a decision, mean over films."""
    return float(np.mean(list({one.labelled.case: one.drawn for one in seen}.values())))
