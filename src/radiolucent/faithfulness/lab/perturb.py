"""Is a map faithful to the model? Deletion, insertion, ROAD, sensitivity-n, infidelity, necessity and sufficiency."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from radiolucent.attribution.regions import top_region
from radiolucent.faithfulness.grade import LEAST_NATS, on_token_grid
from radiolucent.faithfulness.lab.interventions import CurveFill, Interventions
from radiolucent.faithfulness.lab.records import Curve, Perturbed
from radiolucent.faithfulness.metrics import (
    Cells,
    PerturbationCurves,
    ScoreHidden,
    infidelity,
    necessity_and_sufficiency,
    removal_curves,
    sensitivity_n,
)

FILLS: tuple[CurveFill, ...] = ("mean", "blur", "counterfactual", "road")
SHARES = (0.0, 0.02, 0.05, 0.12, 0.3, 0.6, 1.0)  # of the cells, close together where lesions are
ROAD_SHARES = SHARES[:-1]  # with everything hidden, nothing is left to fill from
RANDOM_ORDERS = 2  # shared by all maps of a film; gaps are joined over films
SIZES = (0.03, 0.12, 0.5)  # of the cells, for sensitivity-n
SUBSETS = 24
SQUARES = 48


def perturb_all(
    maps: Sequence[tuple[int, NDArray[np.float32]]],
    interventions: Interventions,
    inside: Cells,
    fills: Sequence[CurveFill],
    seed: int,
) -> list[Perturbed]:
    """What hiding cells says of each map of a film.

    Parameters
    ----------
    maps
        The target's place among the film's targets, and the map.
    fills
        Of the curves. Sensitivity-n, infidelity, necessity and sufficiency hide by the mean token.
    seed
        Of random orders and subsets, the same for all maps, so that they share passes and are compared on equal terms.
    """

    def measured() -> list[Perturbed]:
        return [
            _measured(
                on_token_grid(values, inside.shape[1]),
                inside,
                {fill: interventions.asking(target, fill) for fill in interventions.fills(target, fills)},
                interventions.asking(target, "mean"),
                seed,
            )
            for target, values in maps
        ]

    measured()
    interventions.run()
    return measured()


def _measured(
    values: NDArray[np.float64],
    inside: Cells,
    asking: dict[CurveFill, ScoreHidden],
    plain: ScoreHidden,
    seed: int,
) -> Perturbed:
    cells = int(inside.sum())
    region = top_region(values, inside)
    worth = necessity_and_sufficiency(region, plain, inside=inside, least=LEAST_NATS) if region.any() else None
    sizes = sorted({min(max(1, round(share * cells)), cells - 1) for share in SIZES})
    return Perturbed(
        curves=tuple(_curve(values, inside, fill, score, seed) for fill, score in asking.items()),
        sensitivity=tuple(sensitivity_n(values, plain, sizes, inside=inside, subsets=SUBSETS, seed=seed).tolist()),
        infidelity=infidelity(values, plain, inside=inside, perturbations=SQUARES, seed=seed).relative,
        necessity=None if worth is None else worth.necessity,
        sufficiency=None if worth is None else worth.sufficiency,
    )


def _curve(values: NDArray[np.float64], inside: Cells, fill: CurveFill, score: ScoreHidden, seed: int) -> Curve:
    made = removal_curves(
        values,
        score,
        inside=inside,
        shares=_possible(ROAD_SHARES if fill == "road" else SHARES, int(inside.sum())),
        random_orders=RANDOM_ORDERS,
        seed=seed,
    )
    return Curve(
        fill=fill,
        hidden=_listed(made, lambda curves: curves.hidden),
        morf=_listed(made, lambda curves: curves.morf),
        lerf=_listed(made, lambda curves: curves.lerf),
        random=_listed(made, lambda curves: np.concatenate([curves.random_morf, curves.random_lerf]).mean(axis=0)),
        gap=made.gap,
        excess=made.excess,
    )


def _possible(shares: Sequence[float], cells: int) -> list[float]:
    """The shares that are different numbers of cells: on a coarse grid the smallest round to none."""
    return list(dict.fromkeys(round(share * cells) / cells for share in shares))


def _listed(curves: PerturbationCurves, of: Callable[[PerturbationCurves], NDArray[np.float64]]) -> tuple[float, ...]:
    return tuple(float(one) for one in of(curves))
