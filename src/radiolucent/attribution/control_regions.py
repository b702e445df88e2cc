"""Regions to hide beside the one that is tested: the mirrored place, a place that looks alike, or anywhere.

A mirrored control asks whether the *side* matters. It fits only what lies in one lung or its pleura: the heart and
diffuse or two-sided findings have no healthy mirror image. A matched control is the region's own shape elsewhere in the
picture, where the film is about as bright and as structured; random controls are that shape anywhere.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from radiolucent.attribution.cells import cell_means
from radiolucent.attribution.regions import Region, connected_parts
from radiolucent.errors import MalformedInput
from radiolucent.findings.types import Finding
from radiolucent.study.geometry import Geometry
from radiolucent.vlm.types import Features

Control = Literal["matched", "mirrored"]

TRIES = 50  # placements in a row without a new one, after which no more are looked for
CUTS = 2
CHOICE = 40  # placements that a matched control is chosen from
LUNG_OR_PLEURA = frozenset(
    {
        "atelectasis",
        "calcification",
        "consolidation",
        "fibrosis",
        "hilar_enlargement",
        "inflammation",
        "lung_opacity",
        "mass",
        "nodule",
        "pleural_effusion",
        "pleural_other",
        "pneumonia",
        "pneumothorax",
    }
)


def control_of(finding: Finding) -> Control:
    """``mirrored`` for a finding of one lung or its pleura, ``matched`` for any other."""
    one_sided = finding.side in ("left", "right") and finding.zone != "diffuse"
    return "mirrored" if one_sided and finding.code in LUNG_OR_PLEURA else "matched"


def control_regions(region: Region, inside: Region, *, count: int, seed: int = 0, cuts: int = 0) -> list[Region]:
    """Random regions of the same shape and area, none touching the region.

    Each connected part of the region is moved as it is to a random place in a random frame, inside the picture, clear
    of the region and of the parts placed before it; so a region in one piece gives translated copies.

    Parameters
    ----------
    cuts
        How often the parts may be cut in two across their longer side where the shape fits nowhere as it is: a region
        as wide as the heart leaves no room beside it for another.

    Returns
    -------
    Up to ``count`` different regions; fewer where no more could be placed.
    """
    if not region.any():
        raise MalformedInput("The region is empty; controls need a shape to copy.")
    shapes = [_shape(part) for part in connected_parts(region)]
    draw = np.random.default_rng(seed)
    free = inside & ~region
    for _ in range(cuts + 1):
        found = _translated(shapes[0], free, count, draw) if len(shapes) == 1 else _scattered(shapes, free, count, draw)
        if found:
            return found
        shapes = sorted((half for shape in shapes for half in _halves(shape)), key=len, reverse=True)
    return []


def matched_control(region: Region, inside: Region, look: NDArray[np.float64], *, seed: int = 0) -> Region | None:
    """Of ``CHOICE`` random placements of the region's shape the one that looks most alike; None where none fits.

    Parameters
    ----------
    look
        See :func:`cell_look`. Placements are compared by the mean over their cells.
    """
    placed = control_regions(region, inside, count=CHOICE, seed=seed, cuts=CUTS)
    if not placed:
        return None
    wanted = look[:, region].mean(axis=1)
    return min(placed, key=lambda control: float(np.abs(look[:, control].mean(axis=1) - wanted).sum()))


def mirrored_control(
    region: Region, inside: Region, geometries: Sequence[Geometry], *, midline: float | None = None
) -> Region | None:
    """The region on the other side of the midline; None where it would leave the picture or overlap the region.

    Parameters
    ----------
    midline
        Source column of the patient's midline, the same in every frame; the middle of the picture's columns where
        None. It is rounded to half a cell, since cells are mirrored onto cells.
    """
    mirrored = np.zeros_like(region)
    size = region.shape[2]
    for frame, geometry in enumerate(geometries):
        column = geometry.cols / 2 if midline is None else midline
        middle = float(geometry.to_grid(np.array([column, 0.0]))[0]) * size / geometry.grid
        rows, columns = np.nonzero(region[frame])
        moved = int(np.rint(2 * middle)) - 1 - columns
        if len(moved) and (moved.min() < 0 or moved.max() >= size):
            return None
        mirrored[frame, rows, moved] = True
    return None if (mirrored & (region | ~inside)).any() else mirrored


def cell_look(features: Features) -> NDArray[np.float64]:
    """How each cell of what the model was shown looks: (2, frames, g, g), brightness and structure.

    Structure is the standard deviation of the cell's pixels; both are scaled by their spread over the picture.
    """
    grid = features.geometries[0].grid
    grey = features.pixels.detach().float().mean(dim=1).cpu().numpy().astype(np.float64)
    brightness = np.stack([cell_means(frame, grid) for frame in grey])
    squares = np.stack([cell_means(frame**2, grid) for frame in grey])
    structure = np.sqrt(np.clip(squares - brightness**2, 0, None))
    return np.stack([quality / (quality.std() or 1.0) for quality in (brightness, structure)])


def _shape(part: Region) -> NDArray[np.int64]:
    """Cells (n, 2) of a connected part, moved to the corner."""
    cells = np.argwhere(part)[:, 1:]
    moved: NDArray[np.int64] = cells - cells.min(axis=0)
    return moved


def _halves(shape: NDArray[np.int64]) -> list[NDArray[np.int64]]:
    """The two halves of a part across its longer side, each moved to the corner; a single cell is not cut."""
    extent = shape.max(axis=0) + 1
    axis = int(extent.argmax())
    first = shape[:, axis] < extent[axis] // 2
    return [part - part.min(axis=0) for part in (shape[first], shape[~first]) if len(part)]


def _translated(shape: NDArray[np.int64], free: Region, count: int, draw: np.random.Generator) -> list[Region]:
    """Up to ``count`` different places of one part."""
    places = _places(shape, free)
    return [_at(shape, place, free) for place in draw.permutation(places)[:count]]


def _scattered(
    shapes: Sequence[NDArray[np.int64]], free: Region, count: int, draw: np.random.Generator
) -> list[Region]:
    """Up to ``count`` different placements of several parts, given up after ``TRIES`` in a row that bring none."""
    found: dict[bytes, Region] = {}
    misses = 0
    while len(found) < count and misses < TRIES:
        control = _placed(shapes, free, draw)
        misses += 1
        if control is not None and control.tobytes() not in found:
            found[control.tobytes()] = control
            misses = 0
    return list(found.values())


def _placed(shapes: Sequence[NDArray[np.int64]], free: Region, draw: np.random.Generator) -> Region | None:
    """Every part at a random place clear of those before it, or None where a part found none."""
    control = np.zeros_like(free)
    for shape in shapes:
        places = _places(shape, free & ~control)
        if not len(places):
            return None
        control |= _at(shape, places[draw.integers(len(places))], free)
    return control


def _places(shape: NDArray[np.int64], free: Region) -> NDArray[np.int64]:
    """(places, 3): frame, row and column of the corner wherever all of the part's cells are free."""
    frames, rows, columns = free.shape
    height, width = shape.max(axis=0) + 1
    # every shift at which all of the part's cells are free: an erosion, written out
    fits = np.ones((frames, rows - height + 1, columns - width + 1), dtype=bool)
    for row, column in shape:
        fits &= free[:, row : row + fits.shape[1], column : column + fits.shape[2]]
    return np.argwhere(fits)


def _at(shape: NDArray[np.int64], place: NDArray[np.int64], free: Region) -> Region:
    frame, top, left = place
    region = np.zeros_like(free)
    region[frame, shape[:, 0] + top, shape[:, 1] + left] = True
    return region
