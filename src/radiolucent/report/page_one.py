"""Page one: the bare film over at least half of the page, and beside it what a reader needs at first sight."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

from radiolucent.report import wording
from radiolucent.report.blocks import (
    CLAIMS,
    draw_finding,
    draw_findings_head,
    draw_legend,
    draw_notices,
    draw_overlay,
    every_notice,
    finding_height,
    frame_caption,
    grade_label,
    overlay_height,
    report_runs,
    shown_map,
    side_sentence,
    sorted_findings,
)
from radiolucent.report.decision import contrast_height, draw_contrast
from radiolucent.report.explanation import Explanation
from radiolucent.report.overlay import Placement, busiest_frame, draw_region, draw_sides, film, place, region_of
from radiolucent.report.sheet import (
    AMBER,
    BLACK,
    BODY,
    INK,
    MUTED,
    SMALL,
    TINY,
    TITLE,
    WIDTH,
    Sheet,
    text_height,
)
from radiolucent.report.typeface import Run, Style, line_height, shorten, wrap
from radiolucent.report.wording import say

MARGIN = 14
CAPTION = 232  # below the film
LOWEST, HIGHEST = 1560, 2100  # of the page; A4 across is 1697
WIDEST_FILM = 1540
FOOT = 38
LEAST_REPORT_LINES = 4
LARGE = replace(BODY, size=31)  # for a short report, such as a normal one
LARGE_LINES, LARGE_ROWS = 4, 5
MOST_WARNING_LINES = 4
MOST_QUESTION_LINES = 2


@dataclass(frozen=True)
class Remainder:
    """What page one could not hold and page two must."""

    question: bool = False
    report: bool = False
    findings: int = 0
    warnings: int = 0


@dataclass(frozen=True)
class Layout:
    """Where things stand on page one, in pixels: it follows the film's shape, so that the film gets half the page.

    Parameters
    ----------
    height
        Of the page.
    stage
        Width of the film's black stage.
    film
        The box (width, height) that the film fits in.
    """

    height: int
    stage: int
    film: tuple[int, int]

    @property
    def left(self) -> int:
        """Left edge of the text column."""
        return self.stage + 40

    @property
    def right(self) -> int:
        """Right edge of the text column."""
        return WIDTH - 40

    @property
    def column(self) -> int:
        """Width of the text column."""
        return self.right - self.left


def layout(rows: int, cols: int) -> Layout:
    """The page for a film of ``rows`` x ``cols``.

    The film covers half of the page where its shape allows: with ratio r = cols / rows, film height h and page height
    H = h + margin + caption, half the page is r h^2 = WIDTH H / 2. Very wide or tall films get what fits.
    """
    ratio = cols / rows
    rest = MARGIN + CAPTION
    tall = (WIDTH / 2 + math.sqrt((WIDTH / 2) ** 2 + 2 * ratio * WIDTH * rest)) / (2 * ratio)
    page = min(HIGHEST, max(LOWEST, math.ceil(tall + rest)))
    high = math.ceil(math.sqrt(WIDTH * page / 2 / ratio)) + 2  # two pixels above half: sizes are rounded
    wide = min(WIDEST_FILM, math.ceil(high * ratio))
    high = min(page - rest, round(wide / ratio))
    return Layout(page, max(1300, wide + 2 * MARGIN), (wide, high))


def film_spot(explanation: Explanation) -> tuple[int, Placement, Layout]:
    """The frame on page one and where it lies: the one with most of the main finding's relied-on map."""
    index = 0
    main = explanation.main_finding
    if main is not None:
        for claim in ("relied_on", "sensitive", "attended"):
            shown = shown_map(explanation, main, claim)
            if shown is not None and not shown.withheld:
                index = busiest_frame(shown.attribution.values)
                break
    geometry = explanation.frames[index].geometry
    plan = layout(geometry.rows, geometry.cols)
    room = plan.height - CAPTION - MARGIN
    wide, high = plan.film
    spot = place(geometry, (plan.stage - wide) // 2, MARGIN + max(0, (room - high) // 2), wide, high)
    return index, spot, plan


def page_one(explanation: Explanation, cells: bool = False) -> tuple[Sheet, Remainder]:
    """The first page, and what did not fit on it."""
    index, spot, plan = film_spot(explanation)
    sheet = Sheet.blank(WIDTH, plan.height)
    _draw_stage(sheet, explanation, index, spot, plan)
    return sheet, _draw_column(sheet, explanation, plan, cells)


def _draw_stage(sheet: Sheet, explanation: Explanation, index: int, spot: Placement, plan: Layout) -> None:
    language = explanation.language
    sheet.draw.rectangle((0, 0, plan.stage - 1, plan.height - 1), fill=BLACK)
    sheet.image.paste(film(explanation.frames[index], spot.width, spot.height), (spot.x, spot.y))
    main = explanation.main_finding
    shown = None if main is None else shown_map(explanation, main, "relied_on")
    x, right = 28, plan.stage - 28
    top = plan.height - CAPTION + 14
    strong, plain = Style(25, "Bold", INK), replace(SMALL, colour=(205, 211, 217))
    if not explanation.findings:
        title, note = say("nothing_recognised", language), say("no_findings", language)
    elif main is None:
        title, note = say("normal_title", language), say("no_finding_map", language)
    elif shown is None:
        title, note = wording.finding_name(main, language), say("no_intervention", language)
    elif shown.withheld:
        title, note = wording.finding_name(main, language), say("withheld", language)
    else:
        region = region_of(shown.attribution)[index]
        gap = "" if language == "zh" else " "
        title = f"{say('region_of', language)}{gap}{wording.finding_name(main, language)}"
        note = wording.both("box") if region.any() else say("no_region", language)
        draw_region(sheet.draw, region, spot, thick=4)
        if region.any():
            sheet.draw.rectangle((x, top + 8, x + 24, top + 28), outline=AMBER, width=4)
            x += 42
    draw_sides(sheet.image, spot, 34)
    label = (
        ""
        if shown is None
        else f"{say('map', language)}{'：' if language == 'zh' else ': '}{grade_label(shown, language)}"
    )
    sheet.line_right(right, top + 3, label, plain, BLACK)
    sheet.line(x, top, shorten(title, strong, right - x - 320), strong, BLACK)
    y = sheet.paragraph(x, top + 42, right - x, note, plain, BLACK)
    if shown is not None and not shown.withheld and shown.grade is not None and shown.grade.note:
        lines = wrap([Run(shown.grade.note, replace(plain, colour=MUTED))], right - x)
        y = sheet.lines(x, y, lines[:2], plain.size, BLACK)
    y = plan.height - 56
    sheet.line(x, y, f"R/L: {side_sentence(spot, language)}", plain, BLACK)
    if len(explanation.frames) > 1:
        caption = frame_caption(explanation.frames[index], index, len(explanation.frames), language)
        sheet.line_right(right, y, shorten(caption, plain, (right - x) * 0.45), plain, BLACK)


def _draw_column(sheet: Sheet, explanation: Explanation, plan: Layout, cells: bool) -> Remainder:
    language = explanation.language
    left, column = plan.left, plan.column
    top = _draw_head(sheet, explanation, plan)
    foot = plan.height - FOOT

    main = explanation.main_finding
    gap = 18
    side = (column - 2 * gap) // 3
    maps = 0 if main is None else 44 + overlay_height(side, language)
    maps_top = foot - maps - 6

    notices = every_notice(explanation)
    if notices:
        top = sheet.heading(left, top, column, say("warnings", language))
        top, drawn = draw_notices(sheet, left, top, column, notices, language, MOST_WARNING_LINES)
        if drawn < len(notices):
            more = say("more_warnings", language, n=len(notices) - drawn)
            sheet.line(left + 30, top, more, TINY)
            top += 26
        top += 10
    else:
        drawn = 0

    top = sheet.heading(left, top, column, say("question", language))
    question = wrap([Run(explanation.prompt.question, replace(BODY, size=23))], column)
    cut_question = len(question) > MOST_QUESTION_LINES
    kept = question[: MOST_QUESTION_LINES - 1 if cut_question else MOST_QUESTION_LINES]
    top = sheet.lines(left, top, kept, 23)
    if cut_question:
        sheet.line(left, top, f"… {say('continues', language)}", TINY)
        top += 28
    top += 10

    rows = sorted_findings(explanation)
    room = maps_top - top
    head = 44 + 28 + 34  # heading, column names, note below the table
    body = BODY
    report = wrap(report_runs(explanation, LARGE), column)
    if len(report) <= LARGE_LINES and len(rows) <= LARGE_ROWS:
        body = LARGE
    else:
        report = wrap(report_runs(explanation), column)
    step = line_height(body.size)
    least = 44 + min(len(report), LEAST_REPORT_LINES) * step + 46
    table = 44 + text_height(say("no_findings", language), column, SMALL)
    fitting = 0
    if rows:
        table = head
        for row in rows:
            height = finding_height(row, column, language)
            if table + height + (28 if fitting + 1 < len(rows) else 0) > room - least:
                break
            table += height
            fitting += 1
    table += 28 if fitting < len(rows) else 0

    most = max(1, int((room - table - 44 - 46) // step))
    cut_report = len(report) > most
    top = sheet.heading(left, top, column, say("report", language))
    top = sheet.lines(left, top, report[: most - 1] if cut_report else report, body.size)
    if cut_report:
        sheet.line(left, top + 4, f"… {say('continues', language)}", replace(TINY, colour=AMBER))
        top += step
    if rows:
        draw_legend(sheet, left, top + 4, explanation)
    top += 46

    top = sheet.heading(left, top, column, say("findings", language), _calibration(explanation))
    if rows:
        top = draw_findings_head(sheet, left, top - 8, column, explanation)
        for row in rows[:fitting]:
            top = draw_finding(sheet, left, top, column, row, explanation)
        if fitting < len(rows):
            sheet.line(left, top + 4, say("more_findings", language, n=len(rows) - fitting), TINY)
            top += 28
        note = say("not_excluded", language)
        sheet.fitted(left, top + 6, column, note, TINY)
        _draw_contrasts(sheet, (left, top + 44, column), maps_top - 20, explanation)
    else:
        sheet.paragraph(left, top, column, say("no_findings", language), SMALL)

    if main is not None:
        name = wording.finding_name(main, language)
        y = sheet.heading(left, maps_top, column, say("maps", language), name)
        for number, claim in enumerate(CLAIMS):
            draw_overlay(sheet, (left + number * (side + gap), int(y), side), explanation, main, claim, cells)
    sheet.line_right(plan.right, plan.height - 32, f"radiolucent | {say('page_one', language)}", TINY)
    return Remainder(cut_question, cut_report, len(rows) - fitting, len(notices) - drawn)


def _draw_contrasts(sheet: Sheet, box: tuple[float, float, float], bottom: float, explanation: Explanation) -> None:
    """Why the main finding and not something else, where there is room: the rest of them stand on page two."""
    main, trace, language = explanation.main_finding, explanation.trace, explanation.language
    left, top, column = box
    told = [] if main is None or trace is None else [one for one in trace.contrasts if one.finding == main.id]
    if not told or top + 44 + contrast_height(column, told[0], language) > bottom:
        return
    top = sheet.heading(left, top, column, say("contrasts", language))
    for one in told:
        if top + contrast_height(column, one, language) > bottom:
            return
        top = draw_contrast(sheet, left, top, column, one, language)


def _draw_head(sheet: Sheet, explanation: Explanation, plan: Layout) -> float:
    language = explanation.language
    left, column = plan.left, plan.column
    sheet.line(left, 26, say("title", language), TITLE)
    model = str(explanation.provenance.get("model", ""))
    sheet.line_right(plan.right, 40, shorten(model, SMALL, column * 0.6), SMALL)
    top = 92
    for key in ("ai_generated", "not_device"):
        sheet.draw.rectangle((left, top + 7, left + 4, top + 29), fill=AMBER)
        sheet.fitted(left + 18, top, column - 18, wording.both(key), Style(22, "Bold", AMBER))
        top += 36
    if explanation.is_demo:
        look = Style(20, "Bold", (20, 16, 8))
        text = say("demo", language)
        height = text_height(text, column - 32, look) + 14
        sheet.panel((left, top + 8, plan.right, top + 8 + height), AMBER)
        sheet.paragraph(left + 16, top + 14, column - 32, text, look, AMBER)
        top += 8 + height
    return top + 16


def _calibration(explanation: Explanation) -> str:
    language = explanation.language
    confidence = explanation.confidence
    if confidence is None:
        return say("not_sampled", language)
    if not confidence.calibrated:
        return say("uncalibrated", language)
    return confidence.note or say("calibrated_word", language)
