"""Outlines and boxes filled: a pixel belongs to a shape where its centre does.

Points are (column, row) as in :mod:`radiolucent.study.geometry` and in COCO: (0, 0) is the top-left corner of the
top-left pixel, whose centre is (0.5, 0.5).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from radiolucent.errors import MalformedInput

OUTSIDE = 1.0  # pixels that an outline may run past the film's edge: annotators' tools round and snap
MAX_CROSSINGS = 50_000_000  # edges times rows that they cross; no drawn outline comes near


def fill_outlines(outlines: Sequence[NDArray[np.float64]], size: tuple[int, int]) -> NDArray[np.bool_]:
    """The union of filled outlines.

    Parameters
    ----------
    outlines
        Each (n, 2) as (column, row), closed from its last to its first point. An outline that crosses itself is
        filled by the even-odd rule.
    size
        (rows, cols).
    """
    mask = np.zeros(size, dtype=bool)
    for points in outlines:
        top, left, filled = _filled(points, size)
        mask[top : top + filled.shape[0], left : left + filled.shape[1]] |= filled
    return mask


def check_outline(points: NDArray[np.float64], size: tuple[int, int], where: str) -> None:
    """Refuse an outline that is no area of the film.

    Raises
    ------
    MalformedInput
        Fewer than three points, a point more than ``OUTSIDE`` pixels off the film, no pixel inside, or too many
        points to be drawn.
    """
    rows, cols = size
    if len(points) < 3:
        raise MalformedInput(f"{where}: an outline of {len(points)} points encloses nothing; expected at least 3.")
    low, high = points.min(axis=0), points.max(axis=0)
    if low.min() < -OUTSIDE or high[0] > cols + OUTSIDE or high[1] > rows + OUTSIDE:
        raise MalformedInput(
            f"{where}: an outline reaches from column {low[0]:g}, row {low[1]:g} to column {high[0]:g}, row "
            f"{high[1]:g} on a film of {cols} columns and {rows} rows; it was drawn on another picture or scale."
        )
    if not _filled(points, size, where)[2].any():
        raise MalformedInput(f"{where}: an outline holds no pixel's centre; delete it, or draw it larger.")


def fill_box(box: tuple[float, float, float, float], size: tuple[int, int]) -> NDArray[np.bool_]:
    """A filled box.

    Parameters
    ----------
    box
        (x, y, width, height) as COCO has it.
    size
        (rows, cols).
    """
    x, y, width, height = box
    return fill_outlines([np.array([[x, y], [x + width, y], [x + width, y + height], [x, y + height]])], size)


def check_box(box: tuple[float, float, float, float], size: tuple[int, int], where: str) -> None:
    """Refuse a box without area, off the film, or between the pixels' centres; see :func:`check_outline`."""
    x, y, width, height = box
    if width <= 0 or height <= 0:
        raise MalformedInput(f"{where}: a box of {width:g} x {height:g} pixels holds nothing; delete or redraw it.")
    check_outline(np.array([[x, y], [x + width, y], [x + width, y + height], [x, y + height]]), size, where)


def _filled(
    points: NDArray[np.float64], size: tuple[int, int], where: str = "An annotation"
) -> tuple[int, int, NDArray[np.bool_]]:
    """(top, left) and the filled part of the film around an outline, by the even-odd rule."""
    rows, cols = size
    top, bottom = _centres(points[:, 1].min(), points[:, 1].max(), rows)
    left, right = _centres(points[:, 0].min(), points[:, 0].max(), cols)
    height, width = max(0, bottom - top), max(0, right - left)
    if height == 0 or width == 0:
        return top, left, np.zeros((height, width), dtype=bool)
    x0, y0 = points.T
    x1, y1 = np.roll(points, -1, axis=0).T
    # An edge crosses the rows whose centres lie in [its upper end, its lower end): a corner counts once.
    first = np.ceil(np.minimum(y0, y1) - 0.5).clip(top, bottom).astype(np.int64)
    last = np.ceil(np.maximum(y0, y1) - 0.5).clip(top, bottom).astype(np.int64)
    crossed = last - first
    if crossed.sum() > MAX_CROSSINGS:
        raise MalformedInput(f"{where}: an outline of {len(points)} points is too long to be drawn; simplify it.")
    edge = np.repeat(np.arange(len(points)), crossed)
    row = np.arange(crossed.sum()) - np.repeat(np.cumsum(crossed) - crossed, crossed) + first[edge]
    x = x0[edge] + (row + 0.5 - y0[edge]) * (x1[edge] - x0[edge]) / (y1[edge] - y0[edge])
    # From its crossing to the right, each edge turns the pixels over.
    column = np.ceil(x - 0.5).clip(left, right).astype(np.int64)
    flips = np.bincount((row - top) * (width + 1) + column - left, minlength=height * (width + 1))
    turned = (flips.reshape(height, width + 1)[:, :width] % 2).astype(bool)
    return top, left, np.logical_xor.accumulate(turned, axis=1)


def _centres(low: float, high: float, count: int) -> tuple[int, int]:
    """[first, last) of the pixels whose centres lie in [low, high], within 0 to ``count``."""
    return int(np.clip(np.ceil(low - 0.5), 0, count)), int(np.clip(np.floor(high - 0.5) + 1, 0, count))
