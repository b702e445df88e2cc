"""What an attribution map is and what a method is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from radiolucent.study.geometry import Geometry
from radiolucent.vlm.types import Target

Claim = Literal["attended", "sensitive", "relied_on", "plausible"]


@dataclass(frozen=True, eq=False)
class AttributionMap:
    """A raw map over the padded square of each frame.

    Parameters
    ----------
    values
        Signed float32 (frames, grid_rows, grid_cols); positive supports the target.
    claim
        How strong the statement is: ``attended`` < ``sensitive`` < ``relied_on``; ``plausible`` apart.
    units
        Such as ``"attention"`` or ``"nats"``.
    geometry
        One for each frame.
    forwards, backwards
        Passes that the map cost.
    """

    values: NDArray[np.float32]
    claim: Claim
    method: str
    target: Target
    units: str
    geometry: tuple[Geometry, ...]
    forwards: int = 0
    backwards: int = 0
