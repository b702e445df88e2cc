"""What the model's own boxes say about its findings: which finding each belongs to, and whether the evidence agrees."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from radiolucent.attribution.types import AttributionMap
from radiolucent.errors import Notice
from radiolucent.findings import extract_findings
from radiolucent.findings.names import describe
from radiolucent.findings.types import Finding
from radiolucent.localize.boxes import Agreement, BoxFault, ModelBox, compare, parse_boxes
from radiolucent.study.geometry import Geometry

FAULTS: Mapping[str, tuple[str, str]] = {
    "no_json": ("the answer holds no list of boxes", "回答中没有框列表"),
    "malformed_json": ("the list of boxes cannot be read", "框列表无法解析"),
    "not_a_box": ("an entry is no box", "有条目不是框"),
    "out_of_range": ("a box lies outside 0 to 1000", "有框超出 0 至 1000"),
    "empty_box": ("a box has no area", "有框面积为零"),
    "in_padding": ("a box lies wholly beside the film", "有框完全位于影像之外"),
}


@dataclass(frozen=True)
class BoxReading:
    """A box that the model drew, the finding that it belongs to, and what the model relied on for that finding.

    Parameters
    ----------
    box
        In source pixels of the first frame.
    finding
        Id of the finding that its label names; None where it names none of the report.
    agreement
        With the finding's *relied on* map; None where there is none to compare with.
    """

    box: ModelBox
    finding: str | None = None
    agreement: Agreement | None = None

    def text(self, language: str) -> str:
        """The comparison as a sentence; empty where there is nothing to compare."""
        if self.agreement is None or self.agreement.notice is None:
            return ""
        overlap, distance = self.agreement.iou, self.agreement.centre_distance
        said = self.agreement.notice.text(language)
        if language == "zh":
            return f"{said}（重叠 {overlap:.2f}，中心相距影像边长的 {distance:.0%}）。"
        return f"{said[0].upper()}{said[1:]} (overlap {overlap:.2f}, centres {distance:.0%} of the film's edge apart)."


def read_boxes(
    answer: str, geometry: Geometry, findings: Sequence[Finding], relied_on: Mapping[str, AttributionMap]
) -> tuple[tuple[BoxReading, ...], tuple[Notice, ...]]:
    """The boxes of an answer, each with its finding and the comparison; what could not be read, as notices.

    Parameters
    ----------
    answer
        The model's text, thinking and prose included.
    geometry
        Of the first frame.
    findings
        Those of the report that may have a box.
    relied_on
        Finding id -> the map that an intervention made and that is shown to people.
    """
    parsed = parse_boxes(answer, geometry)
    readings = []
    for box in parsed.boxes:
        finding = _named(box.label, findings)
        made = None if finding is None else relied_on.get(finding.id)
        readings.append(
            BoxReading(
                box=box,
                finding=None if finding is None else finding.id,
                agreement=None if made is None else compare(box.box, made.values[0], geometry),
            )
        )
    return tuple(readings), tuple(_notice(fault) for fault in parsed.faults)


def disagreements(readings: Sequence[BoxReading], findings: Sequence[Finding]) -> tuple[Notice, ...]:
    """A notice for each box that lies elsewhere than what the model relied on."""
    named = {finding.id: finding for finding in findings}
    return tuple(
        Notice(
            "box_disagrees",
            f"{describe(named[reading.finding], 'en')}: {reading.text('en')}",
            f"{describe(named[reading.finding], 'zh')}：{reading.text('zh')}",
        )
        for reading in readings
        if reading.finding in named and reading.agreement is not None and reading.agreement.agrees is False
    )


def _named(label: str, findings: Sequence[Finding]) -> Finding | None:
    """The finding that a label names: the same code, and no other side."""
    for read in extract_findings(label.replace("_", " ")):
        for finding in findings:
            if finding.code == read.code and (read.side in (None, finding.side) or finding.side is None):
                return finding
    return None


def _notice(fault: BoxFault) -> Notice:
    english, chinese = FAULTS[fault.kind]
    return Notice("box_fault", f"The model's boxes: {english}.", f"模型给出的框：{chinese}。")
