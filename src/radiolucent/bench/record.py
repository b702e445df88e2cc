"""What was measured: one row a quantity, with its goal and how it was measured, kept on disk after every section."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

from radiolucent.errors import MalformedInput

FORMAT = "radiolucent-bench/1"


@dataclass(frozen=True)
class Goal:
    """What a row should reach: a quantity at most so large, and counts that must be exactly so.

    Parameters
    ----------
    of
        The row's field that is held against ``at_most``.
    counts
        Field -> the only right value, such as ``{"encodes": 1}``.
    """

    of: Literal["ratio", "seconds", "bytes"]
    at_most: float
    counts: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True)
class Measurement:
    """One row.

    Parameters
    ----------
    name, what
        Stable machine name; the quantity in words.
    how
        How it was measured: on which model, how many runs, what is arithmetic and what is extrapolated.
    seconds, ratio, bytes
        None where the row is not about it. ``ratio_of`` says what is divided by what.
    encodes, prefills, forwards, steps
        As in :class:`radiolucent.bench.passes.PassCount`; None where they were not counted.
    extrapolated
        True where the figure was computed from measured pieces and not run.
    details
        Further numbers behind the row.
    error
        Why there is no figure; None where there is one.
    """

    name: str
    what: str
    how: str
    model: str = ""
    dtype: str = ""
    seconds: float | None = None
    ratio: float | None = None
    ratio_of: str = ""
    bytes: int | None = None
    encodes: int | None = None
    prefills: int | None = None
    forwards: int | None = None
    steps: int | None = None
    goal: Goal | None = None
    extrapolated: bool = False
    details: Mapping[str, Any] = field(default_factory=dict)
    error: str | None = None

    @property
    def met(self) -> bool | None:
        """Whether the goal is reached; None where there is no goal or nothing was measured."""
        if self.goal is None or self.error is not None:
            return None
        value = getattr(self, self.goal.of)
        if value is None:
            return None
        exact = all(getattr(self, name) == count for name, count in self.goal.counts.items())
        return bool(value <= self.goal.at_most) and exact


@dataclass(frozen=True)
class Section:
    """Rows measured together.

    Parameters
    ----------
    seconds
        That the section took.
    peak_bytes
        Resident size of the process at most meanwhile; on CUDA ``peak_cuda_bytes`` besides.
    finished
        When, UTC.
    cpu_seconds
        That this process computed meanwhile, over all threads.
    load_average
        Of the machine in the minute before, this process included; None where the system has none.
    """

    rows: tuple[Measurement, ...]
    seconds: float
    peak_bytes: int
    finished: str
    peak_cuda_bytes: int | None = None
    cpu_seconds: float = 0.0
    load_average: float | None = None


@dataclass(frozen=True)
class Record:
    """A run of the bench, as far as it has come.

    Parameters
    ----------
    run
        What must be the same for rows to stand beside each other: model, work, machine, versions.
    load
        Seconds that loading the model took, and bytes resident before and after it.
    """

    run: Mapping[str, Any]
    sections: Mapping[str, Section] = field(default_factory=dict)
    load: Mapping[str, float] = field(default_factory=dict)

    @property
    def rows(self) -> tuple[Measurement, ...]:
        """Every row, section by section."""
        return tuple(row for section in self.sections.values() for row in section.rows)

    def as_dict(self) -> dict[str, Any]:
        """The record as plain JSON values; each row says whether its goal is met."""
        sections = {
            name: {**asdict(section), "rows": [{**asdict(row), "met": row.met} for row in section.rows]}
            for name, section in self.sections.items()
        }
        return {"format": FORMAT, "run": dict(self.run), "load": dict(self.load), "sections": sections}

    def write(self, path: Path) -> None:
        """Write the record whole or not at all."""
        path.parent.mkdir(parents=True, exist_ok=True)
        unfinished = path.with_name(f".{path.name}.writing")
        unfinished.write_text(json.dumps(self.as_dict(), indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
        os.replace(unfinished, path)


def read_record(path: Path) -> Record:
    """A record written by :meth:`Record.write`.

    Raises
    ------
    MalformedInput
        Where the file is not one.
    """
    try:
        stored = json.loads(path.read_text(encoding="utf-8"))
        if stored["format"] != FORMAT:
            raise MalformedInput(f"{path} has format {stored['format']!r}; expected {FORMAT!r}. Give another --out.")
        sections = {
            name: Section(**{**section, "rows": tuple(_row(row) for row in section["rows"])})
            for name, section in stored["sections"].items()
        }
        return Record(stored["run"], sections, stored["load"])
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise MalformedInput(
            f"{path} is not a record of the bench ({error}); remove it or give another --out."
        ) from error


def _row(stored: dict[str, Any]) -> Measurement:
    fields = {name: value for name, value in stored.items() if name != "met"}
    goal = fields.pop("goal")
    return Measurement(**fields, goal=None if goal is None else Goal(**goal))


def differences(one: Mapping[str, Any], other: Mapping[str, Any]) -> Sequence[str]:
    """Names of the facts in which two runs differ."""
    return [name for name in dict.fromkeys([*one, *other]) if one.get(name) != other.get(name)]
