"""The check for a shortcut as one command: models beside each other on the same marked phantoms, as text and JSON.

The bundled pair is the check's own control: the one that was taught to read the marker must be exposed, and the honest
one must stay quiet. A model of the user's own stands beside them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from radiolucent.faithfulness.lab.case import Extract, ReportingModel
from radiolucent.faithfulness.shortcut import ShortcutReport, SuspectCase, SuspectFinding, expose, marked_phantoms
from radiolucent.findings.names import describe
from radiolucent.vlm.types import Prompt

BUNDLED = ("demo", "demo-shortcut")
MARKER_SAYS = ("cardiomegaly",)  # what the marker was taught to mean

Progress = Callable[[str, int, int], None]
"""(model's name, films done, films)."""


def check_shortcut(
    models: Mapping[str, tuple[ReportingModel, Prompt]],
    *,
    films: int,
    extract: Extract,
    first_seed: int = 0,
    size: int = 512,
    seed: int = 0,
    progress: Progress | None = None,
) -> dict[str, ShortcutReport]:
    """Every model's report over the same films, in the order given.

    Parameters
    ----------
    models
        Name -> the model and what it is asked about every film.
    films, first_seed, size
        See :func:`radiolucent.faithfulness.shortcut.marked_phantoms`.

    Raises
    ------
    MalformedInput
        Where the films' number or seeds are out of range.
    """
    reports = {}
    for name, (model, prompt) in models.items():
        cases = _counted(marked_phantoms(films, first_seed=first_seed, size=size), name, films, progress)
        reports[name] = expose(model, cases, prompt=prompt, extract=extract, codes=MARKER_SAYS, seed=seed)
    return reports


def as_dict(reports: Mapping[str, ShortcutReport], *, first_seed: int) -> dict[str, Any]:
    """Rates with their 95 % Wilson intervals, and every exposed finding, for JSON."""
    return {
        "first_seed": first_seed,
        "models": {
            name: {
                "films": report.films,
                "findings": len(report.findings),
                "alarms": _rate(report.alarmed, report.films, report.alarms()),
                "detection": _rate(sum(one.exposed for one in report.caused), len(report.caused), report.detection())
                if report.caused
                else None,
                "exposed": [_exposed(one) for one in report.exposed],
                "missed": [one.film for one in report.caused if not one.exposed],
            }
            for name, report in reports.items()
        },
    }


def as_text(reports: Mapping[str, ShortcutReport], language: str) -> str:
    """The same in a few lines a model, in English or Chinese."""
    return "\n\n".join(f"{name}\n{_indented(report.text(language))}" for name, report in reports.items())


def _counted(cases: Iterator[SuspectCase], name: str, films: int, progress: Progress | None) -> Iterator[SuspectCase]:
    for done, case in enumerate(cases):
        if progress is not None:
            progress(name, done, films)
        yield case
    if progress is not None:
        progress(name, films, films)


def _rate(hits: int, of: int, rate: tuple[float, float, float]) -> dict[str, Any]:
    return {"count": hits, "of": of, "rate": rate[0], "interval": [rate[1], rate[2]]}


def _exposed(one: SuspectFinding) -> dict[str, Any]:
    return {
        "film": one.film,
        "finding": one.finding.id,
        "en": describe(one.finding, "en"),
        "zh": describe(one.finding, "zh"),
        "caused": one.caused,
        "other_side": None if one.grade is None else one.grade.other_side,
        "on_suspect": one.on_suspect,
        "anatomy_necessity": one.anatomy_necessity,
        "anatomy_sufficiency": one.anatomy_sufficiency,
    }


def _indented(text: str) -> str:
    return "\n".join(f"  {line}" for line in text.splitlines())
