"""The decision chain, the contrasts and the marks on page two: what the report says of itself, step by step."""

from __future__ import annotations

from dataclasses import replace

from radiolucent.report.sheet import AMBER, BODY, INK, MUTED, RED, SAGE, SMALL, TINY, Sheet, text_height
from radiolucent.report.typeface import Colour, Style, measure
from radiolucent.report.wording import pick, say
from radiolucent.trace.chain import CHAIN_NOTE, STAGE_WORDS, STRENGTH_WORDS
from radiolucent.trace.marks import MARK_WORDS
from radiolucent.trace.types import ChainStep, Contrast, Mark, Strength, Trace

STRENGTH_LOOK: dict[Strength, Colour] = {"verified": AMBER, "weak": INK, "not shown": MUTED}
MARK_LOOK: dict[Mark, Colour] = {"seen": SAGE, "guessed": RED, "unknown": MUTED}
GAP = 60
BADGE = Style(17, "Bold")
ASK = Style(22, "Bold", INK)
ANSWER = replace(SMALL, size=20, colour=(205, 211, 217))


def draw_decision(sheet: Sheet, box: tuple[float, float, float], trace: Trace, language: str) -> float:
    """Chain at the left, contrasts at the right; returns the y below both.

    Parameters
    ----------
    box
        x, top and width.
    """
    x, top, width = box
    if not trace.chain:
        return top
    half = (width - GAP) / 2 if trace.contrasts else width
    left = sheet.heading(x, top, half, say("chain", language))
    left = sheet.paragraph(x, left - 4, half, pick(CHAIN_NOTE, language), TINY) + 12
    for number, step in enumerate(trace.chain, start=1):
        left = _step(sheet, x, left, half, number, step, language)
    right = top
    if trace.contrasts:
        aside = x + half + GAP
        right = sheet.heading(aside, top, half, say("contrasts", language))
        right = sheet.paragraph(aside, right - 4, half, say("contrasts_note", language), TINY) + 12
        for contrast in trace.contrasts:
            right = draw_contrast(sheet, aside, right, half, contrast, language)
    return max(left, right) + 24


def draw_mark(sheet: Sheet, x: float, top: float, mark: Mark) -> None:
    """A disc for what depends on the image, a ring for what does not, a bar for what was not measured."""
    colour = MARK_LOOK[mark]
    if mark == "seen":
        sheet.draw.ellipse((x, top, x + 10, top + 10), fill=colour)
    elif mark == "guessed":
        sheet.draw.ellipse((x, top, x + 10, top + 10), outline=colour, width=2)
    else:
        sheet.draw.line((x, top + 5, x + 10, top + 5), fill=colour, width=2)


def draw_mark_legend(sheet: Sheet, x: float, top: float, language: str) -> float:
    """What the discs mean, in one line; returns the y below it."""
    for mark, words in MARK_WORDS.items():
        draw_mark(sheet, x, top + 7, mark)
        x += 18
        x += sheet.line(x, top, pick(words, language), TINY) + 28
    return top + 28


def _step(sheet: Sheet, x: float, top: float, width: float, number: int, step: ChainStep, language: str) -> float:
    inside, room = x + 46, width - 46
    began = top
    sheet.line(x, top, str(number), Style(24, "Bold", MUTED))
    sheet.line(inside, top + 2, pick(STAGE_WORDS[step.stage], language), replace(SMALL, colour=MUTED, size=19))
    if step.stage != "question":
        _badge(sheet, x + width, top + 2, step.strength, language)
    top = sheet.paragraph(inside, top + 28, room, pick((step.en, step.zh), language), replace(BODY, size=22))
    for link in step.shown_links:
        colour = STRENGTH_LOOK[link.strength]
        sheet.draw.rectangle((inside, top + 9, inside + 8, top + 17), fill=colour)
        top = sheet.paragraph(inside + 20, top, room - 20, pick((link.en, link.zh), language), replace(SMALL, size=19))
    sheet.draw.line((x + 12, began + 36, x + 12, top - 2), fill=(52, 60, 68), width=2)
    return top + 14


def contrast_height(width: float, contrast: Contrast, language: str) -> int:
    """Pixels that :func:`draw_contrast` takes."""
    room = width - measure(pick(STRENGTH_WORDS[contrast.strength], language), BADGE) - 50
    answer = pick((contrast.en, contrast.zh), language)
    return text_height(contrast.ask(language), room, ASK) + text_height(answer, width - 18, ANSWER) + 16


def draw_contrast(sheet: Sheet, x: float, top: float, width: float, contrast: Contrast, language: str) -> float:
    """One question with its answer and the strength of it; returns the y below."""
    colour = STRENGTH_LOOK[contrast.strength]
    answer = pick((contrast.en, contrast.zh), language)
    _badge(sheet, x + width, top + 2, contrast.strength, language)
    room = width - measure(pick(STRENGTH_WORDS[contrast.strength], language), BADGE) - 50
    began = top
    top = sheet.paragraph(x + 18, top, room, contrast.ask(language), ASK)
    top = sheet.paragraph(x + 18, top, width - 18, answer, ANSWER)
    sheet.draw.rectangle((x, began + 6, x + 4, top - 4), fill=colour)
    return top + 16


def _badge(sheet: Sheet, right: float, top: float, strength: Strength, language: str) -> None:
    word = pick(STRENGTH_WORDS[strength], language)
    colour = STRENGTH_LOOK[strength]
    wide = measure(word, BADGE) + 16
    sheet.draw.rounded_rectangle((right - wide, top, right, top + 26), 5, outline=colour, width=2)
    sheet.line(right - wide + 8, top + 1, word, replace(BADGE, colour=colour))
