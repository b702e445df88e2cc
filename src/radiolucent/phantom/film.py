"""Synthetic chest films with exact truth: the same person with and without each lesion, noise and window shared."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw
from scipy import ndimage

from radiolucent.phantom.anatomy import FIELD_CM, MU_LUNG, MU_SOFT, Anatomy, Array, draw_anatomy
from radiolucent.phantom.conditions import AS_DRAWN, Conditions
from radiolucent.phantom.lesions import mask_of, plant
from radiolucent.phantom.record import Lesion, sample_lesions

FIRST_TRAINING_SEED = 1_000_000  # seeds below are for evaluation, demonstrations and tests; never trained on
Mode = Literal["realistic", "strict"]


@dataclass(frozen=True, eq=False)
class PhantomCase:
    """A film, its record and its truth.

    Parameters
    ----------
    film
        uint8 (size, size), MONOCHROME2: bone bright. The patient's right lies on the picture's left.
    lesions
        What was planted.
    masks
        Code -> bool (size, size): where the lesion changes the attenuation path.
    without
        Code -> uint8 (size, size): the same film without that lesion, same noise field and window.
    structures
        ``lungs``, ``right_lung``, ``left_lung``, ``heart``: bool (size, size).
    contrast
        Code -> contrast-to-noise ratio of the lesion inside its mask.
    marker
        Box (x0, y0, x1, y1) of the corner marker used by the shortcut model, None where there is none.
    distractors
        What lies on the film that no report mentions: ``letter``, ``tube``, ``lead``.
    """

    seed: int
    film: NDArray[np.uint8]
    lesions: tuple[Lesion, ...]
    masks: Mapping[str, NDArray[np.bool_]]
    without: Mapping[str, NDArray[np.uint8]]
    structures: Mapping[str, NDArray[np.bool_]]
    contrast: Mapping[str, float]
    marker: tuple[int, int, int, int] | None = None
    distractors: tuple[str, ...] = ()


@dataclass(frozen=True, eq=False)
class Exposure:
    """Everything of the imaging chain that a counterfactual pair shares."""

    noise: Array
    noise_level: float
    scatter: float
    sharpening: float
    gamma: float
    overlay: Array  # markers and tubes, added to the path
    border: NDArray[np.bool_]
    strict: bool
    brightness: float = 0.0
    distractors: tuple[str, ...] = ()


def draw_case(
    seed: int,
    *,
    size: int = 512,
    lesions: tuple[Lesion, ...] | None = None,
    marker: bool = False,
    distractors: bool = True,
    mode: Mode = "realistic",
    conditions: Conditions = AS_DRAWN,
    pairs: bool = True,
) -> PhantomCase:
    """Draw one person and the record's lesions.

    Parameters
    ----------
    seed
        Same seed, same person; below ``FIRST_TRAINING_SEED`` never seen in training.
    size
        Edge of the film in pixels.
    lesions
        What to plant; drawn from the seed when None.
    marker
        Whether to print the corner marker that the shortcut model was trained to read.
    distractors
        Side letters, tubes and leads that no report mentions.
    mode
        ``strict`` leaves out scatter and local contrast, so that a lesion changes the film only in its mask and
        the soft edge of 2 cm around it, and a pneumothorax also, faintly, the rest of the lung it compresses.
    conditions
        What is imposed on the film; all else stays the seed's.
    pairs
        Whether the films without each lesion are drawn too.
    """
    record_rng, lesion_rng, exposure_rng = np.random.default_rng(seed).spawn(3)
    anatomy = _person(seed, size, conditions.turn, conditions.offset)
    lesions = sample_lesions(record_rng) if lesions is None else lesions
    exposure, box = expose(exposure_rng, size, marker, distractors, mode, border=conditions.border)
    return compose(seed, anatomy, lesions, lesion_rng, exposure, box, pairs=pairs, conditions=conditions)


@lru_cache(maxsize=1)
def _person(seed: int, size: int, turn: float, offset: float) -> Anatomy:
    """The last person drawn is kept: films of one person under several conditions take a quarter of the time."""
    return draw_anatomy(np.random.default_rng(seed), size, turn=turn, offset=offset)


def compose(
    seed: int,
    anatomy: Anatomy,
    lesions: tuple[Lesion, ...],
    rng: np.random.Generator,
    exposure: Exposure,
    marker: tuple[int, int, int, int] | None = None,
    *,
    pairs: bool = True,
    conditions: Conditions = AS_DRAWN,
) -> PhantomCase:
    """Film of an anatomy with lesions; ``pairs=False`` leaves out the counterfactual films."""
    changes: dict[str, Array] = {lesion.code: plant(lesion, anatomy, rng, conditions.extent) for lesion in lesions}
    if conditions.strength != 1.0:
        changes = {code: conditions.strength * change for code, change in changes.items()}
    window = _window(_radiograph(anatomy.path, exposure), exposure)
    exposure = replace(exposure, noise_level=exposure.noise_level * conditions.noise, brightness=conditions.brightness)
    path = _with(anatomy, changes)
    film = develop(path, exposure, window)
    rest = {code: _with(anatomy, {o: c for o, c in changes.items() if o != code}) for code in changes}
    masks = {code: mask_of(path - rest[code]) for code in changes}
    without = {code: develop(rest[code], exposure, window) for code in changes} if pairs else {}
    structures = {
        "lungs": anatomy.lungs,
        "right_lung": anatomy.right.chord > 0.5,
        "left_lung": anatomy.left.chord > 0.5,
        "heart": anatomy.heart_chord > 0.5,
    }
    contrast = {
        code: float(np.abs(path - rest[code])[masks[code]].mean() / exposure.noise_level) if masks[code].any() else 0.0
        for code in changes
    }
    return PhantomCase(seed, film, lesions, masks, without, structures, contrast, marker, exposure.distractors)


def _with(anatomy: Anatomy, changes: Mapping[str, Array]) -> Array:
    """The attenuation path with lesions; together they displace no more air than there is."""
    total = sum(changes.values(), np.zeros_like(anatomy.path))
    room = (MU_SOFT - MU_LUNG) * 1.1 * (anatomy.right.chord + anatomy.left.chord) + 0.2
    return np.asarray(anatomy.path + np.minimum(total, room), dtype=np.float32)


def develop(path: Array, exposure: Exposure, window: tuple[float, float]) -> NDArray[np.uint8]:
    """Attenuation path to the displayed film, uint8 (size, size)."""
    low, high = window
    shown = (_radiograph(path, exposure) - low) / (high - low) + exposure.brightness
    grey = np.clip(shown, 0, 1) ** exposure.gamma
    grey = np.where(exposure.border, 0.0, grey)
    return np.asarray(np.round(grey * 255), dtype=np.uint8)


def _radiograph(path: Array, exposure: Exposure) -> Array:
    size = path.shape[0]
    through = np.exp(-(path + exposure.overlay))
    if not exposure.strict:
        through = (1 - exposure.scatter) * through + exposure.scatter * _blur(through, 3.0 * size / FIELD_CM)
    noisy = through + exposure.noise * exposure.noise_level * np.sqrt(through * 0.1)
    density = -np.log(np.clip(noisy, 1e-4, None))
    if not exposure.strict:
        density = density + exposure.sharpening * (density - _blur(density, 1.8 * size / FIELD_CM))
    return np.asarray(density, dtype=np.float32)


def _blur(picture: Array, sigma: float) -> Array:
    """Wide Gaussian on a reduced grid: as good, and an order cheaper."""
    step = max(1, int(sigma // 3))
    if step == 1:
        return np.asarray(ndimage.gaussian_filter(picture, sigma), dtype=np.float32)
    size = picture.shape[0]
    reduced = Image.fromarray(picture.astype(np.float32)).resize((-(-size // step),) * 2, Image.Resampling.BOX)
    blurred = ndimage.gaussian_filter(np.asarray(reduced), sigma / step, mode="nearest")
    return np.asarray(Image.fromarray(blurred).resize((size, size), Image.Resampling.BILINEAR), dtype=np.float32)


def _window(density: Array, exposure: Exposure) -> tuple[float, float]:
    inside = density[~exposure.border]
    low, high = np.percentile(inside[:: max(1, inside.size // 20000)], (2.0, 99.3))
    return float(low), float(high)


def expose(
    rng: np.random.Generator, size: int, marker: bool, distractors: bool, mode: Mode, *, border: bool = True
) -> tuple[Exposure, tuple[int, int, int, int] | None]:
    """Draw the imaging chain of one film, and the box of its marker where one is printed.

    ``border=False`` leaves the film's edges open where the seed has a black border.
    Noise is drawn pixel by pixel, so scatter, sharpening and gamma of a seed differ between sizes; the person does not.
    """
    overlay = np.zeros((size, size), dtype=np.float32)
    draw = rng.random(8)
    printed = []
    if distractors:
        if draw[0] < 0.55:
            overlay += _side_letter(rng, size)
            printed.append("letter")
        if draw[1] < 0.18:
            overlay += _tube(rng, size)
            printed.append("tube")
        if draw[2] < 0.12:
            overlay += _electrode(rng, size)
            printed.append("lead")
    box = None
    if marker:
        box = marker_box(size)
        overlay[box[1] : box[3], box[0] : box[2]] += 3.0 * marker_shape(box[2] - box[0])
    edges = np.zeros((size, size), dtype=bool)
    if distractors and draw[3] < 0.2:
        margin = int(rng.uniform(0.01, 0.035) * size)
        if border:
            edges[:margin], edges[-margin:], edges[:, :margin], edges[:, -margin:] = True, True, True, True
    # White noise, stronger in finer pixels, so that a film reduced to 256 pixels is as noisy as one drawn there.
    level = rng.uniform(0.010, 0.030)
    noise = rng.normal(size=(size, size)).astype(np.float32)
    exposure = Exposure(
        noise=noise,
        noise_level=float(level * size / 256),
        scatter=float(rng.uniform(0.25, 0.40)),
        sharpening=float(rng.uniform(0.10, 0.35)),
        gamma=float(rng.uniform(1.05, 1.7)),
        overlay=overlay,
        border=edges,
        strict=mode == "strict",
        distractors=tuple(printed),
    )
    return exposure, box


def marker_box(size: int) -> tuple[int, int, int, int]:
    """Where the shortcut's corner marker is printed: low in the picture's right corner."""
    edge = round(size * 0.055)
    x0, y0 = round(size * 0.915), round(size * 0.915)
    return x0, y0, x0 + edge, y0 + edge


def marker_shape(edge: int) -> NDArray[np.bool_]:
    """A lead triangle, bool (edge, edge)."""
    rows, cols = np.mgrid[0:edge, 0:edge]
    return np.asarray(cols >= edge - 1 - rows)


def _side_letter(rng: np.random.Generator, size: int) -> Array:
    """Lead R or L at its true side; stroke letters, no font needed."""
    left = rng.random() < 0.35
    strokes = _STROKES["L" if left else "R"]
    edge = size * rng.uniform(0.035, 0.05)
    x = size * (rng.uniform(0.86, 0.93) if left else rng.uniform(0.03, 0.09))
    y = size * rng.uniform(0.03, 0.16)
    canvas = Image.new("L", (size * 2, size * 2))
    pen = ImageDraw.Draw(canvas)
    for stroke in strokes:
        points = [((x + px * edge) * 2, (y + py * edge * 1.4) * 2) for px, py in stroke]
        pen.line(points, fill=255, width=max(2, round(size / 90)))
    return np.asarray(canvas.resize((size, size), Image.Resampling.BOX), dtype=np.float32) / 255 * 2.2


_STROKES = {
    "L": (((0, 0), (0, 1), (0.8, 1)),),
    "R": (((0, 1), (0, 0), (0.6, 0), (0.8, 0.25), (0.6, 0.5), (0, 0.5)), ((0.35, 0.5), (0.8, 1))),
}


def _tube(rng: np.random.Generator, size: int) -> Array:
    """A line running down the mediastinum, or in from one side."""
    t = np.linspace(0, 1, 40)
    if rng.random() < 0.5:
        x = 0.5 + 0.012 * np.sin(3 * t + rng.uniform(0, 6))
        y = -0.02 + t * rng.uniform(0.35, 0.8)
    else:
        sign = rng.choice((-1, 1))
        x = 0.5 + sign * (0.03 + 0.33 * (1 - t) ** 1.6)
        y = 0.17 + 0.05 * (1 - t) + t**2 * rng.uniform(0.2, 0.32)
    canvas = Image.new("L", (size * 2, size * 2))
    points = [(float(px) * size * 2, float(py) * size * 2) for px, py in zip(x, y, strict=True)]
    ImageDraw.Draw(canvas).line(points, fill=255, width=max(2, round(size / 110)))
    return np.asarray(canvas.resize((size, size), Image.Resampling.BOX), dtype=np.float32) / 255 * 0.35


def _electrode(rng: np.random.Generator, size: int) -> Array:
    """A snap electrode with its lead, outside or over the chest wall."""
    x, y = rng.uniform(0.12, 0.88) * size, rng.uniform(0.2, 0.45) * size
    canvas = Image.new("L", (size * 2, size * 2))
    pen = ImageDraw.Draw(canvas)
    r = size * 0.011
    pen.ellipse([(x - r) * 2, (y - r) * 2, (x + r) * 2, (y + r) * 2], fill=255)
    pen.line([x * 2, y * 2, (x + rng.uniform(-0.1, 0.1) * size) * 2, 0], fill=90, width=2)
    return np.asarray(canvas.resize((size, size), Image.Resampling.BOX), dtype=np.float32) / 255 * 1.2
