"""Probabilities appear where a calibration fits the run, and only there."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import radiolucent as rl
from radiolucent.confidence.calibrated import BESIDE_WEIGHTS, beside_weights
from radiolucent.confidence.calibration import Calibration, CalibrationMismatch, Labelled, fit, save
from radiolucent.confidence.signals import Signals
from radiolucent.errors import MalformedInput
from radiolucent.phantom.film import draw_case
from radiolucent.phantom.record import Lesion
from radiolucent.vlm.gemma3 import Gemma3Model
from radiolucent.vlm.types import Prompt


@pytest.fixture(scope="module")
def model() -> Gemma3Model:
    return rl.load_model("demo")


@pytest.fixture(scope="module")
def study() -> rl.Study:
    film = draw_case(12, size=256, lesions=(Lesion("consolidation", "right", "lower"),)).film
    return rl.load_study(film, patient_right="left", view="PA")


def made_for(weights: str, question: str) -> Calibration:
    rng = np.random.default_rng(0)
    labelled = []
    for number, margin in enumerate(rng.normal(0, 3, size=200)):
        right = bool(rng.uniform() < 1 / (1 + np.exp(-margin)))
        labelled.append(Labelled(f"{number}", "nodule", "present", Signals(0.0, float(margin), 0.0, 0.0, 0.0), right))
    return fit(labelled, weights_sha256=weights, question=question, language="en", source="drawn")[0]


def test_with_a_calibration_every_finding_has_a_probability_and_the_note_says_what_it_was_fitted_on(
    model: Gemma3Model, study: rl.Study, tmp_path: Path
) -> None:
    calibration = made_for(model.weights_hash, model.profile.question("en"))
    made = rl.explain(model, study, methods=("attention",), samples=4, calibration=calibration)
    assert made.confidence is not None and made.confidence.calibrated
    assert made.confidence.note == calibration.note("en") and "200 cases" in made.confidence.note
    for entry in made.confidence.findings:
        assert entry.probability is not None and 0 <= entry.probability <= 1
        assert entry.yes_probability is not None and entry.lift_blank is not None and entry.lift_other is not None
        assert (entry.yes_probability > 0.5) == (entry.polarity == "present")  # the demo model reads this film
    assert made.provenance["calibration"] == calibration.digest
    assert rl.load_explanation(made.save(tmp_path / "bundle")) == made


def test_a_calibration_of_another_model_or_question_is_refused(model: Gemma3Model, study: rl.Study) -> None:
    with pytest.raises(CalibrationMismatch):
        rl.explain(model, study, calibration=made_for("f" * 64, model.profile.question("en")))
    calibration = made_for(model.weights_hash, model.profile.question("en"))
    with pytest.raises(CalibrationMismatch):
        rl.explain(model, study, question="Is there a nodule?", calibration=calibration)


def test_the_file_beside_the_weights_is_used_where_it_fits_and_never_where_it_does_not(tmp_path: Path) -> None:
    path = tmp_path / BESIDE_WEIGHTS.format(language="en")
    prompt = Prompt("What?")
    assert beside_weights(None, "a" * 64, prompt) is None and beside_weights(tmp_path, "a" * 64, prompt) is None
    calibration = made_for("a" * 64, "What?")
    save(calibration, path)
    found = beside_weights(tmp_path, "a" * 64, prompt)
    assert found is not None and found.digest == calibration.digest
    assert beside_weights(tmp_path, "b" * 64, prompt) is None
    assert beside_weights(tmp_path, "a" * 64, Prompt("Who?")) is None
    assert beside_weights(tmp_path, "a" * 64, Prompt("What?", "zh")) is None
    path.write_text("{", encoding="utf-8")
    with pytest.raises(MalformedInput):
        beside_weights(tmp_path, "a" * 64, prompt)
