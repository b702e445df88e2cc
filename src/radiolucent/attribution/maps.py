"""Raw values to a map that may be shown: right shape, finite, and not empty."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from radiolucent.attribution.types import AttributionMap, Claim
from radiolucent.errors import RadiolucentError
from radiolucent.vlm.types import Features, Target

FLOAT32_NATS = 1e-5  # two float32 log-probabilities of the same thing, computed in other batches, differ by less


class EmptyMap(RadiolucentError):
    """A method found nothing: every value is 0, or below what arithmetic resolves. No map is made up in its place."""


def finished(
    values: NDArray[np.floating],
    features: Features,
    *,
    claim: Claim,
    method: str,
    target: Target,
    units: str,
    forwards: int,
    backwards: int = 0,
    noise: float = 0.0,
) -> AttributionMap:
    """The map of a method's values.

    Parameters
    ----------
    values
        (images, rows, cols), or (images * cells,) on the token grid.
    forwards, backwards
        Pictures passed through the language model, and gradients taken; a foil counts as a second pass.

    noise
        Magnitude up to which a value is round-off.

    Raises
    ------
    EmptyMap
        Where no value is larger than ``noise``.
    RadiolucentError
        Where a value is not finite: the model's arithmetic overflowed.
    """
    raw = np.asarray(values, dtype=np.float32)
    if raw.ndim == 1:
        grid = features.geometries[0].grid
        raw = raw.reshape(len(features.geometries), grid, grid)
    if not np.isfinite(raw).all():
        raise RadiolucentError(
            f"{method} of {target.label!r} gave values that are not finite; load the model in float32 or bfloat16."
        )
    if not (np.abs(raw) > noise).any():
        raise EmptyMap(
            f"{method} of {target.label!r} is nothing but 0 or round-off: no part of the picture bears on these words "
            "under this method. That shows no region and does not mean that a finding is absent."
        )
    return AttributionMap(
        values=raw,
        claim=claim,
        method=method,
        target=target,
        units=units,
        geometry=features.geometries,
        forwards=forwards,
        backwards=backwards,
    )


def finished_or_empty(values: NDArray[np.floating], features: Features, **described: Any) -> AttributionMap | EmptyMap:
    """As :func:`finished`, the :class:`EmptyMap` returned in the map's place: for several targets at once."""
    try:
        return finished(values, features, **described)
    except EmptyMap as empty:
        return empty
