"""Every map's own region tested against 20 regions of its shape: grades at level ``deep`` and in the lab.

1. *Region*: the map's cells at least half as high as its peak, the highest first, each with the cells next to it, at
   most 15 % of the picture's cells. (On phantoms, without the neighbours a sharp map that points at the lesion is
   often withheld, because the vision tower spreads a lesion over neighbouring tokens.)
2. *Interventions*: the region is hidden, and all but the region; then 20 controls or more, random regions of the same
   shape and area that do not touch it, are hidden too (or shown alone, where the region's claim is that it suffices
   and not that it is needed). With fewer controls nothing is graded: 20 are what it takes to be beyond their 95th
   percentile.
3. *Grade*: what these say by :mod:`radiolucent.attribution.verification`, with the other maps of the same target, is
   read by the rule in :mod:`radiolucent.faithfulness.grade_rule`.

A map of another resolution than the token grid is averaged (coarsened) or repeated onto it first. A map that carries
a test of its own with as many controls is graded by that.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from radiolucent.attribution.control_regions import control_regions
from radiolucent.attribution.fills import Fill
from radiolucent.attribution.model import ExplainableModel
from radiolucent.attribution.regions import Region
from radiolucent.attribution.targets import BATCH
from radiolucent.attribution.types import AttributionMap, RegionTest
from radiolucent.attribution.verification import (
    DRAWS,
    LEAST_NATS,
    MANY,
    SUFFICIENT,
    Losses,
    is_necessary,
    neutral,
    verdict,
)
from radiolucent.errors import MalformedInput
from radiolucent.faithfulness.grade_notes import NOTES, graded, untested
from radiolucent.faithfulness.grade_rule import Rule, Signals
from radiolucent.faithfulness.grade_signals import Allowed, on_token_grid, picture_cells, pointed_at, signals_of
from radiolucent.faithfulness.types import MapGrade
from radiolucent.vlm.types import Features, Generation

CONTROLS = MANY

__all__ = ["CONTROLS", "LEAST_NATS", "NOTES", "grade_map", "grade_maps", "on_token_grid", "region_tests"]


def grade_map(
    model: ExplainableModel,
    features: Features,
    generation: Generation,
    attribution: AttributionMap,
    *,
    fill: Fill = "mean",
    controls: int = CONTROLS,
    seed: int = 0,
    batch: int = BATCH,
) -> MapGrade:
    """Grade of one map; see :func:`grade_maps`."""
    maps = [attribution]
    return grade_maps(model, features, generation, maps, fill=fill, controls=controls, seed=seed, batch=batch)[0]


def grade_maps(
    model: ExplainableModel,
    features: Features,
    generation: Generation,
    maps: Sequence[AttributionMap],
    *,
    allowed: Sequence[Allowed] = (),
    fill: Fill = "mean",
    controls: int = CONTROLS,
    seed: int = 0,
    batch: int = BATCH,
    rule: Rule | None = None,
) -> tuple[MapGrade, ...]:
    """Grade of each map, in order.

    Equal regions are hidden once, and one perturbed pass serves every target: maps of several findings cost little
    more than one.

    Parameters
    ----------
    allowed
        For each map the anatomy allowed for its finding; empty where not known.
    controls
        Control regions a map, at least ``CONTROLS``.
    rule
        The packaged one where None.

    Raises
    ------
    MalformedInput
        Where there are fewer controls, or ``allowed`` is of another length.
    """
    if len(allowed) not in (0, len(maps)):
        raise MalformedInput(f"{len(maps)} maps and the anatomy allowed for {len(allowed)}; expected one for each map.")
    language = generation.prompt.language
    tests = region_tests(model, features, generation, maps, fill=fill, controls=controls, seed=seed, batch=batch)
    grades = []
    for number, (made, test) in enumerate(zip(maps, tests, strict=True)):
        count = max(len(neutral(test)), len(test.controls_only))
        if not test.region.any():
            grades.append(untested("no region", language))
        elif count < controls:
            grades.append(untested("few controls", language, n=count, needed=controls))
        else:
            signals = full_signals(made, test, maps, allowed[number] if allowed else ())
            grades.append(graded(test, signals, language, rule=rule))
    return tuple(grades)


def full_signals(
    made: AttributionMap, test: RegionTest, maps: Sequence[AttributionMap], allowed: Allowed = ()
) -> Signals:
    """The signals of a map whose own region was tested, with the other maps of its target among ``maps``."""
    others = [one for one in maps if one is not made and one.target == made.target and not one.tests]
    return signals_of(test, others, allowed=allowed)


def region_tests(
    model: ExplainableModel,
    features: Features,
    generation: Generation,
    maps: Sequence[AttributionMap],
    *,
    fill: Fill = "mean",
    controls: int = CONTROLS,
    seed: int = 0,
    batch: int = BATCH,
) -> tuple[RegionTest, ...]:
    """The tests that grades are read from; arguments as in :func:`grade_maps`."""
    if controls < CONTROLS:
        raise MalformedInput(f"{controls} controls cannot reach the 95th percentile; use at least {CONTROLS}.")
    grid = features.geometries[0].grid
    targets = list(dict.fromkeys(made.target for made in maps))
    losses = Losses(model, features, generation, targets, fill=fill, batch=batch)
    regions = [pointed_at(made, grid) for made in maps]
    open_ones = [number for number, made in enumerate(maps) if not _has_own(made, controls) and regions[number].any()]
    index = {number: targets.index(maps[number].target) for number in open_ones}
    beside = {
        number: control_regions(regions[number], picture_cells(maps[number], grid), count=controls, seed=seed)
        for number in open_ones
    }
    whole = np.ones_like(regions[0]) if regions else np.zeros(0, dtype=bool)
    losses.measure((index[n], part) for n in open_ones for part in (whole, regions[n], ~regions[n]))
    shown = [n for n in open_ones if _only_sufficient(losses, index[n], regions[n], whole)]
    losses.measure((index[n], ~control if n in shown else control) for n in open_ones for control in beside[n])
    return tuple(
        _test(losses, index[n], regions[n], whole, beside[n], n in shown, made.method, seed)
        if n in index
        else made.tests[0]
        if _has_own(made, controls)
        else _untried(regions[n], made.method)
        for n, made in enumerate(maps)
    )


def _has_own(made: AttributionMap, controls: int) -> bool:
    return bool(made.tests) and max(len(made.tests[0].controls_hidden), len(made.tests[0].controls_only)) >= controls


def _only_sufficient(losses: Losses, index: int, region: Region, whole: Region) -> bool:
    """Whether the region's claim is that it suffices: then its controls are shown alone."""
    total = losses.of(index, whole)
    kept = total - losses.of(index, ~region)
    return not is_necessary(losses.of(index, region), total) and kept >= max(LEAST_NATS, SUFFICIENT * total)


def _test(
    losses: Losses,
    index: int,
    region: Region,
    whole: Region,
    beside: Sequence[Region],
    shown: bool,
    proposer: str,
    seed: int,
) -> RegionTest:
    hidden, only, total = (losses.of(index, part) for part in (region, ~region, whole))
    bears = total >= LEAST_NATS  # shares of a loss near 0 mean nothing
    found = np.array([losses.of(index, ~control if shown else control) for control in beside])
    test = RegionTest(
        region=region,
        proposer=proposer,
        hidden=hidden,
        only=only,
        everything=total,
        controls=np.array(beside, dtype=bool).reshape(-1, *region.shape),
        control_kinds=tuple("random" for _ in beside),
        controls_hidden=() if shown else tuple(found.tolist()),
        controls_only=tuple(found.tolist()) if shown else (),
        necessity=hidden / total if bears else None,
        sufficiency=1 - only / total if bears else None,
    )
    if not shown and len(beside) and hidden >= LEAST_NATS:
        drawn = np.random.default_rng(seed).choice(found, (DRAWS, len(found))).mean(axis=1)
        low, high = np.quantile(1 - drawn / hidden, (0.025, 0.975))
        test = replace(
            test, specificity=1 - float(found.mean()) / hidden, specificity_interval=(float(low), float(high))
        )
    return replace(test, verdict=verdict(test))


def _untried(region: Region, proposer: str) -> RegionTest:
    return RegionTest(region, proposer, 0.0, 0.0, 0.0, np.zeros((0, *region.shape), dtype=bool))
