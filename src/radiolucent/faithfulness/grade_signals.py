"""What a region's test, the finding's other maps and the anatomy say: the signals that a grade is read from."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

from radiolucent.attribution.cells import cell_means, in_picture
from radiolucent.attribution.regions import Region, connected_parts, top_region
from radiolucent.attribution.types import AttributionMap, RegionTest
from radiolucent.attribution.verification import LEAST_NATS, PERCENTILE, neutral
from radiolucent.errors import MalformedInput
from radiolucent.faithfulness.grade_rule import Signals
from radiolucent.faithfulness.pointing import ranked_above
from radiolucent.localize.anatomy import Anatomy

Allowed = Sequence[Anatomy | None]
"""For each frame the anatomy allowed for a finding, over the token grid, or None where it is not known: see
:meth:`radiolucent.localize.film_places.FilmPlaces.allowed`."""


def signals_of(
    test: RegionTest, others: Iterable[AttributionMap], *, allowed: Allowed = (), overlap: float | None = None
) -> Signals:
    """The signals of a tested region.

    Parameters
    ----------
    others
        Further maps of the same words, for agreement; the one that proposed the region must not be among them.
    allowed
        The anatomy allowed for the finding; empty where not known.
    overlap
        Of another map's region with the tested one, where that map is graded by this test; None where the region is
        its own.
    """
    bears = test.everything >= LEAST_NATS
    outside, other_side = placed(test.region, allowed)
    return Signals(
        everything=test.everything,
        necessity=test.hidden / test.everything if bears else 0.0,
        sufficiency=1 - test.only / test.everything if bears else 0.0,
        gap=_gap(test) if bears else 0.0,
        agreement=agreement(test.region, others),
        outside=outside,
        other_side=other_side,
        verified=test.verified,
        overlap=1.0 if overlap is None else overlap,
        own=overlap is None,
    )


def placed(region: Region, allowed: Allowed) -> tuple[bool | None, bool | None]:
    """Whether a region lies outside the allowed anatomy, and whether only its side is wrong; None: not known.

    Judged in the frame that holds most of the region.
    """
    if not len(allowed) or not region.any():
        return None, None
    if len(allowed) != len(region):
        raise MalformedInput(f"A region over {len(region)} frames and anatomy of {len(allowed)}; expected as many.")
    frame = int(region.sum(axis=(1, 2)).argmax())
    anatomy, weights = allowed[frame], region[frame].astype(np.float64)
    return (None, None) if anatomy is None else (anatomy.outside(weights), anatomy.other_side(weights))


def _gap(test: RegionTest) -> float:
    """The larger margin over controls, as a share of everything: of hiding the region, or of showing it alone."""
    total = test.everything
    hide, show = neutral(test), [total - lost for lost in test.controls_only]
    margins = [
        effect - float(np.quantile(beside, PERCENTILE, method="higher"))
        for effect, beside in ((test.hidden, hide), (total - test.only, show))
        if len(beside)
    ]
    return max(margins, default=0.0) / total


def agreement(region: Region, others: Iterable[AttributionMap]) -> float | None:
    """How much higher other maps are inside the region than outside it: mean of 2 AUC - 1 of their ranks, not below 0.

    A map without any positive value says nothing and is left out; so is one that claims no more than *plausible*, such
    as a baseline, since it is not made from what the model used.

    Returns
    -------
    float or None
        None where no map was left, or the region is empty or the whole picture.
    """
    found = [
        max(0.0, 2 * area - 1)
        for other in others
        if other.claim != "plausible"
        and (area := _ranked_inside(on_token_grid(other.values, region.shape[1]), region, other)) is not None
    ]
    return float(np.mean(found)) if found else None


def overlap(one: Region, other: Region) -> float:
    """Shared cells over the smaller region's cells; 0 where either is empty.

    >>> overlap(np.ones((1, 2, 2), dtype=bool), np.eye(2, dtype=bool)[None])
    1.0
    """
    smaller = min(int(one.sum()), int(other.sum()))
    return float((one & other).sum() / smaller) if smaller else 0.0


def pointed_at(made: AttributionMap, grid: int) -> Region:
    """The region that a map points at, as it is drawn for people: bool (frames, grid, grid)."""
    return top_region(on_token_grid(made.values, grid), picture_cells(made, grid))


def main_part(made: AttributionMap, region: Region) -> Region:
    """The connected part of a region that holds the map's highest cell in it; empty where the region is."""
    if not region.any():
        return region
    values = np.where(region, on_token_grid(made.values, region.shape[1]), -np.inf)
    peak = int(values.argmax())
    return next(part for part in connected_parts(region) if part.flat[peak])


def picture_cells(made: AttributionMap, grid: int) -> Region:
    """Bool (frames, grid, grid): cells of the map that lie in the picture."""
    return np.stack([in_picture(geometry, grid) for geometry in made.geometry])


def on_token_grid(values: NDArray[np.floating], grid: int) -> NDArray[np.float64]:
    """A map (frames, n, n) of any resolution on the (frames, grid, grid) token grid, by exact area mean."""
    if values.ndim != 3 or not np.isfinite(values).all():
        raise MalformedInput(f"A map of shape {values.shape} with finite values in (frames, n, n) is expected here.")
    if values.shape[1] == grid:
        return values.astype(np.float64)
    return np.stack([cell_means(frame.astype(np.float64), grid) for frame in values])


def _ranked_inside(values: NDArray[np.float64], region: Region, made: AttributionMap) -> float | None:
    inside = picture_cells(made, region.shape[1])
    within, beyond = values[region & inside], values[~region & inside]
    if not within.size or not beyond.size or values[inside].max() <= 0:
        return None
    return ranked_above(within, beyond)
