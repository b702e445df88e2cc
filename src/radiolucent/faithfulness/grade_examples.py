"""Maps that are right and maps that are wrong, with their signals: what the grading rule is fitted and checked on.

The right ones are what a level makes. The wrong ones happen: maps of methods that miss, baselines that know nothing of
the model, maps damaged on purpose (cells shuffled, mirrored on the other side, another finding's map), words changed
to the wrong side, findings that the film does not hold, and a model that reads a corner marker.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from transformers import PreTrainedTokenizerBase

from radiolucent.attribution.cells import coverage
from radiolucent.attribution.control_regions import control_of
from radiolucent.attribution.maps import EmptyMap
from radiolucent.attribution.regions import Region
from radiolucent.attribution.registry import attribute_all
from radiolucent.attribution.targets import finding_target
from radiolucent.attribution.types import AttributionMap
from radiolucent.faithfulness.baselines import BASELINES
from radiolucent.faithfulness.grade import full_signals, region_tests
from radiolucent.faithfulness.grade_rule import Signals
from radiolucent.faithfulness.grade_signals import Allowed, main_part, on_token_grid, picture_cells, pointed_at
from radiolucent.faithfulness.lab.case import Case, Extract, ReportingModel
from radiolucent.faithfulness.pointing import reachable
from radiolucent.faithfulness.shared_grade import shared_signals
from radiolucent.findings.types import Finding, Side
from radiolucent.localize.film_places import FilmPlaces, film_places
from radiolucent.phantom.film import draw_case
from radiolucent.study.load import load_study
from radiolucent.vlm.gemma3 import Gemma3Model
from radiolucent.vlm.types import Features, Generation, Prompt, Target

SHOWN = ("attention", "distinct_attention", "saliency", "propose_and_verify")  # what level standard makes
FURTHER = ("input_x_gradient", "grad_cam", "logit_lens")
NOTHING = Signals(0.0)
SIDE_WORDS = (" left", " right")


@dataclass(frozen=True)
class Example:
    """One graded map.

    Parameters
    ----------
    film, code, method
        ``method`` is a registered one, a baseline, or a damage: ``shuffled``, ``mirrored``, ``other finding``,
        ``wrong side``.
    signals
        As the map's grade is read from them; all 0 where nothing could be tested.
    touches
        Whether the place that the map points at first, the connected part of its region around its highest cell, holds
        a cell that counts as the lesion (:func:`radiolucent.faithfulness.pointing.reachable`).
    hits
        Whether its highest cell itself is one.
    """

    film: str
    code: str
    method: str
    signals: Signals
    touches: bool
    hits: bool

    @property
    def relied_on(self) -> bool:
        """Whether it is the map that level ``standard`` calls *relied on*; of changed words, too."""
        return self.method in ("propose_and_verify", "wrong side")


def phantom_examples(
    model: Gemma3Model, seeds: Iterable[int], *, extract: Extract, marker: bool = False, full: bool = False
) -> Iterator[Example]:
    """Examples from drawn films, each named by its seed: see :func:`examples_of`.

    Parameters
    ----------
    marker
        Films with the corner marker that the bundled shortcut model reads.
    """
    prompt = Prompt(model.profile.question("en"), "en")
    opposite = opposite_sides(model.tokenizer)
    for seed in seeds:
        drawn = draw_case(seed, marker=marker, pairs=False)
        case = Case(load_study(drawn.film, patient_right="left"), drawn.masks, name=f"phantom {seed}")
        yield from examples_of(model, case, prompt=prompt, extract=extract, full=full, opposite=opposite, seed=seed)


def opposite_sides(tokenizer: PreTrainedTokenizerBase) -> dict[int, int]:
    """Token -> token of the other side, for the side words that are one token each."""
    tokens = [tokenizer.encode(word, add_special_tokens=False) for word in SIDE_WORDS]
    if any(len(found) != 1 for found in tokens):
        return {}
    (left,), (right,) = tokens
    return {left: right, right: left}


def examples_of(
    model: ReportingModel,
    case: Case,
    *,
    prompt: Prompt,
    extract: Extract,
    full: bool = False,
    opposite: Mapping[int, int] | None = None,
    seed: int = 0,
) -> list[Example]:
    """Every map of every finding that the model asserts on one film.

    Parameters
    ----------
    full
        Test every map's own region against 20 controls, as level ``deep`` does; else as level ``standard``, and maps
        of ``FURTHER`` methods too.
    opposite
        Token -> token of the other side, for words changed to the wrong side; left out where None.
    seed
        Of baselines, damages and controls.
    """
    features = model.encode(case.study)
    generation = model.generate(prompt, features, max_new_tokens=256)
    written = extract(generation.text)
    found = list({finding.code: finding for finding in reversed(written) if finding.polarity == "present"}.values())
    if not found:
        return []
    targets = [finding_target(generation, finding, written) for finding in found]
    places = film_places(case.study.frames[0])
    grid = features.geometries[0].grid
    anatomy: list[Allowed] = [[places.allowed(finding.code, grid, side=finding.side)] for finding in found]
    shown = _made(model, features, generation, targets, found, SHOWN, places.midline)
    further = _made(model, features, generation, targets, found, () if full else FURTHER, places.midline)
    extra = [
        [*other, *_damaged(maps, shown, number, case, features, targets[number], seed)]
        for number, (maps, other) in enumerate(zip(shown, further, strict=True))
    ]
    truth = [_truth(case, finding.code, features) for finding in found]
    examples = []
    for number, finding in enumerate(found):
        maps = [*shown[number], *extra[number]]
        tests = region_tests(model, features, generation, maps, seed=seed) if full else ()
        for place, made in enumerate(maps):
            if full:
                test = tests[place]
                beside = [*shown[number]] if made in shown[number] else [*shown[number], made]
                signals = full_signals(made, test, beside, anatomy[number]) if test.region.any() else NOTHING
                region = test.region
            else:
                known = shared_signals(made, shown[number], anatomy[number])
                signals = NOTHING if isinstance(known, str) else known[1]
                region = known[0].region if not isinstance(known, str) and signals.own else pointed_at(made, grid)
            examples.append(
                Example(case.name, finding.code, made.method, signals, *_right(made, region, truth[number]))
            )
    if opposite and not full:
        examples += _wrong_side(model, features, generation, targets, found, places, opposite, case.name)
    return examples


def _made(
    model: ReportingModel,
    features: Features,
    generation: Generation,
    targets: Sequence[Target],
    found: Sequence[Finding],
    methods: Sequence[str],
    midline: float | None,
) -> list[list[AttributionMap]]:
    """For each target the maps of some methods, empty ones left out."""
    maps: list[list[AttributionMap]] = [[] for _ in targets]
    for name in methods:
        options: dict[str, object] = {}
        if name == "propose_and_verify":
            options = {"control": [control_of(one) for one in found], "midline": midline, "proposed": list(maps)}
        for own, made in zip(maps, attribute_all(model, features, generation, targets, name, **options), strict=True):
            if not isinstance(made, EmptyMap):
                own.append(made)
    return maps


def _damaged(
    maps: Sequence[AttributionMap],
    of_all: Sequence[Sequence[AttributionMap]],
    number: int,
    case: Case,
    features: Features,
    target: Target,
    seed: int,
) -> Iterator[AttributionMap]:
    for name, baseline in BASELINES.items():
        values = baseline(case.study, features.geometries, seed)
        yield AttributionMap(values, "plausible", name, target, "none", features.geometries)
    right = next((made for made in maps if made.method == "distinct_attention"), None)
    if right is None:
        return
    inside = picture_cells(right, right.values.shape[1])
    shuffled = right.values.copy()
    shuffled[inside] = np.random.default_rng(seed).permutation(shuffled[inside])
    yield replace(right, values=shuffled, method="shuffled")
    yield replace(right, values=right.values[:, :, ::-1].copy(), method="mirrored")
    if len(of_all) > 1:
        beside = of_all[(number + 1) % len(of_all)]
        other = next((made for made in beside if made.method == "distinct_attention"), None)
        if other is not None:
            yield replace(right, values=other.values, method="other finding")


def _wrong_side(
    model: ReportingModel,
    features: Features,
    generation: Generation,
    targets: Sequence[Target],
    found: Sequence[Finding],
    places: FilmPlaces,
    opposite: Mapping[int, int],
    film: str,
) -> Iterator[Example]:
    """What is verified for words that name the other side: no region of them can be right."""
    tokens = generation.token_ids.copy()
    for target in targets:
        for step in range(*target.tokens):
            tokens[step] = opposite.get(int(tokens[step]), int(tokens[step]))
    sided = [
        number
        for number, finding in enumerate(found)
        if finding.side in ("left", "right")
        and (tokens != generation.token_ids)[slice(*targets[number].tokens)].any()  # else the words still are right
    ]
    if not sided:
        return
    changed = replace(generation, token_ids=tokens, rows=None)
    wanted, chosen = [targets[number] for number in sided], [found[number] for number in sided]
    for number, maps in zip(sided, _made(model, features, changed, wanted, chosen, SHOWN, None), strict=True):
        made = next((one for one in maps if one.tests), None)
        other: Side = "left" if found[number].side == "right" else "right"
        allowed: Allowed = [places.allowed(found[number].code, features.geometries[0].grid, side=other)]
        known = "nothing" if made is None else shared_signals(made, maps, allowed)
        signals = NOTHING if isinstance(known, str) else known[1]
        yield Example(film, found[number].code, "wrong side", signals, touches=False, hits=False)


def _truth(case: Case, code: str, features: Features) -> NDArray[np.bool_] | None:
    mask = case.masks.get(code)
    if mask is None or not mask.any():
        return None
    return reachable(coverage(mask, features.geometries[0], features.geometries[0].grid))


def _right(made: AttributionMap, region: Region, truth: NDArray[np.bool_] | None) -> tuple[bool, bool]:
    """Whether the place that a map points at first, and its highest cell, hold the lesion."""
    if truth is None or not region.any():
        return False, False
    place = main_part(made, region)
    values = np.where(place, on_token_grid(made.values, region.shape[1]), -np.inf)
    return bool((place[0] & truth).any()), bool(truth.flat[int(values[0].argmax())])
