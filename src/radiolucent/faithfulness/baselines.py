"""Maps that know nothing of the model: what every explanation has to beat.

XAI-TRIS (Clark et al. 2024) found popular methods behind random maps and edge detectors; a centre prior wins on films
whose lesions sit in the middle. Each returns float32 (frames, g, g), like a map.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from radiolucent.attribution.cells import cell_means
from radiolucent.errors import MalformedInput
from radiolucent.study.geometry import Geometry
from radiolucent.study.types import Study

CENTRE_SPREAD = 0.25  # standard deviation of the centre prior as a share of the square's edge


def random_map(geometries: Sequence[Geometry], *, seed: int = 0) -> NDArray[np.float32]:
    """Independent standard normal values in every cell."""
    size = _grid(geometries)
    draws = np.random.default_rng(seed).standard_normal((len(geometries), size, size))
    return draws.astype(np.float32)


def centre_prior(geometries: Sequence[Geometry]) -> NDArray[np.float32]:
    """A Gaussian at the middle of each padded square, 1 at its top, the same for every film."""
    size = _grid(geometries)
    distance = (np.arange(size) + 0.5) / size - 0.5
    squared = distance[:, None] ** 2 + distance[None, :] ** 2
    one = np.exp(-squared / (2 * CENTRE_SPREAD**2))
    return np.repeat(one[None], len(geometries), axis=0).astype(np.float32)


def edge_map(pictures: Sequence[NDArray[np.floating]], geometries: Sequence[Geometry]) -> NDArray[np.float32]:
    """Mean Sobel magnitude in every cell of the picture as displayed; padding is not an edge.

    Parameters
    ----------
    pictures
        (rows, cols) or (rows, cols, 3) in [0, 1]; one for each geometry.
    """
    size = _grid(geometries)
    maps = []
    for picture, geometry in zip(pictures, geometries, strict=True):
        grey = np.asarray(picture, dtype=np.float64)
        grey = grey.mean(axis=2) if grey.ndim == 3 else grey
        magnitude = np.hypot(ndimage.sobel(grey, axis=0, mode="nearest"), ndimage.sobel(grey, axis=1, mode="nearest"))
        maps.append(cell_means(geometry.pad(magnitude).astype(np.float64), size))
    return np.stack(maps).astype(np.float32)


def _grid(geometries: Sequence[Geometry]) -> int:
    sizes = {geometry.grid for geometry in geometries}
    if len(sizes) != 1:
        raise MalformedInput(f"The frames have grids {sorted(sizes)}; a map needs one grid and at least one frame.")
    return sizes.pop()


def _random(study: Study, geometries: Sequence[Geometry], seed: int) -> NDArray[np.float32]:
    return random_map(geometries, seed=seed)


def _centre(study: Study, geometries: Sequence[Geometry], seed: int) -> NDArray[np.float32]:
    return centre_prior(geometries)


def _edges(study: Study, geometries: Sequence[Geometry], seed: int) -> NDArray[np.float32]:
    return edge_map([frame.picture() for frame in study.frames], geometries)


Baseline = Callable[[Study, Sequence[Geometry], int], NDArray[np.float32]]
"""(study, geometries, seed) -> map."""

BASELINES: dict[str, Baseline] = {
    "random": _random,
    "centre_prior": _centre,
    "edges": _edges,
}
