"""The model's own boxes beside what it relied on."""

from __future__ import annotations

import numpy as np
import pytest

from radiolucent.attribution.types import AttributionMap
from radiolucent.findings.types import Finding
from radiolucent.localize.box_readings import disagreements, read_boxes
from radiolucent.study.geometry import Geometry
from radiolucent.vlm.types import Target

FILM = Geometry(rows=160, cols=160, model_size=160, grid=16)
EFFUSION = Finding("pleural_effusion", side="right", words="right effusion")
NODULE = Finding("nodule", side="left", words="left nodule")


def relied(row: int, column: int) -> AttributionMap:
    values = np.zeros((1, 16, 16), dtype=np.float32)
    values[0, row : row + 2, column : column + 2] = 1.0
    return AttributionMap(values, "relied_on", "m", Target((0, 1)), "nats", (FILM,))


def answer(*items: tuple[str, tuple[int, int, int, int]]) -> str:
    listed = ", ".join(f'{{"box_2d": {list(box)}, "label": "{label}"}}' for label, box in items)
    return f"It lies low. Final Answer: [{listed}]"


def test_each_box_is_held_against_its_own_findings_map() -> None:
    text = answer(("right pleural effusion", (625, 125, 750, 250)), ("nodule", (0, 0, 125, 125)))
    maps = {EFFUSION.id: relied(10, 2), NODULE.id: relied(10, 12)}
    readings, faults = read_boxes(text, FILM, (EFFUSION, NODULE), maps)
    assert faults == () and [reading.finding for reading in readings] == [EFFUSION.id, NODULE.id]
    same, other = (reading.agreement for reading in readings)
    assert same is not None and same.agrees and same.iou == pytest.approx(1.0) and same.centre_distance < 0.01
    assert other is not None and other.agrees is False and other.iou == 0.0
    (notice,) = disagreements(readings, (EFFUSION, NODULE))
    assert "disagree" in notice.en and "overlap 0.00" in notice.en and "不一致" in notice.zh


@pytest.mark.parametrize(("label", "finding"), [
    ("胸腔积液", EFFUSION.id), ("pleural_effusion", EFFUSION.id), ("left pleural effusion", None), ("teapot", None),
    ("", None),
])  # fmt: skip
def test_a_label_names_a_finding_by_code_and_side_or_none(label: str, finding: str | None) -> None:
    ((reading,), _) = read_boxes(answer((label, (0, 0, 500, 500))), FILM, (EFFUSION, NODULE), {})
    assert reading.finding == finding and reading.agreement is None and reading.text("en") == ""


def test_what_cannot_be_read_is_said_and_the_rest_is_kept() -> None:
    text = answer(("nodule", (0, 0, 2000, 10)), ("nodule", (10, 10, 400, 400)))
    readings, faults = read_boxes(text, FILM, (NODULE,), {})
    assert len(readings) == 1 and [fault.code for fault in faults] == ["box_fault"] and "0 to 1000" in faults[0].en
    readings, faults = read_boxes("Final Answer: [{", FILM, (NODULE,), {})
    assert readings == () and "cannot be read" in faults[0].en and "无法解析" in faults[0].zh
