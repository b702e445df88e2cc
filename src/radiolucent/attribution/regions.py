"""The region that a map points at."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from radiolucent.errors import MalformedInput

PEAK_SHARE = 0.5  # cells at least half as high as the peak make the region
LARGEST_SHARE = 0.15  # of the picture's cells; above it too few controls fit beside the region
BUFFER = 1  # cells around each chosen cell

Region = NDArray[np.bool_]  # (frames, g, g)


def top_region(
    values: NDArray[np.floating],
    inside: Region,
    *,
    peak_share: float = PEAK_SHARE,
    largest_share: float = LARGEST_SHARE,
    buffer: int = BUFFER,
) -> Region:
    """The map's highest cells, at least ``peak_share`` as high as the peak, each with a buffer of cells around it.

    Cells enter from the highest down for as long as the region with its buffer stays within ``largest_share`` of the
    picture's cells. A grid so coarse that one cell with its buffer is too large goes without a buffer.

    Parameters
    ----------
    values
        Signed map (frames, g, g); only positive cells can enter.
    inside
        Bool (frames, g, g): cells that may be hidden (in the picture, not padding).
    buffer
        Cells hidden on every side of a chosen cell: the vision tower spreads what it saw to the neighbours, so hiding
        a cell alone hides little (Neo et al. 2025, arXiv 2410.07149, use one).

    Returns
    -------
    Bool (frames, g, g); empty where no cell inside is positive.
    """
    if values.shape != inside.shape:
        raise MalformedInput(f"A map of shape {values.shape} and cells of shape {inside.shape}; expected the same.")
    eligible = np.where(inside, values, 0.0).astype(np.float64)
    region = np.zeros(values.shape, dtype=bool)
    peak = float(eligible.max())
    if peak <= 0:
        return region
    most = max(1, int(largest_share * inside.sum()))
    if (2 * buffer + 1) ** 2 > most:
        buffer = 0
    order = np.argsort(-eligible, axis=None, kind="stable")[:most]
    for frame, row, column in zip(*np.unravel_index(order, values.shape), strict=True):
        if eligible[frame, row, column] < peak_share * peak:
            break
        grown = region.copy()
        grown[
            frame,
            max(0, row - buffer) : row + buffer + 1,
            max(0, column - buffer) : column + buffer + 1,
        ] = True
        grown &= inside
        if grown.sum() > most:
            break
        region = grown
    return region


def centre_region(prior: NDArray[np.floating], inside: Region, cells: int) -> Region:
    """The ``cells`` highest cells of a centre prior inside the picture."""
    order = np.argsort(-np.where(inside, prior, -np.inf), axis=None, kind="stable")[:cells]
    region = np.zeros(inside.size, dtype=bool)
    region[order] = True
    return region.reshape(inside.shape)


def connected_parts(region: Region) -> list[Region]:
    """The region's connected parts (edges and corners), each as a region of its own, largest first."""
    parts = []
    for frame, cells in enumerate(region):
        labels, number = ndimage.label(cells, structure=np.ones((3, 3)))
        for index in range(1, number + 1):
            part = np.zeros_like(region)
            part[frame] = labels == index
            parts.append(part)
    return sorted(parts, key=lambda part: int(part.sum()), reverse=True)
