"""Explanation methods compared on films whose lesions are known.

Each film is reported by the model; every finding that the report asserts and the film holds (a true positive) is
explained by every method, and the map is held against the lesion's mask, beside maps that know nothing. Findings whose
words do not need the lesion are left out: where the same film without the lesion is at hand, the words must lose at
least ``FLIP_NATS`` when the films are swapped (MedGround-Bench's filter, arXiv 2605.20158); how many pass is reported.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from radiolucent.attribution.maps import EmptyMap
from radiolucent.attribution.method import Method
from radiolucent.attribution.model import ExplainableModel
from radiolucent.attribution.registry import method as method_of
from radiolucent.attribution.targets import finding_target, scores, soft_rows
from radiolucent.attribution.types import AttributionMap
from radiolucent.errors import MalformedInput
from radiolucent.faithfulness.baselines import BASELINES
from radiolucent.faithfulness.grade import grade_maps
from radiolucent.faithfulness.pointing import chance, energy_in_mask, pointing_hit, rank_auc
from radiolucent.faithfulness.table import MethodRow, Score, tabulate
from radiolucent.faithfulness.types import Grade
from radiolucent.findings.types import Finding
from radiolucent.study.types import Study
from radiolucent.vlm.types import Features, Generation, Prompt, Target

FLIP_NATS = math.log(2)  # without the lesion the words are at most half as likely

Extract = Callable[[str], Sequence[Finding]]
Progress = Callable[[str], None]


class ReportingModel(ExplainableModel, Protocol):
    """A model that also writes reports."""

    def generate(self, prompt: Prompt, features: Features, *, max_new_tokens: int, capture: bool = True) -> Generation:
        """The report, with its attention rows where they are captured."""


@dataclass(frozen=True, eq=False)
class Case:
    """A film with its truth.

    Parameters
    ----------
    masks
        Finding code -> bool (rows, cols) of the first frame's source pixels.
    without
        Finding code -> the same film without that lesion; codes without one are not filtered.
    name
        Shown in the table's scores, free of identifiers.
    """

    study: Study
    masks: Mapping[str, NDArray[np.bool_]]
    without: Mapping[str, Study] = field(default_factory=dict)
    name: str = ""


@dataclass(frozen=True)
class Comparison:
    """The table, and what it rests on.

    Parameters
    ----------
    rows
        Best hit rate first, baselines among them.
    scores
        Every map's score.
    cases, asserted, explained
        Films; true-positive findings; those of them whose words need the lesion.
    """

    rows: tuple[MethodRow, ...]
    scores: tuple[Score, ...]
    cases: int
    asserted: int
    explained: int


def compare_methods(
    model: ReportingModel,
    cases: Iterable[Case],
    methods: Sequence[str],
    *,
    prompt: Prompt,
    extract: Extract,
    options: Mapping[str, Mapping[str, Any]] | None = None,
    max_new_tokens: int = 256,
    grade: bool = False,
    seed: int = 0,
    progress: Progress | None = None,
) -> Comparison:
    """Pointing hit rate, energy in the mask and rank AUC of every method, with bootstrap intervals.

    Parameters
    ----------
    methods
        Names from :func:`radiolucent.attribution.methods`; the baselines are always added.
    extract
        Report text -> findings.
    options
        Method name -> its options.
    grade
        Grade every map too (about 24 passes a map): does the grade, blind to the mask, pick the maps that hit?
    seed
        Of the random baseline, the controls and the bootstrap.

    Raises
    ------
    MalformedInput
        Where a method is unknown, there is no case, or no finding was left to explain.
    """
    chosen = [method_of(name) for name in methods]
    collected: list[Score] = []
    count = asserted = explained = 0
    for count, case in enumerate(cases, start=1):
        features = model.encode(case.study)
        generation = model.generate(prompt, features, max_new_tokens=max_new_tokens)
        written = extract(generation.text)
        found = true_positives(written, case)
        asserted += len(found)
        for finding in found:
            target = finding_target(generation, finding, written)
            if not needs_lesion(model, case, finding.code, features, generation, target):
                continue
            explained += 1
            truth = _Truth(case, finding.code, features, count)
            made = [
                _made(truth, entry, model, generation, target, dict((options or {}).get(entry.name, {})))
                for entry in chosen
            ]
            made += [
                _Made(name, _plain_map(baseline(case.study, features.geometries, seed + count), name, target, features))
                for name, baseline in BASELINES.items()
            ]
            collected += _judged(truth, made, model, generation, seed if grade else None)
        if progress is not None:
            progress(f"{count} films, {explained} findings explained")
    if count == 0:
        raise MalformedInput("No case was given; a comparison needs at least one film with masks.")
    if not collected:
        raise MalformedInput(
            f"None of the {asserted} findings that the model rightly reported on {count} films needs its lesion; there "
            "is nothing to compare. Use more films, or a model that reads them."
        )
    return Comparison(tabulate(collected, seed=seed), tuple(collected), count, asserted, explained)


def true_positives(findings: Sequence[Finding], case: Case) -> list[Finding]:
    """The first assertion of every code that the film holds."""
    first: dict[str, Finding] = {}
    for finding in findings:
        if finding.polarity == "present" and finding.code in case.masks and case.masks[finding.code].any():
            first.setdefault(finding.code, finding)
    return list(first.values())


def needs_lesion(
    model: ExplainableModel, case: Case, code: str, features: Features, generation: Generation, target: Target
) -> bool:
    """Whether the words lose ``FLIP_NATS`` or more on the film without the lesion; True where there is none."""
    if code not in case.without:
        return True
    swapped = model.encode(case.without[code])
    with_lesion = scores(model, generation, soft_rows(features), [target])[0, 0]
    without = scores(model, generation, soft_rows(swapped), [target])[0, 0]
    return float(with_lesion - without) >= FLIP_NATS


@dataclass(frozen=True, eq=False)
class _Truth:
    """The lesion that one finding's maps are held against."""

    case: Case
    code: str
    features: Features
    number: int

    def score(self, values: NDArray[np.floating], method: str, **details: Any) -> Score:
        geometries = self.features.geometries
        mask = self.case.masks[self.code]
        masks = [mask, *(np.zeros((g.rows, g.cols), dtype=bool) for g in geometries[1:])]
        return Score(
            case=self.case.name or str(self.number),
            code=self.code,
            method=method,
            hit=pointing_hit(values, masks, geometries),
            energy=energy_in_mask(values, masks, geometries),
            auc=rank_auc(values, masks, geometries),
            chance=chance(masks, geometries, grid=values.shape[1]),
            **details,
        )

    def nothing(self, method: str, *, seconds: float) -> Score:
        """The score of a method that found nothing."""
        grid = self.features.geometries[0].grid
        empty = self.score(np.zeros((len(self.features.geometries), grid, grid)), method)
        return replace(empty, hit=0.0, energy=0.0, auc=0.5, empty=True, seconds=seconds)


@dataclass(frozen=True, eq=False)
class _Made:
    """A map, or None where the method found nothing, and the time it took."""

    method: str
    map: AttributionMap | None
    seconds: float = 0.0


def _made(
    truth: _Truth,
    method: Method,
    model: ExplainableModel,
    generation: Generation,
    target: Target,
    settings: dict[str, Any],
) -> _Made:
    started = time.perf_counter()
    try:
        made = method.function(model, truth.features, generation, target, **settings)
    except EmptyMap:
        return _Made(method.name, None, time.perf_counter() - started)
    return _Made(method.name, made, time.perf_counter() - started)


def _plain_map(values: NDArray[np.float32], name: str, target: Target, features: Features) -> AttributionMap:
    return AttributionMap(values, "plausible", name, target, "none", features.geometries)


def _judged(
    truth: _Truth, made: Sequence[_Made], model: ExplainableModel, generation: Generation, grade_seed: int | None
) -> list[Score]:
    """Scores of one finding's maps, graded together where a seed for the controls is given."""
    maps = [entry.map for entry in made if entry.map is not None]
    grades: list[Grade | None] = [None] * len(maps)
    if grade_seed is not None:
        graded = grade_maps(model, truth.features, generation, maps, seed=grade_seed)
        grades = [entry.grade for entry in graded]
    given = iter(grades)
    return [
        truth.nothing(entry.method, seconds=entry.seconds)
        if entry.map is None
        else truth.score(
            entry.map.values,
            entry.method,
            forwards=entry.map.forwards,
            backwards=entry.map.backwards,
            seconds=entry.seconds,
            grade=next(given),
        )
        for entry in made
    ]
