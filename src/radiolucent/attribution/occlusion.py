"""What the words lose when a square of pixels is hidden from the vision tower: the model's own view of less.

Windows slide over the padded square; each pixel carries the mean loss over the windows that covered it, and each cell
the mean of its pixels. Zeiler and Fergus 2014 (arXiv 1311.2901); equal to captum's Occlusion before cells are formed.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray

from radiolucent.attribution.fills import Fill
from radiolucent.attribution.interventions import intervention
from radiolucent.attribution.maps import FLOAT32_NATS, finished_or_empty
from radiolucent.attribution.method import Made, Passes, Size, describe, only
from radiolucent.attribution.model import ExplainableModel
from radiolucent.attribution.targets import BATCH, passes, scores, soft_rows
from radiolucent.attribution.types import AttributionMap
from radiolucent.errors import MalformedInput
from radiolucent.vlm.types import Features, Generation, Target

BLUR_SHARE = 0.5  # standard deviation of the blur as a share of the patch's edge: the patch's own content is gone

Window = tuple[int, int, int]  # (image, first row, first column), in model pixels


def occlusion(
    model: ExplainableModel,
    features: Features,
    generation: Generation,
    target: Target,
    *,
    patch: int | None = None,
    stride: int | None = None,
    fill: Fill = "mean",
    per_pixel: bool = False,
    batch: int = BATCH,
    other: Features | None = None,
) -> AttributionMap:
    """Nats lost when a square of pixels is hidden; positive where the square supports the target.

    Parameters
    ----------
    patch
        Edge of the hidden square in model pixels; two cells where None.
    stride
        Step between windows in model pixels; one cell where None. The last window of a row or column may be smaller.
    fill
        ``mean`` (each channel's mean over the image), ``blank`` (mid-grey), ``blur`` (the image itself, blurred by half
        a patch), ``inpaint`` or ``counterfactual``; see :mod:`radiolucent.attribution.fills`.
    other
        For ``counterfactual``: the features whose pixels stand in the square.
    per_pixel
        True: the map at model pixels (images, size, size) instead of the token grid.
    """
    return only(
        occlusions(
            model,
            features,
            generation,
            [target],
            patch=patch,
            stride=stride,
            fill=fill,
            other=other,
            per_pixel=per_pixel,
            batch=batch,
        )
    )


def occlusions(
    model: ExplainableModel,
    features: Features,
    generation: Generation,
    targets: Sequence[Target],
    *,
    patch: int | None = None,
    stride: int | None = None,
    fill: Fill = "mean",
    per_pixel: bool = False,
    batch: int = BATCH,
    other: Features | None = None,
) -> list[Made]:
    """The maps of several targets from the same hidden squares; each map's ``forwards`` are those of all."""
    images, _, size, _ = features.pixels.shape
    grid = features.geometries[0].grid
    cell = size // grid
    patch = 2 * cell if patch is None else patch
    stride = cell if stride is None else stride
    if not 1 <= stride <= patch <= size:
        raise MalformedInput(
            f"patch={patch}, stride={stride}: expected 1 <= stride <= patch <= {size} model pixels, so that no pixel "
            "is left out."
        )
    hidden = windows(images, size, patch, stride)
    unit = math.gcd(patch, stride, size)
    show = intervention(
        model, features, fill=fill, space="pixels", other=other, blur=BLUR_SHARE * patch / cell, batch=batch
    )
    base = scores(model, generation, soft_rows(features), targets, batch=batch)
    parts = [
        base - scores(model, generation, show(_masks(some, images, size, patch, unit)), targets, batch=batch)
        for some in (hidden[start : start + batch] for start in range(0, len(hidden), batch))
    ]
    lost = torch.cat(parts).numpy()
    made = []
    for index, target in enumerate(targets):
        values = _spread(hidden, lost[:, index], images, size, patch)
        made.append(
            finished_or_empty(
                values if per_pixel else values.reshape(images, grid, cell, grid, cell).mean(axis=(2, 4)),
                features,
                claim="relied_on",
                method="occlusion",
                target=target,
                units="nats",
                forwards=(len(hidden) + 1) * passes(targets),
                noise=FLOAT32_NATS,
            )
        )
    return made


def windows(images: int, size: int, patch: int, stride: int) -> list[Window]:
    """Corners of the windows that cover every pixel, captum's rule: the last may reach over the edge."""
    steps = 1 + -(-(size - patch) // stride)
    corners = [step * stride for step in range(steps)]
    return [(image, top, left) for image in range(images) for top in corners for left in corners]


def _masks(some: Sequence[Window], images: int, size: int, patch: int, unit: int) -> NDArray[np.bool_]:
    """Bool (windows, images, k, k) on the coarsest grid that holds every window's edges, ``unit`` pixels a place."""
    masks = np.zeros((len(some), images, size // unit, size // unit), dtype=bool)
    for mask, (image, top, left) in zip(masks, some, strict=True):
        mask[image, top // unit : (top + patch) // unit, left // unit : (left + patch) // unit] = True
    return masks


def _spread(
    hidden: Sequence[Window], lost: NDArray[np.float64], images: int, size: int, patch: int
) -> NDArray[np.float64]:
    """(images, size, size): the mean loss of the windows that cover each pixel."""
    total = np.zeros((images, size, size))
    covered = np.zeros((images, size, size))
    for (image, top, left), loss in zip(hidden, lost, strict=True):
        square = (image, slice(top, top + patch), slice(left, left + patch))
        total[square] += loss
        covered[square] += 1
    return total / covered


def _passes(size: Size) -> Passes:
    count = (round(size.cells**0.5) - 1) ** 2 * size.images
    return Passes(replays=count + 1, encodes=count)


METHOD = describe(
    occlusion,
    claim="relied_on",
    en="Hides squares of pixels before the model looks, and measures what the words lose.",
    zh="在模型读图前遮挡像素方块，测量相应文字的概率损失。",
    cost="about cells + 1 forward passes and image encodes, batched",
    citation="Zeiler and Fergus 2014, arXiv 1311.2901",
    passes=_passes,
    many=occlusions,
    variants={
        "blur": {"fill": "blur"},
        "blank": {"fill": "blank"},
        "inpaint": {"fill": "inpaint"},
    },
)
