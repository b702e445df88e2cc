"""Occlusion from coarse to fine: the picture is quartered, and only the quarter that matters is quartered again.

A study of several images is halved down to a single image first. At each level the parts with the largest losses go
on, down to single cells: at 16 x 16 cells 17 passes instead of the 226 or more of dense occlusion. Soft tokens are
hidden: on phantoms that pointed far better than hiding pixels, at no image encode. A place whose parts
matter only together with another's, or that holds supporting and opposing evidence that cancel, can be missed: the
price of not looking everywhere. Hiding a part with a margin of a cell, overlapping parts and a finer start were tried
on phantoms: they cost more and pointed no better.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import product
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from radiolucent.attribution.fills import Fill, Space
from radiolucent.attribution.interventions import intervention, shown_scores
from radiolucent.attribution.maps import FLOAT32_NATS, finished_or_empty
from radiolucent.attribution.method import Made, Passes, Size, describe, only
from radiolucent.attribution.model import ExplainableModel
from radiolucent.attribution.targets import BATCH, passes, scores, soft_rows
from radiolucent.attribution.types import AttributionMap
from radiolucent.errors import MalformedInput
from radiolucent.vlm.types import Features, Generation, Target

Span = tuple[int, int]  # [first, last)


class Part(NamedTuple):
    """Images and cells that are hidden together."""

    images: Span
    rows: Span
    columns: Span

    @property
    def place(self) -> tuple[slice, slice, slice]:
        """Where it lies in (images, g, g)."""
        return slice(*self.images), slice(*self.rows), slice(*self.columns)


def hierarchical_occlusion(
    model: ExplainableModel,
    features: Features,
    generation: Generation,
    target: Target,
    *,
    refine: int = 1,
    fill: Fill = "mean",
    space: Space = "tokens",
    batch: int = BATCH,
    other: Features | None = None,
) -> AttributionMap:
    """Nats lost when parts of the picture are hidden, finest where it matters most.

    Parameters
    ----------
    refine
        Parts divided at each level, those with the largest loss; more of them see more of the picture and cost more.
    fill
        ``mean``, ``blank``, ``blur``, ``inpaint`` or ``counterfactual``; see :mod:`radiolucent.attribution.fills`.
    space
        ``pixels``: the vision tower is not shown the part either; ``tokens``: its soft tokens are replaced, and no
        image is encoded again.
    other
        For ``counterfactual``: the features that stand in the hidden part.

    Returns
    -------
    Each level shares a part's loss evenly among its cells, and a cell carries the sum of its shares over the levels
    that hid it: a place that was not looked into keeps its coarse share, the highest cells lie where the search went.
    """
    return only(
        hierarchical_occlusions(
            model, features, generation, [target], refine=refine, fill=fill, space=space, batch=batch, other=other
        )
    )


def hierarchical_occlusions(
    model: ExplainableModel,
    features: Features,
    generation: Generation,
    targets: Sequence[Target],
    *,
    refine: int = 1,
    fill: Fill = "mean",
    space: Space = "tokens",
    batch: int = BATCH,
    other: Features | None = None,
) -> list[Made]:
    """The maps of several targets, each as it is alone; a part that several of them divide or hide is hidden once.

    ``forwards`` of each map are those of all.
    """
    if refine < 1:
        raise MalformedInput(f"refine={refine} looks no closer; use at least 1, or token_ablation with a group.")
    images, grid = len(features.geometries), features.geometries[0].grid
    show = intervention(model, features, fill=fill, space=space, other=other, batch=batch)
    base = scores(model, generation, soft_rows(features), targets, batch=batch)[0].numpy()
    values = np.zeros((len(targets), images, grid, grid))
    fronts = [parts(Part((0, images), (0, grid), (0, grid))) for _ in targets]
    forwards = 1
    while hidden := list(dict.fromkeys(part for front in fronts for part in front)):
        forwards += len(hidden)
        masks = np.stack([_mask(part, images, grid) for part in hidden])
        after = shown_scores(model, generation, targets, show, masks, batch=batch)
        lost = dict(zip(hidden, base - after, strict=True))
        fronts = [
            _divided(front, {part: float(lost[part][index]) for part in front}, values[index], refine)
            for index, front in enumerate(fronts)
        ]
    return [
        finished_or_empty(
            values[index],
            features,
            claim="relied_on",
            method="hierarchical_occlusion",
            target=target,
            units="nats a cell, levels added",
            forwards=forwards * passes(targets),
            noise=FLOAT32_NATS,
        )
        for index, target in enumerate(targets)
    ]


def parts(whole: Part) -> list[Part]:
    """What a part is divided into: halves of its images, or quarters of its one image; nothing of a single cell."""
    first, last = whole.images
    if last - first > 1:
        return [whole._replace(images=half) for half in _halves(whole.images)]
    quarters = [
        whole._replace(rows=rows, columns=columns)
        for rows, columns in product(_halves(whole.rows), _halves(whole.columns))
    ]
    return quarters if len(quarters) > 1 else []


def _halves(span: Span) -> list[Span]:
    first, last = span
    middle = first + (last - first + 1) // 2
    return [(first, middle), (middle, last)] if middle < last else [span]


def _mask(part: Part, images: int, grid: int) -> NDArray[np.bool_]:
    mask = np.zeros((images, grid, grid), dtype=bool)
    mask[part.place] = True
    return mask


def _divided(front: list[Part], lost: dict[Part, float], values: NDArray[np.float64], refine: int) -> list[Part]:
    """The next level of one target; its losses are added to its map on the way."""
    for part in front:
        cells = values[part.place]
        cells += lost[part] / cells.size
    return [part for worst in sorted(front, key=lambda part: -lost[part])[:refine] for part in parts(worst)]


def _passes(size: Size) -> Passes:
    """At most: targets share the first level surely, later ones where they look into the same part."""
    halvings, quarterings = math.ceil(math.log2(size.images)), math.ceil(math.log2(size.cells) / 2)
    levels = [2] * halvings + [4] * quarterings
    shared, own = levels[:1], levels[1:]
    return Passes(replays=1 + sum(shared) + size.targets * sum(own))


def _passes_in_pixels(size: Size) -> Passes:
    """The same, and an image encode for every image that holds a hidden part."""
    quarterings = math.ceil(math.log2(size.cells) / 2)
    return _passes(size) + Passes(encodes=size.targets * (2 * (size.images - 1) + 4 * quarterings))


METHOD = describe(
    hierarchical_occlusion,
    claim="relied_on",
    en="Hides quarters of the picture, then quarters of the quarter that the words lose most by, down to a cell.",
    zh="先隐藏图像的四分之一，再逐级细分文字损失最大的部分，直至单个网格。",
    cost="17 forward passes at 16 x 16 cells, batched, no image encode; in pixels 16 image encodes",
    citation="Zeiler and Fergus 2014, arXiv 1311.2901, coarse to fine",
    passes=_passes,
    many=hierarchical_occlusions,
    variants={"wide": {"refine": 2}, "pixels": {"space": "pixels"}},
    variant_passes={"pixels": _passes_in_pixels},
)
