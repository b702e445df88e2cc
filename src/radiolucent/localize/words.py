"""A point or a region on a film to the words of anatomy, in the patient's sides, honest about what is estimated."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from radiolucent.errors import Notice
from radiolucent.findings.names import place_name
from radiolucent.findings.types import Side, Zone
from radiolucent.localize.lungs import Box, LungFields
from radiolucent.localize.regions import Point, Region
from radiolucent.localize.wording import (
    LUNGS_NOT_FOUND,
    NO_PLACE_ON_LATERAL,
    SIDE_ASSUMED,
    SIDE_UNKNOWN,
    ZONE_ESTIMATED,
)
from radiolucent.study.geometry import Geometry, PictureSide

_THIRDS: tuple[Zone, ...] = ("upper", "middle", "lower")
_ZH_PICTURE = {"left": "图像左侧", "right": "图像右侧"}
_ZH_SIDE = {"left": "左侧", "right": "右侧", "bilateral": "双侧"}
_ZH_ZONE = {"upper": "上肺野", "middle": "中肺野", "lower": "下肺野"}
SPANS = 0.25  # a region reaching this share of its width across the midline lies on both sides


@dataclass(frozen=True)
class Place:
    """Where something lies, in words.

    Parameters
    ----------
    en, zh
        Such as ``right lower zone`` and ``右下肺野``; empty on a lateral view.
    side
        The patient's side; None where it is unknown or has no meaning.
    zone
        None where the lungs were not found, or the point lies on neither lung's height.
    structure
        ``lung``, ``heart`` or ``mediastinum``; None where the lungs were not found.
    notices
        What the reader must know about the words.
    """

    en: str
    zh: str
    side: Side | None
    zone: Zone | None
    structure: Literal["lung", "heart", "mediastinum"] | None
    notices: tuple[Notice, ...]

    def text(self, language: str) -> str:
        """The words, with the notices that qualify the side behind them."""
        words = self.zh if language == "zh" else self.en
        doubt = [notice.text(language) for notice in self.notices if notice in (SIDE_ASSUMED,)]
        if not words or not doubt:
            return words
        return f"{words}（{'；'.join(doubt)}）" if language == "zh" else f"{words} ({'; '.join(doubt)})"


def place_of(
    point: Point,
    geometry: Geometry,
    fields: LungFields | None,
    view: str | None = None,
    spread: Box | None = None,
) -> Place:
    """Words for a source point.

    Parameters
    ----------
    point
        (column, row) in source pixels.
    fields
        The film's lung fields; None, or unsure ones, give no zone.
    view
        ``LATERAL`` gives neither side nor zone.
    spread
        Box of the region that the point stands for; one that reaches well across the midline is on both sides.
    """
    if view == "LATERAL":
        return Place("", "", None, None, None, (NO_PLACE_ON_LATERAL,))
    column, row = point
    sure = fields if fields is not None and not fields.unsure and fields.mediastinum is not None else None
    midline = geometry.cols / 2
    if sure is not None and sure.mediastinum is not None:
        midline = (sure.mediastinum[0] + sure.mediastinum[2]) / 2
    picture: PictureSide = "left" if column < midline else "right"
    both = spread is not None and _spans(spread, midline)
    side: Side | None = None
    notices: list[Notice] = []
    if geometry.patient_right is None:
        notices.append(SIDE_UNKNOWN)
    else:
        side = "bilateral" if both else ("right" if picture == geometry.patient_right else "left")
        if geometry.side_source == "assumed":
            notices.append(SIDE_ASSUMED)
    if sure is None:
        notices.append(LUNGS_NOT_FOUND)
        en, zh = _without_lungs(side, picture)
        return Place(en, zh, side, None, None, tuple(notices))
    notices.append(ZONE_ESTIMATED)
    structure = _structure(column, row, sure)
    if structure != "lung" and not both:
        en = {"heart": "over the heart", "mediastinum": "over the mediastinum"}[structure]
        zh = {"heart": "心影区", "mediastinum": "纵隔区"}[structure]
        return Place(en, zh, "midline" if side else None, None, structure, tuple(notices))
    zone = _zone(row, sure)
    if side is None:
        where = "both sides" if both else f"picture {picture}"
        en = f"{where}, {zone} zone (side unknown)" if zone else f"{where} (side unknown)"
        zh = ("图像两侧" if both else _ZH_PICTURE[picture]) + (_ZH_ZONE[zone] if zone else "") + "（左右未知）"
    elif zone is None:
        en, zh = f"{side} side, beside the lung", f"{_ZH_SIDE[side]}肺野之外"
    else:
        en, zh = place_name(side, zone, "en"), place_name(side, zone, "zh")
    return Place(en, zh, side, zone, "lung", tuple(notices))


def place_of_region(region: Region, geometry: Geometry, fields: LungFields | None, view: str | None = None) -> Place:
    """Words for a region: its centroid's place, or both sides where it reaches well across the midline."""
    return place_of(region.centroid, geometry, fields, view, region.box)


def _spans(box: Box, midline: float) -> bool:
    width = box[2] - box[0]
    return width > 0 and min(midline - box[0], box[2] - midline) > SPANS * width


def _structure(column: float, row: float, fields: LungFields) -> Literal["lung", "heart", "mediastinum"]:
    """The lungs' own masks first: they overlap the heart's box."""
    mask = fields.both
    r, c = (min(max(int(value), 0), size - 1) for value, size in zip((row, column), mask.shape, strict=True))
    if mask[r, c]:
        return "lung"
    left, right = fields.outline("left"), fields.outline("right")
    for name, box in (("heart", fields.heart), ("mediastinum", fields.mediastinum)):
        if box is not None and box[0] <= column <= box[2] and box[1] <= row <= box[3]:
            inner = (
                left is None
                or right is None
                or (left[2] - 0.2 * (left[2] - left[0])) <= column <= right[0] + 0.2 * (right[2] - right[0])
            )
            if inner or name == "heart":
                return "heart" if name == "heart" else "mediastinum"
    return "lung"


def _zone(row: float, fields: LungFields) -> Zone | None:
    """Thirds of the height that the two lungs share; a margin of a tenth above and below still counts."""
    boxes = [box for box in (fields.outline("left"), fields.outline("right")) if box is not None]
    top, bottom = min(box[1] for box in boxes), max(box[3] for box in boxes)
    height = bottom - top
    if height <= 0 or row < top - 0.1 * height or row > bottom + 0.15 * height:
        return None
    return _THIRDS[min(2, max(0, int(3 * (row - top) / height)))]


def _without_lungs(side: Side | None, picture: PictureSide) -> tuple[str, str]:
    if side is None:
        return f"picture {picture} (side unknown)", f"{_ZH_PICTURE[picture]}（左右未知）"
    return ("both sides" if side == "bilateral" else f"{side} side"), _ZH_SIDE[side]
