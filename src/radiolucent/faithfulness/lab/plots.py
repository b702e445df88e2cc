"""The comparison as plots: hit rates, removal curves, cost, and what weight randomisation did. PNG bytes."""

from __future__ import annotations

import io
from collections.abc import Sequence
from functools import cache
from importlib.resources import as_file, files
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties
from numpy.typing import NDArray
from PIL import Image

from radiolucent.faithfulness.baselines import BASELINES
from radiolucent.faithfulness.lab.records import Curve
from radiolucent.faithfulness.lab.words import FILL_WORDS, STAGE_WORDS, TEXTS, both
from radiolucent.faithfulness.table import Comparison, MethodRow

DPI = 130
PALETTE = 128  # colours
COLOURS = {"relied_on": "#b5482f", "sensitive": "#c98a1b", "attended": "#2f6db5", "plausible": "#6f4aa8"}
GREY = "#8a9199"
BASELINE_LINES = {"centre_prior": "#b9bfc5", "edges": "#6b7279", "random": "#000000"}
LINES = (
    "#2f6db5", "#b5482f", "#3a8f5a", "#c98a1b", "#6f4aa8", "#1f8f94", "#b03a78", "#5c6670",
    "#7b9e1f", "#8c5a3c", "#4a56c8", "#d06a4a",
)  # fmt: skip


def plots(comparison: Comparison) -> dict[str, bytes]:
    """Name -> PNG; a plot of what was not measured is left out."""
    made = {"hits": _hits(comparison), "cost": _cost(comparison)}
    if comparison.perturbed[0]:
        made["curves"] = _curves(comparison)
    if any(row.cascade for row in comparison.rows):
        made["cascade"] = _cascade([row for row in comparison.rows if row.cascade])
    return made


@cache
def font(weight: str = "Regular") -> FontProperties:
    """The packaged font, which holds Chinese; matplotlib's own does not."""
    source = files("radiolucent") / "report" / "fonts" / f"NotoSansCJKsc-{weight}-subset.otf"
    with as_file(source) as path:
        return FontProperties(fname=str(path))


def _hits(comparison: Comparison) -> bytes:
    rows = list(comparison.rows)[::-1]
    figure = Figure(figsize=(7.6, 1.5 + 0.34 * len(rows)))
    axes = figure.add_subplot()
    for place, row in enumerate(rows):
        low, high = row.hit_interval
        axes.plot([low, high], [place, place], color=_colour(row), linewidth=2.4, solid_capstyle="butt", alpha=0.6)
        axes.plot([row.hit], [place], "o", color=_colour(row), markersize=6.5)
    chance = float(np.mean([row.chance for row in rows]))
    axes.axvline(chance, color=GREY, linestyle=":", linewidth=1.2, zorder=0)
    _said(axes.text(chance, len(rows) - 0.35, both(TEXTS["chance"]), color=GREY, ha="left", va="bottom"), 8)
    axes.set_yticks(range(len(rows)), [row.method for row in rows])
    axes.set_xlim(-0.02, 1.02)
    axes.set_ylim(-0.6, len(rows) - 0.2)
    axes.grid(axis="x", color="#e6e9ec")
    _bare(axes)
    _said(axes.set_xlabel(both(TEXTS["hits"])), 10)
    kinds = dict.fromkeys(row.claim for row in comparison.rows)
    handles = [axes.plot([], [], "o", color=COLOURS.get(kind, GREY), label=both(TEXTS[kind]))[0] for kind in kinds]
    figure.legend(handles=handles, loc="lower center", ncols=len(kinds), frameon=False, prop=_sized(8.5))
    figure.tight_layout(rect=(0, 0.34 / figure.get_figheight(), 1, 1))
    return _png(figure)


def _curves(comparison: Comparison) -> bytes:
    """Mean score, less that of the whole picture, along each removal order; a panel a fill."""
    every = [(score, curve) for score in comparison.scores if score.perturbed for curve in score.perturbed.curves]
    fills = list(dict.fromkeys(curve.fill for _, curve in every))
    methods = [row.method for row in comparison.rows]
    columns = min(2, len(fills))
    height = -(-len(fills) // columns)
    figure = Figure(figsize=(4.6 * columns, 3.2 * height + 0.34 * -(-(len(methods) + 3) // 4) + 0.5))
    for panel, fill in enumerate(fills):
        axes = figure.add_subplot(height, columns, panel + 1)
        some = [(score, curve) for score, curve in every if curve.fill == fill]
        for number, method in enumerate(methods):
            ours = [curve for score, curve in some if score.method == method]
            if not ours or method == "random":  # the random orders are drawn in its place
                continue
            colour, width = _line(number, method)
            hidden, morf = _mean_curve(ours, "morf")
            _, lerf = _mean_curve(ours, "lerf")
            axes.plot(hidden, morf, "-", color=colour, linewidth=width, marker="o", markersize=2.5)
            axes.plot(hidden, lerf, "--", color=colour, linewidth=0.8 * width)
        hidden, chance = _mean_curve([curve for _, curve in some], "random")
        axes.plot(hidden, chance, ":", color="black", linewidth=1.8)
        axes.set_xscale("symlog", linthresh=0.02)
        axes.set_xticks([0, 0.02, 0.05, 0.12, 0.3, 0.6, 1.0], ["0", "2", "5", "12", "30", "60", "100"])
        axes.minorticks_off()
        axes.set_xlim(0, 1.05)
        axes.grid(color="#e6e9ec")
        _bare(axes)
        _said(axes.set_title(both(FILL_WORDS[fill])), 10)
        _said(axes.set_xlabel(both(TEXTS["share_hidden"]) + " (%)"), 8.5)
        if panel % columns == 0:
            _said(axes.set_ylabel(both(TEXTS["nats"])), 8.5)
    axes = figure.axes[0]
    shown = [(number, method) for number, method in enumerate(methods) if method != "random"]
    handles = [
        axes.plot([], [], color=_line(number, method)[0], linewidth=1.8, label=method)[0] for number, method in shown
    ]
    handles += [
        axes.plot([], [], style, color="black", label=both(TEXTS[key]))[0]
        for style, key in (("-", "morf"), ("--", "lerf"), (":", "random_order"))
    ]
    figure.legend(handles=handles, loc="lower center", ncols=3, frameon=False, prop=_sized(8))
    figure.tight_layout(rect=(0, (0.2 + 0.2 * -(-len(handles) // 3)) / figure.get_figheight(), 1, 1))
    return _png(figure)


def _mean_curve(curves: Sequence[Curve], order: str) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Shares hidden on the first film, and the mean score there less the whole picture's.

    A film whose picture has other cells hides nearly the same shares; its scores are read between its points.
    """
    hidden = np.array(curves[0].hidden)
    lost = [np.interp(hidden, curve.hidden, getattr(curve, order)) - curve.morf[0] for curve in curves]
    return hidden, np.mean(lost, axis=0)


def _cost(comparison: Comparison) -> bytes:
    rows = [row for row in comparison.rows if row.method not in BASELINES]
    figure = Figure(figsize=(7.6, 4.4))
    axes = figure.add_subplot()
    least = 1e-3
    placed: list[tuple[float, float]] = []
    for row in sorted(rows, key=lambda row: -row.hit):
        seconds = max(row.measures["seconds"].value, least)
        low, high = row.hit_interval
        axes.plot([seconds, seconds], [low, high], color=_colour(row), alpha=0.35, linewidth=2)
        axes.plot([seconds], [row.hit], "o", color=_colour(row))
        height = row.hit
        while any(abs(height - other) < 0.045 and abs(np.log10(seconds / x)) < 0.9 for x, other in placed):
            height -= 0.046
        placed.append((seconds, height))
        axes.annotate(
            row.method,
            (seconds, row.hit),
            (seconds * 1.12, height),
            fontproperties=_sized(8),
            va="center",
            arrowprops={"arrowstyle": "-", "color": "#c3c9cf", "linewidth": 0.7} if height != row.hit else None,
        )
    best = max((row.hit for row in comparison.rows if row.method in BASELINES), default=0.0)
    axes.axhline(best, color=GREY, linestyle=":", linewidth=1.2)
    axes.set_xscale("log")
    _, right = axes.get_xlim()
    axes.set_xlim(least * 0.6, right * 4)
    _said(axes.text(right * 3.8, best + 0.012, both(TEXTS["baseline"]), color=GREY, va="bottom", ha="right"), 8)
    axes.set_ylim(min(-0.02, min((height for _, height in placed), default=0) - 0.03), 1.04)
    axes.grid(color="#e6e9ec")
    _bare(axes)
    _said(axes.set_xlabel(both(TEXTS["seconds_axis"])), 10)
    _said(axes.set_ylabel(both(TEXTS["hit_axis"])), 10)
    figure.tight_layout()
    return _png(figure)


def _cascade(rows: Sequence[MethodRow]) -> bytes:
    """A panel a method: similarity after each stage, solid SSIM and dashed rank, each beside its bar."""
    columns = min(4, len(rows))
    height = -(-len(rows) // columns)
    figure = Figure(figsize=(2.55 * columns, 2.15 * height + 1.15))
    stages = [both(pair) for pair in STAGE_WORDS.values()]
    for panel, row in enumerate(rows):
        axes = figure.add_subplot(height, columns, panel + 1)
        for name, style, colour in (("ssim", "-", "#2f6db5"), ("rank", "--", "#b5482f")):
            verdict = row.cascade[name]
            similar = [1.0, *verdict.similarities]
            axes.plot(range(len(similar)), similar, style, color=colour, marker="o", markersize=3)
            axes.axhline(verdict.bar, color=colour, linestyle=":", linewidth=1)
        axes.set_ylim(-0.6, 1.08)
        axes.set_xlim(-0.3, len(stages) + 0.3)
        axes.grid(axis="y", color="#e6e9ec")
        _bare(axes)
        axes.set_xticks(range(len(stages) + 1), [str(number) for number in range(len(stages) + 1)])
        _said(axes.set_title(row.method), 9)
    axes = figure.axes[0]
    handles = [
        axes.plot([], [], style, color=colour, label=label)[0]
        for style, colour, label in (
            ("-", "#2f6db5", "SSIM"),
            ("--", "#b5482f", "rank · 秩相关"),
            (":", GREY, both(TEXTS["bar"])),
        )
    ]
    numbered = "0 = –    " + "    ".join(f"{number} = {stage}" for number, stage in enumerate(stages, start=1))
    _said(figure.text(0.5, 0.42 / figure.get_figheight(), numbered, ha="center", va="bottom"), 7.2)
    figure.legend(handles=handles, loc="lower center", ncols=3, frameon=False, prop=_sized(8.5))
    figure.tight_layout(rect=(0, 0.75 / figure.get_figheight(), 1, 1))
    return _png(figure)


def _colour(row: MethodRow) -> str:
    return COLOURS.get(row.claim, GREY)


def _line(number: int, method: str) -> tuple[str, float]:
    return (BASELINE_LINES[method], 1.2) if method in BASELINES else (LINES[number % len(LINES)], 1.6)


def _bare(axes: Any) -> None:
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    for label in (*axes.get_xticklabels(), *axes.get_yticklabels()):
        label.set_fontproperties(_sized(8.5))


def _said(text: Any, size: float) -> None:
    text.set_fontproperties(_sized(size))


def _sized(size: float) -> FontProperties:
    sized: FontProperties = font().copy()
    sized.set_size(size)
    return sized


def _png(figure: Figure) -> bytes:
    drawn, small = io.BytesIO(), io.BytesIO()
    figure.savefig(drawn, format="png", dpi=DPI, metadata={"Software": None})
    # a palette is a third of the bytes: lines and letters in few colours
    Image.open(drawn).convert("RGB").quantize(PALETTE, dither=Image.Dither.NONE).save(small, "PNG", optimize=True)
    return small.getvalue()
