"""Does a film look like a phantom? The demo model knows nothing else, and must say so when shown anything else.

A film is described by its grey-level quantiles, the energy of each octave of detail, and its coarse layout; how far
that lies from the phantoms is a Mahalanobis distance with a shrunk covariance (Lee et al., NeurIPS 2018, on plain
features instead of a network's).
"""

from __future__ import annotations

from functools import cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from radiolucent.phantom.bundled import WEIGHTS
from radiolucent.phantom.film import FIRST_TRAINING_SEED, draw_case

REFERENCE = WEIGHTS / "likeness.npz"
EDGE = 128
MARGIN = 1.25  # over the farthest of the reference phantoms


def looks_like_phantom(picture: NDArray[np.floating]) -> bool:
    """Whether a displayed film could come from the phantom generator.

    Parameters
    ----------
    picture
        Grey (rows, cols) or colour (rows, cols, 3) in [0, 1].
    """
    mean, precision, limit = _reference()
    return distance(describe(picture), mean, precision) <= limit


def describe(picture: NDArray[np.floating]) -> NDArray[np.float64]:
    """33 numbers: 9 quantiles, 8 octave energies (mean and corner share), 16 coarse grey levels."""
    grey = np.asarray(picture, dtype=np.float64)
    if grey.ndim == 3:
        grey = grey.mean(axis=2)
    if min(grey.shape) > EDGE:  # average, so that detail finer than the description does not alias into it
        grey = ndimage.uniform_filter(grey, (grey.shape[0] / EDGE, grey.shape[1] / EDGE))
    rows = np.linspace(0, grey.shape[0] - 1, EDGE)
    cols = np.linspace(0, grey.shape[1] - 1, EDGE)
    small = ndimage.map_coordinates(grey, np.meshgrid(rows, cols, indexing="ij"), order=1)
    quantiles = np.quantile(small, np.linspace(0.1, 0.9, 9))
    energies = []
    smooth = small
    for octave in range(4):
        coarser = ndimage.gaussian_filter(small, 2.0**octave)
        band = (smooth - coarser) ** 2
        energies += [np.log(band.mean() + 1e-9), np.log(band[EDGE // 4 : -EDGE // 4].mean() + 1e-9)]
        smooth = coarser
    block = EDGE // 4
    layout = small.reshape(4, block, 4, block).mean(axis=(1, 3)).ravel()
    return np.concatenate([quantiles, energies, layout])


def distance(features: NDArray[np.floating], mean: NDArray[np.floating], precision: NDArray[np.floating]) -> float:
    """Mahalanobis distance of one description."""
    off = features - mean
    return float(np.sqrt(off @ precision @ off))


def fit(path: Path = REFERENCE, films: int = 600) -> None:
    """Describe phantoms of training seeds, at two sizes, and store mean, precision and limit."""
    seeds = range(FIRST_TRAINING_SEED * 3, FIRST_TRAINING_SEED * 3 + films)
    drawn = (draw_case(seed, size=512 if seed % 5 == 0 else 256, marker=seed % 7 == 0) for seed in seeds)
    described = np.stack([describe(case.film / 255) for case in drawn])
    mean = described.mean(axis=0)
    spread = described.std(axis=0)
    covariance = np.cov(described, rowvar=False) + 0.05 * np.diag(spread**2)
    precision = np.linalg.inv(covariance)
    limit = MARGIN * max(distance(row, mean, precision) for row in described)
    path.parent.mkdir(parents=True, exist_ok=True)
    np.savez(path, mean=mean, precision=precision, limit=np.array(limit))


@cache
def _reference() -> tuple[NDArray[np.float64], NDArray[np.float64], float]:
    with np.load(REFERENCE) as stored:
        return stored["mean"], stored["precision"], float(stored["limit"])
