"""Seconds of a piece of work, and of two pieces compared: run in turn, so that both meet the same machine."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

import torch

Result = TypeVar("Result")
FEWEST_FOR_A_MEDIAN = 3


def timed(work: Callable[[], Result], device: torch.device) -> tuple[Result, float]:
    """What the work returns and the seconds it took, the device's queue emptied before and after."""
    _settle(device)
    began = time.perf_counter()
    result = work()
    _settle(device)
    return result, time.perf_counter() - began


def _settle(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)


@dataclass(frozen=True)
class Pairs:
    """Seconds of a baseline and of what is compared with it, run one after the other.

    Parameters
    ----------
    baseline, compared
        One entry a pair, in the order in which the pairs ran.
    shared
        Seconds that both need besides and that were measured apart, such as the image encode.
    """

    baseline: tuple[float, ...]
    compared: tuple[float, ...]
    shared: float = 0.0

    @property
    def ratio(self) -> float:
        """Median over the pairs of compared ÷ baseline, what both share included."""
        return statistics.median(
            (self.shared + compared) / (self.shared + baseline)
            for baseline, compared in zip(self.baseline, self.compared, strict=True)
        )

    @property
    def seconds(self) -> float:
        """Median seconds of what is compared, what both share included."""
        return self.shared + statistics.median(self.compared)

    @property
    def said(self) -> str:
        """How many pairs the ratio rests on, in words."""
        count = len(self.baseline)
        if count >= FEWEST_FOR_A_MEDIAN:
            return f"median of {count} paired runs, in turn"
        return f"{count} paired run{'' if count == 1 else 's'}, too few for a median to mean much"


def paired(
    baseline: Callable[[], object],
    compared: Callable[[], object],
    *,
    pairs: int,
    device: torch.device,
    shared: float = 0.0,
) -> Pairs:
    """Run both in turn, ``pairs`` times: baseline, compared, baseline, compared, …"""
    seconds = [(timed(baseline, device)[1], timed(compared, device)[1]) for _ in range(pairs)]
    return Pairs(tuple(first for first, _ in seconds), tuple(second for _, second in seconds), shared)
