"""What the words lose when a cell's soft token is replaced: an intervention, so the claim is *relied on*.

One pass a cell, many cells in a batch, the vision tower never rerun. Mean-embedding replacement after Neo et al. 2025
(arXiv 2410.07149). Equal to captum's FeatureAblation with the fill as its baseline.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from radiolucent.attribution.fills import Fill
from radiolucent.attribution.interventions import losses
from radiolucent.attribution.maps import FLOAT32_NATS, finished_or_empty
from radiolucent.attribution.method import Made, Passes, describe, only
from radiolucent.attribution.model import ExplainableModel
from radiolucent.attribution.targets import BATCH, passes
from radiolucent.attribution.types import AttributionMap
from radiolucent.errors import MalformedInput
from radiolucent.vlm.types import Features, Generation, Target


def token_ablation(
    model: ExplainableModel,
    features: Features,
    generation: Generation,
    target: Target,
    *,
    fill: Fill = "mean",
    group: int = 1,
    batch: int = BATCH,
    other: Features | None = None,
) -> AttributionMap:
    """Nats lost when a cell, or a square group of cells, is hidden; positive where it supports the target.

    Parameters
    ----------
    fill
        ``mean`` (the image's mean token), ``blank`` (the token of a blank picture there), ``blur``, ``inpaint`` or
        ``counterfactual``; see :mod:`radiolucent.attribution.fills`.
    group
        Edge of the squares of cells hidden together; every cell of a square carries the square's loss.
    other
        For ``counterfactual``: the features whose tokens stand in the hidden cells.
    """
    return only(
        token_ablations(model, features, generation, [target], fill=fill, group=group, other=other, batch=batch)
    )


def token_ablations(
    model: ExplainableModel,
    features: Features,
    generation: Generation,
    targets: Sequence[Target],
    *,
    fill: Fill = "mean",
    group: int = 1,
    batch: int = BATCH,
    other: Features | None = None,
) -> list[Made]:
    """The maps of several targets from the same perturbed passes; each map's ``forwards`` are those of all."""
    labels = cell_groups(features, group)
    grid = features.geometries[0].grid
    groups = int(labels.max()) + 1
    regions = (labels[None, :] == np.arange(groups)[:, None]).reshape(groups, -1, grid, grid)
    drops = losses(model, features, generation, targets, regions, fill=fill, other=other, batch=batch)
    return [
        finished_or_empty(
            drops[labels, index],
            features,
            claim="relied_on",
            method="token_ablation",
            target=target,
            units="nats",
            forwards=(groups + 1) * passes(targets),
            noise=FLOAT32_NATS,
        )
        for index, target in enumerate(targets)
    ]


def cell_groups(features: Features, group: int) -> NDArray[np.int64]:
    """int64 (images * cells,): the number of the square that each cell belongs to, counted image by image.

    A grid that the group does not divide ends in smaller rectangles.
    """
    grid, images = features.geometries[0].grid, len(features.geometries)
    if not 1 <= group <= grid:
        raise MalformedInput(f"A group of {group} cells does not fit a grid of {grid}; use 1 to {grid}.")
    along = np.arange(grid) // group
    squares = int(along[-1]) + 1
    one = along[:, None] * squares + along[None, :]
    return (np.arange(images)[:, None] * squares**2 + one.reshape(1, -1)).reshape(-1)


METHOD = describe(
    token_ablation,
    claim="relied_on",
    en="Hides one cell of the picture after another (as a soft token) and measures what the words lose.",
    zh="逐格隐藏图像（软标记），测量相应文字的概率损失。",
    cost="cells + 1 forward passes, batched, no image encode",
    citation="Neo et al. 2025, arXiv 2410.07149",
    passes=lambda size: Passes(replays=size.cells * size.images + 1),
    many=token_ablations,
    variants={
        "blank": {"fill": "blank"},
        "blur": {"fill": "blur"},
        "inpaint": {"fill": "inpaint"},
        "coarse": {"group": 2},
    },
)
