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
import torch
from numpy.typing import NDArray

from radiolucent.attribution.fills import Fill, hidden_rows, soft_fill
from radiolucent.attribution.model import ExplainableModel
from radiolucent.attribution.targets import BATCH, scores, soft_rows
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
    losses = _Losses(model, features, generation, fill, batch)
    plans = []
    for attribution in maps:
        region = top_region(on_token_grid(attribution.values, inside.shape[1]), inside)
        beside = control_regions(region, inside, count=controls, seed=seed) if region.any() else []
        centre = centre_region(prior, inside, int(region.sum()))
        plans.append((attribution.target, region, beside, centre))
        if region.any():
            losses.want(attribution.target, [region, ~region, np.ones_like(region), centre, *beside])
    losses.run()
    return tuple(_measured(losses, *plan) for plan in plans)


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


def _measured(losses: _Losses, target: Target, region: Region, beside: Sequence[Region], centre: Region) -> Evidence:
    if not region.any():
        return Evidence(region, 0.0, np.zeros(0), 0.0, 0.0, None, None)
    effect = losses.of(target, region)
    total = losses.of(target, np.ones_like(region))
    bears = total >= LEAST_NATS  # shares of a loss near 0 mean nothing
    return Evidence(
        region=region,
        effect=effect,
        controls=np.array([losses.of(target, control) for control in beside]),
        centre=losses.of(target, centre),
        centre_shared=float(region[centre].mean()),
        necessity=effect / total if bears else None,
        sufficiency=1 - losses.of(target, ~region) / total if bears else None,
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


class _Losses:
    """Nats that targets lose for hidden regions: equal regions run once, targets without a foil share every pass."""

    def __init__(
        self,
        model: ExplainableModel,
        features: Features,
        generation: Generation,
        fill: Fill,
        batch: int,
    ) -> None:
        self._model, self._features, self._generation, self._batch = model, features, generation, batch
        self._fill: Fill = fill
        self._wanted: dict[Target | None, dict[bytes, Region]] = {}  # None: all targets without a foil
        self._plain: list[Target] = []
        self._lost: dict[tuple[Target, bytes], float] = {}

    def want(self, target: Target, regions: Sequence[Region]) -> None:
        """Have ``regions`` measured for ``target`` at the next run."""
        if target.foil is None and target not in self._plain:
            self._plain.append(target)
        group = self._wanted.setdefault(None if target.foil is None else target, {})
        for region in regions:
            group.setdefault(region.tobytes(), region)

    def run(self) -> None:
        """Measure everything wanted."""
        if not self._wanted:
            return
        rows = soft_rows(self._features)
        filling = soft_fill(self._model, self._features, self._fill)
        for group, regions in self._wanted.items():
            targets = self._plain if group is None else [group]
            base = scores(self._model, self._generation, rows, targets, batch=self._batch).numpy()
            keys = list(regions)
            for start in range(0, len(keys), self._batch):  # a batch of copies at a time: memory
                some = keys[start : start + self._batch]
                hidden = torch.from_numpy(np.stack([regions[key].reshape(-1) for key in some]))
                perturbed = hidden_rows(rows, filling, hidden)
                after = scores(self._model, self._generation, perturbed, targets, batch=self._batch).numpy()
                for key, losses in zip(some, base - after, strict=True):
                    self._lost.update(
                        {(target, key): float(lost) for target, lost in zip(targets, losses, strict=True)}
                    )

    def of(self, target: Target, region: Region) -> float:
        """Nats that ``target`` loses with ``region`` hidden."""
        return self._lost[target, region.tobytes()]
