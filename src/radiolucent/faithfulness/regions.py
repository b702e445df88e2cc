"""The region that a map points at, and control regions of the same shape that know nothing."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from radiolucent.errors import MalformedInput

PEAK_SHARE = 0.5  # cells at least half as high as the peak make the region
LARGEST_SHARE = 0.15  # of the picture's cells; above it too few controls fit beside the region
BUFFER = 1  # cells around each chosen cell
TRIES = 200  # placements tried for each control asked for

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


def control_regions(region: Region, inside: Region, *, count: int, seed: int = 0) -> list[Region]:
    """Random regions of the same shape and area, none touching the region.

    Each connected part of the region is moved as it is to a random place in a random frame, inside the picture, clear
    of the region and of the parts placed before it; so a region in one piece gives translated copies.

    Returns
    -------
    Up to ``count`` different regions; fewer where no more could be placed.
    """
    parts = _parts(region)
    if not parts:
        raise MalformedInput("The region is empty; controls need a shape to copy.")
    draw = np.random.default_rng(seed)
    free = inside & ~region
    found: dict[bytes, Region] = {}
    for _ in range(count * TRIES):
        if len(found) == count:
            break
        control = _placed(parts, free, draw)
        if control is not None:
            found.setdefault(control.tobytes(), control)
    return list(found.values())


def centre_region(prior: NDArray[np.floating], inside: Region, cells: int) -> Region:
    """The ``cells`` highest cells of a centre prior inside the picture."""
    order = np.argsort(-np.where(inside, prior, -np.inf), axis=None, kind="stable")[:cells]
    region = np.zeros(inside.size, dtype=bool)
    region[order] = True
    return region.reshape(inside.shape)


def _parts(region: Region) -> list[NDArray[np.int64]]:
    """Cells (n, 2) of every connected part (edges and corners), moved to the corner, largest first."""
    parts = []
    for frame in region:
        labels, number = ndimage.label(frame, structure=np.ones((3, 3)))
        for index in range(1, number + 1):
            cells = np.argwhere(labels == index)
            parts.append(cells - cells.min(axis=0))
    return sorted(parts, key=len, reverse=True)


def _placed(parts: list[NDArray[np.int64]], free: Region, draw: np.random.Generator) -> Region | None:
    """One control, or None where a part found no free place."""
    control = np.zeros_like(free)
    frames, rows, columns = free.shape
    for cells in parts:
        height, width = cells.max(axis=0) + 1
        room = free & ~control
        # every shift at which all of the part's cells are free: an erosion, written out
        fits = np.ones((frames, rows - height + 1, columns - width + 1), dtype=bool)
        for row, column in cells:
            fits &= room[:, row : row + fits.shape[1], column : column + fits.shape[2]]
        places = np.argwhere(fits)
        if not len(places):
            return None
        frame, top, left = places[draw.integers(len(places))]
        control[frame, cells[:, 0] + top, cells[:, 1] + left] = True
    return control
