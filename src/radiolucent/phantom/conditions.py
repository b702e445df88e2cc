"""What may be imposed on a film: one condition changed, everything else still drawn from the seed."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from radiolucent.errors import MalformedInput


@dataclass(frozen=True)
class Conditions:
    """How a film is taken and how marked its lesions are; the defaults leave the seed's own film as it is.

    Parameters
    ----------
    turn
        Degrees by which the patient lies turned on the film, clockwise as seen.
    offset
        Centimetres by which the patient lies off the middle, towards the picture's right.
    noise
        Times the seed's own noise; the display window stays the one that the seed's own noise would get.
    brightness
        Share of the display window by which all grey levels are raised; what leaves the window is clipped.
    border
        Whether the film keeps the black border that some seeds have.
    strength
        Times each lesion's own change of the attenuation path (its contrast).
    extent
        Times each lesion's own size: a nodule's and a consolidation's diameter, an effusion's height, a
        pneumothorax's gap, what a heart has grown by.

    Raises
    ------
    MalformedInput
        Where a number is out of the range that can be drawn.
    """

    turn: float = 0.0
    offset: float = 0.0
    noise: float = 1.0
    brightness: float = 0.0
    border: bool = True
    strength: float = 1.0
    extent: float = 1.0

    def __post_init__(self) -> None:
        bounds = {
            "turn": (-180.0, 180.0),
            "offset": (-15.0, 15.0),
            "noise": (0.01, 100.0),
            "brightness": (-1.0, 1.0),
            "strength": (0.0, 10.0),
            "extent": (0.05, 1.5),
        }
        for name, (low, high) in bounds.items():
            value = getattr(self, name)
            if not (np.isfinite(value) and low <= value <= high):
                raise MalformedInput(f"The condition {name} is {value}; expected a number from {low} to {high}.")


AS_DRAWN = Conditions()
