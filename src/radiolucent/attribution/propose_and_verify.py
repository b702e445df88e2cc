"""A cheap map proposes a region, interventions decide whether the words rely on it: the headline map.

Attention and gradients cost nothing or little and are hypotheses. Each proposal is smoothed over neighbouring cells
(the vision tower spreads what it saw), its highest cells with a buffer become a region, and the region is hidden,
shown alone, and compared with controls. Where hiding it leaves the words standing, the map's second place is hidden
with it. The rule is in :mod:`radiolucent.attribution.verification`. Proposers are asked in order and only for the
targets that nothing before has verified, so that a gradient is taken only where attention was wrong.

The map shows nothing but the verified region. Its cells share the region's measured effect in nats in proportion to
the proposing map: *that* the region matters is measured, *where in it* is the proposer's word.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from radiolucent.attribution.control_regions import Control
from radiolucent.attribution.fills import Fill, Space
from radiolucent.attribution.maps import EmptyMap, finished
from radiolucent.attribution.method import Made, Passes, describe, only
from radiolucent.attribution.model import ExplainableModel
from radiolucent.attribution.regions import BUFFER, LARGEST_SHARE, PEAK_SHARE, Region, top_region
from radiolucent.attribution.targets import BATCH, resolve_target
from radiolucent.attribution.types import AttributionMap, RegionTest
from radiolucent.attribution.verification import LEAST_NATS, Candidate, Losses, Plan, effect, is_necessary, verify
from radiolucent.errors import MalformedInput
from radiolucent.vlm.types import Features, Generation, Target

PROPOSALS = ("distinct_attention", "saliency")
SMOOTHING = 0.7  # standard deviation in cells: a neighbour counts a third of the cell itself
SAME_REGION = 0.5  # overlap over union from which a second proposal is the first one again

NOTHING_SHOWN = {
    "en": "No region could be shown to support {label!r}; this does not mean that the finding is absent. {why}",
    "zh": "未能证实“{label}”依据的图像区域，不代表无此病变。{why}",
}
WHY = {
    "unmoved": (
        "Hiding the whole picture costs these words only {everything:.2f} nats: they hardly depend on it.",
        "隐藏整幅图像仅损失 {everything:.2f} nats：该文字几乎不依赖图像。",
    ),
    "tested": (
        "{tested} regions were hidden and shown alone; none mattered clearly more than its controls.",
        "共检验 {tested} 个区域（隐藏与单独显示），均未明显超过对照区域。",
    ),
    "unproposed": ("No map proposed a region to test.", "无可供检验的候选区域。"),
}


def propose_and_verify(
    model: ExplainableModel,
    features: Features,
    generation: Generation,
    target: Target,
    *,
    proposals: Sequence[str] = PROPOSALS,
    proposed: Sequence[AttributionMap] = (),
    control: Control | Sequence[Control] = "matched",
    controls: int = 1,
    midline: float | None = None,
    fill: Fill = "mean",
    space: Space = "tokens",
    peak_share: float = PEAK_SHARE,
    largest_share: float = LARGEST_SHARE,
    buffer: int = BUFFER,
    seed: int = 0,
    batch: int = BATCH,
) -> AttributionMap:
    """The verified region, its measured effect in nats shared among its cells; 0 everywhere else.

    Parameters
    ----------
    proposals
        Names of methods, asked in this order until a region is verified.
    proposed
        Their maps, where they were made before; found by method and target.
    control
        ``mirrored`` for findings of one lung or its pleura, else ``matched``; see
        :func:`radiolucent.attribution.control_regions.control_of`.
    controls
        Regions compared with each candidate; 20 or more add intervals.
    midline
        Source column of the patient's midline; the middle of the picture where None.
    fill, space
        As for :func:`radiolucent.attribution.interventions.losses`.
    peak_share, largest_share, buffer
        As for :func:`radiolucent.attribution.regions.top_region`.
    seed
        Of the controls' places.

    Returns
    -------
    The map with its ``tests``, the verified one first.

    Raises
    ------
    EmptyMap
        Where nothing was verified.
    """
    return only(
        propose_and_verify_many(
            model,
            features,
            generation,
            [target],
            proposals=proposals,
            proposed=[proposed],
            control=control,
            controls=controls,
            midline=midline,
            fill=fill,
            space=space,
            peak_share=peak_share,
            largest_share=largest_share,
            buffer=buffer,
            seed=seed,
            batch=batch,
        )
    )


def propose_and_verify_many(
    model: ExplainableModel,
    features: Features,
    generation: Generation,
    targets: Sequence[Target],
    *,
    proposals: Sequence[str] = PROPOSALS,
    proposed: Sequence[Sequence[AttributionMap]] = (),
    control: Control | Sequence[Control] = "matched",
    controls: int = 1,
    midline: float | None = None,
    fill: Fill = "mean",
    space: Space = "tokens",
    peak_share: float = PEAK_SHARE,
    largest_share: float = LARGEST_SHARE,
    buffer: int = BUFFER,
    seed: int = 0,
    batch: int = BATCH,
) -> list[Made]:
    """The maps of several targets; every hidden region is measured for all of them at once.

    Parameters
    ----------
    proposed
        For each target the maps that were made before; empty for none.
    control
        One for all targets, or one for each.
    """
    targets = [resolve_target(generation, target) for target in targets]
    kinds = [control] * len(targets) if isinstance(control, str) else list(control)
    if len(kinds) != len(targets) or (proposed and len(proposed) != len(targets)):
        raise MalformedInput(
            f"{len(targets)} targets with {len(kinds)} controls and proposed maps for {len(proposed)}; expected one "
            "entry for each target, in the same order."
        )
    if not proposals:
        raise MalformedInput("No proposal was named; use names of attribution methods such as 'distinct_attention'.")
    plan = Plan(features, kinds, controls, midline, seed)
    losses = Losses(model, features, generation, targets, fill=fill, space=space, batch=batch)
    ask = _Proposers(model, features, generation, targets, proposed)
    place_of = partial(
        top_region, inside=plan.inside, peak_share=peak_share, largest_share=largest_share, buffer=buffer
    )
    tests: list[list[RegionTest]] = [[] for _ in targets]
    shown: dict[int, _Verified] = {}
    for name in proposals:
        pending = [index for index in range(len(targets)) if index not in shown and _bears(tests[index])]
        values = {
            index: smoothed(made.values, plan.inside)
            for index, made in zip(pending, ask(name, pending), strict=True)
            if isinstance(made, AttributionMap)
        }
        one_place = {index: place_of(proposal) for index, proposal in values.items()}
        fresh = {
            index: region
            for index, region in one_place.items()
            if region.any() and not any(_same(region, test.region) for test in tests[index])
        }
        two_places = {
            index: region | place_of(_beyond(values[index], region, plan.inside)) for index, region in fresh.items()
        }
        candidates = [Candidate(index, region, name) for index, region in _needed(losses, fresh, two_places).items()]
        for one, test in zip(candidates, verify(losses, candidates, plan), strict=True):
            tests[one.index].insert(0, test)
            if test.verified:
                shown[one.index] = _Verified(test, values[one.index])
    forwards = losses.replays + ask.forwards
    return [
        _map(shown[index], features, target, tests[index], forwards, ask.backwards)
        if index in shown
        else _nothing(target, generation, tests[index])
        for index, target in enumerate(targets)
    ]


def _needed(losses: Losses, first: Mapping[int, Region], both: Mapping[int, Region]) -> dict[int, Region]:
    """For each target the first place of its map, or the first two where hiding the one leaves the words standing.

    What is seen in two places, such as both borders of a large heart, survives the hiding of either.
    """
    whole = {index: np.ones_like(region) for index, region in first.items()}
    losses.measure((index, part) for index, region in first.items() for part in (whole[index], region, ~region))

    def necessary(index: int, region: Region) -> bool:
        return is_necessary(losses.of(index, region), losses.of(index, whole[index]))

    more = {
        index: both[index]
        for index, region in first.items()
        if losses.of(index, whole[index]) >= LEAST_NATS
        and not necessary(index, region)
        and (both[index] & ~region).any()
    }
    losses.measure(more.items())
    return {**first, **{index: region for index, region in more.items() if necessary(index, region)}}


def _beyond(proposal: NDArray[np.float64], region: Region, inside: Region) -> NDArray[np.float64]:
    """What the proposal says outside a region, above its median: the slopes of its first peak are no second one."""
    return np.where(region, 0.0, proposal - np.median(proposal[inside]))


def smoothed(values: NDArray[np.floating], inside: Region) -> NDArray[np.float64]:
    """A proposal's positive part, spread over neighbouring cells of the same frame; 0 in the padding."""
    positive = np.where(inside, np.clip(values, 0, None), 0.0).astype(np.float64)
    spread = ndimage.gaussian_filter(positive, (0, SMOOTHING, SMOOTHING), mode="constant")
    kept: NDArray[np.float64] = np.where(inside, spread, 0.0)
    return kept


@dataclass(frozen=True, eq=False)
class _Verified:
    test: RegionTest
    proposal: NDArray[np.float64]

    def values(self) -> NDArray[np.float64]:
        """The region's effect shared among its cells as the proposal has it."""
        inside: NDArray[np.float64] = np.where(self.test.region, self.proposal, 0.0)
        return inside * (effect(self.test) / float(inside.sum()))


class _Proposers:
    """Maps by method name, those handed in first; counts the passes of the others."""

    def __init__(
        self,
        model: ExplainableModel,
        features: Features,
        generation: Generation,
        targets: Sequence[Target],
        proposed: Sequence[Sequence[AttributionMap]],
    ) -> None:
        self._arguments = model, features, generation
        self._targets = targets
        self._given = {(made.method, index): made for index, maps in enumerate(proposed) for made in maps}
        for (method, index), made in self._given.items():
            expected = (len(features.geometries),) + (features.geometries[0].grid,) * 2
            if made.values.shape != expected or made.target != targets[index]:
                raise MalformedInput(
                    f"The map of {method} handed in for {targets[index].label!r} has shape {made.values.shape} and "
                    f"explains {made.target.label!r}; expected {expected} and the same target."
                )
        self.forwards = self.backwards = 0

    def __call__(self, name: str, indices: Sequence[int]) -> list[Made]:
        missing = [index for index in indices if (name, index) not in self._given]
        made: dict[int, Made] = {}
        if missing:
            many = _proposer(name)
            made = dict(zip(missing, many(*self._arguments, [self._targets[i] for i in missing]), strict=True))
            costs = [(one.forwards, one.backwards) for one in made.values() if isinstance(one, AttributionMap)]
            forwards, backwards = max(costs, default=(0, 0))  # a map's passes are those of all its targets
            self.forwards += forwards
            self.backwards += backwards
        return [made[index] if index in made else self._given[name, index] for index in indices]


def _proposer(name: str) -> Callable[..., list[Made]]:
    from radiolucent.attribution.registry import method  # the registry lists this file too

    if name.partition(":")[0] == "propose_and_verify":
        raise MalformedInput("propose_and_verify cannot propose to itself; name another method.")
    return method(name).many


def _bears(tests: Sequence[RegionTest]) -> bool:
    """Whether the words may depend on the picture: unknown before the first test."""
    return not tests or tests[0].everything >= LEAST_NATS


def _same(one: Region, other: Region) -> bool:
    return bool((one & other).sum() >= SAME_REGION * (one | other).sum())


def _map(
    verified: _Verified,
    features: Features,
    target: Target,
    tests: Sequence[RegionTest],
    forwards: int,
    backwards: int,
) -> AttributionMap:
    made = finished(
        verified.values(),
        features,
        claim="relied_on",
        method="propose_and_verify",
        target=target,
        units="nats",
        forwards=forwards,
        backwards=backwards,
    )
    return replace(made, tests=tuple(tests))


def _nothing(target: Target, generation: Generation, tests: Sequence[RegionTest]) -> EmptyMap:
    reason = "tested" if _bears(tests) else "unmoved"
    language = generation.prompt.language
    why = WHY[reason if tests else "unproposed"][1 if language == "zh" else 0].format(
        tested=len(tests), everything=tests[0].everything if tests else 0.0
    )
    return EmptyMap(NOTHING_SHOWN[language].format(label=target.label, why=why))


METHOD = describe(
    propose_and_verify,
    claim="relied_on",
    en=(
        "A cheap map proposes a region; it counts only if hiding it, showing it alone and hiding control regions "
        "show that the words rely on it."
    ),
    zh="由低成本图提出候选区域，再经隐藏该区域、仅显示该区域及隐藏对照区域三项干预验证后才予显示。",
    cost="about 3 forward passes a finding and 2 for all, no image encode; a gradient only where attention fails",
    citation="propose with attention, verify by intervention; buffer: Neo et al. 2025, arXiv 2410.07149",
    passes=lambda size: Passes(replays=2 + 3 * size.targets),
    many=propose_and_verify_many,
    variants={"deep": {"controls": 20}, "pixels": {"space": "pixels"}},
)
