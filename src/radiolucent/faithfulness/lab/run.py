"""Many films examined in processes, each kept in a file of its own, and joined to the table.

A run can be stopped at any time and goes on where it was: films that have their file are not examined again. The
folder belongs to one set of settings; others are refused, because their films could not be joined.
"""

from __future__ import annotations

import importlib.metadata
import json
import os
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

from radiolucent.errors import MalformedInput, Notice
from radiolucent.faithfulness.lab.examine import Plan, examine
from radiolucent.faithfulness.lab.interventions import CurveFill
from radiolucent.faithfulness.lab.perturb import FILLS, RANDOM_ORDERS, SHARES, SIZES, SQUARES, SUBSETS
from radiolucent.faithfulness.lab.pool import Outcome, run_tasks, said
from radiolucent.faithfulness.lab.records import CaseRecord, read_record, write_atomically, write_record
from radiolucent.faithfulness.lab.sources import CaseSource
from radiolucent.faithfulness.table import Comparison, compared
from radiolucent.findings import extract_findings
from radiolucent.vlm.load import load_model
from radiolucent.vlm.types import Language, Prompt

FORMAT = 1  # of the folder; raised when records of before mean something else
PERTURBED_SHARE, PERTURBED_MOST = 0.2, 50  # of the films on which hiding cells is measured
CHECKED_SHARE, CHECKED_MOST = 0.05, 6  # of the films on which weights are randomised
FILMS_A_WORKER = 4  # fewer are not worth a process's start


@dataclass(frozen=True)
class Settings:
    """What is compared on what.

    Parameters
    ----------
    model
        Hub id, folder of weights or bundled name.
    perturb_on, check_on
        Films on which hiding cells, and randomised weights and repeats, are measured; a seeded share where None.
    grade
        Grade every map too.
    fills
        What stands in hidden cells, one curve each.
    """

    model: str
    source: CaseSource
    methods: tuple[str, ...]
    language: Language = "en"
    question: str | None = None
    perturb_on: int | None = None
    check_on: int | None = None
    grade: bool = False
    fills: tuple[CurveFill, ...] = FILLS
    seed: int = 0
    max_new_tokens: int = 256

    def __post_init__(self) -> None:
        for name, count in (("perturb_on", self.perturb_on), ("check_on", self.check_on)):
            if count is not None and count < 0:
                raise MalformedInput(f"{name} is {count}; give a number of films, 0 for none.")


@dataclass(frozen=True)
class Progress:
    """How far a run is.

    Parameters
    ----------
    done, films
        Films that are over, failed ones included, and all of them.
    left
        Seconds left, as far as they can be told; None at first.
    """

    done: int
    films: int
    failed: int
    left: float | None


@dataclass(frozen=True)
class Evaluation:
    """A finished comparison.

    Parameters
    ----------
    settings
        As kept in the folder: everything that the numbers depend on.
    seconds
        Stage -> seconds summed over films.
    cpu
        Processor seconds summed over films, of all runs.
    examined
        Films that this run examined.
    runs
        What this and earlier runs into the folder took; those that examined nothing are left out.
    """

    comparison: Comparison
    records: tuple[CaseRecord, ...]
    source: CaseSource
    settings: dict[str, Any]
    notices: tuple[Notice, ...]
    seconds: dict[str, float]
    cpu: float
    examined: int
    runs: tuple[Run, ...]


@dataclass(frozen=True)
class Run:
    """One run into a folder.

    Parameters
    ----------
    date
        Of its end, UTC.
    films
        Examined.
    seconds
        From start to end.
    load
        The machine's load average over 15 minutes at the end, its own processes included; None where it has none.
    """

    date: str
    films: int
    workers: int
    cores: int
    seconds: float
    load: float | None


@dataclass(frozen=True)
class Task:
    """One film to be examined; ``number`` from 1."""

    number: int
    perturb: bool
    check: bool


@dataclass(frozen=True)
class Start:
    """What a process does once: load the model and open the films."""

    model: str
    source: CaseSource
    plan: Plan
    language: Language

    def __call__(self) -> Callable[[Task], CaseRecord]:
        """The function that examines a film."""
        import torch
        from transformers.utils import logging

        torch.set_num_threads(1)  # the other processes need the other cores
        logging.disable_progress_bar()  # one bar is enough: the run's own
        return self.work(load_model(self.model))

    def work(self, model: Any) -> Callable[[Task], CaseRecord]:
        """The same with a model that is loaded already."""
        cases = self.source.open()

        def examined(task: Task) -> CaseRecord:
            return examine(
                model,
                cases[task.number - 1],
                task.number,
                self.plan,
                lambda text: extract_findings(text, self.language),
                perturb=task.perturb,
                sanity=task.check,
            )

        return examined


def evaluate(
    settings: Settings,
    folder: Path,
    *,
    workers: int | None = None,
    resume: bool = True,
    say: Callable[[Progress], None] | None = None,
) -> Evaluation:
    """Examine every film that the folder does not hold yet, and join all of them.

    Parameters
    ----------
    folder
        Takes ``settings.json`` and ``cases/NNNNN.json``, each film's file written in one step.
    workers
        Processes; 1 runs here. Two, or fewer where there are few films, where None.
    resume
        False: films that the folder holds are examined again.
    say
        Told after every film.

    Raises
    ------
    MalformedInput
        Where the folder holds films of other settings, or no film gave anything to compare.
    KeyboardInterrupt
        Ctrl-C; what was finished stays in the folder.
    """
    started = time.perf_counter()
    if workers is not None and workers < 1:
        raise MalformedInput(f"{workers} workers examine nothing; use at least 1.")
    model = load_model(settings.model)
    question = settings.question or model.profile.question(settings.language)
    plan = Plan(
        methods=settings.methods,
        prompt=Prompt(question, settings.language),
        max_new_tokens=settings.max_new_tokens,
        grade=settings.grade,
        fills=settings.fills,
        seed=settings.seed,
    )
    films = len(settings.source.open())
    described = _described(settings, plan, model)
    claim(folder, described)
    wanted = tasks(films, settings.perturb_on, settings.check_on, settings.seed)
    records = {} if not resume else kept(folder, wanted)
    todo = [task for task in wanted if task.number not in records]
    todo.sort(key=lambda task: (not task.check, not task.perturb))  # the longest first, so that no process ends alone
    start = Start(settings.model, settings.source, plan, settings.language)
    if workers is None:
        workers = max(1, min(2, len(todo) // FILMS_A_WORKER))
    if workers > 1:
        del model  # the processes load their own
        outcomes = run_tasks(start, todo, workers)
    else:
        outcomes = _run_here(start.work(model), todo)
    clock = _Clock(todo, workers, len(records), films)
    for outcome in outcomes:
        task = todo[outcome.task]
        record = outcome.result
        if outcome.error:
            record = CaseRecord(number=task.number, case=f"film {task.number}", error=outcome.error)
        else:
            write_record(record, record_path(folder, task.number))
        records[task.number] = record
        if say is not None:
            say(clock.after(task, record))
    runs = _told(folder, len(todo), workers, time.perf_counter() - started, afresh=not resume)
    ordered = tuple(records[task.number] for task in wanted)
    spent: dict[str, float] = {}
    for record in ordered:
        for stage, seconds in record.seconds.items():
            spent[stage] = spent.get(stage, 0.0) + seconds
    return Evaluation(
        comparison=compared(ordered, seed=settings.seed),
        records=ordered,
        source=settings.source,
        settings=described,
        notices=settings.source.notices(),
        seconds=spent,
        cpu=sum(record.cpu for record in ordered),
        examined=len(todo),
        runs=runs,
    )


def tasks(films: int, perturb_on: int | None, check_on: int | None, seed: int) -> list[Task]:
    """One task a film; the films with the longer measures are drawn by the seed, checked ones among the perturbed."""
    perturbed = min(round(PERTURBED_SHARE * films), PERTURBED_MOST) if perturb_on is None else min(perturb_on, films)
    checked = min(round(CHECKED_SHARE * films), CHECKED_MOST) if check_on is None else min(check_on, films)
    order = np.random.default_rng(seed).permutation(films) + 1
    some, few = set(order[:perturbed].tolist()), set(order[:checked].tolist())
    return [Task(number, number in some, number in few) for number in range(1, films + 1)]


def kept(folder: Path, wanted: Sequence[Task]) -> dict[int, CaseRecord]:
    """Number -> record of the films that the folder holds with everything that is wanted of them."""
    found = {}
    for task in wanted:
        path = record_path(folder, task.number)
        if not path.is_file():
            continue
        record = read_record(path)
        if record.perturbed >= task.perturb and record.sanity >= task.check:
            found[task.number] = record
    return found


def claim(folder: Path, described: dict[str, Any]) -> None:
    """Make a folder belong to settings, or find that it does.

    Raises
    ------
    MalformedInput
        Where it belongs to others; the message says which differ.
    """
    path = folder / "settings.json"
    if not path.is_file():
        if (folder / "cases").is_dir() and any((folder / "cases").glob("*.json")):
            raise MalformedInput(f"{folder} holds films but no settings.json; give another folder.")
        write_atomically(path, json.dumps(described, indent=2, ensure_ascii=False) + "\n")
        return
    try:
        before = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise MalformedInput(f"{path} is not JSON ({error}); give another folder.") from error
    ours = json.loads(json.dumps(described))
    if before != ours:
        differing = [key for key in sorted({*before, *ours}) if before.get(key) != ours.get(key)]
        told = "; ".join(f"{key}: {_short(before.get(key))} there, {_short(ours.get(key))} now" for key in differing)
        raise MalformedInput(
            f"{folder} holds films of other settings ({told}). Give another folder, or the settings that it holds."
        )


def record_path(folder: Path, number: int) -> Path:
    """Where a film's record lies."""
    return folder / "cases" / f"{number:05d}.json"


def _told(folder: Path, films: int, workers: int, seconds: float, *, afresh: bool) -> tuple[Run, ...]:
    """The folder's runs with this one, kept there; a run that examined nothing is none."""
    path = folder / "runs.json"
    known = path.is_file() and not afresh
    before = tuple(Run(**one) for one in json.loads(path.read_text(encoding="utf-8"))) if known else ()
    if not films:
        return before
    load = round(os.getloadavg()[2], 2) if hasattr(os, "getloadavg") else None
    date = datetime.now(UTC).strftime("%Y-%m-%d")
    runs = (*before, Run(date, films, workers, os.cpu_count() or 1, round(seconds, 1), load))
    write_atomically(path, json.dumps([asdict(run) for run in runs], indent=2) + "\n")
    return runs


def _run_here(work: Callable[[Task], CaseRecord], todo: Sequence[Task]) -> Iterator[Outcome]:
    for index, task in enumerate(todo):
        try:
            record = work(task)
        except Exception as error:  # one film's failure is told beside the others' numbers
            yield Outcome(index, error=said(error))
        else:
            yield Outcome(index, record)


def _described(settings: Settings, plan: Plan, model: Any) -> dict[str, Any]:
    """Everything that a film's record depends on."""
    return {
        "format": FORMAT,
        "radiolucent": importlib.metadata.version("radiolucent"),
        "model": model.name,
        "weights_sha256": model.weights_hash,
        "dtype": str(model.dtype).removeprefix("torch."),
        "cases": settings.source.described(),
        "methods": list(plan.methods),
        "prompt": asdict(plan.prompt),
        "max_new_tokens": plan.max_new_tokens,
        "grade": plan.grade,
        "seed": plan.seed,
        "perturbation": {
            "fills": list(plan.fills),
            "shares_hidden": list(SHARES),
            "random_orders": RANDOM_ORDERS,
            "sensitivity_sizes": list(SIZES),
            "sensitivity_subsets": SUBSETS,
            "infidelity_squares": SQUARES,
        },
    }


def _short(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 120 else text[:117] + "..."


class _Clock:
    """The time left, from how long each stage of a film took."""

    def __init__(self, todo: Sequence[Task], workers: int, done: int, films: int) -> None:
        self._left = list(todo)
        self._took: dict[str, list[float]] = {}
        self._workers = workers
        self._now = Progress(done, films, 0, None)

    def after(self, task: Task, record: CaseRecord) -> Progress:
        """How far the run is with one film more."""
        self._left.remove(task)
        longer = {"perturbation": task.perturb, "sanity": task.check}
        if not record.error:
            short = sum(seconds for stage, seconds in record.seconds.items() if stage not in longer)
            self._took.setdefault("", []).append(short)
            for stage, wanted in longer.items():
                if wanted:  # a film without a finding took none
                    self._took.setdefault(stage, []).append(record.seconds.get(stage, 0.0))
        means = {stage: float(np.mean(seconds)) for stage, seconds in self._took.items()}
        left = sum(
            means.get("", 0.0) + one.perturb * means.get("perturbation", 0.0) + one.check * means.get("sanity", 0.0)
            for one in self._left
        )
        self._now = replace(
            self._now,
            done=self._now.done + 1,
            failed=self._now.failed + bool(record.error),
            left=left / self._workers if means else None,
        )
        return self._now
