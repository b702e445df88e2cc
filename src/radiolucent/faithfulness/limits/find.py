"""The run: films read and kept, judged, counted, compared, told."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from radiolucent.errors import MalformedInput
from radiolucent.faithfulness.limits.drawing import draw
from radiolucent.faithfulness.limits.factors import Factor, paired_factors
from radiolucent.faithfulness.limits.judging import judge
from radiolucent.faithfulness.limits.paired import paired_rows
from radiolucent.faithfulness.limits.plan import SAMPLE, SMALLEST_EDGE, PlannedFilm, plan_films
from radiolucent.faithfulness.limits.reading import Reading, ReportingModel, read_films
from radiolucent.faithfulness.limits.record import FilmRecord, read_record, records_folder
from radiolucent.faithfulness.limits.sample import sample_rows
from radiolucent.faithfulness.limits.suggestions import find_weaknesses
from radiolucent.faithfulness.limits.types import Limits
from radiolucent.vlm.load import load_model
from radiolucent.vlm.types import Language, Prompt

FORMAT = 1
FILMS, PAIRED, EDGE = 300, 48, 512
MAX_NEW_TOKENS = 256

Progress = Callable[[str], None]


def find_limits(
    model: Any,
    *,
    out: Path,
    films: int = FILMS,
    paired: int = PAIRED,
    first_seed: int = 0,
    language: Language = "en",
    question: str | None = None,
    edge: int = EDGE,
    max_new_tokens: int = MAX_NEW_TOKENS,
    workers: int = 2,
    load: Callable[[], ReportingModel] | None = None,
    progress: Progress | None = None,
    resume: bool = True,
) -> Limits:
    """Where a model fails: recall, false alarms and wrong sides against every property of a film.

    Parameters
    ----------
    model
        As :func:`radiolucent.load_model` gives it; of any other model only ``encode``, ``generate``, ``name``,
        ``weights_hash`` and, where no question is given, ``profile.question`` are used.
    out
        Folder for the records, one file a film; an interrupted run goes on from them.
    films
        Sampled films: finding, side, zone, size, contrast and distractors as the generator draws them.
    paired
        Cases drawn again under every imposed condition (:func:`~.factors.paired_factors`), about 40 films each.
    first_seed
        Of both sets.
    language, question
        Of the report; the model's usual question where None.
    edge
        Pixels on an edge of the drawn films.
    workers
        Processes, each with its own copy of the model and one thread; 1 reads in this process with ``model`` itself,
        which a model changed in memory needs.
    load
        Makes the model in a worker (picklable); the model is loaded again by its name where None.
    progress
        Told in words after every film.
    resume
        Whether films that were read with the same settings are taken from ``out``.

    Returns
    -------
    Limits
        Write it with :func:`radiolucent.faithfulness.limits.write`.

    Raises
    ------
    MalformedInput
        Where a number is out of range, the seeds reach those used for training, or a record is damaged.
    RadiolucentError
        Where a process failed on some films; the others are kept.
    """
    if workers < 1 or edge < SMALLEST_EDGE or max_new_tokens < 1:
        raise MalformedInput(
            f"{workers} workers, films of {edge} pixels, {max_new_tokens} tokens; expected at least 1 worker, "
            f"{SMALLEST_EDGE} pixels and 1 token."
        )
    factors = paired_factors(edge)
    planned = plan_films(films, paired, first_seed, factors)
    prompt = Prompt(question or model.profile.question(language), language)
    settings = _settings(model, prompt, edge, max_new_tokens, factors)
    folder = records_folder(out, settings)
    known = {film: read_record(film, folder) for film in planned} if resume else {}
    records: dict[PlannedFilm, FilmRecord] = {film: record for film, record in known.items() if record is not None}
    missing = [film for film in planned if film not in records]
    if missing:
        reading = Reading(load or _loader(model), prompt, max_new_tokens, edge, factors, folder)
        for record in read_films(missing, reading, workers, model):
            records[record.plan] = record
            if progress is not None:
                progress(f"{len(records)} of {len(planned)} films read")
    judged = tuple(judge(records[film], language) for film in planned)
    comparisons, suggestions = find_weaknesses(judged, factors)
    sampled = [film for film in judged if film.record.set == SAMPLE]
    return Limits(
        settings={**settings, "films": films, "paired_cases": paired, "first_seed": first_seed},
        rows=(*sample_rows(sampled), *paired_rows(judged, factors)),
        comparisons=comparisons,
        suggestions=suggestions,
        films=judged,
        reading=language,
    )


def _settings(
    model: Any, prompt: Prompt, edge: int, max_new_tokens: int, factors: tuple[Factor, ...]
) -> dict[str, Any]:
    """What decides a record's content; one film stands for the generator, whose drawing may change."""
    picture = draw(PlannedFilm(0, SAMPLE), factors, edge).picture
    return {
        "format": FORMAT,
        "model": model.name,
        "weights_sha256": model.weights_hash,
        "dtype": str(getattr(model, "dtype", "")),
        "question": prompt.question,
        "language": prompt.language,
        "edge": edge,
        "max_new_tokens": max_new_tokens,
        "levels": {factor.name: [factor.usual, *factor.levels] for factor in factors},
        "generator": hashlib.sha256(picture.tobytes()).hexdigest()[:16],
    }


def _loader(model: Any) -> Callable[[], ReportingModel]:
    dtype, device = getattr(model, "dtype", "auto"), getattr(model, "device", "auto")
    return partial(load_model, model.name, dtype=dtype, device=device)
