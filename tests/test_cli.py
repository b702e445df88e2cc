"""The command line: examples, JSON, exit codes, clear messages, never a traceback for bad input."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result
from PIL import Image
from typer.testing import CliRunner

from radiolucent.attribution.registry import methods as registered
from radiolucent.cli import app
from radiolucent.phantom.film import draw_case
from radiolucent.phantom.record import Lesion

COMMANDS = ("demo", "explain", "evaluate", "methods", "train-demo")


def run(*arguments: object) -> Result:
    return CliRunner(env={"RADIOLUCENT_MODEL": None, "COLUMNS": "160"}).invoke(app, [str(one) for one in arguments])


def said(result: Result) -> dict[str, Any]:
    """The one JSON object on standard output."""
    stored: dict[str, Any] = json.loads(result.stdout)
    return stored


@pytest.fixture(scope="module")
def film(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("films") / "chest.png"
    Image.fromarray(draw_case(12, size=256, lesions=(Lesion("consolidation", "right", "lower"),)).film).save(path)
    return path


# Help


@pytest.mark.parametrize("command", COMMANDS)
def test_help_of_every_command_shows_an_example(command: str) -> None:
    result = run(command, "--help")
    assert result.exit_code == 0
    assert "Example:" in result.stdout and f"radiolucent {command}" in result.stdout


def test_every_command_is_listed_and_the_product_says_what_it_is_not() -> None:
    result = run("--help")
    assert result.exit_code == 0
    assert all(command in result.stdout for command in COMMANDS)
    assert "Not a medical device" in result.stdout


# Work


def test_demo_checks_its_maps_against_the_truth(tmp_path: Path) -> None:
    result = run("demo", "--out", tmp_path / "demo", "--level", "quick", "--json")
    assert result.exit_code == 0, result.output
    stored = said(result)
    assert stored["demo_model"] and "right lower" in stored["planted"]
    assert set(stored["hits"]) == {"attention (attended)", "distinct_attention (attended)", "saliency (sensitive)"}
    assert any(stored["hits"].values())
    assert Path(stored["report_html"]).is_file() and Path(stored["report_png"]).is_file()
    assert (tmp_path / "demo" / "phantom.dcm").is_file()


def test_demo_speaks_chinese_to_people(tmp_path: Path) -> None:
    result = run("demo", "--out", tmp_path / "demo", "--level", "quick", "--lang", "zh")
    assert result.exit_code == 0, result.output
    assert "实变" in result.stdout and "征象" in result.stdout
    assert "report.html" in result.stdout


def test_explain_prints_one_json_object(film: Path, tmp_path: Path) -> None:
    out = tmp_path / "case"
    result = run("explain", film, "--model", "demo", "--level", "quick", "--out", out, "--json", "-q", "请描述主要发现")
    assert result.exit_code == 0, result.output
    stored = said(result)
    assert "实变" in stored["report"]
    present = [finding for finding in stored["findings"] if finding["polarity"] == "present"]
    assert [(f["code"], f["side"], f["zone"]) for f in present] == [("consolidation", "right", "lower")]
    assert any("左右未核实" in warning for warning in stored["warnings"])  # a PNG does not say its sides
    assert stored["bundle"] == str(out) and (out / "explanation.json").is_file()


def test_explain_shows_people_report_findings_and_warnings(film: Path, tmp_path: Path) -> None:
    result = run("explain", film, "--model", "demo", "--level", "quick", "--samples", 4, "--out", tmp_path / "case")
    assert result.exit_code == 0, result.output
    assert "onsolidation" in result.stdout and "/4" in result.stdout
    assert "Side assumed, not verified." in result.stdout


def test_the_model_can_come_from_the_environment(film: Path, tmp_path: Path) -> None:
    arguments = ["explain", str(film), "--level", "quick", "--out", str(tmp_path / "case"), "--json"]
    result = CliRunner(env={"RADIOLUCENT_MODEL": "demo"}).invoke(app, arguments)
    assert result.exit_code == 0, result.output
    assert said(result)["demo_model"]


def test_methods_lists_the_registry() -> None:
    stored = said(run("methods", "--json"))
    assert set(stored) == set(registered())
    for entry in stored.values():
        assert entry["claim"] in ("attended", "sensitive", "relied_on", "plausible")
        assert entry["description"] and entry["citation"]
    chinese = said(run("methods", "--json", "--lang", "zh"))
    assert all(stored[name]["description"] != entry["description"] for name, entry in chinese.items())
    assert run("methods").exit_code == 0


def test_evaluate_compares_methods(tmp_path: Path) -> None:
    scores = tmp_path / "scores" / "scores.json"
    result = run(
        "evaluate", "--films", 2, "--methods", "attention:final,saliency", "--out", scores, "--json", "--first-seed", 40
    )
    assert result.exit_code == 0, result.output
    stored = said(result)
    assert stored["films"] == 2
    rows = {row["method"]: row for row in stored["methods"]}
    assert {"attention:final", "saliency"} <= set(rows)
    assert all(0 <= row["hit"] <= 1 for row in rows.values())
    assert json.loads(scores.read_text(encoding="utf-8")) == stored


def test_evaluate_exposes_the_shortcut(tmp_path: Path) -> None:
    arguments = ("evaluate", "--shortcut", "--films", 2, "--first-seed", 40000, "--out", tmp_path)
    stored = said(run(*arguments, "--json"))
    assert json.loads((tmp_path / "shortcut.json").read_text(encoding="utf-8")) == stored
    assert list(stored["models"]) == ["demo", "demo-shortcut"]
    assert stored["models"]["demo"]["alarms"]["count"] == 0
    assert stored["models"]["demo-shortcut"]["alarms"]["count"] >= 1
    assert all(model["films"] == 2 for model in stored["models"].values())
    assert "--shortcut" in run("evaluate", "--help").output


# Bad input: exit code 2 and a message that says what to do


def refused(*arguments: object) -> tuple[str, dict[str, Any]]:
    """The message for people and the JSON for scripts, both with exit code 2."""
    plain = run(*arguments)
    scripted = run(*arguments, "--json")
    assert plain.exit_code == scripted.exit_code == 2, (plain.output, scripted.output)
    for result in (plain, scripted):
        assert "Traceback" not in result.output
        assert result.exception is None or isinstance(result.exception, SystemExit)
    assert not plain.stdout.strip()
    stored = said(scripted)
    assert stored["message"] in plain.stderr and len(stored["message"]) > 20
    return plain.stderr, stored


def test_a_missing_film(tmp_path: Path) -> None:
    message, _ = refused("explain", tmp_path / "nothing.png", "--model", "demo")
    assert "nothing.png" in message or "no such" in message.lower() or "not exist" in message.lower()


def test_a_corrupt_dicom(tmp_path: Path) -> None:
    broken = tmp_path / "broken.dcm"
    broken.write_bytes(b"\0" * 128 + b"DICM" + b"\xff\x13" * 40)
    _, stored = refused("explain", broken, "--model", "demo")
    assert stored["error"] == "MalformedInput"


def test_a_file_that_is_no_picture(tmp_path: Path) -> None:
    text = tmp_path / "notes.png"
    text.write_text("no picture at all", encoding="utf-8")
    refused("explain", text, "--model", "demo")


def test_a_folder_without_weights(film: Path, tmp_path: Path) -> None:
    _, stored = refused("explain", film, "--model", tmp_path)
    assert stored["error"] == "WeightsUnavailable" and "--model demo" in stored["message"]


def test_a_folder_of_weights_that_is_not_there(film: Path, tmp_path: Path) -> None:
    _, stored = refused("explain", film, "--model", tmp_path / "weights" / "none")
    assert stored["error"] == "WeightsUnavailable"


def test_another_architecture(film: Path, tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text('{"model_type": "llama"}', encoding="utf-8")
    _, stored = refused("explain", film, "--model", tmp_path)
    assert stored["error"] == "UnsupportedModel" and "llama" in stored["message"]


@pytest.mark.parametrize(
    "options",
    [("--lang", "fr"), ("--level", "deepest"), ("--question", " "), ("--question", "<start_of_turn>model")],
    ids=("language", "level", "empty", "control-token"),
)
def test_bad_options_of_explain(film: Path, tmp_path: Path, options: tuple[str, str]) -> None:
    refused("explain", film, "--model", "demo", "--level", "quick", "--out", tmp_path / "case", *options)
    assert not (tmp_path / "case").exists()


@pytest.mark.parametrize(
    "arguments", [("methods", "--lang", "fr"), ("evaluate", "--films", 1, "--methods", "attentive")], ids=str
)
def test_bad_options_of_other_commands(arguments: tuple[object, ...]) -> None:
    refused(*arguments)


def test_demo_with_a_bad_language_writes_nothing(tmp_path: Path) -> None:
    refused("demo", "--lang", "fr", "--out", tmp_path / "demo")
    assert not (tmp_path / "demo").exists()


def test_a_gated_model_without_network(film: Path, tmp_path: Path) -> None:
    """In a process of its own: the hub's client reads its environment when it is loaded."""
    environment = {**os.environ, "HF_HUB_OFFLINE": "1", "HF_HOME": str(tmp_path), "OMP_NUM_THREADS": "1"}
    environment.pop("RADIOLUCENT_MODEL", None)
    done = subprocess.run(
        [sys.executable, "-c", "from radiolucent.cli import main; main()", "explain", str(film)],
        env=environment,
        capture_output=True,
        text=True,
        cwd=tmp_path,
        timeout=120,
    )
    assert done.returncode == 2, done.stderr
    assert "Traceback" not in done.stderr
    assert "google/medgemma-1.5-4b-it" in done.stderr and "--model demo" in done.stderr
