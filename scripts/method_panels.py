"""How the pictures of docs/methods are drawn: films with the true lesion, maps, raw cells, hidden regions."""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from method_survey import Cells, Seen
from numpy.typing import NDArray
from PIL import Image, ImageDraw
from scipy import ndimage
from skimage.measure import find_contours

from radiolucent.attribution.cells import cell_means, in_picture
from radiolucent.attribution.types import AttributionMap
from radiolucent.report.overlay import (
    draw_region,
    film,
    place,
    sampled,
    tint,
    value_range,
)
from radiolucent.report.typeface import Run, Style, draw_line, line_height, shorten, text_image, wrap

EDGE, SMALL, GAP = 208, 160, 8
PAPER, INK, FAINT = (16, 19, 22), (230, 233, 236), (150, 158, 166)
OUTLINE, HALO = (84, 214, 232), (8, 10, 12)
LARGEST = 58_000  # bytes
LINE = 20
BRIGHTEST = 0.998  # quantile of a pixel map that is drawn in full colour
TITLE, TEXT, LABEL = Style(15, "Bold", INK), Style(13, colour=INK), Style(12, colour=FAINT)


@dataclass(frozen=True, eq=False)
class Row:
    """One row of a picture: film with lesion, map, raw cells with the hidden region.

    Parameters
    ----------
    title, text
        Above the row.
    regions
        Bool (g, g): what is outlined on the map and on the raw cells; None for nothing.
    labels
        Of the three panels.
    """

    title: str
    text: str
    seen: Seen
    made: AttributionMap
    regions: tuple[Cells | None, Cells | None]
    labels: tuple[str, str, str] = ("film, lesion outlined", "map, interpolated", "raw cells, region hidden")


@dataclass(frozen=True, eq=False)
class Figure:
    """A page's picture and the words below it."""

    image: Image.Image
    caption: str
    legend: str = "Blue: the true lesion. Orange: the region hidden. Cross: the highest value."


def drawn(rows: Sequence[Row]) -> Image.Image:
    """Rows of three panels, one above the other."""
    boards = []
    for one in rows:
        tiles = [
            tile(one.seen, None, name=one.labels[0]),
            tile(one.seen, one.made, name=one.labels[1], region=one.regions[0]),
            tile(one.seen, one.made, name=one.labels[2], region=one.regions[1], smooth=False),
        ]
        boards.append(board(one.title, one.text, tiles, columns=3))
    page = Image.new("RGB", (boards[0].width, sum(one.height for one in boards)), PAPER)
    top = 0
    for one in boards:
        page.paste(one, (0, top))
        top += one.height
    return page


def board(title: str, said: str, tiles: Sequence[Image.Image], columns: int) -> Image.Image:
    """Panels in a grid below a title and its text."""
    wide, high = tiles[0].size
    across = columns * wide + (columns + 1) * GAP
    lines = [*wrap([Run(title, TITLE)], across - 2 * GAP), *wrap([Run(said, TEXT)], across - 2 * GAP)]
    head = len(lines) * LINE + GAP
    page = Image.new("RGB", (across, head + -(-len(tiles) // columns) * (high + GAP)), PAPER)
    draw = ImageDraw.Draw(page)
    for number, line in enumerate(lines):
        draw_line(draw, line, GAP, (number + 0.8) * LINE, PAPER)
    for number, one in enumerate(tiles):
        down, right = divmod(number, columns)
        page.paste(one, (GAP + right * (wide + GAP), head + down * (high + GAP)))
    return page


def tile(
    seen: Seen,
    made: AttributionMap | None,
    *,
    name: str,
    region: Cells | None = None,
    smooth: bool = True,
    edge: int = EDGE,
) -> Image.Image:
    """A film with its lesion outlined, a map on it where there is one, the map's highest cell crossed, and a label."""
    frame = seen.study.frames[0]
    spot = place(frame.geometry, 0, 0, edge, edge)
    picture = film(frame, spot.width, spot.height)
    if made is not None:
        values = as_drawn(made, smooth)
        picture = tint(
            picture,
            sampled(values, frame.geometry, spot.width, spot.height, smooth),
            made.claim,
            value_range(values),
        )
    page = Image.new("RGB", (edge, edge + line_height(LABEL.size)), PAPER)
    page.paste(picture, (spot.x, spot.y))
    draw = ImageDraw.Draw(page)
    if region is not None:
        draw_region(draw, region, spot, 2, boxes=False)
    for contour in find_contours(np.pad(seen.mask, 1).astype(float), 0.5):
        line = [tuple(point) for point in spot.to_page(contour[:, ::-1] - 0.5)]
        draw.line(line, fill=HALO, width=4)
        draw.line(line, fill=OUTLINE, width=2)
    if made is not None:
        size = made.values.shape[1]
        down, right = np.unravel_index(int(np.where(inside_of(made), made.values, -np.inf)[0].argmax()), (size, size))
        point = np.array([[right + 0.5, down + 0.5]]) * (frame.geometry.grid / size)
        ((x, y),) = spot.to_page(frame.geometry.from_grid(point))
        for colour, width in ((HALO, 5), ((255, 255, 255), 2)):
            draw.line((x - 6, y - 6, x + 6, y + 6), fill=colour, width=width)
            draw.line((x - 6, y + 6, x + 6, y - 6), fill=colour, width=width)
    page.paste(text_image(shorten(name, LABEL, edge), LABEL, padding=0, background=PAPER), (0, edge))
    return page


def as_drawn(made: AttributionMap, smooth: bool) -> NDArray[np.float64]:
    """A map of cells as it is; one of pixels as its magnitude, or averaged in cells for the raw panel."""
    values, grid = made.values[0].astype(np.float64), made.geometry[0].grid
    if values.shape[0] == grid:
        return values
    if not smooth:
        return cell_means(values, grid)
    near = ndimage.gaussian_filter(np.abs(values), 1.0)  # single pixels are lost in a small picture
    return np.minimum(near, np.quantile(near, BRIGHTEST))


def inside_of(made: AttributionMap) -> Cells:
    """Cells of the map that lie in the picture."""
    return np.stack([in_picture(geometry, made.values.shape[1]) for geometry in made.geometry])


def jpeg(image: Image.Image) -> bytes:
    """As good a JPEG as ``LARGEST`` bytes hold."""
    for quality in range(90, 30, -5):
        stream = io.BytesIO()
        image.save(stream, "JPEG", quality=quality, subsampling=0, optimize=True)
        if stream.tell() <= LARGEST:
            break
    return stream.getvalue()
