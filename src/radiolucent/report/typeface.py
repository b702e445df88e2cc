"""Text for pictures: the packaged font, exact measures, and line breaking for English and Chinese.

The font is a subset of Noto Sans CJK SC (``fonts/OFL.txt``), so a picture looks the same on every machine. A character
that the subset lacks is drawn as a small box with its code point: visible, and never a silent empty box.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cache
from importlib.resources import as_file, files
from typing import Literal

from PIL import Image, ImageDraw, ImageFont

Weight = Literal["Regular", "Bold"]
Mark = Literal["none", "solid", "dashed", "dotted"]
Colour = tuple[int, int, int]

# 避头尾 (GB/T 15834 and W3C "Requirements for Chinese Text Layout" 3.1.8): no line begins or ends with these.
NO_LINE_START = frozenset("，。、；：？！）】》」』〉〕｝”’％‰℃…—～·,.;:?!)]}%»›")
NO_LINE_END = frozenset("（【《「『〈〔｛“‘([{«‹")
_WIDE = frozenset("WF")
# Proportional forms that scripts/make_font.py gives private code points: the usual ones are an em wide.
_PROPORTIONAL = {"‘": "\ue018", "’": "\ue019", "“": "\ue01c", "”": "\ue01d", "…": "\ue026"}
_USUAL = {narrow: usual for usual, narrow in _PROPORTIONAL.items()}
TAB = "    "


@dataclass(frozen=True)
class Style:
    """How a run of text looks."""

    size: int = 25
    weight: Weight = "Regular"
    colour: Colour = (230, 233, 236)
    mark: Mark = "none"
    mark_colour: Colour | None = None
    fill: Colour | None = None


@dataclass(frozen=True)
class Run:
    """Text in one style."""

    text: str
    style: Style


@dataclass(frozen=True)
class Line:
    """One set line: its runs and its width in pixels."""

    runs: tuple[Run, ...]
    width: float


@cache
def typeface(weight: Weight, size: int) -> ImageFont.FreeTypeFont:
    """The packaged font at a size in pixels, laid out without any system library."""
    source = files("radiolucent.report") / "fonts" / f"NotoSansCJKsc-{weight}-subset.otf"
    with as_file(source) as path:
        return ImageFont.truetype(str(path), size, layout_engine=ImageFont.Layout.BASIC)


@cache
def covered(character: str) -> bool:
    """True where the packaged font has a glyph for the character (not its private forms, which no text may use)."""
    if "\ue000" <= character <= "\uf8ff":
        return False
    font = typeface("Regular", 32)
    blank = character.isspace() and character in " \u00a0\u3000"
    return blank or bytes(font.getmask(character)) != _missing()


def missing(texts: Iterable[str]) -> str:
    """Characters of the texts that the packaged font cannot draw, each once, sorted (line breaks and tabs aside)."""
    wanted = {character for text in texts for character in text} - {"\n", "\r", "\t"}
    return "".join(sorted(character for character in wanted if not covered(character)))


def typeset(text: str) -> str:
    """The text with quotation marks and ellipses in their narrow form wherever no Chinese stands beside them."""
    if not any(character in _PROPORTIONAL for character in text):
        return text
    chinese = [_is_wide(character) and character not in _PROPORTIONAL for character in text]
    return "".join(
        _PROPORTIONAL[character]
        if character in _PROPORTIONAL and not any(chinese[max(0, at - 2) : at + 3])
        else character
        for at, character in enumerate(text)
    )


def measure(text: str, style: Style) -> float:
    """Width in pixels of one line of text."""
    return sum(_advance(character, style.weight, style.size) for character in text)


def line_height(size: int) -> int:
    """Distance of two baselines, for mixed Latin and Chinese text."""
    return round(size * 1.5)


def wrap(runs: Sequence[Run], width: float) -> list[Line]:
    """Break runs into lines no wider than ``width``: English between words, Chinese between characters.

    A word wider than a line is broken inside; no character is ever lost but the spaces at a break.
    """
    lines: list[Line] = []
    for paragraph in _paragraphs(runs):
        lines.extend(_set(paragraph, width))
    return lines


def draw_line(draw: ImageDraw.ImageDraw, line: Line, x: float, baseline: float, background: Colour = (0, 0, 0)) -> None:
    """Draw a set line with its marks; ``background`` is what stands behind the text."""
    for run in line.runs:
        style = run.style
        width = measure(run.text, style)
        if style.fill is not None:
            draw.rounded_rectangle(
                (x - 2, baseline - style.size * 0.98, x + width + 2, baseline + style.size * 0.36), 4, fill=style.fill
            )
        _draw_run(draw, run, x, baseline, background if style.fill is None else style.fill)
        if style.mark != "none":
            _underline(draw, style, x, x + width, baseline + style.size * 0.26)
        x += width


def shorten(text: str, style: Style, width: float) -> str:
    """The text, or its beginning with ``…`` where it is wider than ``width``."""
    text = typeset(text)
    if measure(text, style) <= width:
        return text
    end = typeset("…") if not _is_wide(text[0]) else "…"
    kept = text
    while kept and measure(kept + end, style) > width:
        kept = kept[:-1]
    return kept.rstrip() + end


def _paragraphs(runs: Sequence[Run]) -> Iterator[list[tuple[str, Style]]]:
    paragraph: list[tuple[str, Style]] = []
    styled = [
        (character, run.style)
        for run in runs
        for character in run.text.replace("\r\n", "\n").replace("\r", "\n").replace("\t", TAB)
    ]
    set_text = typeset("".join(character for character, _ in styled))
    for character, style in zip(set_text, (style for _, style in styled), strict=True):
        if character == "\n":
            yield paragraph
            paragraph = []
        else:
            paragraph.append((character, style))
    yield paragraph


def _set(paragraph: list[tuple[str, Style]], width: float) -> Iterator[Line]:
    line: list[tuple[str, Style]] = []
    used = 0.0
    for unit in _units(paragraph):
        space = sum(_advance(character, style.weight, style.size) for character, style in unit)
        bare = sum(_advance(c, s.weight, s.size) for c, s in _without_trailing_space(unit))
        if used + bare > width and line:
            yield _line(line)
            line, used = [], 0.0
        if bare > width:  # wider than a whole line: break it anywhere
            for character, style in unit:
                advance = _advance(character, style.weight, style.size)
                if used + advance > width and line:
                    yield _line(line)
                    line, used = [], 0.0
                line.append((character, style))
                used += advance
            continue
        line.extend(unit)
        used += space
    yield _line(line)


def _units(paragraph: list[tuple[str, Style]]) -> Iterator[list[tuple[str, Style]]]:
    """Pieces between which a line may break."""
    unit: list[tuple[str, Style]] = []
    for character, style in paragraph:
        if unit and _may_break(unit[-1][0], character):
            yield unit
            unit = []
        unit.append((character, style))
    if unit:
        yield unit


def _may_break(before: str, after: str) -> bool:
    before, after = _USUAL.get(before, before), _USUAL.get(after, after)
    if after.isspace() or after in NO_LINE_START or before in NO_LINE_END:
        return False
    if before.isspace() and before != "\u00a0":
        return True
    if after in _PROPORTIONAL or before in _PROPORTIONAL:
        return False
    return _is_wide(before) or _is_wide(after) or before in "-/–|_\\"


def _is_wide(character: str) -> bool:
    return unicodedata.east_asian_width(character) in _WIDE


def _without_trailing_space(unit: list[tuple[str, Style]]) -> list[tuple[str, Style]]:
    end = len(unit)
    while end and unit[end - 1][0].isspace():
        end -= 1
    return unit[:end]


def _line(characters: list[tuple[str, Style]]) -> Line:
    kept = _without_trailing_space(characters)
    runs: list[Run] = []
    for character, style in kept:
        if runs and runs[-1].style == style:
            runs[-1] = replace(runs[-1], text=runs[-1].text + character)
        else:
            runs.append(Run(character, style))
    return Line(tuple(runs), sum(measure(run.text, run.style) for run in runs))


@cache
def _advance(character: str, weight: Weight, size: int) -> float:
    if character == "\t":
        return _advance(" ", weight, size) * len(TAB)
    if character not in _USUAL and not covered(character):
        return size * 1.0
    return float(typeface(weight, size).getlength(character))


@cache
def _missing() -> bytes:
    return bytes(typeface("Regular", 32).getmask("\U0010ffff"))


def _draw_run(draw: ImageDraw.ImageDraw, run: Run, x: float, baseline: float, background: Colour) -> None:
    style = run.style
    font = typeface(style.weight, style.size)
    piece = ""
    start = x
    for character in run.text:
        if character in _USUAL or covered(character):
            piece += character
        else:
            if piece:
                draw.text((start, baseline), piece, font=font, fill=style.colour, anchor="ls")
            start += measure(piece, style)
            _code_box(draw, character, style, start, baseline, background)
            start += _advance(character, style.weight, style.size)
            piece = ""
    if piece:
        draw.text((start, baseline), piece, font=font, fill=style.colour, anchor="ls")


def _code_box(
    draw: ImageDraw.ImageDraw, character: str, style: Style, x: float, baseline: float, background: Colour
) -> None:
    """The code point in two lines of hexadecimal digits inside a frame."""
    size = style.size
    top, bottom = baseline - size * 0.86, baseline + size * 0.1
    draw.rectangle((x + 1, top, x + size - 2, bottom), fill=background, outline=style.colour)
    digits = f"{ord(character):04X}"
    half = (len(digits) + 1) // 2
    font = typeface("Regular", max(6, round(size * (0.40 if half == 2 else 0.32))))
    middle = x + size / 2 - 0.5
    draw.text((middle, (top * 3 + bottom) / 4), digits[:half], font=font, fill=style.colour, anchor="mm")
    draw.text((middle, (top + bottom * 3) / 4), digits[half:], font=font, fill=style.colour, anchor="mm")


def _underline(draw: ImageDraw.ImageDraw, style: Style, x0: float, x1: float, y: float) -> None:
    colour = style.mark_colour or style.colour
    thick = max(2, round(style.size / 11))
    if style.mark == "solid":
        draw.line((x0, y, x1, y), fill=colour, width=thick)
        return
    dash, gap = (style.size * 0.42, style.size * 0.24) if style.mark == "dashed" else (thick, thick * 1.6)
    at = x0
    while at < x1:
        draw.line((at, y, min(at + dash, x1), y), fill=colour, width=thick)
        at += dash + gap


def text_image(text: str, style: Style, padding: int = 4, background: Colour = (0, 0, 0)) -> Image.Image:
    """One line of text as a picture of its own, for labels burned into films."""
    line = Line((Run(text, style),), measure(text, style))
    image = Image.new("RGB", (round(line.width) + 2 * padding, line_height(style.size)), background)
    draw_line(ImageDraw.Draw(image), line, padding, style.size * 1.08, background)
    return image
