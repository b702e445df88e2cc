"""A film, and maps laid on it through its geometry: never stretched, the padded square cut back to the film."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import cast

import matplotlib
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw
from scipy import ndimage

from radiolucent.attribution.cells import cell_means, in_picture
from radiolucent.attribution.regions import top_region
from radiolucent.attribution.types import AttributionMap, Claim
from radiolucent.report.typeface import Style, text_image
from radiolucent.study.geometry import Geometry
from radiolucent.study.types import Frame

ACCENT = (255, 180, 84)
BOX_LINE = (240, 243, 246)
HALO = (8, 10, 12)
FULL_ALPHA = 0.45  # share of the strongest value at which the overlay hides the film, as in the web viewer
FILM_GREY = 62  # grey behind a colour bar, as behind an overlay on a lung field


@dataclass(frozen=True)
class Placement:
    """Where a film lies on a page.

    Parameters
    ----------
    x, y, width, height
        Page pixels. The film keeps its shape: ``width / cols == height / rows`` up to rounding.
    """

    x: int
    y: int
    width: int
    height: int
    geometry: Geometry

    def to_page(self, points: NDArray[np.floating]) -> NDArray[np.float64]:
        """Source points (..., 2) as (column, row) to page pixels."""
        scale = np.array([self.width / self.geometry.cols, self.height / self.geometry.rows])
        placed: NDArray[np.float64] = np.asarray(points, dtype=np.float64) * scale + (self.x, self.y)
        return placed


@dataclass(frozen=True)
class Range:
    """What the ends of a colour bar mean."""

    low: float
    high: float
    signed: bool


def place(geometry: Geometry, x: int, y: int, width: int, height: int) -> Placement:
    """The largest placement of a film inside a box, centred."""
    scale = min(width / geometry.cols, height / geometry.rows)
    wide, high = max(1, round(geometry.cols * scale)), max(1, round(geometry.rows * scale))
    return Placement(x + (width - wide) // 2, y + (height - high) // 2, wide, high, geometry)


def film(frame: Frame, width: int, height: int) -> Image.Image:
    """The frame as displayed, RGB, at a size."""
    grey = np.rint(frame.picture().clip(0, 1) * 255).astype(np.uint8)
    image = Image.fromarray(grey).convert("RGB")
    method = Image.Resampling.LANCZOS if width < image.width else Image.Resampling.BICUBIC
    return image.resize((width, height), method)


def sampled(
    values: NDArray[np.floating], geometry: Geometry, width: int, height: int, smooth: bool
) -> NDArray[np.float64]:
    """A map over the padded square read at the pixels of a film drawn ``width`` by ``height``.

    Parameters
    ----------
    values
        (n, n) over the padded square.
    smooth
        Bilinear between cell centres, else flat cells.

    Returns
    -------
    float64 (height, width)
    """
    size = values.shape[0]
    columns = (np.arange(width) + 0.5) * geometry.cols / width
    rows = (np.arange(height) + 0.5) * geometry.rows / height
    across = geometry.to_grid(np.stack([columns, np.zeros(width)], axis=-1))[:, 0] * (size / geometry.grid)
    down = geometry.to_grid(np.stack([np.zeros(height), rows], axis=-1))[:, 1] * (size / geometry.grid)
    if smooth and size <= 2 * geometry.grid:
        points = np.meshgrid(down - 0.5, across - 0.5, indexing="ij")
        return cast(
            NDArray[np.float64],
            ndimage.map_coordinates(np.asarray(values, dtype=np.float64), points, order=1, mode="nearest"),
        )
    cells = np.ix_(down.astype(int).clip(0, size - 1), across.astype(int).clip(0, size - 1))
    return np.asarray(values, dtype=np.float64)[cells]


def value_range(values: NDArray[np.floating]) -> Range:
    """From zero to the maximum, or symmetric about zero where anything is negative."""
    low, high = min(0.0, float(values.min())), max(0.0, float(values.max()))
    if low < 0:
        reach = max(high, -low)
        return Range(-reach, reach, True)
    return Range(0.0, high, False)


def tint(image: Image.Image, values: NDArray[np.floating], claim: Claim, span: Range) -> Image.Image:
    """Colour a film by values sampled at its pixels; where there is nothing the film stays as it is."""
    unit = np.zeros(values.shape) if span.high <= span.low else (values - span.low) / (span.high - span.low)
    if span.high <= span.low and span.signed:
        unit += 0.5
    unit = unit.clip(0, 1)
    colours = _palette(claim, span.signed)[np.rint(unit * 255).astype(int)]
    alpha = _alpha(unit, span.signed)[..., None]
    grey = np.asarray(image, dtype=np.float64)
    return Image.fromarray(np.rint(grey * (1 - alpha) + colours * alpha).astype(np.uint8))


def colour_bar(claim: Claim, signed: bool, width: int, height: int) -> Image.Image:
    """The colours of :func:`tint` from the low to the high end, over a film's grey."""
    unit = np.tile(np.linspace(0, 1, width), (height, 1))
    grey = Image.new("RGB", (width, height), (FILM_GREY,) * 3)
    span = Range(-1.0, 1.0, True) if signed else Range(0.0, 1.0, False)
    return tint(grey, unit * (span.high - span.low) + span.low, claim, span)


def region_of(attribution: AttributionMap) -> NDArray[np.bool_]:
    """The region that a map points at, by the rule that its grade tests: bool (frames, g, g) on the token grid."""
    grids = [geometry.grid for geometry in attribution.geometry]
    values = np.stack([_on_grid(frame, grid) for frame, grid in zip(attribution.values, grids, strict=True)])
    inside = np.stack([in_picture(geometry) for geometry in attribution.geometry])
    return top_region(values, inside)


def draw_region(
    draw: ImageDraw.ImageDraw, region: NDArray[np.bool_], spot: Placement, thick: int, boxes: bool = True
) -> None:
    """Outline of a region's cells along the grid's own lines, and a dashed box around each connected part."""
    grid = region.shape[0]
    padded = np.pad(region, 1)
    edges: list[tuple[tuple[int, int], tuple[int, int]]] = []
    for row, column in np.argwhere(region):
        here = (row + 1, column + 1)
        for (down, right), ends in {
            (-1, 0): ((column, row), (column + 1, row)),
            (1, 0): ((column, row + 1), (column + 1, row + 1)),
            (0, -1): ((column, row), (column, row + 1)),
            (0, 1): ((column + 1, row), (column + 1, row + 1)),
        }.items():
            if not padded[here[0] + down, here[1] + right]:
                edges.append(ends)
    lines = [_clip(spot, _grid_points(spot.geometry, grid, ends)) for ends in edges]
    for colour, width in ((HALO, thick + 2 * max(1, thick // 2)), (ACCENT, thick)):
        near, far = width // 2, width - width // 2 - 1
        for (x0, y0), (x1, y1) in lines:  # edges run along the axes: bars with square ends meet in clean corners
            draw.rectangle((min(x0, x1) - near, min(y0, y1) - near, max(x0, x1) + far, max(y0, y1) + far), fill=colour)
    if boxes:
        for box in region_boxes(region, spot.geometry):
            corners = spot.to_page(np.array([box[:2], box[2:]]))
            _dashed_box(draw, corners, gap=max(3, thick * 3), thick=max(1, thick // 2), spot=spot)


def region_boxes(region: NDArray[np.bool_], geometry: Geometry) -> list[tuple[float, float, float, float]]:
    """Source box (x0, y0, x1, y1) of each connected part, cut to the film."""
    labels, number = ndimage.label(region, structure=np.ones((3, 3)))
    boxes = []
    for part in range(1, number + 1):
        rows, columns = np.nonzero(labels == part)
        low = _grid_points(geometry, region.shape[0], ((columns.min(), rows.min()),))[0]
        high = _grid_points(geometry, region.shape[0], ((columns.max() + 1, rows.max() + 1),))[0]
        x0, y0 = np.clip(low, 0, (geometry.cols, geometry.rows))
        x1, y1 = np.clip(high, 0, (geometry.cols, geometry.rows))
        boxes.append((float(x0), float(y0), float(x1), float(y1)))
    return boxes


def region_contours(region: NDArray[np.bool_], geometry: Geometry) -> list[list[tuple[float, float]]]:
    """Closed lines around a region along its cells' edges, in source points; a hole has a line of its own."""
    grid = region.shape[0]
    padded = np.pad(region, 1)
    onward: dict[tuple[int, int], list[tuple[int, int]]] = {}
    for row, column in ((int(r), int(c)) for r, c in np.argwhere(region)):
        corners = [(column, row), (column + 1, row), (column + 1, row + 1), (column, row + 1)]
        for side, (down, right) in enumerate(((-1, 0), (0, 1), (1, 0), (0, -1))):
            if not padded[row + 1 + down, column + 1 + right]:
                onward.setdefault(corners[side], []).append(corners[(side + 1) % 4])
    lines = []
    while onward:
        start = next(iter(onward))
        line = [start]
        while line[-1] != start or len(line) == 1:
            ends = onward[line[-1]]
            step = ends.pop()
            if not ends:
                del onward[line[-1]]
            line.append(step)
        lines.append([(float(x), float(y)) for x, y in _grid_points(geometry, grid, line)])
    return lines


def side_markers(geometry: Geometry) -> tuple[str, str] | None:
    """Letters for the picture's left and right side: R and L, with ``?`` where assumed; None where no side is known."""
    if geometry.patient_right is None:
        return None
    doubt = "?" if geometry.side_source == "assumed" else ""
    letters = (f"R{doubt}", f"L{doubt}")
    return letters if geometry.patient_right == "left" else (letters[1], letters[0])


def draw_sides(page: Image.Image, spot: Placement, size: int) -> None:
    """Burn the side markers into the upper corners of a placed film."""
    markers = side_markers(spot.geometry)
    if markers is None:
        return
    style = Style(size=size, weight="Bold", colour=(236, 240, 244))
    inset = max(2, size // 3)
    left, right = (text_image(marker, style, padding=max(2, size // 4), background=(24, 28, 33)) for marker in markers)
    page.paste(left, (spot.x + inset, spot.y + inset))
    page.paste(right, (spot.x + spot.width - right.width - inset, spot.y + inset))


def busiest_frame(values: NDArray[np.floating]) -> int:
    """The frame that holds the most positive mass of a map (frames, n, n)."""
    return int(np.clip(values, 0, None).sum(axis=(1, 2)).argmax())


def _on_grid(values: NDArray[np.floating], grid: int) -> NDArray[np.float64]:
    size = values.shape[0]
    exact = np.asarray(values, dtype=np.float64)
    return exact if size == grid else cell_means(exact, grid)


def _grid_points(geometry: Geometry, grid: int, points: Sequence[tuple[float, float]]) -> NDArray[np.float64]:
    """Corner points of a region's grid to source points; the region's grid may be finer than the geometry's."""
    return geometry.from_grid(np.asarray(points, dtype=np.float64) * (geometry.grid / grid))


def _clip(spot: Placement, points: NDArray[np.float64]) -> list[tuple[int, int]]:
    page = spot.to_page(points)
    page[:, 0] = page[:, 0].clip(spot.x, spot.x + spot.width - 1)
    page[:, 1] = page[:, 1].clip(spot.y, spot.y + spot.height - 1)
    return [(round(float(x)), round(float(y))) for x, y in page]


def _dashed_box(draw: ImageDraw.ImageDraw, corners: NDArray[np.float64], gap: int, thick: int, spot: Placement) -> None:
    grow = gap  # the box stands just outside the outline, so that both can be seen
    x0 = max(spot.x, round(float(corners[0, 0])) - grow)
    y0 = max(spot.y, round(float(corners[0, 1])) - grow)
    x1 = min(spot.x + spot.width - 1, round(float(corners[1, 0])) + grow)
    y1 = min(spot.y + spot.height - 1, round(float(corners[1, 1])) + grow)
    for x in range(x0, x1, gap * 2):
        for y in (y0, y1):
            draw.line((x, y, min(x + gap, x1), y), fill=BOX_LINE, width=thick)
    for y in range(y0, y1, gap * 2):
        for x in (x0, x1):
            draw.line((x, y, x, min(y + gap, y1)), fill=BOX_LINE, width=thick)


@cache
def _palette(claim: Claim, signed: bool) -> NDArray[np.float64]:
    """float64 (256, 3): the web viewer's palettes (viridis, inferno; managua, doi:10.5281/zenodo.1243862, signed)."""
    name = "managua_r" if signed else "viridis" if claim in ("attended", "plausible") else "inferno"
    colours = matplotlib.colormaps[name](np.linspace(0, 1, 256))[:, :3] * 255
    return cast(NDArray[np.float64], colours)


def _alpha(unit: NDArray[np.floating], signed: bool) -> NDArray[np.float64]:
    strength = np.abs(unit - 0.5) * 2 if signed else unit
    ramp = np.minimum(1.0, strength / FULL_ALPHA)
    return np.asarray(ramp * ramp * (3 - 2 * ramp), dtype=np.float64)
