"""Source pixels carried to the map's grid by exact area, padding kept apart."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from radiolucent.study.geometry import Geometry


def coverage(mask: NDArray[np.bool_], geometry: Geometry, grid: int | None = None) -> NDArray[np.float64]:
    """Share of each cell's area that the mask covers, exact for cells that cut pixels.

    Parameters
    ----------
    mask
        Bool (rows, cols) in source pixels.
    grid
        Cells along an edge; the geometry's own where None.

    Returns
    -------
    float64 (grid, grid) in [0, 1]
    """
    size = geometry.grid if grid is None else grid
    padded = geometry.pad(np.asarray(mask, dtype=np.float64)).astype(np.float64)
    covered: NDArray[np.float64] = cell_means(padded, size).clip(0, 1)
    return covered


def in_picture(geometry: Geometry, grid: int | None = None) -> NDArray[np.bool_]:
    """Bool (grid, grid): cells whose centre lies in the picture and not in the padding."""
    size = geometry.grid if grid is None else grid
    centres = (np.arange(size) + 0.5) * geometry.edge / size
    left, top = geometry.offset
    columns = (centres >= left) & (centres < left + geometry.cols)
    rows = (centres >= top) & (centres < top + geometry.rows)
    return rows[:, None] & columns[None, :]


def cell_means(square: NDArray[np.float64], grid: int) -> NDArray[np.float64]:
    """Area mean of an (edge, edge) picture in (grid, grid) cells, exact where cells cut pixels."""
    edge = square.shape[0]
    bounds = np.arange(grid + 1) * edge / grid
    starts = np.arange(edge)
    # (grid, edge): length of each pixel that lies in each cell
    overlap = (np.minimum(bounds[1:, None], starts + 1) - np.maximum(bounds[:-1, None], starts)).clip(0, None)
    means: NDArray[np.float64] = overlap @ square @ overlap.T * (grid / edge) ** 2
    return means
