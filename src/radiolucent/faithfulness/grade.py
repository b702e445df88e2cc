"""The grade that each map carries: does hiding what it points at cost more than hiding the same shape elsewhere?

The rule
--------
1. *Region*: the map's cells at least half as high as its peak, the highest first, each with the cells next to it, at
   most 15 % of the picture's cells. (On phantoms, without the neighbours a sharp map that points at the lesion is
   often withheld, because the vision tower spreads a lesion over neighbouring tokens.)
2. *Effect*: nats that the target loses when the region's soft tokens are replaced by the image's mean token.
3. *Controls*: the same loss for at least 20 random regions of the same shape and area that do not touch the region
   (each connected part moved as it is), and for the centre prior's region of the same area.
4. *Verified*: the effect is at least ``LEAST_NATS`` and exceeds the controls' 95th percentile (with 20 controls: all
   of them, which chance does once in 21) and the centre prior's effect, unless the centre's region is mostly the
   map's own (more than half its cells). *Weak*: at least ``LEAST_NATS`` and above the controls' median. *Not shown*:
   anything else; the map is withheld.

A map of another resolution than the token grid is averaged (coarsened) or repeated onto it first.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from radiolucent.attribution.fills import Fill
from radiolucent.attribution.interventions import losses_of_each
from radiolucent.attribution.model import ExplainableModel
from radiolucent.attribution.targets import BATCH
from radiolucent.attribution.types import AttributionMap
from radiolucent.errors import MalformedInput
from radiolucent.faithfulness.baselines import centre_prior
from radiolucent.faithfulness.cells import cell_means, in_picture
from radiolucent.faithfulness.regions import Region, centre_region, control_regions, top_region
from radiolucent.faithfulness.types import Grade, MapGrade
from radiolucent.vlm.types import Features, Generation, Language, Target

CONTROLS = 20  # fewest that can put a map beyond the 95th percentile
LEAST_NATS = 0.2  # the words become at least 18 % less likely
PERCENTILE = 0.95
SAME_PLACE = 0.5  # share of the centre's region inside the map's own, above which it is the same evidence

NOTES: dict[str, tuple[str, str]] = {
    "compared": (
        "Hiding the region costs {effect:.2f} nats; {n} regions of the same shape cost {low:.2f} to {high:.2f}, the "
        "centre {centre:.2f}.",
        "隐藏该区域损失 {effect:.2f} nats；{n} 个同形区域损失 {low:.2f} 至 {high:.2f}，中心区域损失 {centre:.2f}。",
    ),
    "no region": (
        "No cell of the map supports the words, so there was no region to test.",
        "图中无支持该描述的区域，无法检验。",
    ),
    "no controls": (
        "Only {n} control regions of the region's shape fit in the picture; {needed} are needed.",
        "图像内仅可放置 {n} 个同形对照区域，检验需要 {needed} 个。",
    ),
}


@dataclass(frozen=True, eq=False)
class Evidence:
    """What a grade rests on.

    Parameters
    ----------
    region
        Bool (frames, g, g): the cells that were hidden.
    effect, centre
        Nats lost with the region, and with the centre prior's region, hidden; ``centre_shared`` is the share of the
        centre's region inside the map's own.
    controls
        float64 (controls,): nats lost with each control region hidden.
    necessity, sufficiency
        Share of the loss with *every* cell hidden that hiding the region alone causes, and that showing the region
        alone prevents; None where hiding every cell costs less than ``LEAST_NATS``.
    """

    region: Region
    effect: float
    controls: NDArray[np.float64]
    centre: float
    centre_shared: float
    necessity: float | None
    sufficiency: float | None


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
    return grade_maps(model, features, generation, [attribution], fill=fill, controls=controls, seed=seed, batch=batch)[
        0
    ]


def grade_maps(
    model: ExplainableModel,
    features: Features,
    generation: Generation,
    maps: Sequence[AttributionMap],
    *,
    fill: Fill = "mean",
    controls: int = CONTROLS,
    seed: int = 0,
    batch: int = BATCH,
) -> tuple[MapGrade, ...]:
    """Grade of each map by the module's rule, in order.

    Equal regions are hidden once, and one perturbed pass serves every target: maps of several findings cost little
    more than one.

    Parameters
    ----------
    controls
        Control regions a map, at least ``CONTROLS``.
    """
    found = evidence(model, features, generation, maps, fill=fill, controls=controls, seed=seed, batch=batch)
    language = generation.prompt.language
    return tuple(_graded(entry, language) for entry in found)


def evidence(
    model: ExplainableModel,
    features: Features,
    generation: Generation,
    maps: Sequence[AttributionMap],
    *,
    fill: Fill = "mean",
    controls: int = CONTROLS,
    seed: int = 0,
    batch: int = BATCH,
) -> tuple[Evidence, ...]:
    """The losses that grades are read from; arguments as in :func:`grade_maps`."""
    if controls < CONTROLS:
        raise MalformedInput(f"{controls} controls cannot reach the 95th percentile; use at least {CONTROLS}.")
    inside = np.stack([in_picture(geometry) for geometry in features.geometries])
    prior = centre_prior(features.geometries)
    plans: list[tuple[Region, list[Region]]] = []
    wanted: list[tuple[Target, NDArray[np.bool_]]] = []
    for attribution in maps:
        region = top_region(on_token_grid(attribution.values, inside.shape[1]), inside)
        beside = control_regions(region, inside, count=controls, seed=seed) if region.any() else []
        centre = centre_region(prior, inside, int(region.sum()))
        plans.append((region, [centre, *beside]))
        if region.any():
            hidden = [region, ~region, np.ones_like(region), centre, *beside]
            wanted.append((attribution.target, np.stack(hidden)))
    lost = iter(losses_of_each(model, features, generation, wanted, fill=fill, batch=batch) if wanted else [])
    return tuple(_measured(region, others, next(lost) if region.any() else None) for region, others in plans)


def rule(entry: Evidence) -> Grade:
    """The grade that the module's rule gives."""
    if not entry.region.any() or len(entry.controls) < CONTROLS or entry.effect < LEAST_NATS:
        return "not shown"
    beyond = entry.effect > np.quantile(entry.controls, PERCENTILE, method="higher")
    beats_centre = entry.effect > entry.centre or entry.centre_shared > SAME_PLACE
    if beyond and beats_centre:
        return "verified"
    return "weak" if entry.effect > np.median(entry.controls) else "not shown"


def on_token_grid(values: NDArray[np.floating], grid: int) -> NDArray[np.float64]:
    """A map (frames, n, n) of any resolution on the (frames, grid, grid) token grid, by exact area mean."""
    if values.shape[1] == grid:
        return values.astype(np.float64)
    return np.stack([cell_means(frame.astype(np.float64), grid) for frame in values])


def _measured(region: Region, others: Sequence[Region], lost: NDArray[np.float64] | None) -> Evidence:
    """Evidence from the losses of the region, of all but it, of everything, of the centre, and of the controls."""
    if lost is None:
        return Evidence(region, 0.0, np.zeros(0), 0.0, 0.0, None, None)
    effect, without, total, centre = (float(one) for one in lost[:4])
    bears = total >= LEAST_NATS  # shares of a loss near 0 mean nothing
    return Evidence(
        region=region,
        effect=effect,
        controls=lost[4:],
        centre=centre,
        centre_shared=float(region[others[0]].mean()),
        necessity=effect / total if bears else None,
        sufficiency=1 - without / total if bears else None,
    )


def _graded(entry: Evidence, language: Language) -> MapGrade:
    given = rule(entry)
    controls = entry.controls
    if not entry.region.any():
        reason = "no region"
    elif len(controls) < CONTROLS:
        reason = "no controls"
    else:
        reason = "compared"
    note = NOTES[reason][1 if language == "zh" else 0].format(
        effect=entry.effect,
        n=len(controls),
        needed=CONTROLS,
        low=controls.min() if len(controls) else 0.0,
        high=controls.max() if len(controls) else 0.0,
        centre=entry.centre,
    )
    return MapGrade(
        grade=given,
        effect=entry.effect,
        control_low=float(controls.min()) if len(controls) else None,
        control_high=float(controls.max()) if len(controls) else None,
        necessity=entry.necessity,
        sufficiency=entry.sufficiency,
        note=note,
        withheld=given == "not shown",
    )
