"""Synthetic films with known lungs: dark ellipses in a bright body on black air."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Mask = NDArray[np.bool_]


def ellipse(shape: tuple[int, int], centre: tuple[float, float], radii: tuple[float, float]) -> Mask:
    """Bool ``shape``; centre and radii as (column, row), shares of the shape."""
    rows, cols = np.mgrid[: shape[0], : shape[1]] + 0.5
    column, row = centre[0] * shape[1], centre[1] * shape[0]
    result: Mask = ((cols - column) / (radii[0] * shape[1])) ** 2 + ((rows - row) / (radii[1] * shape[0])) ** 2 <= 1
    return result


def chest(
    shape: tuple[int, int] = (300, 320), noise: float = 0.02, seed: int = 0
) -> tuple[NDArray[np.float64], Mask, Mask]:
    """Picture in [0, 1], picture-left lung, picture-right lung."""
    body = ellipse(shape, (0.5, 0.6), (0.46, 0.58))
    left = ellipse(shape, (0.3, 0.45), (0.13, 0.28))
    right = ellipse(shape, (0.7, 0.45), (0.13, 0.28))
    picture = np.where(body, 0.7, 0.02)
    picture[left | right] = 0.3
    picture[ellipse(shape, (0.5, 0.5), (0.05, 0.6)) & body] += 0.15
    picture += np.random.default_rng(seed).normal(scale=noise, size=shape)
    return picture.clip(0, 1), left, right
