"""One film: report, findings that need their lesion, every method's map of them, and what each map is worth."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from radiolucent.attribution.maps import EmptyMap
from radiolucent.attribution.method import Made, Method
from radiolucent.attribution.model import ExplainableModel
from radiolucent.attribution.registry import method as method_of
from radiolucent.attribution.targets import finding_target
from radiolucent.attribution.types import AttributionMap
from radiolucent.errors import MalformedInput
from radiolucent.faithfulness.baselines import BASELINES, Baseline
from radiolucent.faithfulness.grade import grade_maps
from radiolucent.faithfulness.lab.case import FLIP_NATS, Case, Extract, ReportingModel, swap_loss, true_positives
from radiolucent.faithfulness.lab.interventions import CURVE_FILLS, CurveFill, Interventions
from radiolucent.faithfulness.lab.perturb import FILLS, perturb_all
from radiolucent.faithfulness.lab.records import CaseRecord, Explained, Score
from radiolucent.faithfulness.lab.sanity import Maps, picture_cells, sanity_of
from radiolucent.faithfulness.metrics import average_precision, iou_best, iou_ceiling, iou_otsu, rank_accuracy
from radiolucent.faithfulness.pointing import chance, energy_in_mask, pointing_hit, rank_auc
from radiolucent.faithfulness.types import Grade
from radiolucent.study.types import Study
from radiolucent.vlm.types import Features, Generation, Prompt, Target


@dataclass(frozen=True)
class Plan:
    """What is done with every film.

    Parameters
    ----------
    methods
        Names from :func:`radiolucent.attribution.methods`, variants too; the baselines are always added.
    options
        Method name -> its options.
    grade
        Grade every map too: does the grade, blind to the mask, pick the maps that hit?
    fills
        Of the perturbation curves.
    seed
        Of methods that draw, baselines, random orders, controls and noise weights; the film's number is added.

    Raises
    ------
    MalformedInput
        Where a method, an option or a fill is unknown, or nothing is to be compared.
    """

    methods: tuple[str, ...]
    prompt: Prompt
    options: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    max_new_tokens: int = 256
    grade: bool = False
    fills: tuple[CurveFill, ...] = FILLS
    seed: int = 0

    def __post_init__(self) -> None:
        if not self.methods:
            raise MalformedInput("No method was given; name at least one, see `radiolucent methods`.")
        repeated = sorted({name for name in self.methods if self.methods.count(name) > 1})
        if repeated:
            raise MalformedInput(f"Methods named twice: {', '.join(repeated)}; name each once.")
        taken = sorted(set(self.methods) & set(BASELINES))
        if taken:
            raise MalformedInput(f"The baselines are always compared; leave out {', '.join(taken)}.")
        for name in self.methods:
            method_of(name)
        strangers = sorted(set(self.options) - set(self.methods))
        if strangers:
            raise MalformedInput(f"Options for {', '.join(strangers)}, which is none of the methods compared.")
        unknown = sorted(set(self.fills) - set(CURVE_FILLS))
        if unknown:
            raise MalformedInput(f"The fill {unknown[0]!r} is unknown; use some of {', '.join(CURVE_FILLS)}.")


def examine(
    model: ReportingModel,
    case: Case,
    number: int,
    plan: Plan,
    extract: Extract,
    *,
    perturb: bool = False,
    sanity: bool = False,
) -> CaseRecord:
    """The record of one film.

    Parameters
    ----------
    number
        The film's place among the cases, from 1.
    extract
        Report text -> findings.
    perturb
        Measure what hiding cells says of every map.
    sanity
        Measure how alike every map stays under randomised weights, another seed, a shift and another precision.
    """
    clock = _Clock()
    seed = plan.seed + number
    name = case.name or str(number)
    with clock("report"):
        features = model.encode(case.study)
        generation = model.generate(plan.prompt, features, max_new_tokens=plan.max_new_tokens)
        written = extract(generation.text)
        found = true_positives(written, case)
        targets = [finding_target(generation, finding, written) for finding in found]
    with clock("swap"):
        swaps = [
            swap_loss(model, case, finding.code, features, generation, target)
            for finding, target in zip(found, targets, strict=True)
        ]
    needed = [index for index, swap in enumerate(swaps) if swap is None or swap >= FLIP_NATS]
    inside = picture_cells(features.geometries, features.geometries[0].grid)
    record = CaseRecord(
        number=number,
        case=name,
        report=generation.text,
        lesions=tuple(code for code, mask in case.masks.items() if mask.any()),
        asserted=tuple(finding.code for finding in found),
        inside=inside,
        perturbed=perturb,
        sanity=sanity,
        seconds=clock.seconds,
        cpu=clock.cpu,
    )
    if not needed:
        return record
    chosen = [method_of(method) for method in plan.methods]
    wanted = [targets[index] for index in needed]
    with clock("maps"):
        made = _all_maps(case.study, chosen, model, features, generation, wanted, plan, seed)
    with clock("localisation"):
        masks = [case.masks[found[index].code] for index in needed]
        codes = [found[index].code for index in needed]
        scored = [
            [_score(name, code, mask, features, method, one, target) for method, one in made.items()]
            for target, (code, mask) in enumerate(zip(codes, masks, strict=True))
        ]
    if plan.grade:
        with clock("grade"):
            scored = _graded(scored, made, model, features, generation, plan.seed)
    if perturb:
        with clock("perturbation"):
            others = [model.encode(case.without[code]) if code in case.without else None for code in codes]
            interventions = Interventions(model, features, generation, wanted, others, inside, seed=seed)
            scored = _perturbed(scored, interventions, inside, plan.fills, seed)
    if sanity:
        with clock("sanity"):
            scored = _checked(scored, made, model, case.study, features, generation, wanted, plan, seed)
    findings = tuple(
        Explained(code, found[index].words, swaps[index], tuple(scores))
        for index, code, scores in zip(needed, codes, scored, strict=True)
    )
    return replace(record, findings=findings, seconds=clock.seconds, cpu=clock.cpu)


class _Clock:
    """Seconds spent on each stage."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}
        self._started = time.process_time()

    @property
    def cpu(self) -> float:
        """Processor seconds since the film was begun."""
        return time.process_time() - self._started

    @contextmanager
    def __call__(self, stage: str) -> Iterator[None]:
        started = time.perf_counter()
        yield
        self.seconds[stage] = self.seconds.get(stage, 0.0) + time.perf_counter() - started


@dataclass(frozen=True, eq=False)
class _Made:
    """One method's maps of a film's targets, and what they cost together."""

    maps: Sequence[Made]
    encodes: float = 0.0
    seconds: float = 0.0


def _all_maps(
    study: Study,
    methods: Sequence[Method],
    model: ExplainableModel,
    features: Features,
    generation: Generation,
    targets: Sequence[Target],
    plan: Plan,
    seed: int,
    baselines: Mapping[str, Baseline] = BASELINES,
) -> dict[str, _Made]:
    """Maps of some methods, and of the baselines, which know nothing of the model."""
    made: dict[str, _Made] = {}
    for entry in methods:
        options = dict(plan.options.get(entry.name, {}))
        if "seed" in entry.defaults:
            options.setdefault("seed", seed)
        encoded, started = _encodes(model), time.perf_counter()
        maps = entry.many(model, features, generation, targets, **options)
        made[entry.name] = _Made(maps, _encodes(model) - encoded, time.perf_counter() - started)
    for name, baseline in baselines.items():
        values = baseline(study, features.geometries, seed)
        made[name] = _Made(
            [AttributionMap(values, "plausible", name, target, "none", features.geometries) for target in targets]
        )
    return made


def _encodes(model: ExplainableModel) -> int:
    """Images that the model has encoded; 0 for a model that does not count them."""
    return int(getattr(model, "encodes", 0))


def _score(
    case: str, code: str, mask: NDArray[np.bool_], features: Features, method: str, made: _Made, target: int
) -> Score:
    geometries = features.geometries
    masks = [mask, *(np.zeros((g.rows, g.cols), dtype=bool) for g in geometries[1:])]
    one = made.maps[target]
    empty = isinstance(one, EmptyMap)
    grid = geometries[0].grid
    values = np.zeros((len(geometries), grid, grid), dtype=np.float32) if isinstance(one, EmptyMap) else one.values
    return Score(
        case=case,
        code=code,
        method=method,
        hit=0.0 if empty else pointing_hit(values, masks, geometries),
        energy=energy_in_mask(values, masks, geometries),
        auc=rank_auc(values, masks, geometries),
        chance=chance(masks, geometries, grid=values.shape[1]),
        average_precision=average_precision(values, masks, geometries),
        rank_accuracy=rank_accuracy(values, masks, geometries),
        iou_otsu=iou_otsu(values, masks, geometries),
        iou_best=iou_best(values, masks, geometries),
        iou_ceiling=iou_ceiling(masks, geometries, grid=values.shape[1]),
        empty=empty,
        forwards=0 if isinstance(one, EmptyMap) else one.forwards,
        backwards=0 if isinstance(one, EmptyMap) else one.backwards,
        encodes=made.encodes / len(made.maps),
        seconds=made.seconds / len(made.maps),
        values=None if empty else values,
    )


Scored = list[list[Score]]
"""For each target, its maps' scores."""


def _graded(
    scored: Scored,
    made: Mapping[str, _Made],
    model: ExplainableModel,
    features: Features,
    generation: Generation,
    seed: int,
) -> Scored:
    """The scores with their maps' grades, all maps graded together."""
    places, maps = [], []
    for target, scores in enumerate(scored):
        for place, score in enumerate(scores):
            one = made[score.method].maps[target]
            if isinstance(one, AttributionMap):
                places.append((target, place))
                maps.append(one)
    grades = grade_maps(model, features, generation, maps, seed=seed)
    given: dict[tuple[int, int], Grade] = {place: entry.grade for place, entry in zip(places, grades, strict=True)}
    return [
        [replace(score, grade=given.get((target, place))) for place, score in enumerate(scores)]
        for target, scores in enumerate(scored)
    ]


def _perturbed(
    scored: Scored, interventions: Interventions, inside: NDArray[np.bool_], fills: Sequence[CurveFill], seed: int
) -> Scored:
    maps = [
        (target, score.values) for target, scores in enumerate(scored) for score in scores if score.values is not None
    ]
    found = iter(perturb_all(maps, interventions, inside, fills, seed))
    return [
        [score if score.values is None else replace(score, perturbed=next(found)) for score in scores]
        for scores in scored
    ]


def _checked(
    scored: Scored,
    made: Mapping[str, _Made],
    model: ExplainableModel,
    study: Study,
    features: Features,
    generation: Generation,
    targets: Sequence[Target],
    plan: Plan,
    seed: int,
) -> Scored:
    chosen = [method_of(method) for method in plan.methods]

    def make(changed: ExplainableModel, shown: Features, words: Generation, drawn: int, names: Sequence[str]) -> Maps:
        some = [entry for entry in chosen if entry.name in names]
        free = {name: baseline for name, baseline in BASELINES.items() if name in names}
        every = _all_maps(study, some, changed, shown, words, targets, plan, drawn, free)
        return {method: one.maps for method, one in every.items()}

    fixed = {name for name, options in plan.options.items() if "seed" in options}
    seeded = [entry.name for entry in chosen if "seed" in entry.defaults and entry.name not in fixed]
    trained = {method: one.maps for method, one in made.items()}
    found = sanity_of(model, study, features, generation, make, trained, [*seeded, "random"], seed=seed)
    return [
        [replace(score, sanity=found[score.method][target]) for score in scores] for target, scores in enumerate(scored)
    ]
