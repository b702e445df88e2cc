"""Which anatomy a finding may lie in, so that a map elsewhere is called out.

The table is deliberately generous: it serves to name what cannot be right (an effusion "seen" in a corner marker),
not to judge a lesion's place. Devices, fractures and gas in the soft tissues may lie anywhere.
"""

from __future__ import annotations

from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from skimage.morphology import convex_hull_image

from radiolucent.errors import MalformedInput
from radiolucent.findings.vocabulary import VOCABULARY
from radiolucent.localize.lungs import Box, LungFields
from radiolucent.localize.regions import Point

Structure = Literal["lungs", "pleura", "heart", "mediastinum", "diaphragm", "anywhere"]
Mask = NDArray[np.bool_]

ALLOWED: dict[str, tuple[Structure, ...]] = {
    "enlarged_cardiomediastinum": ("mediastinum", "heart"),
    "cardiomegaly": ("heart",),
    "lung_opacity": ("lungs",),
    "nodule": ("lungs",),
    "mass": ("lungs", "mediastinum"),
    "edema": ("lungs", "mediastinum"),
    "consolidation": ("lungs",),
    "pneumonia": ("lungs",),
    "inflammation": ("lungs",),
    "atelectasis": ("lungs", "mediastinum"),
    "pneumothorax": ("pleura",),
    "pleural_effusion": ("pleura",),
    "pleural_other": ("pleura",),
    "fracture": ("anywhere",),
    "support_devices": ("anywhere",),
    "fibrosis": ("lungs",),
    "calcification": ("lungs", "pleura", "mediastinum", "heart"),
    "hilar_enlargement": ("lungs", "mediastinum"),
    "hyperinflation": ("lungs", "diaphragm"),
    "tuberculosis": ("lungs",),
    "cavity": ("lungs",),
    "interstitial_change": ("lungs",),
    "mediastinal_shift": ("mediastinum", "heart"),
    "subdiaphragmatic_gas": ("diaphragm",),
    "subcutaneous_emphysema": ("anywhere",),
    "raised_diaphragm": ("diaphragm",),
    "increased_lung_markings": ("lungs", "mediastinum"),
}
HALF_CELL = 1 / 32  # of the film's longer edge: half of one of 16 cells, which is all that a map can resolve
PLEURA = 1.5 / 16  # margin around the lungs that still is pleura, the sulcus below the dome included


def outside_allowed(code: str, point: Point, fields: LungFields | None) -> bool | None:
    """Whether a point lies outside the anatomy allowed for a finding.

    Parameters
    ----------
    point
        (column, row) in source pixels.

    Returns
    -------
    bool or None
        None where it cannot be told because the lungs were not found; unrestricted codes are never outside.

    Raises
    ------
    MalformedInput
        Where the code is not in the vocabulary.
    """
    if "anywhere" in _structures(code):
        return False
    mask = allowed_mask(code, fields)
    if mask is None:
        return None
    column, row = int(np.floor(point[0])), int(np.floor(point[1]))
    rows, cols = mask.shape
    if not (0 <= row <= rows and 0 <= column <= cols):
        return True
    return not bool(mask[min(row, rows - 1), min(column, cols - 1)])


def allowed_mask(code: str, fields: LungFields | None) -> Mask | None:
    """Bool (rows, cols): where the finding may lie; None where the lungs were not found.

    Codes that may lie anywhere need no lungs but, without them, no size of the film is known either: None.
    """
    structures = _structures(code)
    if fields is None or (fields.unsure and "anywhere" not in structures):
        return None
    if "anywhere" in structures:
        return np.ones(fields.both.shape, dtype=bool)
    result: Mask = np.zeros(fields.both.shape, dtype=bool)
    for structure in structures:
        result |= _structure_mask(structure, fields)
    return result


def _structures(code: str) -> tuple[Structure, ...]:
    if code not in ALLOWED:
        raise MalformedInput(f"{code!r} is not in the vocabulary; the codes are {', '.join(VOCABULARY)}.")
    return ALLOWED[code]


def _structure_mask(structure: Structure, fields: LungFields) -> Mask:
    shape = fields.both.shape
    edge = max(shape)
    if structure == "lungs":
        return _grown(lung_space(fields), HALF_CELL * edge)
    if structure == "pleura":
        return _grown(lung_space(fields), PLEURA * edge)
    if structure == "diaphragm":
        space = lung_space(fields)
        rows = np.flatnonzero(space.any(axis=1))
        grown = _grown(space, 2 * PLEURA * edge)
        grown[: int(rows[0] + 0.55 * (rows[-1] - rows[0]))] = False
        return grown
    box = fields.heart if structure == "heart" else fields.mediastinum
    return _box_mask(box, shape, HALF_CELL * edge)


def lung_space(fields: LungFields) -> Mask:
    """Both lungs filled to their convex hulls and mirrored on each other.

    A large lesion, or the heart, takes a bite out of an outline; the other lung shows how far it would reach.
    """
    left, right = (
        convex_hull_image(mask) if mask.any() else mask for mask in (fields.picture_left, fields.picture_right)
    )
    space: Mask = left | right
    if fields.mediastinum is not None:
        middle = (fields.mediastinum[0] + fields.mediastinum[2]) / 2
        space = space | _mirrored(space, middle)
    return space


def _mirrored(mask: Mask, middle: float) -> Mask:
    columns = np.round(2 * middle - 1 - np.arange(mask.shape[1])).astype(int)
    known = (columns >= 0) & (columns < mask.shape[1])
    result: Mask = np.zeros_like(mask)
    result[:, known] = mask[:, columns[known]]
    return result


def _grown(mask: Mask, pixels: float) -> Mask:
    result: Mask = ndimage.distance_transform_edt(~mask) <= pixels
    return result


def _box_mask(box: Box | None, shape: tuple[int, ...], margin: float) -> Mask:
    result: Mask = np.zeros(shape, dtype=bool)
    if box is not None:
        x0, y0, x1, y1 = box
        rows, cols = np.arange(shape[0]) + 0.5, np.arange(shape[1]) + 0.5
        result = ((rows >= y0 - margin) & (rows <= y1 + margin))[:, None] & (
            (cols >= x0 - margin) & (cols <= x1 + margin)
        )[None, :]
    return result
