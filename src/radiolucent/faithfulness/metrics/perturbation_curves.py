"""What happens to the words as cells are hidden one group after another: deletion, insertion, and the gap.

Two removal orders of one map: MoRF hides the most relevant cells first, LeRF the least relevant first. Deletion is
the MoRF curve read from the whole picture on; insertion, which reveals the most relevant cells of an empty picture
first, visits exactly the LeRF curve's pictures from its far end. So one pair of curves serves both.

A curve alone mostly tells how fast *any* hidden cells break the picture. The gap, LeRF less MoRF, cancels that
(Blücher et al. 2024), and random orders, whose gap is 0 in the mean by symmetry, say how large a gap chance makes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from radiolucent.errors import MalformedInput
from radiolucent.faithfulness.metrics.inputs import Cells, ScoreHidden, checked_map, checked_scores

STEP = 16  # cells hidden from one point to the next
RANDOM_ORDERS = 20  # as many as a grade's controls; fewer say nothing of a 95 % range
LEVEL = 0.95


@dataclass(frozen=True, eq=False)
class PerturbationCurves:
    """Scores along the two removal orders of a map, and of random orders.

    Parameters
    ----------
    hidden
        float64 (points,): share of the picture's cells hidden, rising.
    morf, lerf
        float64 (points,): score with that share of the most, or least, relevant cells hidden.
    random_morf, random_lerf
        float64 (orders, points): the same for random orders and for their reverses.
    """

    hidden: NDArray[np.float64]
    morf: NDArray[np.float64]
    lerf: NDArray[np.float64]
    random_morf: NDArray[np.float64]
    random_lerf: NDArray[np.float64]

    @property
    def deletion(self) -> float:
        """Mean score along the deletion curve; low where the map is faithful."""
        return float(_mean_height(self.hidden, self.morf))

    @property
    def insertion(self) -> float:
        """Mean score along the insertion curve; high where the map is faithful."""
        return float(_mean_height(self.hidden, self.lerf))

    @property
    def random(self) -> float:
        """Mean score along the random curves, of which both deletion and insertion are measured."""
        both = np.concatenate([self.random_morf, self.random_lerf])
        return float(_mean_height(self.hidden, both).mean())

    @property
    def gap(self) -> float:
        """Insertion less deletion: the area between LeRF and MoRF, in the score's unit; positive is faithful."""
        return self.insertion - self.deletion

    @property
    def random_gaps(self) -> NDArray[np.float64]:
        """The same of every random order, (orders,)."""
        gaps: NDArray[np.float64] = _mean_height(self.hidden, self.random_lerf - self.random_morf)
        return gaps

    @property
    def excess(self) -> float:
        """The gap less the mean gap of the random orders."""
        return self.gap - float(self.random_gaps.mean())

    @property
    def excess_interval(self) -> tuple[float, float] | None:
        """The gap less the random orders' gaps at their 97.5th and 2.5th percentile; None of fewer than 20 orders."""
        if len(self.random_gaps) < RANDOM_ORDERS:
            return None
        tail = (1 - LEVEL) / 2
        low, high = self.gap - np.quantile(self.random_gaps, [1 - tail, tail])
        return float(low), float(high)

    @property
    def p_random(self) -> float:
        """Chance that an order drawn at random would have a gap as large (permutation test, one-sided)."""
        return float((1 + (self.random_gaps >= self.gap).sum()) / (1 + len(self.random_gaps)))


def removal_curves(
    values: NDArray[np.floating],
    score: ScoreHidden,
    *,
    inside: Cells | None = None,
    step: int = STEP,
    shares: Sequence[float] | None = None,
    random_orders: int = RANDOM_ORDERS,
    seed: int = 0,
) -> PerturbationCurves:
    """The MoRF and LeRF curves of a map, and those of random orders, from one call of ``score``.

    Parameters
    ----------
    values
        Signed map (frames, g, g), or (g, g) for one frame; only the order of its cells counts. Ties are broken at
        random, once, the same way in both orders.
    score
        Hidden cells -> scores, see :data:`radiolucent.faithfulness.metrics.inputs.ScoreHidden`. What stands in a
        hidden cell (mean, blur, counterfactual) is the caller's: run once for each fill, since the fill decides much
        of a curve's height.
    inside
        Cells that may be hidden (in the picture, not padding); every cell where None.
    step
        Cells hidden from one point to the next, from none to all of them.
    shares
        Rising shares of the cells in [0, 1] at which to measure instead of every ``step`` cells; each is rounded to
        a whole number of cells.
    random_orders
        At least 1; each costs as much as the map. Where gaps are joined over many maps, 1 each will do.
    seed
        Of ties and random orders.

    Returns
    -------
    :class:`PerturbationCurves`. A constant map is one more random order.

    Raises
    ------
    MalformedInput
        Where the map is not finite or does not fit ``inside``, the points are out of range, or a score is not finite.

    References
    ----------
    MoRF: Samek et al. 2017, IEEE TNNLS 28:2660. Deletion and insertion: Petsiuk et al. 2018 (RISE), BMVC. LeRF - MoRF:
    Blücher et al. 2024, "Decoupling pixel flipping and occlusion strategy", arXiv 2401.06654.
    """
    maps, cells = checked_map(values, inside)
    places = np.flatnonzero(cells)
    counts = _counts(len(places), step, shares)
    if random_orders < 1:
        raise MalformedInput(f"{random_orders} random orders; a curve means nothing without at least 1 beside it.")
    draw = np.random.default_rng(seed)
    first = np.lexsort((draw.permutation(len(places)), -maps[cells]))
    orders = [first, *(draw.permutation(len(places)) for _ in range(random_orders))]
    ranks = np.stack([np.argsort(order) for order in orders])  # (orders, cells): place of each cell in the order
    ranks = np.concatenate([ranks, len(places) - 1 - ranks])  # and of its reverse
    hidden = np.zeros((len(ranks), len(counts), maps.size), dtype=bool)
    hidden[:, :, places] = ranks[:, None, :] < counts[None, :, None]
    scores = _scored(score, hidden.reshape(-1, *maps.shape)).reshape(2, len(orders), len(counts))
    return PerturbationCurves(counts / len(places), scores[0, 0], scores[1, 0], scores[0, 1:], scores[1, 1:])


def _counts(cells: int, step: int, shares: Sequence[float] | None) -> NDArray[np.int64]:
    """Numbers of hidden cells at which to measure, rising."""
    if shares is None:
        if step < 1:
            raise MalformedInput(f"A step of {step} cells never gets on; use at least 1.")
        return np.append(np.arange(0, cells, step), cells)
    given = np.asarray(shares, dtype=np.float64)
    if given.ndim != 1 or not np.isfinite(given).all() or (given < 0).any() or (given > 1).any():
        raise MalformedInput(f"Shares of hidden cells {list(shares)}; expected numbers from 0 to 1.")
    counts = np.rint(given * cells).astype(np.int64)
    if len(counts) < 2 or (np.diff(counts) <= 0).any():
        raise MalformedInput(
            f"Shares {list(shares)} of {cells} cells are {counts.tolist()} cells; at least two different rising "
            "numbers are needed."
        )
    return counts


def _scored(score: ScoreHidden, hidden: Cells) -> NDArray[np.float64]:
    """Scores of every set of cells; sets that repeat (nothing hidden, everything hidden) are scored once."""
    flat = np.packbits(hidden.reshape(len(hidden), -1), axis=1)
    _, first, back = np.unique(flat, axis=0, return_index=True, return_inverse=True)
    found: NDArray[np.float64] = checked_scores(score, hidden[first])[back.reshape(-1)]
    return found


def _mean_height(hidden: NDArray[np.float64], curves: NDArray[np.float64]) -> NDArray[np.float64]:
    """Area under each curve (..., points) by the trapezoid rule, divided by its width."""
    area: NDArray[np.float64] = np.trapezoid(curves, hidden, axis=-1) / (hidden[-1] - hidden[0])
    return area
