"""Plots as SVG: a share with its 95 % interval at each level, and how many cases it rests on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

from radiolucent.faithfulness.limits.labels import factor_name, finding_name, outcome_name, short_label
from radiolucent.faithfulness.limits.types import ANY, Outcome, Row

COLOURS: dict[Outcome, str] = {"recall": "#1c6ea4", "alarm": "#b8501a", "wrong_side": "#6b4a9c"}
WIDTH = 1060  # of a figure, in pixels
LEVEL, LEFT, RIGHT = 54, 44, 14  # room of a level, of the axis, of the margin
TOP, HEIGHT, BOTTOM = 30, 120, 44
GAP_Y = 10
TITLE = 190  # room of the longest panel title
CEILINGS = (0.1, 0.25, 0.5, 1.0)
FONT = "system-ui, 'Noto Sans CJK SC', 'PingFang SC', 'Microsoft YaHei', sans-serif"
FEW = 10  # cases; below it a share is drawn hollow


@dataclass(frozen=True)
class Panel:
    """One finding and outcome across the levels of a factor."""

    outcome: Outcome
    code: str
    rows: tuple[Row, ...]

    @property
    def width(self) -> int:
        """Pixels across, at least room for the title."""
        return LEFT + max(LEVEL * len(self.rows), TITLE) + RIGHT


def figure(factor: str, panels: Sequence[Panel], language: str) -> str:
    """One factor's panels as a self-contained SVG.

    Parameters
    ----------
    panels
        At least one, each with at least one row.
    """
    lines = _lines(panels)
    line_height = TOP + HEIGHT + BOTTOM + GAP_Y
    head = 30
    parts = [
        f'<text x="{LEFT - 34}" y="19" font-size="14" font-weight="600" fill="#1a1d21">'
        f"{escape(factor_name(factor, language))}</text>"
    ]
    for number, line in enumerate(lines):
        x = 0
        for panel in line:
            parts.append(_panel(panel, x, head + number * line_height, language))
            x += panel.width
    height = head + len(lines) * line_height
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" width="{WIDTH}" height="{height}" '
        f'role="img" aria-label="{escape(factor_name(factor, language))}" font-family="{FONT}">'
        f'<rect width="{WIDTH}" height="{height}" fill="#fff"/>{"".join(parts)}</svg>'
    )


def sample_panels(rows: Sequence[Row], factor: str) -> list[Panel]:
    """Panels of a property that the sample varies in."""
    return _grouped([row for row in rows if row.design == "sample" and row.factor == factor])


def paired_panels(rows: Sequence[Row], factor: str) -> list[Panel]:
    """Panels of an imposed condition: everything together first, then finding by finding."""
    panels = _grouped([row for row in rows if row.design == "paired" and row.factor == factor])
    return sorted(
        (panel for panel in panels if panel.outcome == "recall" or panel.code == ANY), key=lambda p: p.code != ANY
    )


def _grouped(rows: Sequence[Row]) -> list[Panel]:
    keys = dict.fromkeys((row.outcome, row.code) for row in rows)
    return [
        Panel(outcome, code, tuple(row for row in rows if (row.outcome, row.code) == (outcome, code)))
        for outcome, code in keys
    ]


def _lines(panels: Sequence[Panel]) -> list[list[Panel]]:
    lines: list[list[Panel]] = [[]]
    for panel in panels:
        if lines[-1] and sum(p.width for p in lines[-1]) + panel.width > WIDTH:
            lines.append([])
        lines[-1].append(panel)
    return lines


def _panel(panel: Panel, x: int, y: int, language: str) -> str:
    colour = COLOURS[panel.outcome]
    highest = max((row.share.high for row in panel.rows if row.share.count), default=0.0)
    ceiling = 1.0 if panel.outcome == "recall" else next(top for top in CEILINGS if highest <= top)
    left, floor = x + LEFT, y + TOP + HEIGHT
    right = x + panel.width - RIGHT

    title = f"{outcome_name(panel.outcome, language)}{'：' if language == 'zh' else ', '}"
    title += finding_name(panel.code, language)
    parts = [f'<text x="{left}" y="{y + 16}" font-size="12" fill="{colour}" font-weight="600">{escape(title)}</text>']
    for share in (0, 0.5, 1):
        at = floor - share * HEIGHT
        parts.append(
            f'<line x1="{left}" x2="{right}" y1="{at:.1f}" y2="{at:.1f}" stroke="#d9dde2"/>'
            f'<text x="{left - 6}" y="{at + 4:.1f}" font-size="11" text-anchor="end" fill="#5b6570">'
            f"{share * ceiling:g}</text>"
        )
    for number, row in enumerate(panel.rows):
        middle = left + LEVEL * (number + 0.5)
        parts.append(_level(row, middle, floor, HEIGHT / ceiling, colour, short_label(row.conditions, language)))
    return "".join(parts)


def _level(row: Row, x: float, floor: float, scale: float, colour: str, label: str) -> str:
    """The dot, its interval, the level's label and the counts; the unchanged film stands on a grey band."""
    share = row.share
    parts = []
    if row.usual:
        parts.append(
            f'<rect x="{x - LEVEL / 2:.1f}" y="{floor - HEIGHT:.1f}" width="{LEVEL}" height="{HEIGHT}" fill="#eef1f4"/>'
        )
    if share.count:
        low, high, dot = (floor - value * scale for value in (share.low, share.high, share.rate))
        fill = "#fff" if share.count < FEW else colour
        parts.append(
            f'<line x1="{x:.1f}" x2="{x:.1f}" y1="{low:.1f}" y2="{high:.1f}" stroke="{colour}" stroke-width="2"/>'
            f'<circle cx="{x:.1f}" cy="{dot:.1f}" r="4.5" fill="{fill}" stroke="{colour}" stroke-width="2"/>'
        )
    parts.append(
        f'<text x="{x:.1f}" y="{floor + 17:.1f}" font-size="11" text-anchor="middle" fill="#1a1d21">{escape(label)}'
        f'</text><text x="{x:.1f}" y="{floor + 32:.1f}" font-size="10" text-anchor="middle" fill="#5b6570">'
        f"{share.hits}/{share.count}</text>"
    )
    return "".join(parts)
