"""Pictures of a calibration: are the probabilities true, and how much error is left when the unsure are set aside."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike

from radiolucent.confidence.intervals import interval
from radiolucent.confidence.scores import reliability, risk_coverage

INK, QUIET = "#1b3a57", "#9aa7b2"


def plot_reliability(probability: ArrayLike, right: ArrayLike, path: Path) -> Path:
    """Share of findings that are right against the probability stated, with 95 % Wilson intervals, as PNG.

    Both axes show the distance to certainty on a logarithmic scale: a good model's findings crowd near 1.
    """
    from matplotlib.figure import Figure
    from matplotlib.ticker import FixedLocator, NullLocator

    figure = Figure(figsize=(4.6, 4.4), dpi=150, layout="constrained")
    axes = figure.add_subplot()
    floor = 2e-3
    for stated, share, count in reliability(probability, right):
        low, high = interval(round(share * count), count, rule="wilson")
        x, y = max(1 - stated, floor), max(1 - share, floor)
        axes.plot([x, x], [max(1 - high, floor), max(1 - low, floor)], color=INK, linewidth=1)
        axes.plot(x, y, "o", color=INK, markersize=3 + 6 * np.sqrt(count / np.size(np.asarray(right))))
    axes.plot([floor, 1], [floor, 1], color=QUIET, linewidth=1, linestyle="--")
    for name, axis in (("x", axes.xaxis), ("y", axes.yaxis)):
        getattr(axes, f"set_{name}scale")("log")
        getattr(axes, f"set_{name}lim")(1.0, floor)
        axis.set_major_locator(FixedLocator([0.5, 0.2, 0.1, 0.05, 0.02, 0.01, 0.005]))
        axis.set_minor_locator(NullLocator())
        axis.set_major_formatter(lambda value, _: f"{1 - value:g}")
    axes.set_xlabel("probability stated")
    axes.set_ylabel("share right, 95 % interval")
    axes.set_title("Reliability on cases the fit did not see", fontsize=10)
    axes.grid(color="#eef1f4")
    figure.savefig(path)
    return path


def plot_risk_coverage(scores: Mapping[str, ArrayLike], right: ArrayLike, path: Path) -> Path:
    """Share of wrong findings among the most confident kept, for each score, as PNG."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(5.2, 4.0), dpi=150, layout="constrained")
    axes = figure.add_subplot()
    for place, (name, score) in enumerate(scores.items()):
        curve = risk_coverage(score, right)
        line = axes.plot(100 * curve.coverage, 100 * curve.risk, label=name, linewidth=1)[0]
        if place == 0:
            line.set(color=INK, linewidth=2)
    wrong = 100 * float(1 - np.mean(np.asarray(right, dtype=float)))
    axes.axhline(wrong, color=QUIET, linewidth=1, linestyle="--", label="all kept")
    axes.set_xlim(0, 100)
    axes.set_ylim(bottom=0)
    axes.set_xlabel("findings kept, most confident first (%)")
    axes.set_ylabel("wrong among those kept (%)")
    axes.set_title("Risk and coverage", fontsize=10)
    axes.grid(color="#eef1f4")
    axes.legend(fontsize=8, framealpha=0.9, edgecolor="none")
    figure.savefig(path)
    return path
