"""Where the lungs are, estimated from the film's outline alone.

No anatomy model is downloaded. The displayed film is smoothed and air around the patient is set apart (Otsu 1979);
from the darkest core of each half a marker-based watershed (Beucher & Meyer 1993) finds the basin that ends on the
chest wall, the mediastinum and the diaphragm; the darker part of the basin is the lung. It is an estimate, it says
how sure it is, and nothing that depends on it may be called a measurement.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from skimage.filters import threshold_otsu
from skimage.measure import label, regionprops
from skimage.morphology import convex_hull_image
from skimage.segmentation import watershed
from skimage.transform import resize

from radiolucent.errors import MalformedInput

Mask = NDArray[np.bool_]
Box = tuple[float, float, float, float]

WORKING_EDGE = 192  # pixels; an outline needs no more
MINIMUM_LUNG = 0.02  # of the film: below it, a dark area is bowel gas or collimation, not a lung
MAXIMUM_LUNG = 0.40
MINIMUM_CONTRAST = 0.1  # of full scale, between the film's 1st and 99th percentile
AIR = 0.45  # of Otsu's level: air around the patient is well below it, lungs are near it
SURE = 0.55  # confidence below which the fields are marked unsure; chosen on the CC0 film, phantoms and non-chests


@dataclass(frozen=True, eq=False)
class LungFields:
    """An outline-based estimate of the lung fields.

    Parameters
    ----------
    picture_left, picture_right
        Bool (rows, cols): the lung on that side of the *picture*; all False where none was found.
    heart
        Source box (x0, y0, x1, y1) between the lungs' lower halves; None where the lungs were not found.
    mediastinum
        Source box between the lungs over their whole height.
    confidence
        0 to 1; how much the two areas look like a pair of lungs.
    unsure
        True below ``SURE``: zones and sides must then be worded without lungs.
    """

    picture_left: Mask
    picture_right: Mask
    heart: Box | None
    mediastinum: Box | None
    confidence: float
    unsure: bool

    @property
    def both(self) -> Mask:
        """Bool (rows, cols): either lung."""
        result: Mask = self.picture_left | self.picture_right
        return result

    @property
    def midline(self) -> float | None:
        """Source column of the patient's midline: the middle between the lungs; None where they were not found."""
        return None if self.mediastinum is None else (self.mediastinum[0] + self.mediastinum[2]) / 2

    def outline(self, picture_side: str) -> Box | None:
        """Source box of one lung, or None where it was not found."""
        return _box(self.picture_left if picture_side == "left" else self.picture_right)


def estimate_lung_fields(picture: NDArray[np.floating]) -> LungFields:
    """Estimate the lung fields of a displayed frontal film.

    Parameters
    ----------
    picture
        float (rows, cols) in [0, 1] as eyes see it: air dark, bone bright; a colour picture (rows, cols, 3) is
        averaged.

    Returns
    -------
    LungFields
        Masks on the source's pixels.

    Raises
    ------
    MalformedInput
        Where the picture is not a two-dimensional array of finite values.
    """
    values = np.asarray(picture, dtype=np.float64)
    if values.ndim == 3 and values.shape[2] == 3:
        values = values.mean(axis=2)
    if values.ndim != 2 or min(values.shape) < 2 or not np.isfinite(values).all():
        raise MalformedInput(f"Lung fields need a finite (rows, cols) picture; got shape {values.shape}.")
    scale = WORKING_EDGE / max(values.shape)
    shape = (max(2, round(values.shape[0] * scale)), max(2, round(values.shape[1] * scale)))
    small = resize(values, shape, order=1, anti_aliasing=True, preserve_range=True)
    left, right, confidence = _pair(small)
    masks = [_enlarge(mask, values.shape) for mask in (left, right)]
    heart, mediastinum = _between(_box(masks[0]), _box(masks[1]))
    return LungFields(masks[0], masks[1], heart, mediastinum, confidence, confidence < SURE)


def _pair(small: NDArray[np.float64]) -> tuple[Mask, Mask, float]:
    """Picture-left lung, picture-right lung and how much they look like a pair."""
    none: Mask = np.zeros(small.shape, dtype=bool)
    smooth = ndimage.gaussian_filter(small, sigma=WORKING_EDGE / 96)
    low, high = np.percentile(smooth, [1, 99])
    if high - low < MINIMUM_CONTRAST:
        return none, none, 0.0
    smooth = np.clip((smooth - low) / (high - low), 0, 1)
    outside = _outside_air(smooth)
    cores = [_core(smooth, outside, half) for half in (0, 1)]
    if not (cores[0].any() and cores[1].any()):
        return none, none, 0.0
    border: Mask = np.ones(smooth.shape, dtype=bool)
    border[1:-1, 1:-1] = False
    border[-max(2, smooth.shape[0] // 16) :, :] = True  # the abdomen's end of the film is never lung
    markers = np.zeros(smooth.shape, dtype=np.int32)
    markers[border | outside] = 3
    markers[cores[0]], markers[cores[1]] = 1, 2
    basins = watershed(smooth, markers)
    # Inside a basin Otsu's level parts the lung from the inner half of the wall around it.
    left, right = (_filled(_darker_part(smooth, basins == value)) for value in (1, 2))
    return left & ~right, right & ~left, _pair_score(left, right, smooth)


def _darker_part(smooth: NDArray[np.float64], basin: Mask) -> Mask:
    values = smooth[basin]
    if values.size == 0 or float(np.ptp(values)) == 0.0:
        return basin
    result: Mask = basin & (smooth <= threshold_otsu(values))
    return result


def _outside_air(smooth: NDArray[np.float64]) -> Mask:
    """Air around the patient: very dark and joined to the film's top or sides."""
    labels = label(smooth < AIR * float(threshold_otsu(smooth)), connectivity=1)
    edge = np.unique(np.concatenate([labels[0], labels[:, 0], labels[:, -1]]))
    reached: Mask = np.isin(labels, edge[edge > 0])
    rows, cols = smooth.shape
    reached[rows // 4 : 3 * rows // 4, cols // 4 : 3 * cols // 4] = False  # a very dark lung is still a lung
    return reached


def _core(smooth: NDArray[np.float64], outside: Mask, half: int) -> Mask:
    """The darkest part of one half's middle: inside a lung, if there is one."""
    rows, cols = smooth.shape
    window: Mask = np.zeros(smooth.shape, dtype=bool)
    first, last = (round(0.14 * cols), round(0.46 * cols)) if half == 0 else (round(0.54 * cols), round(0.86 * cols))
    window[round(0.2 * rows) : round(0.68 * rows), first:last] = True
    window &= ~ndimage.binary_dilation(outside, iterations=round(0.05 * cols))
    none: Mask = np.zeros(smooth.shape, dtype=bool)
    if window.sum() < MINIMUM_LUNG * smooth.size:
        return none
    dark = ndimage.binary_opening(window & (smooth <= np.percentile(smooth[window], 35)), iterations=2)
    labels = label(dark, connectivity=1)
    if labels.max() == 0:
        return none
    sizes = np.bincount(labels.ravel())[1:]
    core: Mask = labels == 1 + int(np.argmax(sizes))
    return core


def _pair_score(left: Mask, right: Mask, smooth: NDArray[np.float64]) -> float:
    """Alike in size, side by side, level, tall, solid, darker than the rest: each a factor in [0, 1]."""
    rows, cols = smooth.shape
    if not (left.any() and right.any()):
        return 0.0
    a, b = (regionprops(mask.astype(np.uint8))[0] for mask in (left, right))
    if max(a.area, b.area) > MAXIMUM_LUNG * smooth.size or min(a.area, b.area) < MINIMUM_LUNG * smooth.size:
        return 0.0
    alike = min(a.area, b.area) / max(a.area, b.area)
    level = 1 - abs(a.centroid[0] - b.centroid[0]) / (0.3 * rows)
    apart = (b.centroid[1] - a.centroid[1]) / (0.25 * cols)
    middle = 1 - abs((a.centroid[1] + b.centroid[1]) / 2 - cols / 2) / (0.25 * cols)
    solid = float(np.mean([a.solidity, b.solidity])) ** 2
    tall = float(np.mean([_tallness(a.bbox), _tallness(b.bbox)]))
    big = min(a.area, b.area) / (0.05 * smooth.size)
    lungs = left | right
    rim = ndimage.binary_dilation(lungs, iterations=6) & ~ndimage.binary_dilation(lungs, iterations=1)
    darker = (float(np.median(smooth[rim])) - float(np.median(smooth[lungs]))) / 0.15
    factors = np.clip([alike**0.5, level, apart, middle, solid, tall, big, darker], 0.0, 1.0)
    return float(np.prod(factors) ** (1 / 2)) if factors.min() > 0 else 0.0


def _tallness(bbox: tuple[int, int, int, int]) -> float:
    top, left, bottom, right = bbox
    return float(np.clip((bottom - top) / max(1, right - left) / 1.2, 0.3, 1.0))


def _filled(mask: Mask) -> Mask:
    """Close what vessels, ribs and lesions bite out of a lung, without leaving its convex hull."""
    if not mask.any():
        return mask
    closed: Mask = ndimage.binary_fill_holes(ndimage.binary_closing(np.pad(mask, 12), iterations=8))[12:-12, 12:-12]
    opened = ndimage.binary_opening(closed, iterations=2) & convex_hull_image(mask)
    labels = label(opened, connectivity=1)
    if labels.max() == 0:
        return mask
    result: Mask = labels == 1 + int(np.argmax(np.bincount(labels.ravel())[1:]))
    return result


def _enlarge(mask: Mask, shape: tuple[int, ...]) -> Mask:
    larger = resize(mask.astype(np.float64), shape, order=1, anti_aliasing=False, preserve_range=True)
    result: Mask = larger >= 0.5
    return result


def _box(mask: Mask) -> Box | None:
    if not mask.any():
        return None
    rows, cols = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    return float(cols[0]), float(rows[0]), float(cols[-1] + 1), float(rows[-1] + 1)


def _between(left: Box | None, right: Box | None) -> tuple[Box | None, Box | None]:
    """Heart and mediastinum boxes. The heart reaches a quarter of each lung's width into it, most to its left."""
    if left is None or right is None:
        return None, None
    top, bottom = min(left[1], right[1]), max(left[3], right[3])
    inner = (left[2] + right[0]) / 2
    width = max(left[2] - left[0], right[2] - right[0])
    reach = max(right[0] - left[2], 0.0) / 2 + 0.15 * width
    mediastinum = (inner - reach, top, inner + reach, bottom)
    reach = max(right[0] - left[2], 0.0) / 2 + 0.45 * width  # either way round: the apex may lie on either side
    heart = (inner - reach, top + 0.35 * (bottom - top), inner + reach, bottom + 0.08 * (bottom - top))
    return heart, mediastinum
