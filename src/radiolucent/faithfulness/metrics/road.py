"""ROAD: hidden cells are filled from their neighbours, so that the hole's outline tells the model nothing.

A flat fill draws the removed region's shape into the picture, and a model can read that shape. ROAD solves for every
hidden cell the weighted mean of its neighbours (harmonic infilling) and adds a little noise, so that the model cannot
tell filled cells by their smoothness. Here the values are tokens, or pixels averaged in cells: anything on the grid.

Rong et al. 2022, "A consistent and efficient evaluation strategy for attribution methods" (ICML), section 5.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from radiolucent.errors import MalformedInput
from radiolucent.faithfulness.metrics.inputs import Cells, ScoreHidden
from radiolucent.faithfulness.metrics.perturbation_curves import (
    RANDOM_ORDERS,
    PerturbationCurves,
    removal_curves,
)

SIDE, CORNER = 1 / 6, 1 / 12  # weights of the four neighbours at a side and the four at a corner, from the paper
NOISE = 0.04  # share of a channel's spread: the authors' 0.01 on pictures in [0, 1], whose spread is about 0.25
SHARES = tuple(number / 10 for number in range(1, 10))  # at 1, nothing is left to fill from

Scored = Callable[[NDArray[np.float64]], NDArray[np.float64]]
"""Filled values (n, frames, g, g, channels) -> scores (n,)."""


def impute(
    values: NDArray[np.floating],
    hidden: Cells,
    *,
    inside: Cells | None = None,
    noise: float = NOISE,
    seed: int = 0,
) -> NDArray[np.float64]:
    """Hidden cells replaced by noisy linear imputation.

    Parameters
    ----------
    values
        (frames, g, g, channels).
    hidden
        Bool (n, frames, g, g).
    inside
        Bool (frames, g, g): cells of the picture. Padding is no neighbour and stays as it is; every cell where None.
    noise
        Standard deviation of the Gaussian noise added to filled cells, as a share of each channel's own over the
        picture's cells.
    seed
        Of the noise.

    Returns
    -------
    float64 (n, frames, g, g, channels)

    Raises
    ------
    MalformedInput
        Where the shapes disagree, values are not finite, the noise is negative, padding is to be filled, or a hidden
        part touches no visible cell.
    """
    rows, cells, sets = _checked(values, hidden, inside, noise)
    draw = np.random.default_rng(seed)
    spread = noise * rows[cells].std(axis=0)
    weights = [_neighbours(frame) for frame in cells]
    filled = np.repeat(rows[None], len(sets), axis=0)
    for copy, holes in zip(filled, sets, strict=True):
        for frame, hole, near in zip(copy, holes, weights, strict=True):
            if hole.any():
                frame[hole] = _solved(frame, hole, near)
        copy[holes] += draw.standard_normal((int(holes.sum()), rows.shape[-1])) * spread
    return filled


def road_curves(
    values: NDArray[np.floating],
    tokens: NDArray[np.floating],
    scored: Scored,
    *,
    inside: Cells | None = None,
    shares: Sequence[float] = SHARES,
    random_orders: int = RANDOM_ORDERS,
    noise: float = NOISE,
    batch: int = 16,
    seed: int = 0,
) -> PerturbationCurves:
    """The MoRF and LeRF curves of a map with hidden cells imputed, beside random orders.

    Parameters
    ----------
    values
        Signed map (frames, g, g), or (g, g) for one frame.
    tokens
        float (frames, g, g, channels): what the model is shown in each cell.
    scored
        Filled tokens -> scores, called with ``batch`` copies at a time.
    inside, random_orders, seed
        As in :func:`radiolucent.faithfulness.metrics.perturbation_curves.removal_curves`.
    shares
        Shares of the cells hidden, below 1: fully hidden, nothing is left to fill from.
    noise
        As in :func:`impute`.
    """
    return removal_curves(
        values,
        imputed_score(tokens, scored, inside=inside, noise=noise, batch=batch, seed=seed),
        inside=inside,
        shares=shares,
        random_orders=random_orders,
        seed=seed,
    )


def imputed_score(
    tokens: NDArray[np.floating],
    scored: Scored,
    *,
    inside: Cells | None = None,
    noise: float = NOISE,
    batch: int = 16,
    seed: int = 0,
) -> ScoreHidden:
    """Scores of hidden cells filled by :func:`impute`, ``batch`` copies at a time, for any perturbation metric."""
    if batch < 1:
        raise MalformedInput(f"A batch of {batch} copies scores nothing; use at least 1.")

    def score(hidden: Cells) -> NDArray[np.float64]:
        parts = [
            scored(impute(tokens, hidden[start : start + batch], inside=inside, noise=noise, seed=seed + start))
            for start in range(0, len(hidden), batch)
        ]
        return np.concatenate(parts) if parts else np.zeros(0)

    return score


def _checked(
    values: NDArray[np.floating], hidden: Cells, inside: Cells | None, noise: float
) -> tuple[NDArray[np.float64], Cells, Cells]:
    rows, sets = np.asarray(values, dtype=np.float64), np.asarray(hidden, dtype=bool)
    if rows.ndim != 4 or sets.ndim != 4 or sets.shape[1:] != rows.shape[:3]:
        raise MalformedInput(
            f"Values of shape {rows.shape} and hidden cells of shape {sets.shape}; expected (frames, g, g, channels) "
            "and (n, frames, g, g)."
        )
    cells = np.ones(rows.shape[:3], dtype=bool) if inside is None else np.asarray(inside, dtype=bool)
    if cells.shape != rows.shape[:3]:
        raise MalformedInput(f"Cells of shape {cells.shape} on values of shape {rows.shape}.")
    if not np.isfinite(rows).all():
        raise MalformedInput("The values to fill from are not finite.")
    if not (np.isfinite(noise) and noise >= 0):
        raise MalformedInput(f"A noise of {noise}; expected a share of at least 0.")
    if (sets & ~cells).any():
        raise MalformedInput("Cells outside the picture cannot be filled; hide cells inside it only.")
    return rows, cells, sets


def _neighbours(inside: Cells) -> NDArray[np.float64]:
    """(cells, cells) weight of each cell's neighbours inside the picture, 0 elsewhere."""
    rows, columns = inside.shape
    number = np.arange(inside.size).reshape(inside.shape)
    weights = np.zeros((inside.size, inside.size))
    for down in (-1, 0, 1):
        for right in (-1, 0, 1):
            if down == right == 0:
                continue
            here = number[max(0, -down) : rows - max(0, down), max(0, -right) : columns - max(0, right)]
            there = number[max(0, down) : rows + min(0, down), max(0, right) : columns + min(0, right)]
            weights[here.ravel(), there.ravel()] = CORNER if down and right else SIDE
    flat = inside.ravel()
    weights *= flat[:, None] & flat[None, :]
    return weights


def _solved(frame: NDArray[np.float64], hole: Cells, near: NDArray[np.float64]) -> NDArray[np.float64]:
    """Values of the hidden cells at which each is the weighted mean of its neighbours, hidden ones included."""
    inner = np.flatnonzero(hole)
    shown = ~hole.ravel()
    from_shown = near[inner][:, shown]
    labels, _ = ndimage.label(hole, structure=np.ones((3, 3)))
    touching = np.bincount(labels[hole], weights=from_shown.sum(axis=1))[1:]
    if (touching == 0).any():
        raise MalformedInput(
            "A hidden part of the picture touches no visible cell, so nothing is left to fill it from; hide less."
        )
    system = np.diag(near[inner].sum(axis=1)) - near[np.ix_(inner, inner)]
    channels = frame.reshape(-1, frame.shape[-1])
    return np.linalg.solve(system, from_shown @ channels[shown]).astype(np.float64)
