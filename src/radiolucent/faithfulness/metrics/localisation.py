"""Do a map's high cells lie in the lesion? Average precision and rank accuracy over the grid's cells.

Judged like :mod:`radiolucent.faithfulness.pointing`, whose hit, energy and rank AUC belong beside these: the mask is
carried to the grid as exact area, and padding is cut away.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from radiolucent.errors import MalformedInput
from radiolucent.faithfulness.metrics.overlap import areas
from radiolucent.faithfulness.pointing import Masks, judged, on_grid, reachable
from radiolucent.study.geometry import Geometry

Truth = Literal["cells", "area"]


def average_precision(
    values: NDArray[np.floating],
    mask: Masks,
    geometry: Geometry | Sequence[Geometry],
    *,
    truth: Truth = "cells",
) -> float:
    """Area under the precision-recall curve (AUPRC) of the map's cells, highest first.

    The sum of precision x gained recall over the map's distinct values, without interpolation (average precision, as
    scikit-learn defines it); tied cells enter together. Only the cells' order counts, their signs do not.

    Parameters
    ----------
    values, mask, geometry
        As in :func:`radiolucent.faithfulness.pointing.pointing_hit`.
    truth
        ``cells``: a cell is lesion or not, by pointing's rule (coverage at least half of the best); cells whose centre
        is padding are left out. A map that ranks the lesion's cells first scores 1.
        ``area``: a cell is lesion by the share of it that the mask covers. This is the AUPRC over source pixels of
        the map drawn in flat cells, as Arun et al. report, and no map on the grid need reach 1.

    Returns
    -------
    In (0, 1]; a constant map scores chance, the lesion's share of the judged cells (or area).

    Raises
    ------
    MalformedInput
        As :func:`radiolucent.faithfulness.pointing.pointing_hit`, and where the mask leaves nothing outside it.

    References
    ----------
    Arun et al. 2021, Radiol Artif Intell 3:e200267 (localisation by AUPRC).
    """
    if truth not in ("cells", "area"):
        raise MalformedInput(f"Truth '{truth}' is unknown; use 'cells' or 'area'.")
    if truth == "area":
        maps, masks, geometries = judged(values, mask, geometry)
        lesion, picture = areas(masks, geometries, maps.shape[1])
        shown = picture > 0
        scores, positive, negative = maps[shown], lesion[shown], (picture - lesion)[shown]
    else:
        grid, covered = on_grid(values, mask, geometry)
        shown = np.isfinite(grid)
        scores = grid[shown]
        positive = reachable(covered)[shown].astype(np.float64)
        negative = 1 - positive
    if negative.sum() <= 1e-9 * positive.sum():
        raise MalformedInput("The mask covers the whole picture; precision needs something outside it.")
    return _average_precision(scores, positive, negative)


def rank_accuracy(values: NDArray[np.floating], mask: Masks, geometry: Geometry | Sequence[Geometry]) -> float:
    """Share of the map's k highest cells that are the lesion's, k being the number of the lesion's cells.

    A cell is the lesion's by pointing's rule. Cells tied for the last places count by the share of them that would be
    drawn, so a constant map scores exactly chance; the best is 1. Arguments and errors as in
    :func:`radiolucent.faithfulness.pointing.pointing_hit`.

    References
    ----------
    Relevance rank accuracy: Arras, Osman & Samek 2022 (CLEVR-XAI), Inf Fusion 81:14.
    """
    grid, covered = on_grid(values, mask, geometry)
    shown = np.isfinite(grid)
    scores, lesion = grid[shown], reachable(covered)[shown]
    wanted = int(lesion.sum())
    last = np.sort(scores)[-wanted]
    above, tied = scores > last, scores == last
    places = wanted - int(above.sum())
    return float((lesion[above].sum() + lesion[tied].mean() * places) / wanted)


def _average_precision(
    scores: NDArray[np.float64], positive: NDArray[np.float64], negative: NDArray[np.float64]
) -> float:
    """Average precision of items that are positive by one weight and negative by another."""
    order = np.argsort(-scores, kind="stable")
    last_of_tie = np.append(np.diff(scores[order]) != 0, True)
    found = np.cumsum(positive[order])[last_of_tie]
    wrong = np.cumsum(negative[order])[last_of_tie]
    taken = found + wrong
    precision = np.divide(found, taken, out=np.zeros_like(found), where=taken > 0)
    gained = np.diff(found, prepend=0.0) / found[-1]
    return float((precision * gained).sum())
