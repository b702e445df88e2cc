"""A film with the report's findings drawn on it, as RGB Secondary Capture: what every viewer shows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from highdicom.sc import SCImage
from numpy.typing import NDArray
from PIL import Image, ImageDraw
from pydicom.dataset import Dataset
from pydicom.uid import ExplicitVRLittleEndian

from radiolucent.clinic.outbox import concepts
from radiolucent.clinic.outbox.document import DEMO_STAMP, Box, Overlay, Pair, SignedDocument, SignedFinding
from radiolucent.clinic.outbox.envelope import UNICODE, edition_uid, equipment, finish, local_moment
from radiolucent.clinic.review.rulings import Stated
from radiolucent.findings.names import describe, details
from radiolucent.report.overlay import (
    ACCENT,
    HALO,
    Placement,
    colour_bar,
    draw_sides,
    film,
    place,
    sampled,
    tint,
    value_range,
)
from radiolucent.report.typeface import Line, Run, Style, draw_line, line_height, wrap
from radiolucent.report.wording import CLAIM_NAMES, TEXTS
from radiolucent.study.types import Frame

KIND = "picture"
READER = (102, 204, 255)  # of boxes that a person drew; the model's are ACCENT, as in the viewer
VEIL = 0.55  # of the colours over the film, which must stay readable below them
_GROUND, _TEXT, _QUIET = (16, 19, 22), (236, 240, 244), (160, 170, 180)
_FINAL, _PRELIMINARY, _DEMO = (20, 72, 48), (120, 78, 8), (150, 24, 24)
_DEMO_TEXT = (255, 140, 140)
_FILM_LONGEST, _FILM_SHORTEST = 1800, 1100
_PANEL, _MARGIN = 700, 28
_DECISIONS: dict[str, Pair] = {
    "accepted": ("AI finding, accepted", "AI 所见，已采纳"),
    "changed": ("AI finding, changed by the physician", "AI 所见，医师已修改"),
    "added": ("added by the physician", "医师补充"),
}
_ORIGINS: dict[str, Pair] = {"model": TEXTS["box"], "reader": ("Area marked by the physician", "医师标注区域")}
_NO_FINDING: Pair = (
    "No finding was marked. This does not mean that the film is normal.",
    "未标注征象，不代表影像正常。",
)


def picture(
    document: SignedDocument,
    headers: Sequence[Dataset],
    frames: Sequence[Frame],
    places: Sequence[tuple[int, int]],
    sources: Sequence[Dataset],
) -> list[Dataset]:
    """One Secondary Capture for each frame on which something is marked; the first frame where nothing is.

    Parameters
    ----------
    headers
        :func:`radiolucent.clinic.outbox.envelope.reference` of each source image.
    frames
        Of the study, as they are displayed.
    places
        (image, frame inside it from 0) of each frame of the study.
    sources
        The images' data sets, for what they say of burned-in annotation.
    """
    marked = {box.frame for finding in document.findings for box in finding.boxes}
    marked |= {one.frame for one in document.overlays}
    made = []
    for number, index in enumerate(sorted(marked) or [0], start=1):
        image, inside = places[index]
        page = draw(document, frames[index], index)
        made.append(_capture(document, headers[image], sources[image], inside, np.asarray(page), number))
    return made


def draw(document: SignedDocument, frame: Frame, index: int) -> Image.Image:
    """The page: what it is, the film with boxes, and beside it what they are, in both languages."""
    rows, cols = frame.geometry.rows, frame.geometry.cols
    scale = min(max(_FILM_SHORTEST / max(rows, cols), 1.0), _FILM_LONGEST / max(rows, cols))
    width, height = max(1, round(cols * scale)), max(1, round(rows * scale))
    banners = _banners(document, frame)
    panel = _panel(document, index, _PANEL - 2 * _MARGIN)
    top = sum(banner.height for banner in banners)
    tall = max(height, panel.height + 2 * _MARGIN)
    page = Image.new("RGB", (width + _PANEL, top + tall), _GROUND)
    at = 0
    for banner in banners:
        strip = Image.new("RGB", (page.width, banner.height), banner.ground)
        banner.paste_on(strip)
        page.paste(strip, (0, at))
        at += banner.height
    spot = place(frame.geometry, 0, top, width, height)
    page.paste(_film(document, frame, index, spot), (spot.x, spot.y))
    _boxes(page, document, index, spot)
    draw_sides(page, spot, size=max(18, spot.height // 36))
    page.paste(panel, (width + _MARGIN, top + _MARGIN))
    return page


@dataclass(frozen=True)
class _Banner:
    """A strip over the whole page."""

    lines: tuple[tuple[str, Style], ...]
    ground: tuple[int, int, int]
    width: int = _FILM_SHORTEST // 2

    @property
    def height(self) -> int:
        return sum(line_height(style.size) for _, style in self.lines) + 14

    def paste_on(self, strip: Image.Image) -> None:
        pen, at = ImageDraw.Draw(strip), 7.0
        for words, style in self.lines:
            size = style.size
            fitted = style
            while size > 12 and wrap([Run(words, fitted)], strip.width - 2 * _MARGIN)[1:]:
                size -= 1
                fitted = Style(size, style.weight, style.colour)
            line = wrap([Run(words, fitted)], strip.width - 2 * _MARGIN)[0]
            draw_line(pen, line, _MARGIN, at + style.size * 1.08, self.ground)
            at += line_height(style.size)


def _banners(document: SignedDocument, frame: Frame) -> list[_Banner]:
    bold, plain = Style(30, "Bold", _TEXT), Style(22, "Regular", _TEXT)
    made = []
    if document.demo:
        made.append(_Banner(((DEMO_STAMP, Style(40, "Bold", (255, 255, 255))),), _DEMO))
    made.append(
        _Banner(
            tuple((words, bold if language == 0 else plain) for language, words in enumerate(status(document))),
            _FINAL if document.status == "final" else _PRELIMINARY,
        )
    )
    if frame.geometry.side_source == "assumed" and not document.side_confirmed:
        made.append(_Banner(((" / ".join(TEXTS["side_assumed"]), plain),), _PRELIMINARY))
    return made


def status(document: SignedDocument) -> Pair:
    """Who signed what and when, or what is still awaited."""
    moment = document.last_signature.signed_at.astimezone().strftime("%Y-%m-%d %H:%M %z")
    name = " ".join(document.last_signature.name.replace("^", " ").split())
    edition = (f", edition {document.edition}", f"，第{document.edition}版") if document.edition > 1 else ("", "")
    en, zh = ("Report", "报告") if document.algorithm is None else ("AI-assisted report", "AI辅助报告")
    if document.status == "preliminary":
        return (
            f"{en}, PRELIMINARY, awaits the reviewing physician · {name}, {moment}",
            f"{zh}（初步），待审核医师审核 · {name}，{moment}",
        )
    return (
        f"{en}, reviewed and signed by {name}, {moment}{edition[0]}",
        f"{zh}，经 {name} 审核签署，{moment}{edition[1]}",
    )


def _film(document: SignedDocument, frame: Frame, index: int, spot: Placement) -> Image.Image:
    image = film(frame, spot.width, spot.height)
    for overlay in document.overlays:
        if overlay.frame == index:
            values = sampled(overlay.values, frame.geometry, spot.width, spot.height, smooth=True)
            tinted = tint(image, values, overlay.claim, value_range(overlay.values))
            image = Image.blend(image.convert("RGB"), tinted, VEIL)
    return image


def _boxes(page: Image.Image, document: SignedDocument, index: int, spot: Placement) -> None:
    """Rectangles with their finding's number: dashed where the model relied on the area, solid where a person drew."""
    pen = ImageDraw.Draw(page)
    thick = max(3, round(spot.height / 360))
    for number, finding in enumerate(document.findings, start=1):
        for box in finding.boxes:
            if box.frame == index:
                _rectangle(pen, box, spot, thick)
                _number(pen, number, box, spot)


def _rectangle(pen: ImageDraw.ImageDraw, box: Box, spot: Placement, thick: int) -> None:
    (x0, y0), (x1, y1) = spot.to_page(np.array([(box.x0, box.y0), (box.x1, box.y1)]))
    colour, dash = (ACCENT, 5 * thick) if box.origin == "model" else (READER, 0)
    for (xa, ya), (xb, yb) in (((x0, y0), (x1, y0)), ((x1, y0), (x1, y1)), ((x1, y1), (x0, y1)), ((x0, y1), (x0, y0))):
        length = max(abs(xb - xa), abs(yb - ya))
        step = dash * 2 if dash else max(length, 1.0)
        for start in np.arange(0, length, step):
            end = min(start + (dash or length), length)
            ends = [(xa + (xb - xa) * part / length, ya + (yb - ya) * part / length) for part in (start, end)]
            pen.line(ends, fill=HALO, width=thick + 4)
            pen.line(ends, fill=colour, width=thick)


def _number(pen: ImageDraw.ImageDraw, number: int, box: Box, spot: Placement) -> None:
    x, y = spot.to_page(np.array([box.x0, box.y0]))
    style = Style(max(20, spot.height // 40), "Bold", HALO)
    colour = ACCENT if box.origin == "model" else READER
    line = wrap([Run(f" {number} ", style)], 400)[0]
    wide, high = style.size * (0.9 + 0.6 * len(str(number))), style.size * 1.3
    x0, y0 = max(spot.x, float(x) - wide / 2), max(spot.y, float(y) - high / 2)
    pen.rounded_rectangle((x0, y0, x0 + wide, y0 + high), 5, fill=colour)
    draw_line(pen, line, x0 + (wide - line.width) / 2, y0 + style.size * 1.0, colour)


def _panel(document: SignedDocument, index: int, width: int) -> Image.Image:
    """The legend."""
    head, body, small = Style(27, "Bold", _TEXT), Style(23, "Regular", _TEXT), Style(19, "Regular", _QUIET)
    rows: list[tuple[str, Style] | Image.Image | int] = []
    for number, finding in enumerate(document.findings, start=1):
        en, zh = _phrases(finding)
        here = [box for box in finding.boxes if box.frame == index]
        colour = ACCENT if here and here[0].origin == "model" else READER if here else _TEXT
        rows += [(f"{number}  {en}", Style(head.size, "Bold", colour)), (zh, Style(25, "Regular", colour))]
        rows.append((" / ".join(_DECISIONS[finding.decision]), small))
        rows.append(18)
    if not document.findings:
        rows += [(_NO_FINDING[0], body), (_NO_FINDING[1], body), 18]
    origins = sorted({box.origin for finding in document.findings for box in finding.boxes if box.frame == index})
    for origin in origins:
        swatch = Style(19, "Regular", ACCENT if origin == "model" else READER)
        rows += [(words, swatch) for words in _ORIGINS[origin]]
        rows.append(10)
    for overlay in document.overlays:
        if overlay.frame == index:
            rows += _bar(document, overlay, width, small)
    rows.append(12)
    if document.algorithm is not None:
        rows.append((f"AI: {document.algorithm.name} {document.algorithm.version}".strip(), small))
    rows += [(TEXTS["not_device"][0] + " · Research use", small), (TEXTS["not_device"][1] + " · 仅供科研使用", small)]
    if document.demo:
        rows += [8, *((words, Style(19, "Regular", _DEMO_TEXT)) for words in TEXTS["demo"])]
    return _set(rows, width)


def _bar(
    document: SignedDocument, overlay: Overlay, width: int, style: Style
) -> list[tuple[str, Style] | Image.Image | int]:
    span = value_range(overlay.values)
    bar = colour_bar(overlay.claim, span.signed, width, 18)
    numbers = {finding.id: number for number, finding in enumerate(document.findings, start=1)}
    whose = f" ({numbers[overlay.finding]})" if overlay.finding in numbers else ""
    words = f"{' / '.join(CLAIM_NAMES[overlay.claim])}{whose}: {span.low:.3g} … {span.high:.3g}"
    return [(words, style), bar, 12]


def _set(rows: Sequence[tuple[str, Style] | Image.Image | int], width: int) -> Image.Image:
    """Rows one under another: text that wraps, pictures, gaps."""
    laid: list[tuple[float, Image.Image | Line]] = []
    at = 0.0
    for row in rows:
        if isinstance(row, int):
            at += row
        elif isinstance(row, Image.Image):
            laid.append((at, row))
            at += row.height + 6
        else:
            for line in wrap([Run(row[0], row[1])], width):
                laid.append((at + row[1].size * 1.08, line))
                at += line_height(row[1].size)
    sheet = Image.new("RGB", (width, max(1, round(at))), _GROUND)
    pen = ImageDraw.Draw(sheet)
    for y, thing in laid:
        if isinstance(thing, Image.Image):
            sheet.paste(thing, (0, round(y)))
        else:
            draw_line(pen, thing, 0, y, _GROUND)
    return sheet


def _phrases(finding: SignedFinding) -> Pair:
    said = Stated(
        finding.code,
        finding.polarity,
        finding.side,
        finding.zone,
        finding.severity,
        finding.certainty,
        finding.size_mm,
    ).as_finding()
    en, zh = (", ".join((describe(said, language), *details(said, language))) for language in ("en", "zh"))
    return en, zh.replace(", ", "，")


def _capture(
    document: SignedDocument, header: Dataset, source: Dataset, inside: int, pixels: NDArray[np.uint8], number: int
) -> Dataset:
    made: Dataset = SCImage.from_ref_dataset(
        ref_dataset=header,
        pixel_array=pixels,
        photometric_interpretation="RGB",
        bits_allocated=8,
        coordinate_system="PATIENT",
        patient_orientation=("L", "F"),  # asked for; the source's own, or none, is put in by finish
        series_instance_uid=edition_uid(document, KIND, "series"),
        series_number=9003,
        sop_instance_uid=edition_uid(document, KIND, "instance", number),
        instance_number=number,
        transfer_syntax_uid=ExplicitVRLittleEndian,
        specific_character_set=UNICODE,
        **equipment(),
    )
    made.ConversionType = "WSD"
    made.ImageType = ["DERIVED", "SECONDARY"]
    made.DerivationDescription = "Displayed film with the findings of the signed report drawn on it; not for diagnosis"
    made.BurnedInAnnotation = "NO" if source.get("BurnedInAnnotation") == "NO" else "YES"
    made.SourceImageSequence = [source_item(header, inside)]
    moment = local_moment(document, header)
    made.DateOfSecondaryCapture, made.TimeOfSecondaryCapture = moment.strftime("%Y%m%d"), moment.strftime("%H%M%S")
    return finish(made, document, header, "picture")


def source_item(header: Dataset, inside: int) -> Dataset:
    """An item of Source Image Sequence (0008,2112)."""
    item, purpose = Dataset(), Dataset()
    item.ReferencedSOPClassUID, item.ReferencedSOPInstanceUID = header.SOPClassUID, header.SOPInstanceUID
    if int(header.get("NumberOfFrames") or 1) > 1:
        item.ReferencedFrameNumber = inside + 1
    code = concepts.SOURCE_IMAGE
    purpose.CodeValue, purpose.CodingSchemeDesignator = code.value, code.scheme_designator
    purpose.CodeMeaning = code.meaning
    item.PurposeOfReferenceCodeSequence = [purpose]
    return item
