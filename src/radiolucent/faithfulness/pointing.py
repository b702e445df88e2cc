"""Does a map point at the lesion? Hit, energy, rank AUC and chance, against a mask in source pixels.

Everything is judged on the map's own grid: the mask is carried to the grid as exact area coverage, so a lesion
smaller than a cell is not lost, and no smoothing of the map can win or lose a hit.

The rule of a hit: the map's highest cell is *reachable*, that is its coverage by the mask is at least half of the best
coverage any cell has. For a large lesion this asks for a cell at least half inside; for a nodule smaller than a cell
it asks for the cell that holds most of it. Only cells whose centre lies inside the picture are judged: padding, which
CheXlocalize cuts away too, is not. Ties share the hit, so a constant map scores exactly chance.

Sources: pointing game, Zhang et al. 2018 (Int J Comput Vis 126:1084) and CheXlocalize, Saporta et al. 2022 (Nat Mach
Intell 4:867), both with the coverage rule above in place of upsampling; energy, Wang et al. 2020 (Score-CAM).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from radiolucent.errors import MalformedInput
from radiolucent.faithfulness.cells import coverage, in_picture
from radiolucent.study.geometry import Geometry

REACHABLE = 0.5  # share of the best coverage from which a cell counts as a hit

Masks = NDArray[np.bool_] | Sequence[NDArray[np.bool_]]


def pointing_hit(values: NDArray[np.floating], mask: Masks, geometry: Geometry | Sequence[Geometry]) -> float:
    """1 where the map's highest cell is reachable, else 0; tied highest cells share the hit.

    Parameters
    ----------
    values
        Signed map (frames, g, g), or (g, g) for one frame.
    mask
        Bool (rows, cols) in source pixels; one for each frame.
    geometry
        One for each frame.

    Raises
    ------
    MalformedInput
        Where the shapes disagree, the mask is empty, or the map is not finite.
    """
    grid, covered = _on_grid(values, mask, geometry)
    peaks = grid == grid.max()
    return float(_reachable(covered)[peaks].mean())


def chance(mask: Masks, geometry: Geometry | Sequence[Geometry], *, grid: int | None = None) -> float:
    """Hit rate of a map that knows nothing: the share of judged cells that are reachable."""
    geometries = _listed(geometry)
    size = geometries[0].grid if grid is None else grid
    covered = np.stack([coverage(m, g, size) for m, g in zip(_masks(mask), geometries, strict=True)])
    inside = np.stack([in_picture(g, size) for g in geometries])
    _refuse_empty(covered)
    return float(_reachable(covered)[inside].mean())


def energy_in_mask(values: NDArray[np.floating], mask: Masks, geometry: Geometry | Sequence[Geometry]) -> float:
    """Share of the map's positive mass that falls inside the mask, each cell's mass spread evenly over the cell.

    A map without any positive value holds no mass inside the mask: 0. Arguments as in :func:`pointing_hit`.
    """
    grid, covered = _on_grid(values, mask, geometry)
    positive = np.clip(grid, 0, None)
    total = positive.sum()
    return float((positive * covered).sum() / total) if total > 0 else 0.0


def rank_auc(values: NDArray[np.floating], mask: Masks, geometry: Geometry | Sequence[Geometry]) -> float:
    """Chance that a reachable cell ranks above another judged cell (area under the ROC curve, ties count half).

    Arguments as in :func:`pointing_hit`; a mask that leaves no judged cell outside it is refused.
    """
    grid, covered = _on_grid(values, mask, geometry)
    inside = np.isfinite(grid)
    positive = _reachable(covered)
    hits, others = grid[inside & positive], grid[inside & ~positive]
    if others.size == 0:
        raise MalformedInput("The mask covers the whole picture; a rank AUC needs cells outside it.")
    ordered = np.sort(others)
    below = np.searchsorted(ordered, hits, side="left")
    not_above = np.searchsorted(ordered, hits, side="right")
    return float((below + not_above).mean() / (2 * others.size))


def _reachable(covered: NDArray[np.float64]) -> NDArray[np.bool_]:
    best: NDArray[np.bool_] = (covered > 0) & (covered >= REACHABLE * covered.max())
    return best


def _on_grid(
    values: NDArray[np.floating], mask: Masks, geometry: Geometry | Sequence[Geometry]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """The map as (frames, g, g) with -inf in the padding, and the mask's coverage of its cells."""
    maps = np.asarray(values, dtype=np.float64)
    maps = maps[None] if maps.ndim == 2 else maps
    geometries, masks = _listed(geometry), _masks(mask)
    if maps.ndim != 3 or maps.shape[1] != maps.shape[2] or not len(maps) == len(geometries) == len(masks):
        raise MalformedInput(
            f"A map of shape {maps.shape} with {len(masks)} masks and {len(geometries)} geometries; expected "
            "(frames, g, g) and one mask and geometry a frame."
        )
    if not np.isfinite(maps).all():
        raise MalformedInput("The map holds values that are not finite; it cannot be judged.")
    size = maps.shape[1]
    covered = np.stack([coverage(m, g, size) for m, g in zip(masks, geometries, strict=True)])
    _refuse_empty(covered)
    inside = np.stack([in_picture(g, size) for g in geometries])
    return np.where(inside, maps, -np.inf), covered


def _listed(geometry: Geometry | Sequence[Geometry]) -> list[Geometry]:
    return [geometry] if isinstance(geometry, Geometry) else list(geometry)


def _masks(mask: Masks) -> list[NDArray[np.bool_]]:
    if isinstance(mask, np.ndarray):
        return [mask] if mask.ndim == 2 else list(mask)
    return list(mask)


def _refuse_empty(covered: NDArray[np.float64]) -> None:
    if not covered.any():
        raise MalformedInput("The mask is empty; a map can only be judged against a lesion.")
