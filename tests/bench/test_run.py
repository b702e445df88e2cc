"""The run keeps what is done, goes on from there, refuses what does not belong together, and exits as scripts rely."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from typer.testing import CliRunner

from radiolucent.bench import bench, run
from radiolucent.bench.record import Measurement, read_record
from radiolucent.bench.run import SECTIONS, Part
from radiolucent.bench.workload import Workload
from radiolucent.cli import app
from radiolucent.errors import MalformedInput, ParityError

runs: list[str] = []


def counted(name: str) -> Part:
    def measure(work: Workload) -> list[Measurement]:
        runs.append(name)
        return [Measurement(name, name, "counted", seconds=1.0)]

    return Part(measure, 1.0)


@pytest.fixture(autouse=True)
def sections(monkeypatch: pytest.MonkeyPatch) -> dict[str, Part]:
    """Three sections that need no model."""
    runs.clear()
    made = {name: counted(name) for name in ("first", "second", "third")}
    monkeypatch.setattr(run, "SECTIONS", made)
    return made


def test_an_unknown_section_is_refused_with_the_known_ones() -> None:
    with pytest.raises(MalformedInput, match=r"Unknown section fourth; use any of first, second, third"):
        bench("tiny-random", only=["first", "fourth"])
    assert not runs


@pytest.mark.parametrize(
    "options", [{"tokens": 0}, {"findings": 0}, {"repeats": 0}, {"threads": 0}, {"tokens": 2, "findings": 3}]
)
def test_numbers_out_of_range_are_refused(options: dict[str, int]) -> None:
    with pytest.raises(MalformedInput):
        bench("tiny-random", **options)


def test_sections_run_in_the_tables_order_and_are_kept_after_each(
    tmp_path: Path, sections: dict[str, Part], monkeypatch: pytest.MonkeyPatch
) -> None:
    out, kept = tmp_path / "bench.json", []

    def looks(work: Workload) -> list[Measurement]:
        kept.append(list(read_record(out).sections))
        return []

    monkeypatch.setitem(sections, "third", Part(looks, 1.0))
    record = bench("tiny-random", only=["third", "first"], out=out)
    assert runs == ["first"] and kept == [["first"]] and list(record.sections) == ["first", "third"]


def test_an_interrupted_run_keeps_what_is_done_and_goes_on_from_there(
    tmp_path: Path, sections: dict[str, Part], monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(work: Workload) -> list[Measurement]:
        raise KeyboardInterrupt

    out, whole = tmp_path / "bench.json", sections["second"]
    monkeypatch.setitem(sections, "second", Part(interrupted, 1.0))
    with pytest.raises(KeyboardInterrupt):
        bench("tiny-random", out=out)
    assert list(read_record(out).sections) == ["first"]
    monkeypatch.setitem(sections, "second", whole)
    record = bench("tiny-random", out=out)
    assert runs == ["first", "second", "third"] and list(record.sections) == ["first", "second", "third"]
    bench("tiny-random", out=out)
    assert len(runs) == 3  # nothing is left to do
    bench("tiny-random", out=out, only=["first"])
    assert runs[3:] == ["first"]  # asked for by name: measured again


def test_a_record_of_another_run_is_not_mixed_in(tmp_path: Path) -> None:
    out = tmp_path / "bench.json"
    bench("tiny-random", out=out, tokens=50)
    with pytest.raises(MalformedInput, match=r"another run \(tokens 50 there, 60 here\)"):
        bench("tiny-random", out=out, tokens=60)


def test_a_failing_section_keeps_its_reason_and_the_others_go_on(
    sections: dict[str, Part], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(work: Workload) -> list[Measurement]:
        raise ParityError("the first token differs")

    monkeypatch.setitem(sections, "second", Part(fails, 1.0))
    record = bench("tiny-random")
    assert [row.error for row in record.rows] == [None, "ParityError: the first token differs", None]


def test_the_time_left_is_told(monkeypatch: pytest.MonkeyPatch, sections: dict[str, Part]) -> None:
    for name, seconds in (("first", 300.0), ("second", 60.0), ("third", 30.0)):
        monkeypatch.setitem(sections, name, replace(sections[name], seconds=seconds))
    said: list[str] = []
    bench("tiny-random", say=said.append)
    assert said == ["[1/3] first; about 6 min left", "[2/3] second; about 2 min left", "[3/3] third; about 30 s left"]


def test_threads_are_set(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[int] = []
    monkeypatch.setattr(torch, "set_num_threads", asked.append)
    bench("tiny-random", threads=1)
    assert asked == [1]


def test_real_sections_measure_and_fit_one_record(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(run, "SECTIONS", SECTIONS)
    out = tmp_path / "bench.json"
    record = bench("tiny-random", tokens=8, repeats=1, only=["plain", "capture"], out=out)
    assert [row.name for row in record.rows] == ["plain", "capture"]
    stored = json.loads(out.read_text(encoding="utf-8"))
    assert {"model", "tokens", "findings", "device", "threads", "versions", "python"} <= stored["run"].keys()
    assert stored["load"]["seconds"] > 0 and stored["sections"]["plain"]["peak_bytes"] > 0
    assert stored["sections"]["plain"]["rows"][0]["dtype"] == "bfloat16"


def test_every_section_has_an_expected_time_from_the_plain_generation() -> None:
    work = Workload("tiny-random", tokens=8, findings=3, repeats=1)
    expected = {name: run._expected(part, work) for name, part in SECTIONS.items()}
    assert all(seconds >= 0 for seconds in expected.values()) and expected["standard"] > expected["quick"]


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (["--only", "first"], 0),
        (["--only", "fourth"], 2),
        (["--tokens", "0"], 2),
        (["--only", "broken"], 1),
        (["--only", "stopped"], 1),
    ],
)
def test_exit_codes(
    tmp_path: Path, sections: dict[str, Part], monkeypatch: pytest.MonkeyPatch, arguments: list[str], code: int
) -> None:
    def broken(work: Workload) -> list[Measurement]:
        raise ParityError("the first token differs")

    def stopped(work: Workload) -> list[Measurement]:
        raise KeyboardInterrupt

    monkeypatch.setitem(sections, "broken", Part(broken, 1.0))
    monkeypatch.setitem(sections, "stopped", Part(stopped, 1.0))
    out = tmp_path / "bench.json"
    result = CliRunner().invoke(app, ["bench", "--model", "tiny-random", "--out", str(out), *arguments])
    assert result.exit_code == code, result.output
    if "stopped" in arguments:
        assert "finished sections are kept" in result.output


def test_json_is_one_object_and_nothing_else(tmp_path: Path) -> None:
    arguments = ["bench", "--model", "tiny-random", "--json", "--out", str(tmp_path / "bench.json")]
    result = CliRunner().invoke(app, arguments)
    assert result.exit_code == 0
    assert list(json.loads(result.stdout)["sections"]) == ["first", "second", "third"]
    wrong = CliRunner().invoke(app, [*arguments, "--only", "fourth"])
    assert wrong.exit_code == 2 and json.loads(wrong.stdout)["error"] == "MalformedInput"
