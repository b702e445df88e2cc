"""Do a map's numbers, not only their order, foretell what hiding cells costs? Sensitivity-n and infidelity."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from radiolucent.errors import MalformedInput
from radiolucent.faithfulness.metrics.inputs import Cells, ScoreHidden, checked_map, checked_scores

SUBSETS = 100  # random subsets of each size, as in Ancona et al.
PERTURBATIONS = 200

Perturbation = Literal["squares", "subsets"]


def sensitivity_n(
    values: NDArray[np.floating],
    score: ScoreHidden,
    sizes: Sequence[int],
    *,
    inside: Cells | None = None,
    subsets: int = SUBSETS,
    seed: int = 0,
) -> NDArray[np.float64]:
    """Pearson correlation of a subset's summed attribution with what hiding it costs, over random subsets of n cells.

    1 for every n where the model is additive in its cells and the map is its true effects. Sums that are all equal (a
    constant map) or costs that are all equal foretell nothing: 0.

    Parameters
    ----------
    values
        Signed map (frames, g, g), or (g, g) for one frame.
    score
        Hidden cells -> scores, see :data:`radiolucent.faithfulness.metrics.inputs.ScoreHidden`; called once.
    sizes
        The n's, each at least 1 and below the number of cells (all cells are a single subset).
    inside
        Cells that may be hidden; every cell where None.
    subsets
        Subsets of each size, at least 3; drawn independently, cells within one without replacement.

    Returns
    -------
    float64 (sizes,) in [-1, 1]

    Raises
    ------
    MalformedInput
        Where a size or the number of subsets is out of range, the map is not finite, or a score is not.

    References
    ----------
    Ancona et al. 2018, "Towards better understanding of gradient-based attribution methods", ICLR, section 3.3.
    """
    maps, cells = checked_map(values, inside)
    places = np.flatnonzero(cells)
    if not sizes or min(sizes) < 1 or max(sizes) >= len(places):
        raise MalformedInput(f"Subsets of {list(sizes)} of {len(places)} cells; expected 1 to {len(places) - 1}.")
    if subsets < 3:
        raise MalformedInput(f"{subsets} subsets of a size; a correlation needs at least 3.")
    draw = np.random.default_rng(seed)
    hidden = np.zeros((len(sizes) * subsets, maps.size), dtype=bool)
    for row, size in enumerate(np.repeat(sizes, subsets)):
        hidden[row, draw.choice(places, size=size, replace=False)] = True
    sums, costs = _sums_and_costs(maps, hidden, score)
    return np.array(
        [
            _pearson(sums[start : start + subsets], costs[start : start + subsets])
            for start in range(0, len(hidden), subsets)
        ]
    )


@dataclass(frozen=True)
class Infidelity:
    """How far a map's sums are from what hiding costs; 0 is best.

    Parameters
    ----------
    raw
        Mean squared difference (Yeh et al. eq. 1), in squared units of the score; only for maps in its unit.
    scaled
        The same with the map multiplied by the factor, at least 0, that fits best: for maps of any unit.
    relative
        ``scaled`` as a share of the mean squared cost, what a map of zeros would get: from 0 to 1, comparable between
        films; 1 too where the map foretells the opposite. 0 where hiding costs nothing at all and the map says so.
    factor
        The factor.
    """

    raw: float
    scaled: float
    relative: float
    factor: float


def infidelity(
    values: NDArray[np.floating],
    score: ScoreHidden,
    *,
    inside: Cells | None = None,
    perturbation: Perturbation = "squares",
    perturbations: int = PERTURBATIONS,
    seed: int = 0,
) -> Infidelity:
    """Expected squared difference between a perturbation's attribution and its cost.

    The perturbation I of Yeh et al. is here "these cells are hidden": its product with the map is the sum over them.

    Parameters
    ----------
    values, score, inside
        As in :func:`sensitivity_n`.
    perturbation
        ``squares``: one square of 1 cell to half the grid's edge, in one frame, anywhere in the picture (the paper's
        square removal). ``subsets``: every cell hidden or not by a fair coin (its noisy baseline, which on whole
        cells can only be all or nothing).
    perturbations
        Draws, at least 1.

    Raises
    ------
    MalformedInput
        Where an option is out of range, the map is not finite, or a score is not.

    References
    ----------
    Yeh et al. 2019, "On the (in)fidelity and sensitivity of explanations", NeurIPS, sections 2 and 2.2.
    """
    maps, cells = checked_map(values, inside)
    if perturbations < 1:
        raise MalformedInput(f"{perturbations} perturbations measure nothing; use at least 1.")
    draw = np.random.default_rng(seed)
    if perturbation == "squares":
        hidden = random_squares(cells, perturbations, draw)
    elif perturbation == "subsets":
        hidden = (draw.random((perturbations, *cells.shape)) < 0.5) & cells
    else:
        raise MalformedInput(f"Perturbation '{perturbation}' is unknown; use 'squares' or 'subsets'.")
    sums, costs = _sums_and_costs(maps, hidden.reshape(perturbations, -1), score)
    squared = float(np.mean(sums**2))
    factor = max(0.0, float(np.mean(sums * costs)) / squared) if squared > 0 else 0.0
    scaled = float(np.mean((factor * sums - costs) ** 2))
    nothing = float(np.mean(costs**2))
    return Infidelity(
        raw=float(np.mean((sums - costs) ** 2)),
        scaled=scaled,
        relative=scaled / nothing if nothing > 0 else float(squared > 0),
        factor=factor,
    )


def random_squares(inside: Cells, count: int, draw: np.random.Generator) -> Cells:
    """``count`` squares of cells, bool (count, frames, g, g), each cut to the picture and never empty."""
    frames, rows, columns = np.nonzero(inside)
    edge = inside.shape[1]
    hidden = np.zeros((count, *inside.shape), dtype=bool)
    for square in hidden:
        size = int(draw.integers(1, max(1, edge // 2) + 1))
        cell = int(draw.integers(len(frames)))  # a cell that the square holds, so it is never all padding
        top = int(np.clip(rows[cell] - draw.integers(size), 0, edge - size))
        left = int(np.clip(columns[cell] - draw.integers(size), 0, edge - size))
        square[frames[cell], top : top + size, left : left + size] = True
    return hidden & inside


def _sums_and_costs(
    maps: NDArray[np.float64], hidden: Cells, score: ScoreHidden
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Summed attribution of each set of cells, and what hiding it costs; (n,) each."""
    whole = np.zeros((1, maps.size), dtype=bool)
    every = checked_scores(score, np.concatenate([whole, hidden]).reshape(-1, *maps.shape))
    counted = np.where(hidden.any(axis=0), maps.ravel(), 0.0)  # a value in the padding may be anything
    sums: NDArray[np.float64] = hidden.astype(np.float64) @ counted
    return sums, every[0] - every[1:]


def _pearson(first: NDArray[np.float64], second: NDArray[np.float64]) -> float:
    one, two = first - first.mean(), second - second.mean()
    # sums of equal numbers differ by rounding alone
    flat = [np.linalg.norm(part) <= 1e-9 * np.linalg.norm(whole) for part, whole in ((one, first), (two, second))]
    if any(flat):
        return 0.0
    return float(np.clip(one @ two / (np.linalg.norm(one) * np.linalg.norm(two)), -1, 1))
