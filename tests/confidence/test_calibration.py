"""A calibration finds the truth it was drawn from, keeps its promise on new cases, refuses what it was not made for."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression

from radiolucent.confidence.calibration import (
    Calibration,
    CalibrationMismatch,
    Labelled,
    fit,
    load,
    risk_threshold,
    save,
)
from radiolucent.confidence.probe import ProbeAnswer
from radiolucent.confidence.scores import auroc, calibration_error
from radiolucent.confidence.signals import Signals, signals, table
from radiolucent.confidence.types import FindingConfidence
from radiolucent.errors import MalformedInput

WHAT = {"weights_sha256": "a" * 64, "question": "What?", "language": "en", "source": "drawn cases"}
TRUE = {"support": 0.8, "margin": 0.6, "words": 0.0, "lift": 0.3, "lift_other": 0.0}


def cases(count: int, seed: int = 0, wrong_shift: float = 0.0) -> list[Labelled]:
    """Two findings a case; right with the probability of a known logistic model."""
    rng = np.random.default_rng(seed)
    made = []
    for case in range(count):
        for code in ("nodule", "mass"):
            drawn = Signals(*rng.normal(0.5, 2.0, size=5))
            total = sum(weight * getattr(drawn, name) for name, weight in TRUE.items())
            total += (0.5 if code == "nodule" else -0.5) + wrong_shift
            made.append(Labelled(f"case {case}", code, "present", drawn, rng.uniform() < 1 / (1 + math.exp(-total))))
    return made


@pytest.fixture(scope="module")
def fitted() -> Calibration:
    return fit(cases(600), **WHAT)[0]


def test_it_finds_the_probabilities_that_the_labels_were_drawn_from(fitted: Calibration) -> None:
    new = cases(2000, seed=1)
    stated = np.array([fitted.probability(one.code, one.polarity, one.signals) for one in new])
    right = np.array([one.right for one in new])
    assert calibration_error(stated, right) < 0.05
    best = np.array(
        [
            sum(w * getattr(one.signals, n) for n, w in TRUE.items()) + (0.5 if one.code == "nodule" else -0.5)
            for one in new
        ]
    )
    assert auroc(stated, right) > auroc(best, right) - 0.01
    assert fitted.weights["support"] > fitted.weights["lift"] > abs(fitted.weights["words"])


def test_held_out_probabilities_come_from_folds_that_did_not_hold_the_case() -> None:
    """On signals without information, probabilities fitted on the same cases would look better than chance."""
    rng = np.random.default_rng(3)
    noise = [
        Labelled(f"{i}", f"code {i % 20}", "present", Signals(*rng.normal(size=5)), bool(rng.uniform() < 0.5))
        for i in range(400)
    ]
    _, held_out = fit(noise, **WHAT)
    right = np.array([one.right for one in noise])
    assert 0.40 < auroc(held_out, right) < 0.58
    in_sample = LogisticRegression().fit(table([one.signals for one in noise]), right)
    assert auroc(in_sample.decision_function(table([one.signals for one in noise])), right) > 0.5


def test_the_threshold_keeps_its_promise_on_new_cases() -> None:
    kept = []
    for seed in range(20):
        calibration, _ = fit(cases(150, seed=seed), risk=0.2, **WHAT)
        new = cases(200, seed=1000 + seed)
        wrong = {
            one.case
            for one in new
            if not one.right
            and calibration.threshold is not None
            and calibration.probability(one.code, one.polarity, one.signals) >= calibration.threshold
        }
        kept.append(len(wrong) / 200)
    assert np.mean(kept) < 0.2 + 2 * np.std(kept) / math.sqrt(20)


def test_the_threshold_is_the_lowest_that_the_bound_allows() -> None:
    stated = np.array([0.9, 0.8, 0.7, 0.6])
    right = np.array([True, True, False, True])
    names = ["a", "b", "c", "d"]
    # one wrong case of four: (1 + 1) / (4 + 1) = 0.4; none: 1 / 5 = 0.2
    assert risk_threshold(stated, right, names, 0.4) == 0.0
    assert risk_threshold(stated, right, names, 0.3) == pytest.approx(0.8)
    assert risk_threshold(stated, right, names, 0.1) is None


def test_it_reads_back_equal_and_says_what_it_was_fitted_on(fitted: Calibration, tmp_path: Path) -> None:
    again = load(save(fitted, tmp_path / "deep" / "calibration.json"))
    assert again.digest == fitted.digest
    one = cases(1)[0]
    assert again.probability(one.code, "present", one.signals) == fitted.probability(one.code, "present", one.signals)
    assert "600 cases" in fitted.note("en") and "600 例" in fitted.note("zh")
    ece, low, high = fitted.measured["ece"]
    assert low <= ece <= high


@pytest.mark.parametrize("changed", [("b" * 64, "What?", "en"), ("a" * 64, "Who?", "en"), ("a" * 64, "What?", "zh")])
def test_other_weights_question_or_language_are_refused(fitted: Calibration, changed: tuple[str, str, str]) -> None:
    fitted.check("a" * 64, "What?", "en")
    with pytest.raises(CalibrationMismatch, match="calibrate"):
        fitted.check(*changed)  # type: ignore[arg-type]


def test_another_other_patient_is_refused(fitted: Calibration) -> None:
    with pytest.raises(CalibrationMismatch, match="other patient"):
        replace(fitted, other="a film of the site's own").check("a" * 64, "What?", "en")


def test_phantoms_that_it_was_fitted_on_are_not_unseen(fitted: Calibration) -> None:
    known = replace(fitted, seeds=(100, 199))
    for seeds in ((0, 100), (199, 300), (120, 130), (0, 500)):
        with pytest.raises(MalformedInput, match="seeds 100 to 199"):
            known.check_unseen(seeds)
    for unseen in ((0, 99), (200, 300), None):
        known.check_unseen(unseen)
    fitted.check_unseen((0, 500))


def test_what_cannot_be_fitted_is_refused() -> None:
    with pytest.raises(MalformedInput, match="at least 50"):
        fit(cases(20), **WHAT)
    sure = [Labelled(one.case, one.code, "present", one.signals, True) for one in cases(100)]
    with pytest.raises(MalformedInput, match="wrong"):
        fit(sure, **WHAT)
    with pytest.raises(MalformedInput, match="risk"):
        fit(cases(100), risk=1.5, **WHAT)
    with pytest.raises(MalformedInput):
        Signals(float("inf"), 0, 0, 0, 0)


@pytest.mark.parametrize("damage", ["not json", "[]", '{"format": "other"}', "cut", "version", "signals"])
def test_damaged_files_are_refused(fitted: Calibration, tmp_path: Path, damage: str) -> None:
    path = save(fitted, tmp_path / "calibration.json")
    document = json.loads(path.read_text("utf-8"))
    if damage == "cut":
        document.pop("weights")
    elif damage == "version":
        document["version"] = 99
    elif damage == "signals":
        document["weights"] = {"charm": 1.0}
    path.write_text(json.dumps(document) if damage in ("cut", "version", "signals") else damage, "utf-8")
    with pytest.raises(MalformedInput):
        load(path)


def entry(polarity: str, support: int) -> FindingConfidence:
    counts = {"present": 0, "absent": 0, "uncertain": 0} | {polarity: support}
    return FindingConfidence(
        "nodule", None, counts["present"], counts["uncertain"], counts["absent"], 10 - support, 10, 0.1, 0.9,
        polarity=polarity,  # type: ignore[arg-type]
    )  # fmt: skip


class Written:
    logprobs = np.array([-0.5, -1.5, -3.0], dtype=np.float32)


def test_signals_point_in_the_drafts_direction() -> None:
    asked = ProbeAnswer("nodule", ("Is there a nodule?",), yes=0.8, yes_without=0.5, answered=1.0, yes_other=0.2)
    present = signals(entry("present", 10), asked, Written(), (0, 2))  # type: ignore[arg-type]
    absent = signals(entry("absent", 0), asked, Written(), (0, 2))  # type: ignore[arg-type]
    assert present.margin == pytest.approx(math.log(4)) and absent.margin == -present.margin
    assert present.lift == pytest.approx(math.log(4)) == -absent.lift
    assert present.lift_other == pytest.approx(math.log(16)) == -absent.lift_other
    assert present.support == pytest.approx(math.log(10.5 / 0.5)) == -absent.support
    assert present.words == pytest.approx(-1.0)
    other = replace(asked, code="mass")
    for bad, span in (
        (other, (0, 2)),
        (replace(asked, yes_without=None), (0, 2)),
        (replace(asked, yes_other=None), (0, 2)),
        (asked, (2, 2)),
        (asked, (0, 9)),
    ):
        with pytest.raises(MalformedInput):
            signals(entry("present", 5), bad, Written(), span)  # type: ignore[arg-type]
