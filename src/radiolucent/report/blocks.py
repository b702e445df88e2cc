"""Blocks that both pages show: marked report, findings table, overlays, notices."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from radiolucent.attribution.types import AttributionMap, Claim
from radiolucent.confidence.types import FindingConfidence, Quadrant
from radiolucent.errors import Notice
from radiolucent.faithfulness.types import Grade, MapGrade
from radiolucent.findings.types import Finding, Polarity
from radiolucent.report import wording
from radiolucent.report.explanation import Explanation
from radiolucent.report.overlay import (
    Placement,
    busiest_frame,
    colour_bar,
    draw_region,
    draw_sides,
    film,
    place,
    region_of,
    sampled,
    tint,
    value_range,
)
from radiolucent.report.sheet import AMBER, BODY, INK, MUTED, RED, RULE, SAGE, SMALL, TINY, VIOLET, Sheet, text_height
from radiolucent.report.typeface import Colour, Line, Run, Style, line_height, missing, shorten, wrap
from radiolucent.report.wording import say
from radiolucent.study.types import Frame
from radiolucent.trace.marks import MARK_WORDS

CLAIMS: tuple[Claim, ...] = ("attended", "sensitive", "relied_on")
# Of several methods with one claim and one grade, the first of these is shown.
METHOD_ORDER = (
    "propose_and_verify", "evidence_search", "hierarchical_occlusion", "token_ablation", "occlusion",
    "integrated_gradients", "input_x_gradient", "smooth_grad", "saliency", "grad_cam", "pixel_gradient",
    "distinct_attention", "attention:corrected", "attention", "relevance", "rollout", "attention_layers",
)  # fmt: skip
GRADE_ORDER: tuple[Grade | None, ...] = ("verified", "weak", None, "not shown")
POLARITY_LOOK: dict[Polarity, tuple[str, Colour]] = {
    "present": ("●", AMBER),
    "uncertain": ("◐", VIOLET),
    "absent": ("○", SAGE),
}
QUADRANT_LOOK: dict[Quadrant, Colour] = {
    "grounded": INK,
    "unstable": VIOLET,
    "not image-based": RED,
    "evidence elsewhere": RED,
    "unreliable": RED,
}
ROW = 60


@dataclass(frozen=True)
class Shown:
    """The map that stands for one claim about one finding."""

    method: str
    attribution: AttributionMap
    grade: MapGrade | None

    @property
    def withheld(self) -> bool:
        """True where no colour may be drawn."""
        return self.grade is not None and (self.grade.withheld or self.grade.grade == "not shown")


def shown_map(explanation: Explanation, finding: Finding, claim: Claim) -> Shown | None:
    """The map to show for a claim: best grade first, then the order of methods; None for an absent finding."""
    if finding.polarity == "absent":
        return None
    found = [
        Shown(method, attribution, explanation.faithfulness.get((method, finding_id)))
        for (method, finding_id), attribution in explanation.maps.items()
        if finding_id == finding.id and attribution.claim == claim
    ]

    def rank(shown: Shown) -> tuple[int, int, str]:
        grade = None if shown.grade is None else "not shown" if shown.withheld else shown.grade.grade
        order = METHOD_ORDER.index(shown.method) if shown.method in METHOD_ORDER else len(METHOD_ORDER)
        return GRADE_ORDER.index(grade), order, shown.method

    return min(found, key=rank, default=None)


def grade_label(shown: Shown, language: str) -> str:
    """The grade's word; an ungraded map says that it is not graded."""
    if shown.withheld:
        return wording.grade_word("not shown", language)
    return say("not_graded", language) if shown.grade is None else wording.grade_word(shown.grade.grade, language)


def report_runs(explanation: Explanation, style: Style = BODY) -> list[Run]:
    """The report with each finding's evidence marked (solid, dashed, dotted), and guessed words in red."""
    text = explanation.report
    if not text.strip():
        return [Run("—", style)]
    styles = [style] * len(text)
    for polarity in ("absent", "uncertain", "present"):  # where spans overlap, the strongest statement is marked
        for finding in explanation.findings:
            if finding.polarity == polarity:
                first, last = max(0, finding.chars[0]), min(len(text), finding.chars[1])
                styles[first:last] = [marked(style, polarity)] * max(0, last - first)
    for word in explanation.trace.words if explanation.trace is not None else ():
        if word.mark == "guessed":
            for at in range(word.chars[0], min(word.chars[1], len(text))):
                styles[at] = replace(styles[at], colour=RED, mark_colour=styles[at].mark_colour or styles[at].colour)
    runs: list[Run] = []
    for character, look in zip(text, styles, strict=True):
        if runs and runs[-1].style == look:
            runs[-1] = Run(runs[-1].text + character, look)
        else:
            runs.append(Run(character, look))
    return runs


def marked(style: Style, polarity: Polarity) -> Style:
    """The style of words that state a finding."""
    _, colour = POLARITY_LOOK[polarity]
    if polarity == "present":
        return replace(style, colour=colour, mark="solid", fill=(58, 42, 20))
    return replace(style, colour=colour, mark="dashed" if polarity == "uncertain" else "dotted")


def draw_legend(sheet: Sheet, x: float, top: float, explanation: Explanation, size: int = 17) -> float:
    """What the marks in the report mean, in one line; returns the x behind it."""
    language = explanation.language
    for polarity in ("present", "uncertain", "absent"):
        word = say(polarity, language)
        x += sheet.line(x, top, word, marked(Style(size), polarity)) + 22
    if explanation.trace is not None and any(word.mark == "guessed" for word in explanation.trace.words):
        x += sheet.line(x, top, wording.pick(MARK_WORDS["guessed"], language), Style(size, colour=RED)) + 22
    return x


def every_notice(explanation: Explanation) -> list[Notice]:
    """Warnings of the study and of the run, each code once, and one for characters that cannot be drawn."""
    notices = list({entry.code: entry for entry in (*explanation.study.warnings, *explanation.warnings)}.values())
    texts = [explanation.report, explanation.prompt.question]
    texts += [frame.label for frame in explanation.frames]
    if explanation.trace is not None:
        texts += [word.text for word in explanation.trace.words]
    absent = missing(texts)
    if absent:
        codes = ", ".join(f"U+{ord(character):04X}" for character in absent[:8]) + (" …" if absent[8:] else "")
        en, zh = (wording.pick(wording.TEXTS["missing_glyphs"], tongue).format(codes=codes) for tongue in ("en", "zh"))
        notices.append(Notice("missing_glyphs", en, zh))
    return notices


def sorted_findings(explanation: Explanation) -> list[Finding]:
    """Present first, then uncertain, then absent, each in the order of the report."""
    order: tuple[Polarity, ...] = ("present", "uncertain", "absent")
    return sorted(explanation.findings, key=lambda finding: order.index(finding.polarity))


def draw_findings_head(sheet: Sheet, x: float, top: float, width: float, explanation: Explanation) -> float:
    """Names of the table's columns; returns the y below."""
    language = explanation.language
    columns = _columns(x, width)
    sheet.fitted(columns.bar, top, columns.evidence - columns.bar - 10, say("agree", language), TINY)
    sheet.fitted(columns.evidence, top, columns.grade - columns.evidence - 12, say("evidence", language), TINY)
    sheet.fitted(columns.grade, top, x + width - columns.grade, say("map", language), TINY)
    return top + 28


def finding_height(finding: Finding, width: float, language: str) -> int:
    """Height of a finding's row: one line, or more where its name is long; room for a probability below the bar."""
    return max(ROW, len(_name_lines(finding, width, language)) * 30 + 16)


def draw_finding(sheet: Sheet, x: float, top: float, width: float, finding: Finding, explanation: Explanation) -> float:
    """One finding: mark, name and hedge, agreement with its interval, evidence word, grade; returns the y below."""
    language = explanation.language
    columns = _columns(x, width)
    glyph, colour = POLARITY_LOOK[finding.polarity]
    height = finding_height(finding, width, language)
    sheet.line(x, top + 5, glyph, Style(23, colour=colour))
    sheet.lines(x + 34, top + 6, _name_lines(finding, width, language), 20)
    confidence = None if explanation.confidence is None else explanation.confidence.of(finding.id)
    if confidence is None:
        sheet.line(columns.bar, top + 9, say("not_sampled", language), TINY)
    else:
        _draw_bar(sheet, columns, top + 23, confidence, colour)
        count = f"{confidence.support}/{confidence.samples}"
        sheet.line_right(columns.count_right, top + 5, count, replace(BODY, size=22))
        if confidence.probability is not None:
            shown = say("probability_of", language, p=wording.probability(confidence.probability))
            sheet.fitted(columns.bar, top + 28, columns.count_right - columns.bar, shown, replace(TINY, colour=INK))
        if confidence.quadrant is not None:
            word = wording.quadrant_word(confidence.quadrant, language)
            look = replace(SMALL, colour=QUADRANT_LOOK[confidence.quadrant])
            sheet.fitted(columns.evidence, top + 7, columns.grade - columns.evidence - 12, word, look)
    grade = best_grade(explanation, finding)
    if grade is not None:
        look = replace(SMALL, colour=INK if grade == "verified" else MUTED)
        sheet.fitted(columns.grade, top + 7, x + width - columns.grade, wording.grade_word(grade, language), look)
    else:
        sheet.line(columns.grade, top + 7, "–", SMALL)
    sheet.draw.line((x, top + height - 1, x + width, top + height - 1), fill=RULE, width=1)
    return top + height


def draw_overlay(
    sheet: Sheet,
    box: tuple[int, int, int],
    explanation: Explanation,
    finding: Finding,
    claim: Claim,
    cells: bool = False,
) -> float:
    """One claim's map on its film, with name, method, grade, colour bar and meaning.

    Parameters
    ----------
    box
        (x, top, width); the film gets a square of that width.

    Returns
    -------
    The y below the block.
    """
    x, top, width = box
    language = explanation.language
    shown = shown_map(explanation, finding, claim)
    index = 0 if shown is None else busiest_frame(shown.attribution.values)
    frame = explanation.frames[index]
    name = wording.name_of(wording.CLAIM_NAMES, claim, language)
    name_style = Style(22, "Bold", INK)
    used = sheet.line(x, top, name, name_style)
    if shown is not None:
        sheet.line_right(x + width, top + 3, shorten(grade_label(shown, language), SMALL, width - used - 12), SMALL)
    top += 36
    sheet.draw.rectangle((x, top, x + width - 1, top + width - 1), fill=(0, 0, 0))
    spot = place(frame.geometry, x, top, width, width)
    picture = film(frame, spot.width, spot.height)
    if shown is None:
        sheet.image.paste(picture.point(lambda value: value * 0.35), (spot.x, spot.y))
        _centred(sheet, x, top, width, say("claim_none", language))
        draw_sides(sheet.image, spot, max(13, width // 20))
        return top + width + 10
    if shown.withheld:
        sheet.image.paste(picture.point(lambda value: value * 0.35), (spot.x, spot.y))
        _centred(sheet, x, top, width, say("withheld", language))
        draw_sides(sheet.image, spot, max(13, width // 20))
        sheet.fitted(x, top + width + 8, width, wording.name_of(wording.METHOD_NAMES, shown.method, language), TINY)
        return top + width + 40
    values = shown.attribution.values
    span = value_range(values)
    painted = sampled(values[index], shown.attribution.geometry[index], spot.width, spot.height, smooth=not cells)
    sheet.image.paste(tint(picture, painted, claim, span), (spot.x, spot.y))
    region = region_of(shown.attribution)[index]
    # a box says "relied on": no other claim gets one
    draw_region(sheet.draw, region, spot, thick=max(2, width // 130), boxes=claim == "relied_on")
    draw_sides(sheet.image, spot, max(13, width // 20))
    below = top + width + 10
    bar = colour_bar(claim, span.signed, width, 12)
    sheet.image.paste(bar, (x, below))
    units = wording.name_of(wording.UNITS, shown.attribution.units, language)
    high = f"{_number(span.high)} {units}"
    low_width = sheet.line(x, below + 14, _number(span.low), TINY)
    sheet.line_right(x + width, below + 14, shorten(high, TINY, width - low_width - 10), TINY)
    method = wording.name_of(wording.METHOD_NAMES, shown.method, language)
    sheet.fitted(x, below + 40, width, method, replace(TINY, colour=INK))
    return sheet.paragraph(x, below + 66, width, _meaning(claim, shown.grade, language), TINY)


def frame_caption(frame: Frame, index: int, count: int, language: str) -> str:
    """``film``, or the picture's place among several."""
    return say("frame_of", language, label=frame.label, n=index + 1, all=count) if count > 1 else frame.label


def side_sentence(spot: Placement, language: str) -> str:
    """Where the side comes from; an assumed side is said in both languages."""
    source = spot.geometry.side_source
    if spot.geometry.patient_right is None:
        return say("side_none", language)
    if source == "assumed":
        return wording.both("side_assumed")
    return say("side_header" if source == "orientation" else "side_stated", language)


def draw_notices(
    sheet: Sheet, x: float, top: float, width: float, notices: Sequence[Notice], language: str, most: int
) -> tuple[float, int]:
    """As many notices as fit in ``most`` lines; returns the y below and how many were drawn."""
    look = replace(SMALL, colour=(240, 214, 160))
    drawn = 0
    for lines in _notice_lines(notices, width, language, look):
        if len(lines) > most:
            break
        sheet.line(x, top, "▲", replace(SMALL, colour=AMBER))
        top = sheet.lines(x + 30, top, lines, look.size)
        most -= len(lines)
        drawn += 1
    return top, drawn


def overlay_height(width: int, language: str) -> int:
    """Height of :func:`draw_overlay` at a width, its longest sentence included."""
    texts = [wording.pick(text, language) for text in wording.CLAIM_MEANINGS.values()]
    texts += [say(name, language) for name in ("weak_means", "outside_means", "other_side_means")]
    longest = max(text_height(text, width, TINY) for text in texts)
    return 36 + width + 10 + 66 + longest


def _notice_lines(notices: Sequence[Notice], width: float, language: str, look: Style) -> Iterator[list[Line]]:
    for notice in notices:
        yield wrap([Run(notice.text(language), look)], width - 30)


@dataclass(frozen=True)
class _Columns:
    bar: float
    bar_width: float
    count_right: float
    evidence: float
    grade: float


def _columns(x: float, width: float) -> _Columns:
    return _Columns(
        bar=x + width * 0.405,
        bar_width=width * 0.145,
        count_right=x + width * 0.64,
        evidence=x + width * 0.665,
        grade=x + width * 0.87,
    )


def _name_lines(finding: Finding, width: float, language: str) -> list[Line]:
    runs = [Run(wording.finding_name(finding, language), replace(SMALL, colour=INK))]
    asides = []
    if finding.polarity != "present":
        asides.append(say(finding.polarity, language))
    if finding.certainty != "definite":
        asides.append(wording.name_of(wording.HEDGES, finding.certainty, language))
    if finding.contradicted:
        asides.append(say("contradicted", language))
    gap = "" if language == "zh" else " "
    if asides:
        joined = "，".join(asides) if language == "zh" else ", ".join(asides)
        opening, closing = ("（", "）") if language == "zh" else ("(", ")")
        runs.append(Run(f"{gap}{opening}{joined}{closing}", SMALL))
    return wrap(runs, width * 0.405 - 34 - 16)


def _draw_bar(sheet: Sheet, columns: _Columns, middle: float, confidence: FindingConfidence, colour: Colour) -> None:
    x0, x1 = columns.bar, columns.bar + columns.bar_width
    sheet.draw.rectangle((x0, middle - 5, x1, middle + 5), fill=(38, 44, 51))
    low, high = (x0 + columns.bar_width * share for share in (confidence.low, confidence.high))
    shade: Colour = (colour[0] // 2, colour[1] // 2, colour[2] // 2)
    sheet.draw.rectangle((low, middle - 5, max(high, low + 2), middle + 5), fill=shade)
    if confidence.samples:
        at = x0 + columns.bar_width * confidence.support / confidence.samples
        sheet.draw.rectangle((at - 2, middle - 10, at + 2, middle + 10), fill=colour)


def best_grade(explanation: Explanation, finding: Finding) -> Grade | None:
    """The grade of the strongest claim that was tested; an absent finding has none."""
    for claim in ("relied_on", "sensitive", "attended"):
        shown = shown_map(explanation, finding, claim)
        if shown is not None and shown.grade is not None:
            return "not shown" if shown.withheld else shown.grade.grade
    return None


def _centred(sheet: Sheet, x: int, top: int, width: int, text: str) -> None:
    style = Style(min(22, max(15, width // 16)), colour=INK)
    lines = wrap([Run(text, style)], width * 0.84)
    at = top + (width - len(lines) * line_height(style.size)) / 2
    for line in lines:
        sheet.lines(x + (width - line.width) / 2, at, [line], style.size, (0, 0, 0))
        at += line_height(style.size)


def _meaning(claim: Claim, grade: MapGrade | None, language: str) -> str:
    """What the claim says; "hiding this area changes the answer" only where that was clearly so, and in its place."""
    doubt = wording.doubt(claim, grade)
    return wording.pick(wording.CLAIM_MEANINGS[claim] if doubt is None else doubt, language)


def _number(value: float) -> str:
    if value == 0 or not np.isfinite(value):
        return f"{value:g}"
    return f"{value:.3f}" if 0.001 <= abs(value) < 10 else f"{value:.2g}" if abs(value) < 0.001 else f"{value:.3g}"
