"""The run: sections one after the other, each kept on disk as soon as it is measured, with the time left."""

from __future__ import annotations

import os
import platform
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch

from radiolucent.bench.explaining import occlusion, page, quick, standard
from radiolucent.bench.peak import peak_memory
from radiolucent.bench.pieces import naive, pieces
from radiolucent.bench.record import Measurement, Record, Section, differences, read_record
from radiolucent.bench.volume import volume
from radiolucent.bench.workload import Say, Workload
from radiolucent.bench.writing import SAMPLES, TRACED_TOKENS, capture, plain, samples, trace_memory
from radiolucent.errors import MalformedInput, RadiolucentError

DEFAULT_MODEL = "4b-random"
FINDINGS_LIMIT = 20


@dataclass(frozen=True)
class Part:
    """One section: what it measures, and how long that will take.

    Parameters
    ----------
    measure
        The section itself.
    seconds
        Expected seconds from a workload whose plain generation is known, or a number where it has a model of its own.
    """

    measure: Callable[[Workload], list[Measurement]]
    seconds: Callable[[Workload], float] | float


SECTIONS: Mapping[str, Part] = {
    "plain": Part(plain, lambda work: (work.pairs - 1) * work.plain.total),
    "capture": Part(capture, lambda work: 2.1 * work.repeats * work.plain.decode),
    "samples": Part(samples, lambda work: work.pairs * (2 * work.plain.total + 0.05 * SAMPLES * work.plain.decode)),
    "quick": Part(quick, lambda work: 1.5 * work.pairs * work.plain.total),
    "standard": Part(standard, lambda work: 3.0 * work.pairs * work.plain.total),
    "trace_memory": Part(trace_memory, lambda work: 2.2 * TRACED_TOKENS / work.tokens * work.plain.decode),
    "pieces": Part(pieces, lambda work: 2 * work.plain.encode + 6 * work.plain.prefill + 0.5 * work.plain.decode),
    "naive": Part(naive, lambda work: 0.5 * work.plain.encode + 3 * work.plain.prefill),
    "volume": Part(volume, 60.0),
    "occlusion": Part(occlusion, 60.0),
    "page": Part(page, 60.0),
}


def bench(
    model: str = DEFAULT_MODEL,
    *,
    tokens: int = 100,
    findings: int = 3,
    repeats: int = 3,
    only: Sequence[str] = (),
    out: Path | None = None,
    threads: int | None = None,
    device: str = "auto",
    say: Say = lambda text: None,
) -> Record:
    """Measure what radiolucent costs here.

    Parameters
    ----------
    model
        ``4b-random`` (MedGemma 1.5 4B's shape, random weights), ``227m-random``, ``slim-random``, ``tiny-random``,
        ``demo``, a folder of weights or a hub id.
    tokens, findings
        New tokens of every generation, and findings explained.
    repeats
        Pairs of runs where a run is short enough to repeat; three or more give a median.
    only
        Names of ``SECTIONS`` to measure (again); all that ``out`` does not hold yet where empty.
    out
        File that the record is written to after every section, and that an interrupted run goes on from.
    threads
        CPU threads of torch; its own choice where None.
    say
        Told what is being measured and how long is left.

    Raises
    ------
    MalformedInput
        Where a section is unknown, a number is out of range, or ``out`` holds another run's record.
    """
    chosen = _chosen(only)
    for name, value, most in (
        ("tokens", tokens, 2000),
        ("findings", findings, FINDINGS_LIMIT),
        ("repeats", repeats, 99),
    ):
        if not 1 <= value <= most:
            raise MalformedInput(f"{name}={value}; use 1 to {most}.")
    if findings > tokens:
        raise MalformedInput(f"{findings} findings do not fit into {tokens} tokens; write more tokens.")
    if threads is not None:
        if threads < 1:
            raise MalformedInput(f"threads={threads}; use at least 1.")
        torch.set_num_threads(threads)
    run = {"model": model, "tokens": tokens, "findings": findings, "repeats": repeats, **_machine(device)}
    record = _earlier(out, run) or Record(run)
    todo = [name for name in chosen if only or name not in record.sections]
    work = Workload(model, tokens, findings, repeats, device, say)
    for place, name in enumerate(todo):
        left = sum(_expected(SECTIONS[other], work) for other in todo[place:])
        say(f"[{place + 1}/{len(todo)}] {name}; about {_minutes(left)} left")
        section = _measured(name, work)
        record = replace(record, sections={**record.sections, name: section}, load=work.load or record.load)
        if out is not None:
            record.write(out)
    return record


def _expected(part: Part, work: Workload) -> float:
    return part.seconds(work) if callable(part.seconds) else part.seconds


def _chosen(only: Sequence[str]) -> list[str]:
    unknown = [name for name in only if name not in SECTIONS]
    if unknown:
        raise MalformedInput(f"Unknown section {', '.join(unknown)}; use any of {', '.join(SECTIONS)}.")
    return [name for name in SECTIONS if name in only] if only else list(SECTIONS)


def _measured(name: str, work: Workload) -> Section:
    """The section's rows; one that fails keeps its reason and the others go on."""
    cuda = torch.cuda.is_available() and "model" in vars(work) and work.place.type == "cuda"
    load = os.getloadavg()[0] if hasattr(os, "getloadavg") else None
    began, computed = time.perf_counter(), time.process_time()
    with peak_memory(torch.device("cpu")) as peak:
        try:
            rows = SECTIONS[name].measure(work)
        except RadiolucentError as error:
            rows = [Measurement(name, name, "failed", model=work.name, error=f"{type(error).__name__}: {error}")]
    return Section(
        rows=tuple(rows),
        seconds=time.perf_counter() - began,
        peak_bytes=peak.most,
        peak_cuda_bytes=torch.cuda.max_memory_allocated(work.place) if cuda else None,
        finished=datetime.now(UTC).isoformat(timespec="seconds"),
        cpu_seconds=time.process_time() - computed,
        load_average=load,
    )


def _machine(device: str) -> dict[str, Any]:
    cuda = device == "cuda" or (device == "auto" and torch.cuda.is_available())
    return {
        "device": torch.cuda.get_device_name() if cuda and torch.cuda.is_available() else "cpu",
        "processor": platform.machine(),
        "cores": os.cpu_count(),
        "threads": torch.get_num_threads(),
        "versions": {name: version(name) for name in ("radiolucent", "torch", "transformers", "numpy")},
        "python": platform.python_version(),
    }


def _earlier(out: Path | None, run: Mapping[str, Any]) -> Record | None:
    """What an interrupted run left, where it is the same run."""
    if out is None or not out.exists():
        return None
    record = read_record(out)
    other = differences(record.run, run)
    if other:
        found = ", ".join(f"{name} {record.run.get(name)!r} there, {run.get(name)!r} here" for name in other)
        raise MalformedInput(f"{out} holds another run ({found}); remove it or give another --out.")
    return record


def _minutes(seconds: float) -> str:
    return f"{seconds / 60:.0f} min" if seconds >= 90 else f"{seconds:.0f} s"
