"""The boxes that MedGemma itself draws: read from its answer, carried to source pixels, compared with a map.

The documented prompt asks for a JSON list after "Final Answer:", items ``{"box_2d": [y0, x0, y1, x1], "label": …}``
with coordinates 0 to 1000 on the image padded to a square.
"""

from __future__ import annotations

import json
import math
import re
from dataclasses import dataclass
from itertools import islice
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from radiolucent.errors import Notice
from radiolucent.localize.regions import Box, find_regions
from radiolucent.localize.wording import BOX_AGREES, BOX_DISAGREES
from radiolucent.study.geometry import Geometry

FULL_SCALE = 1000.0
THOUGHT_END = "<unused95>"
MOST_STARTS = 50  # brackets tried as the list's beginning; prose holds few, nonsense may hold thousands
FaultKind = Literal["no_json", "malformed_json", "not_a_box", "out_of_range", "empty_box", "in_padding"]
_MARKER = re.compile(r"final\s+answer\s*\**\s*[:：]", re.IGNORECASE)


@dataclass(frozen=True)
class ModelBox:
    """A box that the model drew.

    Parameters
    ----------
    box
        (x0, y0, x1, y1) in source pixels, cut to the film.
    box_2d
        (y0, x0, y1, x1) as written, 0 to 1000 on the padded square.
    cut
        Whether a part in the padding was cut away.
    """

    label: str
    box: Box
    box_2d: tuple[float, float, float, float]
    cut: bool = False


@dataclass(frozen=True)
class BoxFault:
    """A part of the answer that is not a usable box, and why."""

    kind: FaultKind
    words: str


@dataclass(frozen=True)
class BoxAnswer:
    """What a box answer held: usable boxes, and what was wrong with the rest.

    Parameters
    ----------
    marked
        Whether the list stood behind "Final Answer:" as asked.
    """

    boxes: tuple[ModelBox, ...]
    faults: tuple[BoxFault, ...]
    marked: bool


@dataclass(frozen=True)
class Agreement:
    """A model's box against a map of what it relied on.

    Parameters
    ----------
    iou
        Of the box and the map's strongest region (whole cells, half of the maximum).
    centre_distance
        Between their centres, as a share of the film's longer edge.
    peak_inside
        Whether the map's peak lies in the box.
    mass_inside
        Share of the map's positive mass in the box, cells split by area.
    agrees
        ``peak_inside`` or more than half of the mass; None where the map holds nothing positive.
    """

    iou: float
    centre_distance: float
    peak_inside: bool
    mass_inside: float
    agrees: bool | None

    @property
    def notice(self) -> Notice | None:
        """Agree or disagree in words; None where the map says nothing."""
        if self.agrees is None:
            return None
        return BOX_AGREES if self.agrees else BOX_DISAGREES


def parse_boxes(text: str, geometry: Geometry) -> BoxAnswer:
    """Read the boxes of an answer; faults are reported, never raised and never repaired.

    Parameters
    ----------
    text
        The model's whole answer; thinking text and prose before the list are skipped.

    Examples
    --------
    >>> answer = parse_boxes('Final Answer: [{"box_2d": [0, 0, 500, 500], "label": "nodule"}]', Geometry(100, 100))
    >>> answer.boxes[0].box
    (0.0, 0.0, 50.0, 50.0)
    """
    answer = text.rsplit(THOUGHT_END, 1)[-1]
    markers = list(_MARKER.finditer(answer))
    body = answer[markers[-1].end() :] if markers else answer
    items, fault = _json_items(body)
    faults = [fault] if fault else []
    boxes: list[ModelBox] = []
    for item in items:
        result = _read(item, geometry)
        if isinstance(result, ModelBox):
            boxes.append(result)
        else:
            faults.append(result)
    return BoxAnswer(tuple(boxes), tuple(faults), bool(markers))


def compare(box: Box, values: NDArray[np.floating], geometry: Geometry) -> Agreement:
    """Compare a model's box with a map over the padded square.

    Parameters
    ----------
    box
        (x0, y0, x1, y1) in source pixels.
    values
        float (n, n); positive supports the target.
    """
    found = find_regions(values, geometry)
    if not found.regions:
        return Agreement(0.0, float("nan"), False, 0.0, None)
    strongest = max(found.regions, key=lambda region: float(values[region.peak_cell]))
    x, y = strongest.peak
    inside = box[0] <= x <= box[2] and box[1] <= y <= box[3]
    mass = _mass_inside(box, np.asarray(values, dtype=np.float64), geometry)
    centre = ((box[0] + box[2]) / 2, (box[1] + box[3]) / 2)
    distance = math.dist(centre, strongest.centroid) / geometry.edge
    return Agreement(box_iou(box, strongest.box), distance, inside, mass, inside or mass > 0.5)


def box_iou(a: Box, b: Box) -> float:
    """Intersection over union of two boxes (x0, y0, x1, y1); 0 where both are empty."""
    width, height = min(a[2], b[2]) - max(a[0], b[0]), min(a[3], b[3]) - max(a[1], b[1])
    common = max(0.0, width) * max(0.0, height)
    whole = (a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1]) - common
    return common / whole if whole > 0 else 0.0


def _json_items(body: str) -> tuple[list[object], BoxFault | None]:
    """The first JSON list or object that parses; a bare object is a list of one."""
    decoder = json.JSONDecoder()
    started = False
    for found in islice(re.finditer(r"[\[{]", body), MOST_STARTS):
        started = True
        try:
            value, _ = decoder.raw_decode(body, found.start())
        except (json.JSONDecodeError, RecursionError):
            continue
        if isinstance(value, dict):
            return [value], None
        if isinstance(value, list) and (not value or any(isinstance(item, dict) for item in value)):
            return value, None
    words = body.strip()[:200]
    return [], BoxFault("malformed_json" if started else "no_json", words)


def _read(item: object, geometry: Geometry) -> ModelBox | BoxFault:
    words = json.dumps(item, ensure_ascii=False)[:200]
    if not isinstance(item, dict) or not isinstance(item.get("box_2d"), list) or len(item["box_2d"]) != 4:
        return BoxFault("not_a_box", words)
    numbers = item["box_2d"]
    if any(isinstance(number, bool) or not isinstance(number, (int, float)) for number in numbers):
        return BoxFault("not_a_box", words)
    if any(not 0 <= number <= FULL_SCALE for number in numbers):  # also false for nan
        return BoxFault("out_of_range", words)
    y0, x0, y1, x1 = (float(number) for number in numbers)
    if y1 <= y0 or x1 <= x0:
        return BoxFault("empty_box", words)
    scale = geometry.model_size / FULL_SCALE
    corners = geometry.to_source(np.array([[x0, y0], [x1, y1]]) * scale)
    whole = (float(corners[0, 0]), float(corners[0, 1]), float(corners[1, 0]), float(corners[1, 1]))
    box = (max(whole[0], 0.0), max(whole[1], 0.0), min(whole[2], geometry.cols), min(whole[3], geometry.rows))
    if box[2] <= box[0] or box[3] <= box[1]:
        return BoxFault("in_padding", words)
    cut = not np.allclose(whole, box, atol=1e-6)
    return ModelBox(str(item.get("label", "")), box, (y0, x0, y1, x1), cut)


def _mass_inside(box: Box, values: NDArray[np.float64], geometry: Geometry) -> float:
    n = values.shape[0]
    on_map = geometry.for_model(max(geometry.model_size, n), n)
    (c0, r0), (c1, r1) = on_map.to_grid(np.array([[box[0], box[1]], [box[2], box[3]]]))
    cells = np.arange(n)
    columns = np.clip(np.minimum(cells + 1, c1) - np.maximum(cells, c0), 0, 1)
    rows = np.clip(np.minimum(cells + 1, r1) - np.maximum(cells, r0), 0, 1)
    positive = np.maximum(values, 0.0)
    total = float(positive.sum())
    return float((positive * rows[:, None] * columns[None, :]).sum()) / total if total > 0 else 0.0
