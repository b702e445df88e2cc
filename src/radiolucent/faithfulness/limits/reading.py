"""Planned films read by the model, in this process or in several; every film that is finished is kept at once."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Protocol

from radiolucent.errors import RadiolucentError
from radiolucent.faithfulness.lab.pool import run_tasks
from radiolucent.faithfulness.limits.drawing import draw
from radiolucent.faithfulness.limits.factors import Factor
from radiolucent.faithfulness.limits.plan import SAMPLE, PlannedFilm
from radiolucent.faithfulness.limits.record import FilmRecord, write_record
from radiolucent.study.load import load_study
from radiolucent.study.types import Study
from radiolucent.vlm.types import Features, Generation, Prompt

BLOCK = 10  # sampled films handed to a worker at a time; paired films go case by case


class ReportingModel(Protocol):
    """A model that writes reports; nothing else is asked of it."""

    def encode(self, study: Study) -> Features:
        """The study as the model receives it."""

    def generate(self, prompt: Prompt, features: Features, *, max_new_tokens: int, capture: bool = True) -> Generation:
        """The report."""


@dataclass(frozen=True)
class Reading:
    """How films are read.

    Parameters
    ----------
    load
        Makes the model; must be picklable where several processes read.
    folder
        Of the records.
    """

    load: Callable[[], ReportingModel]
    prompt: Prompt
    max_new_tokens: int
    edge: int
    factors: tuple[Factor, ...]
    folder: Path

    def __call__(self) -> Callable[[list[PlannedFilm]], list[FilmRecord]]:
        """What a process does once: load the model."""
        model = self.load()
        return lambda films: [read_film(model, film, self) for film in films]


def read_film(model: ReportingModel, film: PlannedFilm, reading: Reading) -> FilmRecord:
    """Draw a film, let the model report on it, and keep what it wrote."""
    started = time.perf_counter()
    drawn = draw(film, reading.factors, reading.edge)
    study = load_study(drawn.picture, patient_right="left", view="PA")
    ready = time.perf_counter()
    features = model.encode(study)
    written = model.generate(reading.prompt, features, max_new_tokens=reading.max_new_tokens, capture=False)
    record = FilmRecord(
        film.seed,
        film.set,
        film.level,
        drawn.lesions,
        drawn.distractors,
        written.text,
        cut=written.finish == "length",
        seconds=(round(ready - started, 4), round(time.perf_counter() - ready, 4)),
    )
    write_record(record, reading.folder)
    return record


def read_films(
    films: Sequence[PlannedFilm], reading: Reading, workers: int, model: ReportingModel
) -> Iterator[FilmRecord]:
    """Records of the films as they are finished, in any order.

    Parameters
    ----------
    model
        Reads the films in this process where ``workers`` is 1.

    Raises
    ------
    RadiolucentError
        Where a process could not start, or, after all others were read, where films could not be read.
    """
    if workers == 1:
        for film in films:
            yield read_film(model, film, reading)
        return
    blocks = _blocks(films)
    failed: list[str] = []
    for outcome in run_tasks(reading, blocks, workers):
        if outcome.error:
            failed.append(f"{blocks[outcome.task][0].name} and {len(blocks[outcome.task]) - 1} more: {outcome.error}")
        else:
            yield from outcome.result
    if failed:
        raise RadiolucentError(
            f"{len(failed)} of {len(blocks)} groups of films could not be read ({'; '.join(failed[:3])}). Finished "
            "films are kept; run again to go on."
        )


def _blocks(films: Sequence[PlannedFilm]) -> list[list[PlannedFilm]]:
    """Films of one paired case stay together: the person is drawn once."""
    blocks: list[list[PlannedFilm]] = []
    for case, group in groupby(films, key=lambda film: None if film.set == SAMPLE else film.seed):
        members = list(group)
        size = BLOCK if case is None else len(members)
        blocks += [members[start : start + size] for start in range(0, len(members), size)]
    return blocks
