"""Maps, cells and scores as the metrics take them; what does not fit is refused, never bent into shape."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from radiolucent.errors import MalformedInput

Cells = NDArray[np.bool_]
"""Bool (frames, g, g), or (n, frames, g, g) for n sets of cells."""

ScoreHidden = Callable[[Cells], NDArray[np.float64]]
"""Hidden cells (n, frames, g, g) -> score of the words with each set hidden, (n,); higher where they are likelier.

All a perturbation metric knows of the model: the caller decides what stands in a hidden cell, and in what batches.
"""


def checked_map(values: NDArray[np.floating], inside: Cells | None = None) -> tuple[NDArray[np.float64], Cells]:
    """A map as float64 (frames, g, g) and the cells that count, as bool of the same shape.

    Parameters
    ----------
    values
        Signed map (frames, g, g), or (g, g) for one frame; positive speaks for the target.
    inside
        Cells that count (in the picture, not padding); every cell where None.

    Raises
    ------
    MalformedInput
        Where the shape is another, the shapes disagree, no cell counts, or a value that counts is not finite.
    """
    maps = np.asarray(values, dtype=np.float64)
    maps = maps[None] if maps.ndim == 2 else maps
    if maps.ndim != 3 or maps.shape[1] != maps.shape[2] or maps.size == 0:
        raise MalformedInput(f"A map of shape {np.shape(values)}; expected (frames, g, g) or (g, g).")
    cells = np.ones(maps.shape, dtype=bool) if inside is None else np.asarray(inside, dtype=bool)
    cells = cells[None] if cells.ndim == 2 else cells
    if cells.shape != maps.shape:
        raise MalformedInput(f"A map of shape {maps.shape} and cells of shape {cells.shape}; expected the same.")
    if not cells.any():
        raise MalformedInput("No cell of the map lies inside the picture; there is nothing to judge.")
    if not np.isfinite(maps[cells]).all():
        raise MalformedInput("The map holds values that are not finite; it cannot be judged.")
    return maps, cells


def checked_scores(score: ScoreHidden, hidden: Cells) -> NDArray[np.float64]:
    """The scores (n,) of ``hidden`` (n, frames, g, g), refused where they are not n finite numbers."""
    given = np.asarray(score(hidden), dtype=np.float64)
    if given.shape != (len(hidden),):
        raise MalformedInput(
            f"{len(hidden)} sets of hidden cells gave scores of shape {given.shape}; expected one each."
        )
    if not np.isfinite(given).all():
        raise MalformedInput(
            f"{int((~np.isfinite(given)).sum())} of {len(given)} scores are not finite; a log-probability of 0 or NaN "
            "cannot be compared."
        )
    return given
