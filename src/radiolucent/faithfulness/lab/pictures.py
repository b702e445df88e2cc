"""A method's best and worst cases drawn: the film with the true outline and the map, beside the raw grid."""

from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from importlib.resources import as_file, files
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont
from scipy import ndimage

from radiolucent.faithfulness.lab.case import Case
from radiolucent.faithfulness.lab.records import CaseRecord, Score
from radiolucent.study.geometry import Geometry

EDGE = 240  # pixels of a panel
GAP = 6
SHOWN = 2  # best and worst cases each
FULL_ALPHA = 0.55  # of the overlay at the map's largest magnitude
FOR, AGAINST = np.array([226.0, 74, 51]), np.array([58.0, 120, 205])

Rank = Literal["best", "worst"]


@dataclass(frozen=True, eq=False)
class Example:
    """A case of a method that the report shows.

    Parameters
    ----------
    words
        Of the report, that the map explains.
    picture
        JPEG, film with map and outline on the left, raw grid on the right.
    """

    rank: Rank
    score: Score
    words: str
    picture: bytes


def examples(
    records: list[CaseRecord], case_of: Callable[[int], Case], methods: list[str], *, shown: int = SHOWN
) -> dict[str, list[Example]]:
    """Method -> its best cases, then its worst, by AUPRC; of a film only one finding.

    Parameters
    ----------
    case_of
        A record's number -> its film, opened again.
    """
    chosen = {method: _chosen(records, method, shown) for method in methods}
    wanted: dict[int, list[tuple[str, Rank, Score, str]]] = {}
    for method, some in chosen.items():
        for rank, number, score, words in some:
            wanted.setdefault(number, []).append((method, rank, score, words))
    drawn: dict[tuple[str, Rank, int], Example] = {}
    for number, some_of_film in wanted.items():  # each film is opened once
        case = case_of(number)
        for method, rank, score, words in some_of_film:
            picture = draw(case, score.code, score.values)
            drawn[method, rank, number] = Example(rank, score, words, picture)
    return {method: [drawn[method, rank, number] for rank, number, _, _ in some] for method, some in chosen.items()}


def _chosen(records: list[CaseRecord], method: str, shown: int) -> list[tuple[Rank, int, Score, str]]:
    every = [
        (record.number, score, finding.words)
        for record in records
        for finding in record.findings
        for score in finding.scores
        if score.method == method
    ]
    best = sorted(every, key=lambda one: (-one[1].average_precision, one[0]))
    some: list[tuple[Rank, int, Score, str]] = []
    films: set[int] = set()
    orders: tuple[tuple[Rank, list[tuple[int, Score, str]]], ...] = (("best", best), ("worst", best[::-1]))
    for rank, order in orders:
        taken = 0
        for number, score, words in order:
            if number not in films and taken < shown:
                films.add(number)
                taken += 1
                some.append((rank, number, score, words))
    return some


def draw(case: Case, code: str, values: NDArray[np.float32] | None) -> bytes:
    """One example as JPEG; a map that is nothing leaves the film with its outline and an empty grid."""
    frame = case.study.frames[0]
    geometry = frame.geometry
    film = _square(frame.picture(), geometry)
    mask = _square(case.masks[code].astype(np.float32), geometry)[..., 0] >= 0.5
    shown = None if values is None else values[0].astype(np.float64)
    left = _outlined(film if shown is None else _laid_on(film, shown), mask)
    right = _outlined(_grid(film, shown), mask)
    sheet = Image.new("RGB", (2 * EDGE + GAP, EDGE), (255, 255, 255))
    sheet.paste(_sided(left, geometry), (0, 0))
    sheet.paste(_sided(right, geometry), (EDGE + GAP, 0))
    stream = io.BytesIO()
    sheet.save(stream, "JPEG", quality=78, subsampling=0, optimize=True)  # colours at full resolution: cells are small
    return stream.getvalue()


def _square(picture: NDArray[np.floating], geometry: Geometry) -> NDArray[np.float64]:
    """A picture (rows, cols[, 3]) in [0, 1] on its padded square, (EDGE, EDGE, 3)."""
    padded = np.asarray(geometry.pad(picture), dtype=np.float32)
    grey = padded if padded.ndim == 2 else padded.mean(axis=2)
    image = Image.fromarray(grey).resize((EDGE, EDGE), _resampling(grey.shape[0]))
    return np.repeat(np.asarray(image, dtype=np.float64).clip(0, 1)[..., None], 3, axis=2)


def _resampling(edge: int) -> Image.Resampling:
    return Image.Resampling.BOX if edge > EDGE else Image.Resampling.BILINEAR


def _laid_on(film: NDArray[np.float64], values: NDArray[np.float64]) -> NDArray[np.float64]:
    """The film, (EDGE, EDGE, 3) in [0, 1], under the map's colours, smoothed between cell centres."""
    scaled = values / max(float(np.abs(values).max()), 1e-12)
    places = (np.arange(EDGE) + 0.5) * len(values) / EDGE - 0.5
    rows, columns = np.meshgrid(places, places, indexing="ij")
    placed = ndimage.map_coordinates(scaled, [rows, columns], order=1, mode="nearest")
    alpha = (FULL_ALPHA * np.abs(placed))[..., None]
    colour = np.where(placed[..., None] > 0, FOR, AGAINST) / 255
    laid: NDArray[np.float64] = film * (1 - alpha) + colour * alpha
    return laid


def _grid(film: NDArray[np.float64], values: NDArray[np.float64] | None) -> NDArray[np.float64]:
    """The map's flat cells on a faint film, with the grid's lines."""
    faint = 0.25 * film + 0.1
    if values is None:
        return faint
    scaled = values / max(float(np.abs(values).max()), 1e-12)
    cell = np.minimum(np.arange(EDGE) * len(values) // EDGE, len(values) - 1)
    placed = scaled[np.ix_(cell, cell)][..., None]
    colour = np.where(placed > 0, FOR, AGAINST) / 255
    flat = faint * (1 - np.abs(placed)) + colour * np.abs(placed)
    lines = np.flatnonzero(np.diff(cell)) + 1
    flat[lines] = 0.8 * flat[lines] + 0.08
    flat[:, lines] = 0.8 * flat[:, lines] + 0.08
    return np.asarray(flat, dtype=np.float64)


def _outlined(picture: NDArray[np.float64], mask: NDArray[np.bool_]) -> NDArray[np.float64]:
    edge = mask & ~ndimage.binary_erosion(mask)
    halo = ndimage.binary_dilation(edge) & ~edge
    drawn = picture.copy()
    drawn[halo] *= 0.35
    drawn[edge] = 1.0
    return drawn


def _sided(picture: NDArray[np.float64], geometry: Geometry) -> Image.Image:
    """The picture with the patient's sides, where they are known."""
    image = Image.fromarray(np.rint(picture.clip(0, 1) * 255).astype(np.uint8))
    if geometry.patient_right is None:
        return image
    pen = ImageDraw.Draw(image)
    left, right = ("R", "L") if geometry.patient_right == "left" else ("L", "R")
    for letter, x in ((left, 6), (right, EDGE - 17)):
        pen.text((x, EDGE - 24), letter, font=_letters(), fill=(240, 243, 246), stroke_width=2, stroke_fill=(8, 10, 12))
    return image


@cache
def _letters() -> ImageFont.FreeTypeFont:
    source = files("radiolucent") / "report" / "fonts" / "NotoSansCJKsc-Bold-subset.otf"
    with as_file(source) as path:
        return ImageFont.truetype(str(path), 16, layout_engine=ImageFont.Layout.BASIC)
