"""What the words lose when a square of pixels is hidden from the vision tower: the model's own view of less.

Windows slide over the padded square; each pixel carries the mean loss over the windows that covered it, and each cell
the mean of its pixels. Zeiler and Fergus 2014 (arXiv 1311.2901); equal to captum's Occlusion before cells are formed.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import ndimage

from radiolucent.attribution.maps import FLOAT32_NATS, finished
from radiolucent.attribution.method import Passes, describe
from radiolucent.attribution.model import ExplainableModel
from radiolucent.attribution.targets import BATCH, passes, scores, soft_rows
from radiolucent.attribution.types import AttributionMap
from radiolucent.errors import MalformedInput
from radiolucent.vlm import perturb
from radiolucent.vlm.types import Features, Generation, Target

PixelFill = str  # "mean", "blur" or "blank"
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
    fill: PixelFill = "mean",
    per_pixel: bool = False,
    batch: int = BATCH,
) -> AttributionMap:
    """Nats lost when a square of pixels is hidden; positive where the square supports the target.

    Parameters
    ----------
    patch
        Edge of the hidden square in model pixels; two cells where None.
    stride
        Step between windows in model pixels; one cell where None. The last window of a row or column may be smaller.
    fill
        ``mean`` (each channel's mean over the image), ``blur`` (the image itself, blurred) or ``blank`` (mid-grey).
    per_pixel
        True: the map at model pixels (images, size, size) instead of the token grid.
    """
    images, _, size, _ = features.pixels.shape
    cell = size // features.geometries[0].grid
    patch = 2 * cell if patch is None else patch
    stride = cell if stride is None else stride
    if not 1 <= stride <= patch <= size:
        raise MalformedInput(
            f"patch={patch}, stride={stride}: expected 1 <= stride <= patch <= {size} model pixels, so that no pixel "
            "is left out."
        )
    base = float(scores(model, generation, soft_rows(features), [target])[0, 0])
    hidden = windows(images, size, patch, stride)
    after = occluded_scores(model, features, generation, target, hidden, patch=patch, fill=fill, batch=batch)
    drops = np.zeros((images, size, size))
    covered = np.zeros((images, size, size))
    for (image, top, left), score in zip(hidden, after, strict=True):
        square = (image, slice(top, top + patch), slice(left, left + patch))
        drops[square] += base - score
        covered[square] += 1
    values = drops / covered
    return finished(
        values if per_pixel else _cell_means(values, features.geometries[0].grid),
        features,
        claim="relied_on",
        method="occlusion",
        target=target,
        units="nats",
        forwards=(len(hidden) + 1) * passes([target]),
        noise=FLOAT32_NATS,
    )


def windows(images: int, size: int, patch: int, stride: int) -> list[Window]:
    """Corners of the windows that cover every pixel, captum's rule: the last may reach over the edge."""
    steps = 1 + -(-(size - patch) // stride)
    corners = [step * stride for step in range(steps)]
    return [(image, top, left) for image in range(images) for top in corners for left in corners]


def occluded_scores(
    model: ExplainableModel,
    features: Features,
    generation: Generation,
    target: Target,
    hidden: list[Window],
    *,
    patch: int,
    fill: PixelFill,
    batch: int,
) -> NDArray[np.float64]:
    """The target's score with each window hidden, nats: float64 (windows,)."""
    filling = pixel_fill(features.pixels, fill, patch)
    parts = [
        scores(model, generation, _occluded_rows(model, features, filling, some, patch), [target], batch=batch)[:, 0]
        for some in _in_batches(hidden, batch)
    ]
    after: NDArray[np.float64] = torch.cat(parts).numpy()
    return after


def pixel_fill(pixels: torch.Tensor, fill: PixelFill, patch: int) -> torch.Tensor:
    """What stands in a hidden square, for every pixel: (images, 3, size, size)."""
    if fill != "blur":
        return perturb.pixel_fill(pixels, fill)
    spread = BLUR_SHARE * patch
    blurred = ndimage.gaussian_filter(pixels.float().cpu().numpy(), sigma=(0, 0, spread, spread), mode="nearest")
    return torch.from_numpy(blurred).to(pixels)


def _occluded_rows(
    model: ExplainableModel, features: Features, filling: torch.Tensor, some: list[Window], patch: int
) -> torch.Tensor:
    """Soft tokens (windows, images * cells, hidden); only the picture that a window hides from is encoded again."""
    pictures = torch.stack([features.pixels[image] for image, _, _ in some])
    for index, (image, top, left) in enumerate(some):
        square = (slice(None), slice(top, top + patch), slice(left, left + patch))
        pictures[index][square] = filling[image][square]
    with torch.no_grad():
        encoded = model.encode_pixels(pictures)
    rows = features.soft_tokens.detach().unsqueeze(0).repeat(len(some), 1, 1, 1)
    for index, (image, _, _) in enumerate(some):
        rows[index, image] = encoded[index]
    return rows.flatten(1, 2)


def _in_batches(hidden: list[Window], batch: int) -> Iterator[list[Window]]:
    for start in range(0, len(hidden), batch):
        yield hidden[start : start + batch]


def _cell_means(values: NDArray[np.float64], grid: int) -> NDArray[np.float64]:
    images, size, _ = values.shape
    cell = size // grid
    means: NDArray[np.float64] = values.reshape(images, grid, cell, grid, cell).mean(axis=(2, 4))
    return means


METHOD = describe(
    occlusion,
    claim="relied_on",
    en="Hides squares of pixels before the model looks, and measures what the words lose.",
    zh="在模型读图前遮挡像素方块，测量相应文字的概率损失。",
    cost="about cells + 1 forward passes and image encodes, batched",
    citation="Zeiler and Fergus 2014, arXiv 1311.2901",
    passes=lambda size: Passes(
        replays=size.targets * (size.cells * size.images + 1), encodes=size.targets * size.cells * size.images
    ),
    variants={"blur": {"fill": "blur"}, "blank": {"fill": "blank"}},
)
