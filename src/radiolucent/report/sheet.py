"""A page to draw on: paper, type scale and the blocks that every page is made of."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from PIL import Image, ImageDraw

from radiolucent.report.typeface import (
    Colour,
    Line,
    Run,
    Style,
    draw_line,
    line_height,
    measure,
    shorten,
    typeset,
    wrap,
)

WIDTH = 2400  # A4 across at 205 dots per inch: the body text prints at 8.4 points
PAPER: Colour = (17, 20, 24)
BLACK: Colour = (0, 0, 0)
RULE: Colour = (47, 54, 62)
INK: Colour = (232, 235, 238)
MUTED: Colour = (152, 162, 173)
AMBER: Colour = (255, 180, 84)
VIOLET: Colour = (196, 172, 255)
SAGE: Colour = (150, 178, 168)
RED: Colour = (255, 122, 107)

BODY = Style(25, colour=INK)
SMALL = Style(20, colour=MUTED)
TINY = Style(17, colour=MUTED)
HEADING = Style(19, "Bold", MUTED)
TITLE = Style(34, "Bold", INK)


@dataclass
class Sheet:
    """One page under way."""

    image: Image.Image
    draw: ImageDraw.ImageDraw

    @classmethod
    def blank(cls, width: int, height: int, paper: Colour = PAPER) -> Sheet:
        """An empty page."""
        image = Image.new("RGB", (width, height), paper)
        return cls(image, ImageDraw.Draw(image))

    def line(self, x: float, top: float, text: str, style: Style, paper: Colour = PAPER) -> float:
        """One line of text by its upper left corner; returns its width."""
        text = typeset(text)
        width = measure(text, style)
        draw_line(self.draw, Line((Run(text, style),), width), x, top + style.size * 1.12, paper)
        return width

    def line_right(self, right: float, top: float, text: str, style: Style, paper: Colour = PAPER) -> None:
        """One line of text by its upper right corner."""
        self.line(right - measure(typeset(text), style), top, text, style, paper)

    def fitted(self, x: float, top: float, width: float, text: str, style: Style, smallest: int = 15) -> None:
        """One line made smaller until it fits; below ``smallest`` it ends in ``…``."""
        text = typeset(text)
        while measure(text, style) > width and style.size > smallest:
            style = replace(style, size=style.size - 1)
        self.line(x, top, shorten(text, style, width), style)

    def lines(self, x: float, top: float, lines: Sequence[Line], size: int, paper: Colour = PAPER) -> float:
        """Set lines below each other; returns the y below the last."""
        for line in lines:
            draw_line(self.draw, line, x, top + size * 1.12, paper)
            top += line_height(size)
        return top

    def paragraph(self, x: float, top: float, width: float, text: str, style: Style, paper: Colour = PAPER) -> float:
        """Wrapped text; returns the y below it."""
        return self.lines(x, top, wrap([Run(text, style)], width), style.size, paper)

    def heading(self, x: float, top: float, width: float, text: str, note: str = "") -> float:
        """A section's name over a hairline, with a note at the right; returns the y below it."""
        self.line(x, top, text, HEADING)
        if note:
            room = width - measure(text, HEADING) - 24
            self.line_right(x + width, top + 1, shorten(note, TINY, room), TINY)
        self.draw.line((x, top + 33, x + width, top + 33), fill=RULE, width=1)
        return top + 44

    def panel(self, box: tuple[float, float, float, float], fill: Colour, outline: Colour | None = None) -> None:
        """A filled rectangle with soft corners."""
        self.draw.rounded_rectangle(box, 6, fill=fill, outline=outline)


def text_height(text: str, width: float, style: Style) -> int:
    """Pixels that a wrapped paragraph takes."""
    return len(wrap([Run(text, style)], width)) * line_height(style.size)
