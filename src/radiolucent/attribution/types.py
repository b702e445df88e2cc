"""What an attribution map is and what a method is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from radiolucent.study.geometry import Geometry
from radiolucent.vlm.types import Target

Claim = Literal["attended", "sensitive", "relied_on", "plausible"]


Verdict = Literal["necessary and sufficient", "necessary", "sufficient", "not verified"]
ControlKind = Literal["mirrored", "matched", "random", "other finding"]


@dataclass(frozen=True, eq=False)
class RegionTest:
    """What the words lost when a region was hidden, when all but it was, and when its controls were.

    Regions are bool (frames, grid_rows, grid_cols); losses are nats, positive where hiding makes the words less likely.

    Parameters
    ----------
    region
        The cells that were tested.
    proposer
        Method that pointed at them.
    hidden, only, everything
        Nats lost with the region hidden, with everything but the region hidden, with everything hidden.
    controls, control_kinds
        Bool (controls, frames, grid_rows, grid_cols), and what each of them is.
    controls_hidden, controls_only
        Nats lost with each control hidden, and with everything but it hidden (other findings' regions, which come last,
        are only hidden); empty where that was not run.
    necessity, sufficiency
        ``hidden / everything`` and ``1 - only / everything``; None where hiding everything costs next to nothing.
    specificity
        ``1 - mean(controls_hidden) / hidden``: share of the region's loss that its controls do not have; None where
        no control was hidden or the region's own loss is next to nothing.
    necessity_interval, sufficiency_interval
        Range of the share over the region itself and its copies moved by one cell; None where they were not run.
    specificity_interval
        95 % bootstrap interval over the controls; None for fewer than 20.
    verdict
        What was shown, see :mod:`radiolucent.attribution.verification` for the rule.
    order
        int64 (frames, grid_rows, grid_cols): how early a cell entered a searched set, from 1; 0 outside. None where
        nothing was searched.
    """

    region: NDArray[np.bool_]
    proposer: str
    hidden: float
    only: float
    everything: float
    controls: NDArray[np.bool_]
    control_kinds: tuple[ControlKind, ...] = ()
    controls_hidden: tuple[float, ...] = ()
    controls_only: tuple[float, ...] = ()
    necessity: float | None = None
    sufficiency: float | None = None
    specificity: float | None = None
    necessity_interval: tuple[float, float] | None = None
    sufficiency_interval: tuple[float, float] | None = None
    specificity_interval: tuple[float, float] | None = None
    verdict: Verdict = "not verified"
    order: NDArray[np.int64] | None = None

    @property
    def verified(self) -> bool:
        """Whether the region was shown to carry the words by at least one specific intervention."""
        return self.verdict != "not verified"


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
    note
        What a check of the map itself found, such as whether its values add up: a line in English, then one in Chinese;
        empty where nothing was checked.
    panel
        float32 (layers, frames, grid_rows, grid_cols) where a method gives a map of each layer; ``values`` their mean.
    """

    values: NDArray[np.float32]
    claim: Claim
    method: str
    target: Target
    units: str
    geometry: tuple[Geometry, ...]
    forwards: int = 0
    backwards: int = 0
    note: str = ""
    tests: tuple[RegionTest, ...] = ()
    panel: NDArray[np.float32] | None = None

    @property
    def peak_frame(self) -> int:
        """The frame that holds the highest value."""
        return int(self.values.max(axis=(1, 2)).argmax())
