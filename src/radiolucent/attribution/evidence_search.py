"""The smallest set of cells that keeps the words, and the smallest whose removal loses them, by greedy search.

Two searches from an empty set, each adding the block of cells with the largest gain: *sufficient* counts the nats kept
with everything but the set hidden, *necessary* the nats lost with the set hidden. A search stops when it holds
``share`` of what all cells together give; its blocks are then split in four and searched again, down to single cells,
and last every cell that the set can spare is taken out. Cells that matter only together cost passes but are found; the
sets are as small as greedy search makes them, and smallest where cells add up.

Greedy sufficiency and necessity over regions after EAGLE (Chen et al. 2026, CVPR), coarse to fine instead of dense;
gains are re-evaluated lazily (Minoux 1978): a block whose last gain is below the best fresh one waits.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

from radiolucent.attribution.control_regions import Control
from radiolucent.attribution.fills import Fill, Space
from radiolucent.attribution.maps import EmptyMap, finished
from radiolucent.attribution.method import Made, Passes, describe, only
from radiolucent.attribution.model import ExplainableModel
from radiolucent.attribution.regions import Region
from radiolucent.attribution.targets import BATCH, resolve_target
from radiolucent.attribution.token_ablation import cell_groups
from radiolucent.attribution.types import AttributionMap, RegionTest
from radiolucent.attribution.verification import LEAST_NATS, Candidate, Losses, Plan, verify
from radiolucent.errors import MalformedInput
from radiolucent.vlm.types import Features, Generation, Target

Goal = Literal["sufficient", "necessary"]
SHARE = 0.9
BUDGET = 600
GROUP = 4


def evidence_search(
    model: ExplainableModel,
    features: Features,
    generation: Generation,
    target: Target,
    *,
    goals: Sequence[Goal] = ("sufficient", "necessary"),
    share: float = SHARE,
    budget: int = BUDGET,
    group: int = GROUP,
    control: Control = "matched",
    controls: int = 1,
    midline: float | None = None,
    fill: Fill = "mean",
    space: Space = "tokens",
    seed: int = 0,
    batch: int = BATCH,
) -> AttributionMap:
    """Each cell's marginal gain in nats when it entered, the mean over the goals; 0 for cells outside the sets.

    Parameters
    ----------
    goals
        Sets to search.
    share
        Of what all cells of the picture keep (or lose), above 0 and at most 1: a search stops there.
    budget
        Regions hidden for one target in all its searches. A set that is not complete by then is left out and the map's
        note says so.
    group
        Edge of the first blocks in cells, a power of two; smaller where the grid is smaller.
    control, controls, midline
        How the found sets are tested, as for :func:`radiolucent.attribution.propose_and_verify.propose_and_verify`.

    Returns
    -------
    The map; its ``tests`` are the sets, each with the ``order`` in which its cells entered.

    Raises
    ------
    EmptyMap
        Where the words do not bear on the picture, or no set was complete within the budget.
    """
    return only(
        evidence_searches(
            model,
            features,
            generation,
            [target],
            goals=goals,
            share=share,
            budget=budget,
            group=group,
            control=control,
            controls=controls,
            midline=midline,
            fill=fill,
            space=space,
            seed=seed,
            batch=batch,
        )
    )


def evidence_searches(
    model: ExplainableModel,
    features: Features,
    generation: Generation,
    targets: Sequence[Target],
    *,
    goals: Sequence[Goal] = ("sufficient", "necessary"),
    share: float = SHARE,
    budget: int = BUDGET,
    group: int = GROUP,
    control: Control | Sequence[Control] = "matched",
    controls: int = 1,
    midline: float | None = None,
    fill: Fill = "mean",
    space: Space = "tokens",
    seed: int = 0,
    batch: int = BATCH,
) -> list[Made]:
    """The maps of several targets; a region that one search hid is known to all, so the first blocks are shared."""
    targets = [resolve_target(generation, target) for target in targets]
    kinds = [control] * len(targets) if isinstance(control, str) else list(control)
    if len(kinds) != len(targets):
        raise MalformedInput(f"{len(kinds)} controls for {len(targets)} targets; give one for all or one for each.")
    if not goals or set(goals) - set(get_args(Goal)):
        raise MalformedInput(f"The goals {tuple(goals)} are not all known; use 'sufficient', 'necessary' or both.")
    if not 0 < share <= 1 or budget < 1:
        raise MalformedInput(f"share={share}, budget={budget}: expected a share in (0, 1] and a budget of at least 1.")
    if group < 1 or group & (group - 1):
        raise MalformedInput(f"Blocks of {group} cells cannot be halved down to one; use a power of two.")
    plan = Plan(features, kinds, controls, midline, seed)
    losses = Losses(model, features, generation, targets, fill=fill, space=space, batch=batch)
    made = [
        _searched(losses, index, features, plan, tuple(dict.fromkeys(goals)), share, budget, group, batch)
        for index in range(len(targets))
    ]
    return [replace(one, forwards=losses.replays) if isinstance(one, AttributionMap) else one for one in made]


@dataclass(frozen=True, eq=False)
class _Set:
    """A complete set: its cells' order of entry from 1, and the nats that each of them brought."""

    order: NDArray[np.int64]
    gains: NDArray[np.float64]


class _Spent(Exception):
    """The budget is used up."""


class _Value:
    """Nats that a set keeps when shown alone, or loses when hidden; counts what it hides."""

    def __init__(self, losses: Losses, index: int, goal: Goal, everything: Region, budget: int, batch: int) -> None:
        self._losses, self._index, self._goal, self._everything = losses, index, goal, everything
        self.left, self.batch = budget, batch

    def __call__(self, sets: Sequence[Region]) -> list[float]:
        hidden = [~one if self._goal == "sufficient" else one for one in sets]
        new = {one.tobytes() for one in hidden if not self._losses.knows(self._index, one)}
        if len(new) > self.left:
            raise _Spent
        self.left -= len(new)
        self._losses.measure((self._index, one) for one in [self._everything, *hidden])
        lost = [self._losses.of(self._index, one) for one in hidden]
        if self._goal == "necessary":
            return lost
        total = self._losses.of(self._index, self._everything)
        return [total - one for one in lost]


def _searched(
    losses: Losses,
    index: int,
    features: Features,
    plan: Plan,
    goals: Sequence[Goal],
    share: float,
    budget: int,
    group: int,
    batch: int,
) -> Made:
    target, everything = losses.targets[index], np.ones_like(plan.inside)
    losses.measure([(index, everything)])
    total = losses.of(index, everything)
    if total < LEAST_NATS:
        return EmptyMap(
            f"Hiding the whole picture costs {target.label!r} only {total:.2f} nats: these words hardly depend on it. "
            "That does not mean that the finding is absent."
        )
    found: dict[Goal, _Set] = {}
    missing: list[Goal] = []
    left = budget
    for goal in goals:
        value = _Value(losses, index, goal, everything, left, batch)
        try:
            found[goal] = _search(value, features, plan.inside, share, group)
        except _Spent:
            missing.append(goal)
        left = value.left
    if not found:
        return EmptyMap(
            f"No set of cells that keeps or loses {share:.0%} of {target.label!r} was complete after {budget} hidden "
            "regions; give a larger budget or a smaller share."
        )
    made = finished(
        np.mean([one.gains for one in found.values()], axis=0),
        features,
        claim="relied_on",
        method="evidence_search",
        target=target,
        units="nats",
        forwards=0,
    )
    note = f"Not complete after {budget} hidden regions: the {' and the '.join(missing)} set." if missing else ""
    return replace(made, tests=_tested(losses, index, plan, found), note=note)


def _tested(losses: Losses, index: int, plan: Plan, found: dict[Goal, _Set]) -> tuple[RegionTest, ...]:
    candidates = [Candidate(index, one.order > 0, f"smallest {goal} set") for goal, one in found.items()]
    tests = verify(losses, candidates, plan)
    return tuple(replace(test, order=one.order) for test, one in zip(tests, found.values(), strict=True))


def _search(value: _Value, features: Features, inside: Region, share: float, group: int) -> _Set:
    """Coarse to fine, then without what can be spared."""
    edge = min(group, 1 << (inside.shape[1].bit_length() - 1))
    (whole,) = value([inside])
    goal = share * whole
    room = inside
    while True:
        chosen = _grown(value, _blocks(features, room, edge), goal)
        if edge == 1:
            break
        room = np.logical_or.reduce(chosen)
        edge //= 2
    kept = _pruned(value, chosen, goal)
    order, gains = np.zeros(inside.shape, dtype=np.int64), np.zeros(inside.shape)
    prefixes = [np.logical_or.reduce(kept[: count + 1]) for count in range(len(kept))]
    values = np.diff([0.0, *value(prefixes)])
    for place, (cell, gain) in enumerate(zip(kept, values, strict=True), start=1):
        order[cell], gains[cell] = place, gain
    return _Set(order, gains)


def _blocks(features: Features, room: Region, edge: int) -> list[Region]:
    """Squares of ``edge`` cells as far as they lie in ``room``."""
    labels = cell_groups(features, edge).reshape(room.shape)
    return [(labels == label) & room for label in np.unique(labels[room])]


def _grown(value: _Value, blocks: Sequence[Region], goal: float) -> list[Region]:
    """Blocks in order of entry until their union is worth the goal; all of them together are."""
    chosen: list[Region] = []
    union, worth = np.zeros_like(blocks[0]), 0.0
    last_gain = {number: np.inf for number in range(len(blocks))}  # upper bounds where gains only shrink
    while worth < goal and last_gain:
        best = _best(value, blocks, last_gain, union, worth)
        chosen.append(blocks[best])
        union, worth = union | blocks[best], worth + last_gain.pop(best)
    return chosen


def _best(value: _Value, blocks: Sequence[Region], last_gain: dict[int, float], union: Region, worth: float) -> int:
    """The block with the largest gain now; blocks are looked at in order of their last one."""
    waiting = sorted(last_gain, key=lambda number: -last_gain[number])
    fresh: list[int] = []
    while waiting and (not fresh or max(last_gain[n] for n in fresh) < last_gain[waiting[0]]):
        some, waiting = waiting[: value.batch], waiting[value.batch :]
        for number, after in zip(some, value([union | blocks[number] for number in some]), strict=True):
            last_gain[number] = after - worth
        fresh += some
    return max(fresh, key=lambda number: last_gain[number])


def _pruned(value: _Value, chosen: Sequence[Region], goal: float) -> list[Region]:
    """The set without the cells that it can spare, the one that costs least taken out first."""
    kept = list(chosen)
    while len(kept) > 1:
        without = [np.logical_or.reduce(kept[:number] + kept[number + 1 :]) for number in range(len(kept))]
        values = value(without)
        spared = int(np.argmax(values))
        if values[spared] < goal:
            break
        del kept[spared]
    return kept


METHOD = describe(
    evidence_search,
    claim="relied_on",
    en="Searches for the fewest cells that keep the words when shown alone, and the fewest whose hiding loses them.",
    zh="搜索单独显示即可保持文字的最小格集合，以及隐藏后文字即丧失的最小格集合。",
    cost="hundreds of forward passes a finding, batched, no image encode; at most the budget",
    citation="greedy sufficiency and necessity: EAGLE, CVPR 2026; lazy evaluation: Minoux 1978",
    passes=lambda size: Passes(replays=2 + BUDGET * size.targets),
    many=evidence_searches,
    variants={"sufficient": {"goals": ("sufficient",)}, "necessary": {"goals": ("necessary",)}},
)
