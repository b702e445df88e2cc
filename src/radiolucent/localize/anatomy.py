"""Which anatomy a finding may lie in, so that a map elsewhere is called out.

The table is deliberately generous: it serves to name what cannot be right (an effusion "seen" in a corner marker),
not to judge a lesion's place. Devices, fractures and gas in the soft tissues may lie anywhere. Of the paired
structures a finding with a side may lie in its own one only, as far as a map can tell sides apart.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from skimage.morphology import convex_hull_image

from radiolucent.errors import MalformedInput
from radiolucent.findings.vocabulary import VOCABULARY
from radiolucent.localize.lungs import Box, LungFields
from radiolucent.study.geometry import PictureSide

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
PAIRED: tuple[Structure, ...] = ("lungs", "pleura", "diaphragm")
HALF_CELL = 1 / 32  # of the film's longer edge: half of one of 16 cells, which is all that a map can resolve
LEAST_INSIDE = 0.55  # of a map's mass in the allowed anatomy, or the evidence lies outside; rim cells count in part
PLEURA = 1.5 / 16  # margin around the lungs that still is pleura, the sulcus below the dome included


def mostly_outside(weights: NDArray[np.floating], allowed: NDArray[np.floating] | None) -> bool | None:
    """Whether less than ``LEAST_INSIDE`` of a map's mass lies in the allowed anatomy.

    Its mass and not its middle: a region at a lung's rim reaches beyond it with a cell's width, and the middle of two
    places may lie in neither.

    Parameters
    ----------
    weights
        (n, n); only positive values count.
    allowed
        Share of each cell's area that is allowed, (n, n); None where it is not known.

    Returns
    -------
    bool or None
        None where ``allowed`` is, or where the map holds nothing.

    Raises
    ------
    MalformedInput
        Where the shapes differ.
    """
    if allowed is None:
        return None
    if weights.shape != allowed.shape:
        raise MalformedInput(f"A map of shape {weights.shape} on anatomy of shape {allowed.shape}; expected the same.")
    mass = np.clip(np.asarray(weights, dtype=np.float64), 0, None)
    total = float(mass.sum())
    return None if total <= 0 else float((mass * allowed).sum()) < LEAST_INSIDE * total


@dataclass(frozen=True, eq=False)
class Anatomy:
    """The anatomy allowed for one finding on one film, cell by cell.

    Parameters
    ----------
    cells
        Share of each cell's area in which the finding may lie, (n, n).
    either_side
        The same without regard to the finding's side; None where ``cells`` is not restricted to one.
    """

    cells: NDArray[np.float64]
    either_side: NDArray[np.float64] | None = None

    def outside(self, weights: NDArray[np.floating]) -> bool | None:
        """Whether most of a map's mass lies outside; see :func:`mostly_outside`."""
        return mostly_outside(weights, self.cells)

    def other_side(self, weights: NDArray[np.floating]) -> bool | None:
        """Whether it lies outside only because of its side; None where the finding is held to none."""
        if self.either_side is None:
            return None
        outside = self.outside(weights)
        return None if outside is None else outside and not mostly_outside(weights, self.either_side)


def allowed_mask(code: str, fields: LungFields | None, *, picture_side: PictureSide | None = None) -> Mask | None:
    """Bool (rows, cols): where the finding may lie; None where the lungs were not found.

    Codes that may lie anywhere need no lungs but, without them, no size of the film is known either: None.

    Parameters
    ----------
    picture_side
        The side of the picture that the finding's side of the patient lies on: of paired structures the part beyond
        the estimated midline is left out, but for half a cell. None: both sides.
    """
    structures = _structures(code)
    if fields is None or (fields.unsure and "anywhere" not in structures):
        return None
    if "anywhere" in structures:
        return np.ones(fields.both.shape, dtype=bool)
    result: Mask = np.zeros(fields.both.shape, dtype=bool)
    for structure in structures:
        mask = _structure_mask(structure, fields)
        if structure in PAIRED and picture_side is not None and fields.midline is not None:
            mask &= _half(mask.shape, fields.midline, picture_side)
        result |= mask
    return result


def _half(shape: tuple[int, ...], midline: float, side: PictureSide) -> Mask:
    """The picture's side of the midline, (1, cols), and half a cell beyond."""
    middles, margin = np.arange(shape[1]) + 0.5, HALF_CELL * max(shape)
    half: Mask = middles <= midline + margin if side == "left" else middles >= midline - margin
    return half[None, :]


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
    return space if fields.midline is None else space | _mirrored(space, fields.midline)


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
