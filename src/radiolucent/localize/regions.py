"""A map to regions: which cells stand out, their boxes, contours, centre and peak, on the source's pixels.

Only positive values count (they support the target). The threshold rule is stated in the result. Boxes are made
of whole cells, because the map knows nothing finer; contours are lines of equal value between cell centres.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from skimage.filters import threshold_otsu
from skimage.measure import find_contours

from radiolucent.errors import MalformedInput
from radiolucent.study.geometry import Geometry

Rule = Literal["fraction_of_maximum", "otsu"]
Box = tuple[float, float, float, float]
Point = tuple[float, float]

EIGHT_NEIGHBOURS = np.ones((3, 3), dtype=int)


@dataclass(frozen=True, eq=False)
class Region:
    """A connected set of cells above the threshold.

    Parameters
    ----------
    box
        (x0, y0, x1, y1) in source pixels, cut to the film.
    centroid, peak
        (column, row) in source pixels: the centre of mass, and the centre of the highest cell.
    peak_cell
        (row, column) of the highest cell in the map.
    mass
        Share of the map's whole positive mass, 0 to 1.
    cells
        Number of map cells.
    contours
        Closed lines, each float64 (points, 2) as (column, row) in source pixels.
    """

    box: Box
    centroid: Point
    peak: Point
    peak_cell: tuple[int, int]
    mass: float
    cells: int
    contours: tuple[NDArray[np.float64], ...]


@dataclass(frozen=True, eq=False)
class Regions:
    """Regions of one map, largest mass first, and the rule that made them.

    Parameters
    ----------
    threshold
        In the map's own units; nan where nothing is positive.
    cells
        Bool (n, n): the cells above the threshold.
    """

    regions: tuple[Region, ...]
    rule: Rule
    fraction: float
    threshold: float
    cells: NDArray[np.bool_]

    def rule_text(self, language: str) -> str:
        """The rule in words."""
        if self.rule == "otsu":
            return "Otsu 法阈值" if language == "zh" else "cells above Otsu's threshold"
        percent = f"{self.fraction:.0%}"
        return f"不低于最大值的 {percent}" if language == "zh" else f"cells of at least {percent} of the maximum"


def find_regions(
    values: NDArray[np.floating],
    geometry: Geometry,
    rule: Rule = "fraction_of_maximum",
    fraction: float = 0.5,
    least_mass: float = 0.02,
) -> Regions:
    """Regions of a map over the padded square.

    Parameters
    ----------
    values
        float (n, n), any n; cells wholly in the padding are ignored.
    geometry
        Of the frame.
    rule
        ``fraction_of_maximum``: at least ``fraction`` of the highest cell. ``otsu``: above Otsu's threshold of the
        positive cells (the CheXlocalize protocol, Saporta et al. 2022).
    least_mass
        Regions that hold a smaller share of the positive mass are dropped; the one with the peak never is.

    Raises
    ------
    MalformedInput
        Where the map is not square and finite, or ``fraction`` is not in (0, 1].
    """
    positive = _positive(values, geometry)
    n = positive.shape[0]
    if not 0.0 < fraction <= 1.0:
        raise MalformedInput(f"A fraction of the maximum lies in (0, 1]; got {fraction}.")
    if rule not in ("fraction_of_maximum", "otsu"):
        raise MalformedInput(f"Threshold rule {rule!r} is unknown; use 'fraction_of_maximum' or 'otsu'.")
    total = float(positive.sum())
    if total <= 0.0:
        return Regions((), rule, fraction, float("nan"), np.zeros((n, n), dtype=bool))
    threshold = _threshold(positive, rule, fraction)
    above = (positive >= threshold) & (positive > 0)
    labels, count = ndimage.label(above, structure=EIGHT_NEIGHBOURS)
    on_map = geometry.for_model(max(geometry.model_size, n), n)
    highest = int(labels[np.unravel_index(int(np.argmax(positive)), positive.shape)])
    regions = [
        _region(positive, labels == number, on_map, threshold, total)
        for number in range(1, count + 1)
        if number == highest or float(positive[labels == number].sum()) >= least_mass * total
    ]
    regions.sort(key=lambda region: -region.mass)
    return Regions(tuple(regions), rule, fraction, threshold, above)


def peak_point(values: NDArray[np.floating], geometry: Geometry) -> Point | None:
    """(column, row) of the highest positive cell's centre in source pixels, or None where nothing is positive."""
    positive = _positive(values, geometry)
    if positive.max() <= 0:
        return None
    row, column = np.unravel_index(int(np.argmax(positive)), positive.shape)
    return _cell_centre(geometry, positive.shape[0], int(row), int(column))


def _positive(values: NDArray[np.floating], geometry: Geometry) -> NDArray[np.float64]:
    array = np.asarray(values, dtype=np.float64)
    if array.ndim != 2 or array.shape[0] != array.shape[1] or array.size == 0:
        raise MalformedInput(f"A map over the padded square is (n, n); got shape {array.shape}.")
    if not np.isfinite(array).all():
        raise MalformedInput("The map holds values that are not finite; it cannot be turned into regions.")
    return np.where(_on_film(geometry, array.shape[0]), np.maximum(array, 0.0), 0.0)


def _on_film(geometry: Geometry, n: int) -> NDArray[np.bool_]:
    """Cells that overlap the film: the rest lie in the padding."""
    edges = np.arange(n + 1) * geometry.edge / n
    left, top = geometry.offset
    columns = (edges[1:] > left) & (edges[:-1] < left + geometry.cols)
    rows = (edges[1:] > top) & (edges[:-1] < top + geometry.rows)
    result: NDArray[np.bool_] = rows[:, None] & columns[None, :]
    return result


def _threshold(positive: NDArray[np.float64], rule: Rule, fraction: float) -> float:
    if rule == "fraction_of_maximum":
        return fraction * float(positive.max())
    above_zero = positive[positive > 0]
    if np.ptp(above_zero) == 0:
        return float(above_zero[0])
    return float(threshold_otsu(above_zero)) + np.finfo(float).tiny


def _region(
    positive: NDArray[np.float64], inside: NDArray[np.bool_], on_map: Geometry, threshold: float, total: float
) -> Region:
    n = positive.shape[0]
    rows, columns = np.nonzero(inside)
    weights = positive[inside]
    (x0, y0), (x1, y1) = on_map.from_grid(
        np.array([[columns.min(), rows.min()], [columns.max() + 1, rows.max() + 1]], dtype=np.float64)
    )
    box = _cut(on_map, (float(x0), float(y0), float(x1), float(y1)))
    centre = on_map.from_grid(
        np.array([np.average(columns + 0.5, weights=weights), np.average(rows + 0.5, weights=weights)])
    )
    peak = int(np.argmax(weights))
    cell = int(rows[peak]), int(columns[peak])
    return Region(
        box,
        (float(np.clip(centre[0], 0, on_map.cols)), float(np.clip(centre[1], 0, on_map.rows))),
        _cell_centre(on_map, n, *cell),
        cell,
        float(weights.sum()) / total,
        int(inside.sum()),
        _contours(positive, inside, on_map, threshold),
    )


def _contours(
    positive: NDArray[np.float64], inside: NDArray[np.bool_], on_map: Geometry, threshold: float
) -> tuple[NDArray[np.float64], ...]:
    """Lines of equal value around one region; the other regions are lowered out of the way first."""
    near = ndimage.binary_dilation(inside, structure=EIGHT_NEIGHBOURS)
    alone = np.where(inside | (near & (positive < threshold)), positive, 0.0)
    padded = np.pad(alone, 1)  # so that a region on the map's edge still closes
    level = threshold * (1 - 1e-9)
    lines = []
    for line in find_contours(padded, level):
        points = on_map.from_grid(np.stack([line[:, 1] - 0.5, line[:, 0] - 0.5], axis=1))
        lines.append(np.stack([points[:, 0].clip(0, on_map.cols), points[:, 1].clip(0, on_map.rows)], axis=1))
    return tuple(lines)


def _cell_centre(geometry: Geometry, n: int, row: int, column: int) -> Point:
    on_map = geometry.for_model(max(geometry.model_size, n), n)
    x, y = on_map.from_grid(np.array([column + 0.5, row + 0.5]))
    return float(np.clip(x, 0, geometry.cols)), float(np.clip(y, 0, geometry.rows))


def _cut(geometry: Geometry, box: Box) -> Box:
    x0, y0, x1, y1 = box
    return max(x0, 0.0), max(y0, 0.0), min(x1, float(geometry.cols)), min(y1, float(geometry.rows))
