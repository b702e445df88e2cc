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

from radiolucent.attribution.cells import coverage, in_picture
from radiolucent.errors import MalformedInput
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
    grid, covered = on_grid(values, mask, geometry)
    peaks = grid == grid.max()
    return float(reachable(covered)[peaks].mean())


def chance(mask: Masks, geometry: Geometry | Sequence[Geometry], *, grid: int | None = None) -> float:
    """Hit rate of a map that knows nothing: the share of judged cells that are reachable."""
    geometries = _listed(geometry)
    size = geometries[0].grid if grid is None else grid
    covered, inside = _covered(_masks(mask), geometries, size)
    return float(reachable(covered)[inside].mean())


def energy_in_mask(values: NDArray[np.floating], mask: Masks, geometry: Geometry | Sequence[Geometry]) -> float:
    """Share of the map's positive mass that falls inside the mask, each cell's mass spread evenly over the cell.

    A map without any positive value holds no mass inside the mask: 0. Arguments as in :func:`pointing_hit`.
    """
    grid, covered = on_grid(values, mask, geometry)
    positive = np.clip(grid, 0, None)
    total = positive.sum()
    return float((positive * covered).sum() / total) if total > 0 else 0.0


def rank_auc(values: NDArray[np.floating], mask: Masks, geometry: Geometry | Sequence[Geometry]) -> float:
    """Chance that a reachable cell ranks above another judged cell (area under the ROC curve, ties count half).

    Arguments as in :func:`pointing_hit`; a mask that leaves no judged cell outside it is refused.
    """
    grid, covered = on_grid(values, mask, geometry)
    inside = np.isfinite(grid)
    positive = reachable(covered)
    hits, others = grid[inside & positive], grid[inside & ~positive]
    if others.size == 0:
        raise MalformedInput("The mask covers the whole picture; a rank AUC needs cells outside it.")
    return ranked_above(hits, others)


def ranked_above(hits: NDArray[np.float64], others: NDArray[np.float64]) -> float:
    """Chance that one of ``hits`` is higher than one of ``others``, ties counted half: the area under the ROC curve."""
    ordered = np.sort(others)
    below = np.searchsorted(ordered, hits, side="left")
    not_above = np.searchsorted(ordered, hits, side="right")
    return float((below + not_above).mean() / (2 * others.size))


def reachable(covered: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Cells whose coverage is at least ``REACHABLE`` of the best: the cells that count as the lesion."""
    best: NDArray[np.bool_] = (covered > 0) & (covered >= REACHABLE * covered.max())
    return best


def on_grid(
    values: NDArray[np.floating], mask: Masks, geometry: Geometry | Sequence[Geometry]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """The map as float64 (frames, g, g) with -inf in the padding, and the mask's coverage of its cells, 0 there.

    Arguments and errors as in :func:`pointing_hit`.
    """
    maps, masks, geometries = judged(values, mask, geometry)
    covered, inside = _covered(masks, geometries, maps.shape[1])
    return np.where(inside, maps, -np.inf), covered


def judged(
    values: NDArray[np.floating], mask: Masks, geometry: Geometry | Sequence[Geometry]
) -> tuple[NDArray[np.float64], list[NDArray[np.bool_]], list[Geometry]]:
    """The map as float64 (frames, g, g), and a mask and a geometry for each frame; refused where they do not fit."""
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
    return maps, masks, geometries


def _listed(geometry: Geometry | Sequence[Geometry]) -> list[Geometry]:
    return [geometry] if isinstance(geometry, Geometry) else list(geometry)


def _masks(mask: Masks) -> list[NDArray[np.bool_]]:
    if isinstance(mask, np.ndarray):
        return [mask] if mask.ndim == 2 else list(mask)
    return list(mask)


def _covered(
    masks: Sequence[NDArray[np.bool_]], geometries: Sequence[Geometry], size: int
) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """The mask's coverage of the judged cells, 0 elsewhere, and which cells are judged; both (frames, size, size)."""
    if not any(np.any(mask) for mask in masks):
        raise MalformedInput("The mask is empty; a map can only be judged against a lesion.")
    inside = np.stack([in_picture(geometry, size) for geometry in geometries])
    covered = np.stack([coverage(m, g, size) for m, g in zip(masks, geometries, strict=True)])
    covered = np.where(inside, covered, 0.0)
    if not covered.any():
        raise MalformedInput(
            "The mask lies at the picture's edge, in cells whose centre is padding; no judged cell holds any of it. "
            "Use a finer grid."
        )
    return covered, inside
