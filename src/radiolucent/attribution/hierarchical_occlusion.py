"""Occlusion from coarse to fine: a 4 x 4 grid of blocks first, then only the blocks that matter are split.

About a fifth of dense occlusion's passes on a 16 x 16 grid. A place whose parts matter only together, or whose block
hides supporting and opposing evidence that cancel, can be missed: the price of not looking everywhere.
"""

from __future__ import annotations

import numpy as np

from radiolucent.attribution.maps import FLOAT32_NATS, finished
from radiolucent.attribution.method import Passes, describe
from radiolucent.attribution.model import ExplainableModel
from radiolucent.attribution.occlusion import PixelFill, Window, occluded_scores, windows
from radiolucent.attribution.targets import BATCH, passes, scores, soft_rows
from radiolucent.attribution.types import AttributionMap
from radiolucent.errors import MalformedInput
from radiolucent.vlm.types import Features, Generation, Target

COARSE = 4  # blocks along an edge at the first level, more where the grid is no such power of two


def hierarchical_occlusion(
    model: ExplainableModel,
    features: Features,
    generation: Generation,
    target: Target,
    *,
    refine: int = 4,
    fill: PixelFill = "mean",
    batch: int = BATCH,
) -> AttributionMap:
    """Nats a cell lost when blocks of pixels are hidden, finest where it matters most.

    Parameters
    ----------
    refine
        Blocks split into four at each level, those with the largest loss.
    fill
        As for :func:`radiolucent.attribution.occlusion.occlusion`.

    Returns
    -------
    Each cell carries the loss of the smallest block that was hidden over it, shared evenly among the block's cells.
    """
    if refine < 1:
        raise MalformedInput(f"refine={refine} looks no closer; use at least 1, or token_ablation with a group.")
    images, _, size, _ = features.pixels.shape
    grid = features.geometries[0].grid
    cell = size // grid
    base = float(scores(model, generation, soft_rows(features), [target])[0, 0])
    values = np.zeros((images, grid, grid))
    edge = 1 << max(0, (grid // COARSE).bit_length() - 1)  # a power of two, so that parts never leave their block
    hidden = windows(images, size, edge * cell, edge * cell)
    forwards = 1
    while True:
        after = occluded_scores(model, features, generation, target, hidden, patch=edge * cell, fill=fill, batch=batch)
        forwards += len(hidden)
        for (image, top, left), score in zip(hidden, after, strict=True):
            block = values[image, top // cell : top // cell + edge, left // cell : left // cell + edge]
            block[:] = (base - score) / block.size
        if edge == 1:
            break
        hidden = _split([hidden[index] for index in np.argsort(after, kind="stable")[:refine]], edge * cell, size, cell)
        edge //= 2
    return finished(
        values,
        features,
        claim="relied_on",
        method="hierarchical_occlusion",
        target=target,
        units="nats a cell",
        forwards=forwards * passes([target]),
        noise=FLOAT32_NATS,
    )


def _split(blocks: list[Window], patch: int, size: int, cell: int) -> list[Window]:
    """The parts of blocks at half their edge (whole cells), inside the picture."""
    half = patch // cell // 2 * cell
    return [
        (image, top + down, left + right)
        for image, top, left in blocks
        for down in range(0, patch, half)
        for right in range(0, patch, half)
        if top + down < size and left + right < size
    ]


METHOD = describe(
    hierarchical_occlusion,
    claim="relied_on",
    en="Hides large blocks of pixels first and looks closer only where the words lose most.",
    zh="先遮挡大块区域，仅在文字损失最大处逐级细化。",
    cost="49 forward passes and image encodes at 16 x 16 cells, batched",
    citation="Zeiler and Fergus 2014, arXiv 1311.2901, coarse to fine",
    passes=lambda size: Passes(49 * size.targets, 0, 48 * size.targets),
)
