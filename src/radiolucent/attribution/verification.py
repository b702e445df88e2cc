"""Hide a region, hide everything else, hide its controls: whether the words rely on that place, and how that is judged.

The rule
--------
*Everything*: nats that the words lose with the whole picture hidden. Below ``LEAST_NATS`` they do not bear on the
picture, and no region can be verified. *Necessary*: hiding the region costs at least ``LEAST_NATS`` and at least
``NECESSARY`` of everything. *Sufficient*: with everything but the region hidden, at least ``LEAST_NATS`` and
``SUFFICIENT`` of everything are kept. *Specific*: the region's effect is at least ``SPECIFIC`` times that of its
controls (the only one, or the 95th percentile of many). Another finding's region that was hidden anyway is reported
beside the controls and does not judge: it holds evidence of its own.

A region is verified where it is necessary and hiding is specific; or where it is sufficient but not necessary (the
model sees the same elsewhere too, as both borders of a large heart) and showing it alone is specific. Controls are run
only for the intervention that is claimed, and not at all for a region that is neither: a perturbed pass costs seconds
at full size. ``MANY`` controls or more turn both on, and the intervals.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from radiolucent.attribution.cells import in_picture
from radiolucent.attribution.control_regions import (
    CUTS,
    Control,
    cell_look,
    control_regions,
    matched_control,
    mirrored_control,
)
from radiolucent.attribution.fills import Fill, Space
from radiolucent.attribution.interventions import hidden_scores
from radiolucent.attribution.model import ExplainableModel
from radiolucent.attribution.regions import Region
from radiolucent.attribution.targets import BATCH, passes
from radiolucent.attribution.types import ControlKind, RegionTest, Verdict
from radiolucent.errors import MalformedInput
from radiolucent.vlm.types import Features, Generation, Target

LEAST_NATS = 0.2  # the words become at least 18 % less likely
NECESSARY = 0.25
SUFFICIENT = 0.5
SPECIFIC = 2.0
PERCENTILE = 0.95
MANY = 20  # fewest controls that can put a region beyond their 95th percentile
DRAWS = 1000  # of the bootstrap


class Losses:
    """Nats that targets lose for hidden regions: equal regions run once, targets without a foil share every pass.

    Attributes
    ----------
    replays
        Pictures passed through the language model so far, a foil's second pass included.
    """

    def __init__(
        self,
        model: ExplainableModel,
        features: Features,
        generation: Generation,
        targets: Sequence[Target],
        *,
        fill: Fill = "mean",
        space: Space = "tokens",
        batch: int = BATCH,
    ) -> None:
        self._model, self._features, self._generation, self.targets = model, features, generation, tuple(targets)
        self._fill, self._space, self._batch = fill, space, batch
        plain = [index for index, target in enumerate(targets) if target.foil is None]
        contrasted = [[index] for index, target in enumerate(targets) if target.foil is not None]
        self._groups = [plain, *contrasted] if plain else contrasted
        self._known: dict[tuple[int, bytes], float] = {}
        self.replays = 0

    def measure(self, wanted: Iterable[tuple[int, Region]]) -> None:
        """Run every (target's index, region) that is not known yet."""
        pairs = list(wanted)
        nothing = np.zeros((len(self._features.geometries),) + (self._features.geometries[0].grid,) * 2, dtype=bool)
        for group in self._groups:
            regions = {region.tobytes(): region for index, region in pairs if index in group}
            if regions:
                regions = {nothing.tobytes(): nothing, **regions}
            new = [region for key, region in regions.items() if (group[0], key) not in self._known]
            if not new:
                continue
            targets = [self.targets[index] for index in group]
            found = hidden_scores(
                self._model,
                self._features,
                self._generation,
                targets,
                np.stack(new),
                fill=self._fill,
                space=self._space,
                batch=self._batch,
            )
            self.replays += len(new) * passes(targets)
            for region, row in zip(new, found, strict=True):
                key = region.tobytes()
                self._known.update({(index, key): float(score) for index, score in zip(group, row, strict=True)})

    def of(self, index: int, region: Region) -> float:
        """Nats that the target loses with ``region`` hidden; measured before."""
        return self._known[index, np.zeros_like(region).tobytes()] - self._known[index, region.tobytes()]

    def knows(self, index: int, region: Region) -> bool:
        """Whether the region was hidden for the target, for its own sake or for another finding's."""
        return (index, region.tobytes()) in self._known


@dataclass(frozen=True, eq=False)
class Candidate:
    """A region to test.

    Parameters
    ----------
    index
        Of its target.
    """

    index: int
    region: Region
    proposer: str


@dataclass(frozen=True, eq=False)
class Plan:
    """How regions are controlled.

    Parameters
    ----------
    kinds
        For each target: ``matched`` or ``mirrored``.
    controls
        Regions a candidate: one of its target's kind, the others random.
    midline
        As for :func:`radiolucent.attribution.control_regions.mirrored_control`.
    """

    features: Features
    kinds: Sequence[Control]
    controls: int = 1
    midline: float | None = None
    seed: int = 0

    def __post_init__(self) -> None:
        if self.controls < 1:
            raise MalformedInput(f"{self.controls} controls show nothing to be specific; use at least 1.")
        unknown = [kind for kind in self.kinds if kind not in ("matched", "mirrored")]
        if unknown:
            raise MalformedInput(f"The control {unknown[0]!r} is unknown; use 'matched' or 'mirrored'.")

    @cached_property
    def inside(self) -> Region:
        """Bool (frames, g, g): cells in the picture."""
        return np.stack([in_picture(geometry) for geometry in self.features.geometries])

    @cached_property
    def _look(self) -> NDArray[np.float64]:
        return cell_look(self.features)

    @property
    def many(self) -> bool:
        """Whether intervals are asked for."""
        return self.controls >= MANY

    def controls_of(self, candidate: Candidate) -> list[tuple[ControlKind, Region]]:
        """Controls of a candidate, at most ``controls``; fewer where they do not fit."""
        region, made = candidate.region, list[tuple[ControlKind, Region]]()
        if self.kinds[candidate.index] == "mirrored":
            mirrored = mirrored_control(region, self.inside, self.features.geometries, midline=self.midline)
            if mirrored is not None:
                made.append(("mirrored", mirrored))
        if not made:  # there is no mirror image, or it is not beside the region: the kind says so
            matched = matched_control(region, self.inside, self._look, seed=self.seed)
            if matched is not None:
                made.append(("matched", matched))
        more = control_regions(region, self.inside, count=self.controls, seed=self.seed, cuts=CUTS)
        fresh = [one for one in more if not any(np.array_equal(one, known) for _, known in made)]
        return [*made, *(("random", one) for one in fresh)][: self.controls]


def verify(losses: Losses, candidates: Sequence[Candidate], plan: Plan) -> list[RegionTest]:
    """Test regions together: first hidden and shown alone, then the controls of those that had an effect."""
    everything = np.ones_like(plan.inside)
    wanted = [(one.index, region) for one in candidates for region in (everything, one.region, ~one.region)]
    if plan.many:
        wanted += [
            (one.index, region)
            for one in candidates
            for moved in _moved(one.region, plan.inside)
            for region in (moved, ~moved)
        ]
    losses.measure(wanted)
    beside = [_claimed(losses, one, everything, plan) for one in candidates]
    losses.measure(
        (one.index, region)
        for one, (hide, show) in zip(candidates, beside, strict=True)
        for region in [*(control for _, control in hide), *(~control for _, control in show)]
    )
    return [
        _test(losses, one, everything, plan, _with_others(losses, one, hide, candidates), show)
        for one, (hide, show) in zip(candidates, beside, strict=True)
    ]


def verdict(test: RegionTest) -> Verdict:
    """What a test shows, by the module's rule."""
    if test.everything < LEAST_NATS:
        return "not verified"
    kept = test.everything - test.only
    if is_necessary(test.hidden, test.everything):
        if not _specific(test.hidden, neutral(test)):
            return "not verified"
        return "necessary and sufficient" if _sufficient(kept, test.everything) else "necessary"
    if _sufficient(kept, test.everything) and _specific(kept, [test.everything - lost for lost in test.controls_only]):
        return "sufficient"
    return "not verified"


def effect(test: RegionTest) -> float:
    """Nats that a verified region is worth: lost with it hidden, or kept with it alone where it is only sufficient."""
    return test.everything - test.only if test.verdict == "sufficient" else test.hidden


def is_necessary(hidden: float, everything: float) -> bool:
    """Whether hiding a region that costs ``hidden`` nats takes enough of ``everything``, by the module's rule."""
    return hidden >= max(LEAST_NATS, NECESSARY * everything)


def neutral(test: RegionTest) -> tuple[float, ...]:
    """Nats lost with each control hidden, other findings' regions left out."""
    pairs = zip(test.control_kinds, test.controls_hidden, strict=False)
    return tuple(lost for kind, lost in pairs if kind != "other finding")


def _sufficient(kept: float, everything: float) -> bool:
    return kept >= max(LEAST_NATS, SUFFICIENT * everything)


def _specific(effect: float, of_controls: Sequence[float]) -> bool:
    if not of_controls:
        return False
    return effect >= SPECIFIC * float(np.quantile(of_controls, PERCENTILE, method="higher"))


Controls = list[tuple[ControlKind, Region]]


def _claimed(losses: Losses, one: Candidate, everything: Region, plan: Plan) -> tuple[Controls, Controls]:
    """Controls to hide and controls to show alone, for what the region's own effects would claim."""
    total = losses.of(one.index, everything)
    necessary = total >= LEAST_NATS and is_necessary(losses.of(one.index, one.region), total)
    sufficient = total >= LEAST_NATS and _sufficient(total - losses.of(one.index, ~one.region), total)
    if not (necessary or sufficient):
        return [], []
    controls = plan.controls_of(one)
    return controls if necessary or plan.many else [], controls if not necessary or plan.many else []


def _with_others(losses: Losses, one: Candidate, hide: Controls, candidates: Sequence[Candidate]) -> Controls:
    """The controls, and the regions of other findings that cost no pass: as large or larger, and clear of this one."""
    others: Controls = [
        ("other finding", other.region)
        for other in candidates
        if hide
        and other.index != one.index
        and losses.knows(one.index, other.region)
        and not (other.region & one.region).any()
        and other.region.sum() >= one.region.sum()
    ]
    return [*hide, *others]


def _test(losses: Losses, one: Candidate, everything: Region, plan: Plan, hide: Controls, show: Controls) -> RegionTest:
    region, index = one.region, one.index
    hidden, only, total = (losses.of(index, part) for part in (region, ~region, everything))
    bears = total >= LEAST_NATS  # shares of a loss near 0 mean nothing
    controls = hide or show
    test = RegionTest(
        region=region,
        proposer=one.proposer,
        hidden=hidden,
        only=only,
        everything=total,
        controls=np.array([control for _, control in controls], dtype=bool).reshape(-1, *region.shape),
        control_kinds=tuple(kind for kind, _ in controls),
        controls_hidden=tuple(losses.of(index, control) for _, control in hide),
        controls_only=tuple(losses.of(index, ~control) for _, control in show),
        necessity=hidden / total if bears else None,
        sufficiency=1 - only / total if bears else None,
    )
    if neutral(test) and hidden >= LEAST_NATS:
        test = replace(test, specificity=1 - float(np.mean(neutral(test))) / hidden)
    test = replace(test, verdict=verdict(test))
    return _with_intervals(losses, index, test, plan) if plan.many and bears else test


def _with_intervals(losses: Losses, index: int, test: RegionTest, plan: Plan) -> RegionTest:
    around = [test.region, *_moved(test.region, plan.inside)]
    necessities = [losses.of(index, moved) / test.everything for moved in around]
    sufficiencies = [1 - losses.of(index, ~moved) / test.everything for moved in around]
    specificity = None
    beside = neutral(test)
    if test.specificity is not None and len(beside) >= MANY:
        drawn = np.random.default_rng(plan.seed).choice(beside, (DRAWS, len(beside)))
        low, high = np.quantile(1 - drawn.mean(axis=1) / test.hidden, (0.025, 0.975))
        specificity = float(low), float(high)
    return replace(
        test,
        necessity_interval=(min(necessities), max(necessities)),
        sufficiency_interval=(min(sufficiencies), max(sufficiencies)),
        specificity_interval=specificity,
    )


def _moved(region: Region, inside: Region) -> list[Region]:
    """The region moved by one cell in each of eight directions, cut at the picture's edge; without empty ones."""
    size = region.shape[1]
    padded = np.pad(region, ((0, 0), (1, 1), (1, 1)))
    shifted = [
        padded[:, down : down + size, right : right + size] & inside
        for down in range(3)
        for right in range(3)
        if (down, right) != (1, 1)
    ]
    return [one for one in shifted if one.any()]
