"""Page two, for the technical reader: what page one could not hold, maps, layers, words, provenance."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import ImageDraw

from radiolucent.report import wording
from radiolucent.report.blocks import (
    CLAIMS,
    draw_finding,
    draw_findings_head,
    draw_legend,
    draw_notices,
    draw_overlay,
    every_notice,
    frame_caption,
    overlay_height,
    report_runs,
    shown_map,
    sorted_findings,
)
from radiolucent.report.decision import draw_decision, draw_mark, draw_mark_legend
from radiolucent.report.explanation import Explanation
from radiolucent.report.overlay import Range, draw_region, draw_sides, film, place, region_of, sampled, tint
from radiolucent.report.page_one import Remainder
from radiolucent.report.sheet import AMBER, BODY, INK, MUTED, RULE, SMALL, TINY, TITLE, WIDTH, Sheet, text_height
from radiolucent.report.typeface import Style, line_height, shorten, wrap
from radiolucent.report.wording import say
from radiolucent.trace.types import Trace, TraceWord

MARGIN = 60
INNER = WIDTH - 2 * MARGIN
LAYER_COLUMNS = 9
MOST_FINDINGS = 8  # with maps drawn; every map is in maps.npz
MOST_WORDS = 900
MOST_FRAMES = 24
WORD_ROW = 30
WORD_COLUMNS = 3
LONGEST_FACT = 240  # characters
SCRATCH = 4500  # pixels of paper at first
RELIANCE_BAR = 3.0  # nats at which the bar of a word's image reliance is full


def page_two(explanation: Explanation, remainder: Remainder, cells: bool = False) -> Sheet:
    """The second page, as tall as its contents."""
    height = SCRATCH
    while True:
        sheet = Sheet.blank(WIDTH, height)
        needed = _draw(sheet, explanation, remainder, cells)
        if needed <= height:
            break
        height = needed  # nothing may be cut: draw again on paper that is tall enough
    language = explanation.language
    sheet.line_right(WIDTH - MARGIN, needed - 42, f"radiolucent | {say('page_two', language)}", TINY)
    image = sheet.image.crop((0, 0, WIDTH, needed))
    return Sheet(image, ImageDraw.Draw(image))


def layer_stack(explanation: Explanation, trace: Trace) -> tuple[NDArray[np.float64] | None, str]:
    """Mean attended map of the main finding's words, or of all words: (layers, frames, g, g), and those words."""
    main = explanation.main_finding
    answer = [word for word in trace.words if word.part == "answer" and word.attended is not None]
    chosen: list[TraceWord] = []
    if main is not None:
        chosen = [word for word in answer if word.chars[0] < main.chars[1] and main.chars[0] < word.chars[1]]
    label = main.words if main is not None and chosen else ""
    maps = [word.attended for word in (chosen or answer) if word.attended is not None]
    return (np.mean(np.stack(maps), axis=0, dtype=np.float64) if maps else None), label


def _draw(sheet: Sheet, explanation: Explanation, remainder: Remainder, cells: bool) -> int:
    """Draw every section; returns the height that they need."""
    language = explanation.language
    sheet.line(MARGIN, 40, say("page_two", language), TITLE)
    safety = f"{wording.both('ai_generated')}   |   {wording.both('not_device')}"
    look = Style(20, "Bold", AMBER)
    sheet.line_right(WIDTH - MARGIN, 56, shorten(safety, look, INNER * 0.75), look)
    top = _remainder(sheet, 118.0, explanation, remainder)
    top = _finding_maps(sheet, top, explanation, cells)
    top = _frames(sheet, top, explanation)
    if explanation.trace is not None:
        top = draw_decision(sheet, (MARGIN, top, INNER), explanation.trace, language)
        top = _layers(sheet, top, explanation, explanation.trace, cells)
        top = _words(sheet, top, explanation, explanation.trace)
    top = _provenance(sheet, top, explanation)
    return round(top) + 56


def _remainder(sheet: Sheet, top: float, explanation: Explanation, remainder: Remainder) -> float:
    language = explanation.language
    if remainder.warnings:
        top = sheet.heading(MARGIN, top, INNER, say("all_warnings", language))
        top, _ = draw_notices(sheet, MARGIN, top, INNER, every_notice(explanation), language, 10_000)
        top += 26
    if remainder.question:
        top = sheet.heading(MARGIN, top, INNER, say("full_question", language))
        top = sheet.paragraph(MARGIN, top, INNER, explanation.prompt.question, replace(BODY, size=23)) + 26
    if remainder.report:
        top = sheet.heading(MARGIN, top, INNER, say("full_report", language))
        lines = wrap(report_runs(explanation), (INNER - 60) / 2)
        half = (len(lines) + 1) // 2
        left = sheet.lines(MARGIN, top, lines[:half], BODY.size)
        sheet.lines(MARGIN + (INNER + 60) / 2, top, lines[half:], BODY.size)
        draw_legend(sheet, MARGIN, left + 6, explanation)
        top = left + 60
    if remainder.findings:
        top = sheet.heading(MARGIN, top, INNER, say("all_findings", language), say("not_excluded", language))
        width = (INNER - 60) / 2
        rows = sorted_findings(explanation)
        half = (len(rows) + 1) // 2
        ends = []
        for number, part in enumerate((rows[:half], rows[half:])):
            x, y = MARGIN + number * (width + 60), top
            if part:
                y = draw_findings_head(sheet, x, y - 8, width, explanation)
            for row in part:
                y = draw_finding(sheet, x, y, width, row, explanation)
            ends.append(y)
        top = max(ends) + 36
    return top


def _finding_maps(sheet: Sheet, top: float, explanation: Explanation, cells: bool) -> float:
    """Three claims a finding, two findings a row."""
    language = explanation.language
    mapped = [
        finding
        for finding in sorted_findings(explanation)
        if any(shown_map(explanation, finding, claim) is not None for claim in CLAIMS)
    ][:MOST_FINDINGS]
    if len(mapped) < 2:
        return top
    top = sheet.heading(MARGIN, top, INNER, say("other_maps", language))
    gap, block = 20, (INNER - 60) // 2
    side = (block - 2 * gap) // 3
    for first in range(0, len(mapped), 2):
        for place_in_row, finding in enumerate(mapped[first : first + 2]):
            x = MARGIN + place_in_row * (block + 60)
            name = Style(24, "Bold", AMBER if finding.polarity == "present" else INK)
            sheet.fitted(x, top, block, wording.finding_name(finding, language), name)
            for number, claim in enumerate(CLAIMS):
                spot = (x + number * (side + gap), int(top) + 44, side)
                draw_overlay(sheet, spot, explanation, finding, claim, cells)
        top += 44 + overlay_height(side, language) + 24
    return top + 10


def _frames(sheet: Sheet, top: float, explanation: Explanation) -> float:
    """Every frame of a study of several, with the main finding's relied-on region on it."""
    frames = explanation.frames
    if len(frames) < 2:
        return top
    language = explanation.language
    main = explanation.main_finding
    shown = None if main is None else shown_map(explanation, main, "relied_on")
    region = None if shown is None or shown.withheld else region_of(shown.attribution)
    note = "" if region is None else wording.both("box")
    top = sheet.heading(MARGIN, top, INNER, say("frames", language), note)
    across = min(8, max(4, len(frames)))
    gap = 16
    side = (INNER - (across - 1) * gap) // across
    chosen = _spread(len(frames), MOST_FRAMES)
    if region is not None:  # the frames that hold the region are never left out
        held = [int(index) for index in np.flatnonzero(region.any(axis=(1, 2)))]
        chosen = sorted(set(held[:MOST_FRAMES]) | set(chosen[: max(0, MOST_FRAMES - len(held))]))
    for number, index in enumerate(chosen):
        x = MARGIN + (number % across) * (side + gap)
        y = int(top) + (number // across) * (side + 44)
        sheet.draw.rectangle((x, y, x + side - 1, y + side - 1), fill=(0, 0, 0))
        spot = place(frames[index].geometry, x, y, side, side)
        sheet.image.paste(film(frames[index], spot.width, spot.height), (spot.x, spot.y))
        if region is not None and region[index].any():
            draw_region(sheet.draw, region[index], spot, thick=2)
        draw_sides(sheet.image, spot, 16)
        sheet.fitted(x, y + side + 4, side, frame_caption(frames[index], index, len(frames), language), TINY)
    return top + ((len(chosen) + across - 1) // across) * (side + 44) + 24


def _spread(count: int, most: int) -> list[int]:
    return sorted({round(float(index)) for index in np.linspace(0, count - 1, min(count, most))})


def _layers(sheet: Sheet, top: float, explanation: Explanation, trace: Trace, cells: bool) -> float:
    language = explanation.language
    stack, words = layer_stack(explanation, trace)
    if stack is None:
        return top
    what = say("layers_of", language, words=words) if words else say("layers_all", language)
    top = sheet.heading(MARGIN, top, INNER, f"{say('layers', language)}{'：' if language == 'zh' else ', '}{what}")
    top = sheet.paragraph(MARGIN, top - 4, INNER, say("layers_note", language), TINY) + 10
    frame_index = int(stack.sum(axis=(0, 2, 3)).argmax())
    frame = explanation.frames[frame_index]
    gap = 16
    side = (INNER - (LAYER_COLUMNS - 1) * gap) // LAYER_COLUMNS
    spot = place(frame.geometry, 0, 0, side, side)
    picture = film(frame, spot.width, spot.height)
    for number, (layer, kind) in enumerate(zip(trace.layers, trace.layer_types, strict=True)):
        x = MARGIN + (number % LAYER_COLUMNS) * (side + gap)
        y = int(top) + (number // LAYER_COLUMNS) * (side + 46)
        values = stack[number, frame_index]
        painted = sampled(values, frame.geometry, spot.width, spot.height, smooth=not cells)
        sheet.draw.rectangle((x, y, x + side - 1, y + side - 1), fill=(0, 0, 0))
        highest = float(values.max())
        layer_picture = tint(picture, painted, "attended", Range(0.0, highest, False))
        here = replace(spot, x=x + spot.x, y=y + spot.y)
        sheet.image.paste(layer_picture, (here.x, here.y))
        if number == 0:
            draw_sides(sheet.image, here, 16)
        wide = kind == "global"
        if wide:
            sheet.draw.rectangle((x - 3, y - 3, x + side + 2, y + side + 2), outline=(120, 200, 190), width=3)
        look = Style(18, "Bold" if wide else "Regular", INK if wide else MUTED)
        word = say(kind, language) if kind in ("global", "sliding") else kind
        used = sheet.line(x, y + side + 6, f"{layer} {word}", look)
        sheet.line_right(x + side, y + side + 6, shorten(f"≤ {highest:.2g}", TINY, side - used - 8), TINY)
    return top + ((len(trace.layers) + LAYER_COLUMNS - 1) // LAYER_COLUMNS) * (side + 46) + 24


def _words(sheet: Sheet, top: float, explanation: Explanation, trace: Trace) -> float:
    """Every word of the answer, then of the thinking: probability, image reliance, alternatives."""
    language = explanation.language
    words = [word for word in trace.words if word.text.strip()]
    words.sort(key=lambda word: word.part == "thinking")
    left_out = len(words) - MOST_WORDS
    words = words[:MOST_WORDS]
    if not words:
        return top
    note = say("trace_more", language, n=left_out) if left_out > 0 else ""
    top = sheet.heading(MARGIN, top, INNER, say("trace", language), note)
    top = sheet.paragraph(MARGIN, top - 4, INNER, say("trace_note", language), TINY)
    if any(word.mark is not None for word in words):
        top = draw_mark_legend(sheet, MARGIN, top, language)
    top += 8
    gap = 50
    width = (INNER - (WORD_COLUMNS - 1) * gap) // WORD_COLUMNS
    rows = (len(words) + WORD_COLUMNS - 1) // WORD_COLUMNS
    for column in range(WORD_COLUMNS):
        part = words[column * rows : (column + 1) * rows]
        if not part:
            continue
        x = MARGIN + column * (width + gap)
        spots = (x + width * 0.25, x + width * 0.50, x + width * 0.74)
        for at, key in zip(
            (float(x), *spots), ("trace_word", "trace_p", "trace_reliance", "trace_instead"), strict=True
        ):
            sheet.fitted(at, top, width * 0.24 - 10, say(key, language), TINY, smallest=13)
        for number, word in enumerate(part):
            _word_row(sheet, x, top + 30 + number * WORD_ROW, width, spots, word, explanation)
    return top + 30 + rows * WORD_ROW + 30


def _word_row(
    sheet: Sheet,
    x: float,
    top: float,
    width: float,
    spots: tuple[float, float, float],
    word: TraceWord,
    explanation: Explanation,
) -> None:
    look = Style(19, colour=INK if word.part == "answer" else MUTED)
    text = word.text.strip().replace("\n", "¶")
    sheet.line(x, top, shorten(text, look, spots[0] - x - 12), look)
    if word.part == "thinking":
        sheet.draw.rectangle((x - 10, top + 4, x - 7, top + 24), fill=MUTED)
    bar = width * 0.13
    probability, reliance, instead = spots
    sheet.draw.rectangle((probability, top + 9, probability + bar, top + 18), fill=(38, 44, 51))
    share = float(np.clip(np.nan_to_num(word.probability), 0, 1))
    sheet.draw.rectangle((probability, top + 9, probability + bar * share, top + 18), fill=(126, 150, 176))
    sheet.line_right(probability + bar + 58, top + 1, _percent(word.probability), replace(TINY, colour=INK))
    if word.mark is not None:
        draw_mark(sheet, x - 22, top + 8, word.mark)
    if word.image_reliance is None:
        sheet.line(reliance, top + 1, "–", TINY)
    else:
        sheet.draw.rectangle((reliance, top + 9, reliance + bar, top + 18), fill=(38, 44, 51))
        filled = float(np.clip(np.nan_to_num(word.image_reliance) / RELIANCE_BAR, 0, 1))
        sheet.draw.rectangle((reliance, top + 9, reliance + bar * filled, top + 18), fill=AMBER)
        number = f"{round(word.image_reliance, 2) + 0.0:+.2f}"  # no "-0.00"
        sheet.line_right(reliance + bar + 58, top + 1, number, replace(TINY, colour=INK))
    others = [entry.text.strip() or "␣" for entry in word.alternatives if entry.text.strip() != text][:3]
    sheet.line(instead, top + 1, shorten(" | ".join(others), TINY, x + width - instead), TINY)
    sheet.draw.line((x, top + WORD_ROW - 2, x + width, top + WORD_ROW - 2), fill=(30, 35, 41), width=1)


def _percent(probability: float) -> str:
    """A share in per cent; never 100 % where it is not exactly one."""
    if probability >= 1:
        return "100%"
    if probability > 0.995:
        return ">99%"
    return f"{probability * 100:.0f}%" if probability >= 0.01 or probability == 0 else "<1%"


def _provenance(sheet: Sheet, top: float, explanation: Explanation) -> float:
    language = explanation.language
    facts = [
        (name, value if len(value) <= LONGEST_FACT else f"{value[:LONGEST_FACT]}… (explanation.json)")
        for name, value in _flat(explanation.provenance)
    ]
    if not facts:
        return top
    top = sheet.heading(MARGIN, top, INNER, say("provenance", language))
    gap = 50
    width = (INNER - 2 * gap) // 3
    name_width = round(width * 0.36)
    look = replace(SMALL, size=19, colour=INK)
    heights = [max(line_height(19), text_height(value, width - name_width, look)) for _, value in facts]
    budget = sum(heights) / 3
    column, y, lowest, filled = 0, top, top, 0.0
    for (name, value), height in zip(facts, heights, strict=True):
        if filled >= budget * (column + 1) and column < 2:
            column, y = column + 1, top
        x = MARGIN + column * (width + gap)
        sheet.fitted(x, y, name_width - 12, name, replace(SMALL, size=19), smallest=13)
        y = sheet.paragraph(x + name_width, y, width - name_width, value, look)
        filled += height
        lowest = max(lowest, y)
    sheet.draw.line((MARGIN, lowest + 14, WIDTH - MARGIN, lowest + 14), fill=RULE, width=1)
    return lowest + 20


def _flat(facts: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, str]]:
    for key, value in facts.items():
        name = f"{prefix}{key}".replace("_", " ")
        if isinstance(value, Mapping):
            yield from _flat(value, f"{prefix}{key} / ")
        elif isinstance(value, list | tuple):
            yield name, ", ".join(str(entry) for entry in value)
        else:
            yield name, f"{value:.6g}" if isinstance(value, float) else str(value)
