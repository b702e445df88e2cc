"""Rows, goals, and the file they are kept in."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from radiolucent.bench.record import FORMAT, Goal, Measurement, Record, Section, differences, read_record
from radiolucent.bench.table import disturbed, table_of
from radiolucent.errors import MalformedInput


def row(**figures: Any) -> Measurement:
    return Measurement("samples", "16 samples ÷ 1", "counted", **figures)


@pytest.mark.parametrize(
    ("figures", "goal", "met"),
    [
        ({"ratio": 2.9}, Goal("ratio", 3.0), True),
        ({"ratio": 3.0}, Goal("ratio", 3.0), True),
        ({"ratio": 3.01}, Goal("ratio", 3.0), False),
        ({"bytes": 65_000_000}, Goal("bytes", 64_000_000), False),
        ({"seconds": 0.4}, Goal("seconds", 1.0), True),
        ({"ratio": 2.0, "encodes": 1, "prefills": 1}, Goal("ratio", 3.0, {"encodes": 1, "prefills": 1}), True),
        ({"ratio": 2.0, "encodes": 2, "prefills": 1}, Goal("ratio", 3.0, {"encodes": 1, "prefills": 1}), False),
        ({"ratio": 2.0, "encodes": 1}, Goal("ratio", 3.0, {"encodes": 1, "prefills": 1}), False),
        ({"seconds": 1.0}, Goal("ratio", 3.0), None),
        ({"ratio": 2.0, "error": "ParityError: …"}, Goal("ratio", 3.0), None),
        ({"ratio": 2.0}, None, None),
    ],
)
def test_a_goal_is_held_against_its_own_quantity_and_exact_counts(
    figures: dict[str, Any], goal: Goal | None, met: bool | None
) -> None:
    assert row(**figures, goal=goal).met is met


def test_a_record_is_read_back_equal_and_its_json_says_what_is_met(tmp_path: Path) -> None:
    measured = row(ratio=2.5, encodes=2, goal=Goal("ratio", 3.0, {"encodes": 1}), details={"pairs": [1.0, 2.0]})
    guessed = Measurement("naive", "the naive recipe", "EXTRAPOLATED", extrapolated=True, seconds=9.0)
    record = Record(
        {"model": "tiny-random", "versions": {"torch": "2"}},
        {"samples": Section((measured, guessed), 3.0, 10**9, "2026-01-01T00:00:00+00:00")},
        {"seconds": 1.0},
    )
    path = tmp_path / "deep" / "bench.json"
    record.write(path)
    assert read_record(path) == record
    stored = json.loads(path.read_text(encoding="utf-8"))
    rows = stored["sections"]["samples"]["rows"]
    assert stored["format"] == FORMAT and [entry["met"] for entry in rows] == [False, None]
    assert {"name", "what", "how", "seconds", "ratio", "bytes", "encodes", "prefills", "forwards"} <= rows[0].keys()
    assert [entry["extrapolated"] for entry in rows] == [False, True]
    assert [path.name for path in path.parent.iterdir()] == ["bench.json"]  # nothing half-written stays


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"format": "other/9"}', '{"format": "radiolucent-bench/1"}', "\x00"])
def test_other_files_are_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "bench.json"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(MalformedInput, match="--out"):
        read_record(path)


def test_differences_name_what_differs() -> None:
    assert list(differences({"a": 1, "b": 2}, {"a": 1, "b": 3, "c": 4})) == ["b", "c"]


def test_the_table_shows_goals_errors_and_marks_what_was_not_run() -> None:
    from rich.console import Console

    rows = (
        row(ratio=2.5, encodes=2, goal=Goal("ratio", 3.0, {"encodes": 1})),
        Measurement("naive", "the naive recipe", "EXTRAPOLATED from pieces", ratio=80.0, extrapolated=True),
        Measurement("quick", "quick", "failed", error="ParityError: [first] token", goal=Goal("ratio", 1.3)),
        Measurement("page", "page size", "one report", bytes=3_600_000, goal=Goal("bytes", 3_000_000)),
    )
    console = Console(width=200, record=True, file=open("/dev/null", "w"))  # noqa: SIM115
    console.print(table_of(Record({"model": "tiny-random"}, {"all": Section(rows, 1.0, 1, "now")})))
    text = console.export_text()
    for part in ("encodes = 1", "~80.00", "EXTRAPOLATED", "ParityError: [first] token", "not measured", "3.6 MB", "no"):
        assert part in text


@pytest.mark.parametrize(("load", "said"), [(None, False), (0.3, False), (2.4, False), (6.3, True)])
def test_other_work_on_the_machine_is_said(load: float | None, said: bool) -> None:
    section = Section((), 1.0, 1, "now", load_average=load)
    text = disturbed(Record({"cores": 2, "threads": 2}, {"plain": section}))
    assert bool(text) is said and (not said or "load average up to 6.3 on 2 cores" in text)
