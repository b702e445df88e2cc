"""How much of the lesion does a map's region share? Intersection over union, and the most that the grid allows.

Areas are exact in source pixels: a cell adds to the union only what of it lies in the picture (padding is cut away, as
CheXlocalize does), so every figure equals the one counted over the pixels of the map drawn in flat cells.

One cell of a 16 x 16 grid is 2.2 cm on a 35 cm field: no set of cells can outline a small nodule. Report IoU beside
its ceiling, or divided by it.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from radiolucent.attribution.cells import coverage
from radiolucent.errors import MalformedInput
from radiolucent.faithfulness.metrics.inputs import Cells
from radiolucent.faithfulness.pointing import Masks, judged
from radiolucent.study.geometry import Geometry


def iou_of_cells(cells: Cells, mask: Masks, geometry: Geometry | Sequence[Geometry]) -> float:
    """IoU of a set of cells, bool (frames, g, g) or (g, g), with the mask; arguments as in :func:`iou_best`."""
    chosen, masks, geometries = judged(np.asarray(cells, dtype=np.float64), mask, geometry)
    lesion, picture = areas(masks, geometries, chosen.shape[1])
    return _iou(chosen > 0, lesion, picture)


def iou_otsu(values: NDArray[np.floating], mask: Masks, geometry: Geometry | Sequence[Geometry]) -> float:
    """IoU of the cells above Otsu's threshold, each weighted by its area in the picture.

    Values below 0 speak against the finding and count as 0, as Grad-CAM's do in CheXlocalize. A map without a
    positive value names no region: 0. A map with one value everywhere cannot be split and names the whole picture.
    Arguments and errors as in :func:`iou_best`.

    References
    ----------
    Otsu 1979, IEEE Trans SMC 9:62; CheXlocalize, Saporta et al. 2022 (Nat Mach Intell 4:867), which thresholds so.
    """
    maps, masks, geometries = judged(values, mask, geometry)
    lesion, picture = areas(masks, geometries, maps.shape[1])
    shown = picture > 0
    positive = np.where(shown, np.clip(maps, 0, None), 0.0)
    if not positive.any():
        return 0.0
    return _iou(shown & (positive > otsu(positive[shown], picture[shown])), lesion, picture)


def otsu(values: NDArray[np.float64], weights: NDArray[np.float64]) -> float:
    """Otsu's threshold of weighted values: those above it and those not differ the most between the classes.

    Over the distinct values themselves, not a histogram of them: 256 cells need no bins.

    Parameters
    ----------
    values, weights
        (n,); the weights positive.

    Returns
    -------
    The highest value of the lower class; below every value, so that all are above it, where there is only one value.
    """
    levels, index = np.unique(values, return_inverse=True)
    if len(levels) == 1:
        return -np.inf
    share = np.bincount(index, weights=weights) / weights.sum()
    below = np.cumsum(share)[:-1]
    mass = np.cumsum(share * levels)
    between = (mass[-1] * below - mass[:-1]) ** 2 / (below * (1 - below))
    return float(levels[np.argmax(between)])


def iou_best(values: NDArray[np.floating], mask: Masks, geometry: Geometry | Sequence[Geometry]) -> float:
    """The highest IoU that any threshold on the map reaches: what the cells' order alone is worth.

    The threshold is chosen with the mask in sight, so this flatters every map alike; it is for telling a wrong order
    from a wrong threshold, never a headline.

    Parameters
    ----------
    values
        Signed map (frames, g, g), or (g, g) for one frame.
    mask
        Bool (rows, cols) in source pixels; one for each frame.
    geometry
        One for each frame.

    Returns
    -------
    At most :func:`iou_ceiling`, and equal to it where the map orders cells as the mask covers them; a constant map
    scores the mask's share of the picture.

    Raises
    ------
    MalformedInput
        Where the shapes disagree, the mask is empty, or the map is not finite.
    """
    maps, masks, geometries = judged(values, mask, geometry)
    lesion, picture = areas(masks, geometries, maps.shape[1])
    shown = picture > 0
    return _best_prefix(maps[shown], lesion[shown], picture[shown])


def iou_ceiling(mask: Masks, geometry: Geometry | Sequence[Geometry], *, grid: int | None = None) -> float:
    """The highest IoU that any set of the grid's cells reaches.

    Exact: with m the mask's area, and a cell holding a of it and p of the picture, the IoU of a set is
    sum(a) / (m + sum(p - a)); at the best value t a cell belongs in the set if a > t (p - a), that is if a / p exceeds
    a bound. So the best set is one of the first cells in order of a / p (Dinkelbach 1967, Manage Sci 13:492).

    Parameters
    ----------
    grid
        Cells along an edge; the geometry's own where None.
    """
    geometries = [geometry] if isinstance(geometry, Geometry) else list(geometry)
    size = geometries[0].grid if grid is None else grid
    _, masks, _ = judged(np.zeros((len(geometries), size, size)), mask, geometries)
    lesion, picture = areas(masks, geometries, size)
    shown = picture > 0
    return _best_prefix(lesion[shown] / picture[shown], lesion[shown], picture[shown])


def areas(
    masks: Sequence[NDArray[np.bool_]], geometries: Sequence[Geometry], grid: int
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Area of the mask, and of the picture, in each cell; float64 (frames, grid, grid) in source pixels."""
    lesion, picture = [], []
    for mask, geometry in zip(masks, geometries, strict=True):
        cell = (geometry.edge / grid) ** 2
        lesion.append(coverage(mask, geometry, grid) * cell)
        whole = coverage(np.ones((geometry.rows, geometry.cols), dtype=bool), geometry, grid)
        picture.append(np.where(whole > 1e-9, whole, 0.0) * cell)  # a rounding error is no picture
    if not any(np.any(mask) for mask in masks):
        raise MalformedInput("The mask is empty; a map can only be judged against a lesion.")
    return np.stack(lesion), np.stack(picture)


def _iou(chosen: Cells, lesion: NDArray[np.float64], picture: NDArray[np.float64]) -> float:
    shared = lesion[chosen].sum()
    return float(shared / (lesion.sum() + picture[chosen].sum() - shared))


def _best_prefix(scores: NDArray[np.float64], lesion: NDArray[np.float64], picture: NDArray[np.float64]) -> float:
    """Best IoU of the cells at or above any of the scores."""
    order = np.argsort(-scores, kind="stable")
    last_of_tie = np.append(np.diff(scores[order]) != 0, True)
    shared = np.cumsum(lesion[order])
    union = lesion.sum() + np.cumsum(picture[order]) - shared
    return float((shared / union)[last_of_tie].max())
