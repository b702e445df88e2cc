"""Confidence against truth: labels, the comparison of scores, and the command."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

import radiolucent as rl
from radiolucent.calibrate import Observed, compared, is_right, listed_cases, observe, phantom_cases
from radiolucent.cli import app
from radiolucent.confidence.calibration import Labelled
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


def test_every_judged_finding_of_a_draft_is_observed_with_all_its_scores() -> None:
    model = rl.load_model("demo")
    seen = observe(model, phantom_cases(3, first_seed=40_000), Prompt(model.profile.question("en")), samples=8)
    assert len({one.labelled.case for one in seen}) == 3 and {one.labelled.polarity for one in seen} >= {"absent"}
    for one in seen:
        assert 0 <= one.frequency <= 1 and 0 <= one.early <= 1 and 0 <= one.p_true <= 1
        assert one.drawn in (4, 8) and one.sequence < 0
    assert np.mean([one.labelled.right for one in seen]) > 0.7  # the demo model reads phantoms


def drawn(count: int, seed: int = 0) -> list[Observed]:
    """Findings whose truth follows the margin; frequency hardly knows it, the sequence not at all."""
    rng = np.random.default_rng(seed)
    made = []
    for case in range(count):
        margin = float(rng.normal(1.5, 2.0))
        right = bool(rng.uniform() < 1 / (1 + math.exp(-margin)))
        signals = Signals(float(rng.normal()), margin, float(rng.normal()), float(rng.normal()))
        frequency = float(np.clip(0.5 + 0.2 * margin + rng.normal(), 0, 1))
        made.append(
            Observed(Labelled(f"{case}", "nodule", "present", signals, right), frequency, frequency, 8,
                     float(rng.normal()), float(rng.uniform()))
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
