"""Confidence against truth: labels, the comparison of scores, and the command."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from sklearn.metrics import roc_auc_score
from typer.testing import CliRunner

import radiolucent as rl
from radiolucent.calibrate import (
    Observations,
    Observed,
    Standing,
    check,
    compared,
    is_right,
    listed_cases,
    observe,
    page,
    phantom_cases,
)
from radiolucent.calibrate.standing import tallies
from radiolucent.cli import app
from radiolucent.confidence.calibrated import beside_weights
from radiolucent.confidence.calibration import Calibration, Labelled
from radiolucent.confidence.signals import Signals
from radiolucent.errors import MalformedInput
from radiolucent.findings import Finding
from radiolucent.phantom.film import FIRST_TRAINING_SEED, draw_case
from radiolucent.vlm.types import Prompt

TRUTH = {"nodule": frozenset({"left"}), "pleural_effusion": frozenset({"left", "right"}), "mass": frozenset()}


@pytest.mark.parametrize(
    ("finding", "right"),
    [
        (Finding("nodule", side="left"), True),
        (Finding("nodule"), True),
        (Finding("nodule", side="right"), False),
        (Finding("nodule", polarity="uncertain", side="left"), True),
        (Finding("nodule", polarity="absent"), False),
        (Finding("mass"), False),
        (Finding("mass", polarity="absent"), True),
        (Finding("pleural_effusion", side="bilateral"), True),
        (Finding("edema"), None),
    ],
)
def test_a_finding_is_right_where_the_film_holds_what_it_says(finding: Finding, right: bool | None) -> None:
    assert is_right(finding, TRUTH) is right


def test_phantoms_are_judged_on_every_code_they_can_show() -> None:
    for case, seed in zip(phantom_cases(3, first_seed=90), range(90, 93), strict=True):
        there = {code for code, sides in case.truth.items() if sides}
        assert there == {lesion.code for lesion in draw_case(seed, size=256).lesions}
        assert len(case.truth) == 5
    for count, first in ((0, 0), (5, FIRST_TRAINING_SEED - 4), (5, -1)):
        with pytest.raises(MalformedInput):
            next(phantom_cases(count, first_seed=first))


@pytest.fixture
def table(tmp_path: Path) -> Path:
    for name in ("a.png", "b.png", "c.png"):
        Image.fromarray(draw_case(5, size=256).film).save(tmp_path / name)
    path = tmp_path / "truth.csv"
    path.write_text(
        "film,code,present,side,patient\n"
        "a.png,nodule,1,left,Zhang San\na.png,cardiomegaly,0,,Zhang San\n"
        "b.png,nodule,0,,Zhang San\nc.png,consolidation,1,,Li Si\n",
        encoding="utf-8-sig",
    )
    return path


def test_a_table_of_films_names_patients_by_number_only(table: Path) -> None:
    first, second, third = listed_cases(table)
    assert (first.name, second.name, third.name) == ("patient 1", "patient 1", "patient 2")
    assert first.truth == {"nodule": frozenset({"left"}), "cardiomegaly": frozenset()}
    assert third.truth == {"consolidation": frozenset({None})}


@pytest.mark.parametrize(
    "rows",
    [
        "film,code\na.png,nodule\n",
        "film,code,present\n",
        "film,code,present\na.png,gout,1\n",
        "film,code,present\na.png,nodule,maybe\n",
        "film,code,present,side\na.png,nodule,1,port\n",
        "\x00\x01",
    ],
)
def test_a_table_that_cannot_be_read_is_refused(table: Path, rows: str) -> None:
    table.write_text(rows, encoding="utf-8")
    with pytest.raises(MalformedInput):
        list(listed_cases(table))
    table.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(MalformedInput, match="UTF-8"):
        list(listed_cases(table))


def test_every_judged_finding_of_a_draft_is_observed_with_all_its_scores_and_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = rl.load_model("demo")
    prompt, kept = Prompt(model.profile.question("en")), tmp_path / "observed.jsonl"
    observed = observe(model, phantom_cases(3, first_seed=40_000), prompt, samples=8, kept=kept)
    seen = observed.findings
    assert observed.films == 3 and observed.unfit == {}
    assert len({one.labelled.case for one in seen}) == 3 and {one.labelled.polarity for one in seen} >= {"absent"}
    for one in seen:
        assert 0 <= one.frequency <= 1 and 0 <= one.early <= 1 and 0 <= one.p_true <= 1
        assert one.drawn in (4, 8) and one.sequence < 0 and 0 <= one.entropy <= math.log(8)
        assert one.full.margin == one.labelled.signals.margin
        if one.drawn == 8:
            assert one.full == one.labelled.signals
    assert np.mean([one.labelled.right for one in seen]) > 0.7  # the demo model reads phantoms

    *lines, _ = kept.read_text("utf-8").split("\n")
    kept.write_text("\n".join([*lines[:-1], lines[-1][:40]]), "utf-8")  # interrupted inside the last film
    asked = []
    again = lambda *given: asked.append(given) or ([], "again")  # noqa: E731
    monkeypatch.setattr("radiolucent.calibrate.observations._observed", again)
    resumed = observe(model, phantom_cases(3, first_seed=40_000), prompt, samples=8, kept=kept)
    assert len(asked) == 1 and resumed.unfit == {"phantom 40002": "again"}
    assert resumed.findings == tuple(one for one in seen if one.labelled.case != "phantom 40002")
    with pytest.raises(MalformedInput, match="seed"):
        observe(model, phantom_cases(3, first_seed=40_000), prompt, samples=8, seed=1, kept=kept)
    kept.write_text("{", "utf-8")
    with pytest.raises(MalformedInput):
        observe(model, phantom_cases(3, first_seed=40_000), prompt, samples=8, kept=kept)


def test_a_film_whose_samples_are_unfit_gives_no_confidence() -> None:
    model = rl.load_model("demo")
    prompt = Prompt(model.profile.question("en"))
    with pytest.raises(MalformedInput, match="judged"):  # cut off after three words: none is fit
        observe(model, phantom_cases(1, first_seed=40_000), prompt, samples=4, max_new_tokens=3)


def drawn(count: int, seed: int = 0) -> list[Observed]:
    """Findings whose truth follows the margin; frequency hardly knows it, the sequence not at all."""
    rng = np.random.default_rng(seed)
    made = []
    for case in range(count):
        margin = float(rng.normal(1.5, 2.0))
        right = bool(rng.uniform() < 1 / (1 + math.exp(-margin)))
        signals = Signals(float(rng.normal()), margin, *map(float, rng.normal(size=3)))
        frequency = float(np.clip(0.5 + 0.2 * margin + rng.normal(), 0, 1))
        made.append(
            Observed(Labelled(f"{case}", "nodule", "present", signals, right), signals.support, frequency, frequency, 8,
                     float(rng.normal()), float(rng.uniform()), float(rng.uniform()))
        )  # fmt: skip
    return made


def test_scores_are_compared_on_the_same_findings() -> None:
    result = compared(drawn(400), "a" * 64, Prompt("What?"), source="drawn")
    value, low, high = result.auroc["calibrated"]
    assert low < value < high and value > result.auroc["frequency"][0] > 0.5
    assert 0.4 < result.auroc["sequence"][0] < 0.6
    assert result.risk["calibrated"]["70 %"] < result.risk["calibrated"]["all"]
    assert result.drawn == 8
    json.dumps(result.as_dict(), allow_nan=False)
    assert "AUROC" in result.text("en") and "校准" in result.text("zh")


def test_too_few_cases_are_refused_by_the_command(tmp_path: Path) -> None:
    arguments = ["calibrate", "--films", "2", "--first-seed", "40000", "--out", str(tmp_path), "--json"]
    result = CliRunner().invoke(app, arguments)
    assert result.exit_code == 2 and "at least 50" in json.loads(result.stdout)["message"]
    assert not (tmp_path / "calibration.json").exists()


@pytest.fixture(scope="module")
def made() -> Calibration:
    return compared(drawn(600), "a" * 64, Prompt("What?"), source="drawn", seeds=(0, 599)).calibration


def test_a_calibration_is_checked_on_films_that_it_never_saw(made: Calibration, tmp_path: Path) -> None:
    found = check(Observations(tuple(drawn(800, seed=1)), 801, {"x": "cut off"}), made, seeds=(600, 1400))
    assert (found.films, found.findings, found.unfit) == (801, 800, {"x": "cut off"})
    right = found.right
    best = np.array([one.labelled.signals.margin for one in drawn(800, seed=1)])
    assert found.overall["ece"][0] < 0.06
    assert found.auroc["calibrated"][0] == pytest.approx(roc_auc_score(right, found.probability))
    assert found.auroc["calibrated"][0] > roc_auc_score(right, best) - 0.01
    assert found.loss == (0, 0, 0)  # all samples were drawn
    assert found.overall["brier"][0] < found.base_brier == pytest.approx(right.mean() * (1 - right.mean()))
    for name, (value, low, high) in found.ahead.items():
        assert value == pytest.approx(found.auroc["calibrated"][0] - found.auroc[name][0])
        assert low <= value <= high
    held = {demand.en: demand.held for demand in found.demands}
    assert held["samples drawn on average"] and held["AUROC ahead of P(True)"]
    with pytest.raises(MalformedInput, match="not unseen"):
        check(Observations(tuple(drawn(800, seed=1)), 800, {}), made, seeds=(599, 1398))
    sure = tuple(replace(one, labelled=replace(one.labelled, right=True)) for one in drawn(10))
    with pytest.raises(MalformedInput, match="more films"):
        check(Observations(sure, 10, {}), made)


def test_what_stopping_early_costs_is_measured_on_the_probability(made: Calibration) -> None:
    """With a support that speaks for the truth only over all samples, stopping early costs what it should."""
    telling = replace(made, weights={**made.weights, "support": 3.0})
    seen = []
    for one in drawn(400, seed=2):
        seen.append(replace(one, full_support=3.0 if one.labelled.right else -3.0))
    found = check(Observations(tuple(seen), 400, {}), telling)
    full = [telling.probability("nodule", "present", one.full) for one in seen]
    assert found.loss[0] == pytest.approx(roc_auc_score(found.right, full) - found.auroc["calibrated"][0])
    assert found.loss[0] > 0.05
    assert not next(demand for demand in found.demands if demand.en == "AUROC lost by stopping early").held


def words(kind: str, word: str | None, count: int) -> list[Standing]:
    return [Standing(kind, f"{kind} {i}", "m", "nodule", "present", 8, 8, 1.0, word) for i in range(count)]  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("found", "holds"),
    [
        ([*words("marked", "evidence elsewhere", 5), *words("blank", "not image-based", 5)], True),
        ([*words("marked", "evidence elsewhere", 5), *words("marked", "grounded", 1)], False),
        (words("marked", "unstable", 1), False),
        (words("blank", None, 1), False),
        (words("read", "grounded", 3), True),
    ],
)
def test_nothing_that_a_marker_or_a_blank_film_says_may_pass_as_grounded(found: list[Standing], holds: bool) -> None:
    assert page.words_hold(found) is holds


def test_the_check_is_written_for_machines_and_for_people_in_both_languages(made: Calibration, tmp_path: Path) -> None:
    found = check(Observations(tuple(drawn(300, seed=3)), 300, {}), made, seeds=(5000, 5299))
    standing = [*words("marked", "evidence elsewhere", 4), *words("read", "grounded", 6), *words("read", None, 1)]
    written = page.write(found, standing, tmp_path / "deep", command="radiolucent calibrate --check")
    assert [path.name for path in written] == list(page.FILES) and all(path.stat().st_size for path in written)
    document = json.loads(written[0].read_text("utf-8"))
    assert document["films"] == 300 and document["seeds"] == [5000, 5299]
    assert document["words"][1]["words"] == {"grounded": 6, "none": 1}
    english, chinese = (path.read_text("utf-8") for path in written[1:3])
    for demand in found.demands:
        assert demand.en in english and demand.zh in chinese
    assert "radiolucent calibrate --check" in english and "依据在他处" in chinese and "danger" not in english
    assert [tally.grounded for tally in tallies(standing)] == [0, 6]


def test_the_packaged_calibrations_fit_the_demo_model_and_no_film_of_the_check() -> None:
    model = rl.load_model("demo")
    for language in ("en", "zh"):
        found = beside_weights(model.folder, model.weights_hash, Prompt(model.profile.question(language), language))
        assert found is not None and found.cases >= 300 and found.seeds is not None
        found.check_unseen((80_000, 80_499))


def test_a_check_on_films_that_it_was_fitted_on_is_refused_by_the_command(tmp_path: Path) -> None:
    arguments = ["calibrate", "--check", "--films", "2", "--first-seed", "50010", "--out", str(tmp_path), "--json"]
    result = CliRunner().invoke(app, arguments)
    assert result.exit_code == 2 and "not unseen" in json.loads(result.stdout)["message"]
    arguments += ["--question", "What is this?"]
    result = CliRunner().invoke(app, arguments)
    assert result.exit_code == 2 and "No calibration" in json.loads(result.stdout)["message"]
