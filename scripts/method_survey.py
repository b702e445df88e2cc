"""What docs/methods rests on: findings of the demo model on phantoms, every method's map of them, what hiding costs."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

import radiolucent as rl
from radiolucent.attribution.cells import coverage, in_picture
from radiolucent.attribution.control_regions import control_of
from radiolucent.attribution.interventions import losses
from radiolucent.attribution.method import Made
from radiolucent.attribution.registry import attribute_all, methods, takes
from radiolucent.attribution.targets import finding_target
from radiolucent.attribution.types import AttributionMap
from radiolucent.faithfulness.lab.case import FLIP_NATS, Case, swap_loss, true_positives
from radiolucent.faithfulness.phantoms import phantom_cases
from radiolucent.faithfulness.pointing import pointing_hit, reachable
from radiolucent.findings.types import Finding
from radiolucent.localize.film_places import film_places
from radiolucent.report.overlay import (
    region_of,
)
from radiolucent.study.types import Study
from radiolucent.vlm.gemma3 import Gemma3Model
from radiolucent.vlm.types import Features, Generation, Target

FIRST_SEED = 0  # phantoms below 1,000,000 were never trained on
FILMS = 24
FEW_FILMS = 6  # for methods of hundreds of passes a finding
DEAR = ("evidence_search", "token_ablation", "occlusion")

Cells = NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class Seen:
    """One finding of one film, with every method's map of it.

    Parameters
    ----------
    mask
        Bool (rows, cols): the lesion in source pixels.
    lesion
        Bool (1, g, g): its cells with the cells next to them.
    whole, lesion_lost
        Nats that the words lose with the whole picture and with ``lesion`` hidden.
    lost
        Method -> nats lost with the region hidden that its map points at.
    """

    film: str
    study: Study
    finding: Finding
    target: Target
    mask: Cells
    lesion: Cells
    maps: Mapping[str, AttributionMap]
    whole: float
    lesion_lost: float
    lost: Mapping[str, float]

    def hit(self, method: str) -> bool:
        """Whether the map's highest cell lies in the lesion, see :mod:`radiolucent.faithfulness.pointing`."""
        made = self.maps[method]
        return pointing_hit(made.values, self.mask, made.geometry) > 0.5

    @property
    def words(self) -> str:
        """As the report has them, on one line."""
        return " ".join(self.target.label.split())


def survey(model: Gemma3Model, films: int, few: int, tell: Callable[[str], None]) -> list[Seen]:
    """Every finding that is on its film, reported, and not written without it."""
    found: list[Seen] = []
    for number, case in enumerate(phantom_cases(films, first_seed=FIRST_SEED)):
        names = [name for name in methods() if number < few or name not in DEAR]
        found += explained(model, case, names)
        tell(f"{case.name}: {number + 1} of {films} films, {len(found)} findings")
    return found


def explained(model: Gemma3Model, case: Case, names: Sequence[str]) -> list[Seen]:
    """The findings of one film."""
    features = model.encode(case.study)
    generation = model.generate(rl.Prompt(model.profile.question("en"), "en"), features, max_new_tokens=256)
    written = rl.extract_findings(generation.text)
    pairs = [(one, finding_target(generation, one, written)) for one in true_positives(written, case)]
    needed = [
        (finding, target)
        for finding, target in pairs
        if (swap_loss(model, case, finding.code, features, generation, target) or 0.0) >= FLIP_NATS
    ]
    if not needed:
        return []
    findings, targets = [finding for finding, _ in needed], [target for _, target in needed]
    made = {name: maps_of(name, model, case.study, features, generation, findings, targets) for name in names}
    return [
        measured(model, case, features, generation, finding, target, {name: made[name][index] for name in names})
        for index, (finding, target) in enumerate(needed)
    ]


def maps_of(
    name: str,
    model: Gemma3Model,
    study: Study,
    features: Features,
    generation: Generation,
    findings: Sequence[Finding],
    targets: Sequence[Target],
) -> list[Made]:
    """A method's maps as :func:`radiolucent.explain` asks for them."""
    options: dict[str, object] = {}
    if takes(name, "control"):
        options["control"] = [control_of(finding) for finding in findings]
    if takes(name, "midline"):
        options["midline"] = film_places(study.frames[0]).midline
    return attribute_all(model, features, generation, targets, name, **options)


def measured(
    model: Gemma3Model,
    case: Case,
    features: Features,
    generation: Generation,
    finding: Finding,
    target: Target,
    made: Mapping[str, Made],
) -> Seen:
    """What hiding the lesion and each map's region costs the words."""
    maps = {name: one for name, one in made.items() if isinstance(one, AttributionMap)}
    mask, geometry = case.masks[finding.code], features.geometries[0]
    inside = in_picture(geometry)
    cells = reachable(np.where(inside, coverage(mask, geometry), 0.0))
    lesion = (ndimage.binary_dilation(cells, np.ones((3, 3))) & inside)[None]
    regions = np.stack([np.ones_like(lesion), lesion, *(region_shown(one) for one in maps.values())])
    lost = losses(model, features, generation, [target], regions)[:, 0]
    return Seen(
        film=case.name,
        study=case.study,
        finding=finding,
        target=target,
        mask=mask,
        lesion=lesion,
        maps=maps,
        whole=float(lost[0]),
        lesion_lost=float(lost[1]),
        lost=dict(zip(maps, (float(one) for one in lost[2:]), strict=True)),
    )


def region_shown(made: AttributionMap) -> Cells:
    """The region that a map itself has shown to matter most, else the one that it points at: bool (1, g, g)."""
    if not made.tests:
        return region_of(made)
    return max(made.tests, key=lambda test: (test.verified, test.hidden)).region
