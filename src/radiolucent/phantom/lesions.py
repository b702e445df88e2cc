"""Lesions planted in thickness space: each is a change of the attenuation path, in the same units as the path."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from radiolucent.phantom.anatomy import MU_LUNG, MU_SOFT, Anatomy, Array, Lung, heart_shape, smooth_step
from radiolucent.phantom.record import Lesion

MASK_SHARE = 0.15  # of the largest change; the halo of scatter outside is left out


def plant(lesion: Lesion, anatomy: Anatomy, rng: np.random.Generator, extent: float = 1.0) -> Array:
    """Change of the attenuation path that the lesion makes, float32 (size, size); ``extent`` times its own size."""
    drawn = _PLANTERS[lesion.code](lesion, anatomy, rng, extent)
    return np.asarray(drawn, dtype=np.float32)


def mask_of(change: Array) -> NDArray[np.bool_]:
    """Where the lesion changes the path by more than ``MASK_SHARE`` of its largest change."""
    size = np.abs(change)
    return np.asarray(size > MASK_SHARE * size.max()) if size.max() > 0 else np.zeros(size.shape, dtype=bool)


def _sides(lesion: Lesion) -> tuple[str, ...]:
    return ("left", "right") if lesion.side == "bilateral" else (str(lesion.side),)


def _cardiomegaly(lesion: Lesion, anatomy: Anatomy, rng: np.random.Generator, extent: float) -> Array:
    x, y, half, tall = anatomy.heart
    ratio = rng.uniform(0.565, 0.66)
    wide = max(anatomy.thorax_width * ratio / 2, half * 1.22)
    taller = tall * 1.08
    if extent != 1.0:
        wide, taller = half + extent * (wide - half), tall + extent * (taller - tall)
    grown = heart_shape(anatomy.x, anatomy.y, (x + 0.45 * (wide - half), y, wide, taller))
    displaced = np.minimum(np.maximum(grown - anatomy.heart_chord, 0) * 1.15, _air(anatomy))
    return np.asarray((MU_SOFT - MU_LUNG) * displaced)


def _effusion(lesion: Lesion, anatomy: Anatomy, rng: np.random.Generator, extent: float) -> Array:
    heights = {"mild": (2.6, 4.0), "moderate": (5.6, 7.6), "severe": (9.6, 13.0)}
    change = np.zeros_like(anatomy.x)
    for side in _sides(lesion):
        lung = anatomy.lung(side)
        height = extent * rng.uniform(*heights[lesion.severity or "moderate"])
        u = np.clip((anatomy.x - lung.centre_x) * np.sign(lung.centre_x) / lung.half_width, -1, 1)
        lateral = ((u + 1) / 2) ** 4
        surface = lung.base_y + 1.0 - height * (0.50 + 0.50 * lateral)
        wet = smooth_step(anatomy.y - surface, 0.22)
        change += (MU_SOFT - MU_LUNG) * lung.chord * wet * rng.uniform(0.85, 1.0)
    return change


def _pneumothorax(lesion: Lesion, anatomy: Anatomy, rng: np.random.Generator, extent: float) -> Array:
    lung = anatomy.lung(str(lesion.side))
    gap = extent * (rng.uniform(1.3, 2.0) if lesion.severity == "mild" else rng.uniform(2.8, 4.2))
    sign = np.sign(lung.centre_x)
    # The visceral pleura: the lung's own outline, drawn together towards the hilum.
    shrunk = 1 - gap / 9.0
    middle, reach = (lung.apex_y + lung.base_y) / 2, (lung.base_y - lung.apex_y) / 2 + 1.0
    u = ((anatomy.x - lung.centre_x) * sign / lung.half_width + 0.9) / shrunk - 0.9
    v = ((anatomy.y - middle) / reach - 0.25) / shrunk + 0.25
    taper = 0.60 + 0.40 * smooth_step(v * reach + 5.0, 2.0)
    outline = np.abs(np.where(u < 0, 0.3 * u, u) / taper) ** 2.6 + np.abs(np.where(v > 0, 0.8 * v, v)) ** 2.6
    collapsed = (1 - outline ** (1 / 2.6)) * lung.half_width * shrunk
    air = smooth_step(-collapsed, 0.10)
    line = np.exp(-((collapsed / 0.14) ** 2)) * np.minimum(lung.chord, 1)
    vessels = anatomy.vessels * (lung.chord > 0)
    emptied = air * (MU_LUNG * lung.chord * (1 + 0.10 * anatomy.texture) + MU_SOFT * 0.8 * vessels)
    squeezed = (1 - air) * MU_LUNG * lung.chord * 0.07 * min(gap / 2.0, 1.5)
    return np.asarray(squeezed + 0.16 * line - 0.92 * emptied)


def _consolidation(lesion: Lesion, anatomy: Anatomy, rng: np.random.Generator, extent: float) -> Array:
    lung = anatomy.lung(str(lesion.side))
    x, y = _place(lesion, lung, rng, inset=0.45)
    wide, tall, deep = (extent * rng.uniform(*range_) for range_ in ((1.9, 3.2), (1.7, 2.7), (4.5, 8.0)))
    turn = rng.uniform(0, np.pi)
    dx, dy = anatomy.x - x, anatomy.y - y
    u, v = (dx * np.cos(turn) + dy * np.sin(turn)) / wide, (dy * np.cos(turn) - dx * np.sin(turn)) / tall
    rough = 1 + 0.22 * np.roll(anatomy.texture, (17, 31), axis=(0, 1))
    chord = deep * np.clip(1 - (u**2 + v**2) * rough, 0, 1) ** 0.6
    density = rng.uniform(0.55, 0.9) * (1 + 0.15 * anatomy.texture)
    return np.asarray((MU_SOFT - MU_LUNG) * np.minimum(chord * np.clip(density, 0.2, 1), lung.chord))


def _nodule(lesion: Lesion, anatomy: Anatomy, rng: np.random.Generator, extent: float) -> Array:
    lung = anatomy.lung(str(lesion.side))
    x, y = _place(lesion, lung, rng, inset=0.62)
    radius = rng.uniform(0.75, 1.5)
    squared = np.clip((extent * radius) ** 2 - (anatomy.x - x) ** 2 - (anatomy.y - y) ** 2, 0, None)
    chord = (2 * np.sqrt(squared)) ** 1.2
    density = rng.uniform(0.8, 1.25) * (1.25 if radius < 1.0 else 1.0)
    return np.asarray((MU_SOFT - MU_LUNG) * density * np.minimum(chord, lung.chord))


def _place(lesion: Lesion, lung: Lung, rng: np.random.Generator, inset: float) -> tuple[float, float]:
    """A point well inside the named third of the lung."""
    low, high = lung.apex_y + 2.2, lung.base_y - 1.6
    third = (high - low) / 3
    start = low + third * ("upper", "middle", "lower").index(str(lesion.zone))
    y = rng.uniform(start + 0.15 * third, start + 0.85 * third)
    lateral = np.sign(lung.centre_x) * rng.uniform(-0.30, inset) * lung.half_width
    if lesion.zone == "lower" and lung.centre_x > 0:  # beside the heart, not behind it
        lateral = abs(rng.uniform(0.25, inset)) * lung.half_width
    if lesion.zone == "upper":
        lateral *= 0.7
    return float(lung.centre_x + lateral), float(y)


def _air(anatomy: Anatomy) -> Array:
    return anatomy.right.chord + anatomy.left.chord


_PLANTERS = {
    "cardiomegaly": _cardiomegaly,
    "pleural_effusion": _effusion,
    "pneumothorax": _pneumothorax,
    "consolidation": _consolidation,
    "nodule": _nodule,
}
