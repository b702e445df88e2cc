"""From an explanation to ``report.html``: what the interactive page shows, and how much of it fits in a light file."""

from __future__ import annotations

import base64
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from radiolucent.attribution.cells import cell_means
from radiolucent.attribution.types import AttributionMap
from radiolucent.confidence.types import FindingConfidence
from radiolucent.errors import Notice
from radiolucent.findings.types import Finding
from radiolucent.report.blocks import best_grade
from radiolucent.report.embed import embed_font
from radiolucent.report.explanation import Explanation
from radiolucent.report.html import (
    Bilingual,
    BoxView,
    ContourView,
    ContrastView,
    FindingMapView,
    FindingRow,
    FrameView,
    LayerView,
    LinkView,
    SampleCounts,
    StepView,
    ViewerData,
    WordMaps,
    WordView,
    characters,
    film_png,
    render_html,
)
from radiolucent.report.overlay import region_boxes, region_contours, region_of
from radiolucent.report.wording import doubt, finding_name
from radiolucent.study.types import Frame
from radiolucent.trace.kinds import KIND_WORDS
from radiolucent.trace.types import Trace, TraceWord
from radiolucent.vlm.types import share

WORD_MAP_CELLS = 900_000  # cells of word maps on the page, a byte each before packing: keeps 300 words below 3 MB
FILM_EDGE = 1200  # pixels of a single film's longer edge
SMALLEST_EDGE = 320
FINEST_MAP = 4  # cells of a finding's map for each cell of the token grid, along an edge


def render_viewer(explanation: Explanation) -> str:
    """``report.html`` as one string, with a font for every character that it can show."""
    data = viewer_data(explanation)
    font = base64.b64encode(embed_font(characters(data))).decode("ascii")
    return render_html(replace(data, font_base64=font))


def viewer_data(explanation: Explanation) -> ViewerData:
    """What the page shows of an explanation. Withheld maps' values never reach it; absent findings get no map."""
    frames = explanation.frames
    edge = max(SMALLEST_EDGE, round(FILM_EDGE / len(frames) ** 0.5))
    words, maps, note = ((), None, None) if explanation.trace is None else _words(explanation.trace, explanation)
    notices = {entry.en: entry for entry in (*explanation.study.warnings, *explanation.warnings)}
    confidence = explanation.confidence
    calibrated = None
    if confidence is not None and confidence.calibrated and confidence.note:
        calibrated = Bilingual(confidence.note, confidence.note)
    present = {finding.id for finding in explanation.findings if finding.polarity != "absent"}
    return ViewerData(
        report=explanation.report,
        frames=tuple(_frame(frame, edge) for frame in frames),
        language="zh" if explanation.language == "zh" else "en",
        model=str(explanation.provenance.get("model", "")),
        domain="phantom" if explanation.is_demo else "",
        question=explanation.prompt.question,
        thinking=explanation.generation.thinking,
        words=words,
        word_maps=maps,
        findings=tuple(_row(finding, explanation) for finding in explanation.findings),
        maps=tuple(
            _map(attribution, finding_id, method, explanation)
            for (method, finding_id), attribution in explanation.maps.items()
            if finding_id in present
        ),
        warnings=tuple(Bilingual(entry.en, entry.zh) for entry in (*notices.values(), *([note] if note else []))),
        chain=_chain(explanation),
        contrasts=_contrasts(explanation),
        confidence_note=calibrated,
        provenance=tuple((Bilingual(name, name), value) for name, value in _flat(explanation.provenance)),
    )


def _shown_words(trace: Trace) -> dict[int, int]:
    """Index of a word in the trace -> its index on the page, which leaves out words without characters."""
    kept = [index for index, word in enumerate(trace.words) if word.chars[0] < word.chars[1]]
    return {index: place for place, index in enumerate(kept)}


def _chain(explanation: Explanation) -> tuple[StepView, ...]:
    if explanation.trace is None:
        return ()
    places = _shown_words(explanation.trace)
    return tuple(
        StepView(
            stage=step.stage,
            text=Bilingual(step.en, step.zh),
            strength=step.strength,
            words=tuple(places[index] for index in step.words if index in places),
            links=tuple(
                LinkView(link.strength, Bilingual(link.en, link.zh), link.method, link.finding)
                for link in step.shown_links
            ),
            finding=step.finding,
        )
        for step in explanation.trace.chain
    )


def _contrasts(explanation: Explanation) -> tuple[ContrastView, ...]:
    if explanation.trace is None:
        return ()
    places = _shown_words(explanation.trace)
    return tuple(
        ContrastView(
            ask=Bilingual(one.ask("en"), one.ask("zh")),
            answer=Bilingual(one.en, one.zh),
            strength=one.strength,
            words=tuple(
                places[index]
                for index, word in enumerate(explanation.trace.words)
                if index in places and word.part == "answer" and share(word.chars, one.chars)
            ),
            finding=one.finding,
        )
        for one in explanation.trace.contrasts
    )


def chosen_layers(trace: Trace, most: int) -> list[int]:
    """Positions along the trace's layer axis that the page keeps: global layers first, then sliding ones spread out."""
    everywhere = [place for place, kind in enumerate(trace.layer_types) if kind == "global"]
    sliding = [place for place, kind in enumerate(trace.layer_types) if kind != "global"]
    kept = _spread(everywhere, most)
    return sorted(kept + _spread(sliding, most - len(kept)))


def _spread(places: list[int], most: int) -> list[int]:
    if most <= 0 or not places:
        return []
    return [places[round(float(at))] for at in np.linspace(0, len(places) - 1, min(most, len(places)))]


def _frame(frame: Frame, edge: int) -> FrameView:
    geometry = frame.geometry
    return FrameView(
        png=film_png(frame.picture(), edge),
        rows=geometry.rows,
        cols=geometry.cols,
        label=frame.label,
        model_size=geometry.model_size,
        grid=geometry.grid,
        patient_right=geometry.patient_right,
        side_source=geometry.side_source,
        spacing=geometry.spacing,
    )


def _words(trace: Trace, explanation: Explanation) -> tuple[tuple[WordView, ...], WordMaps | None, Notice | None]:
    words = [word for word in trace.words if word.chars[0] < word.chars[1]]
    mapped = [word.attended for word in words if word.attended is not None]
    maps, note = _word_maps(trace, mapped)
    views = []
    place = 0
    for word in words:
        views.append(_word(word, place if word.attended is not None and maps is not None else None))
        place += word.attended is not None
    return tuple(views), maps, note


def _word(word: TraceWord, place: int | None) -> WordView:
    return WordView(
        text=word.text,
        start=word.chars[0],
        end=word.chars[1],
        part=word.part,
        p=_finite(word.probability),
        entropy=_finite(word.entropy),
        alternatives=tuple((entry.text, float(np.exp(entry.logprob))) for entry in word.alternatives),
        reliance=_finite(word.image_reliance),
        map=place,
        kind=Bilingual(*KIND_WORDS[word.kind]) if word.clinical else None,
        mark=word.mark,
        place=word.anatomy or "",
    )


def _word_maps(trace: Trace, mapped: list[NDArray[np.float32]]) -> tuple[WordMaps | None, Notice | None]:
    if not mapped:
        return None, None
    most = WORD_MAP_CELLS // (len(mapped) * mapped[0][0].size)
    if most < 1:
        return None, Notice(
            "word_maps_left_out",
            "Word maps are too many for this page; they are in maps.npz.",
            "词语图数量过多，本页未收录；保存在 maps.npz 中。",
        )
    layers = chosen_layers(trace, most - 1)
    values = np.stack([np.concatenate([attended.mean(axis=0, keepdims=True), attended[layers]]) for attended in mapped])
    stops = [LayerView(None, "mean")]
    stops += [
        LayerView(trace.layers[place], "global" if trace.layer_types[place] == "global" else "sliding")
        for place in layers
    ]
    note = None
    if len(layers) < len(trace.layers):
        kept = ", ".join(str(trace.layers[place]) for place in layers)
        note = Notice(
            "layers_left_out",
            f"This page keeps layers {kept} and the mean of all; every layer is in maps.npz.",
            f"本页仅收录第 {kept} 层及全部层的平均；所有层保存在 maps.npz 中。",
        )
    return WordMaps(values.clip(0, None), tuple(stops)), note


def _row(finding: Finding, explanation: Explanation) -> FindingRow:
    confidence = None if explanation.confidence is None else explanation.confidence.of(finding.id)
    length = len(explanation.report)
    return FindingRow(
        id=finding.id,
        text=Bilingual(finding_name(finding, "en"), finding_name(finding, "zh")),
        polarity=finding.polarity,
        certainty=finding.certainty,
        side=finding.side,
        zone=finding.zone,
        severity=finding.severity,
        start=min(finding.chars[0], length),
        end=min(finding.chars[1], length),
        counts=None if confidence is None else _counts(confidence),
        interval=None if confidence is None else (confidence.low, confidence.high),
        probability=None if confidence is None else _finite(confidence.probability),
        quadrant=None if confidence is None else confidence.quadrant,
        grade=best_grade(explanation, finding),
    )


def _counts(confidence: FindingConfidence) -> SampleCounts:
    return SampleCounts(
        confidence.present, confidence.uncertain, confidence.absent, confidence.silent, confidence.samples
    )


def _map(attribution: AttributionMap, finding_id: str, method: str, explanation: Explanation) -> FindingMapView:
    grade = explanation.faithfulness.get((method, finding_id))
    withheld = grade is not None and (grade.withheld or grade.grade == "not shown")
    boxes: list[BoxView] = []
    contours: list[ContourView] = []
    if not withheld:
        for index, (region, geometry) in enumerate(zip(region_of(attribution), attribution.geometry, strict=True)):
            contours += [ContourView(tuple(line), index) for line in region_contours(region, geometry)]
            if attribution.claim == "relied_on":
                boxes += [BoxView(*box, frame=index) for box in region_boxes(region, geometry)]
        boxes += [BoxView(*one.box.box, origin="model") for one in explanation.boxes if one.finding == finding_id]
    doubted = doubt(attribution.claim, grade)
    return FindingMapView(
        finding=finding_id,
        method=method,
        claim=attribution.claim,
        values=None if withheld else _coarse(attribution),
        units=attribution.units,
        caption=None if doubted is None else Bilingual(*doubted),
        boxes=tuple(boxes),
        contours=tuple(contours),
        grade="not shown" if withheld else "weak" if grade is None else grade.grade,
        withheld=withheld,
    )


def _coarse(attribution: AttributionMap) -> NDArray[np.floating]:
    """The map's values, averaged where they are much finer than the token grid."""
    finest = attribution.geometry[0].grid * FINEST_MAP
    if attribution.values.shape[1] <= finest:
        return attribution.values
    return np.stack([cell_means(frame.astype(np.float64), finest) for frame in attribution.values])


def _finite(value: float | None) -> float | None:
    return value if value is not None and np.isfinite(value) else None


def _flat(facts: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, str]]:
    for key, value in facts.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{prefix}{key} / ")
        elif isinstance(value, list | tuple):
            yield f"{prefix}{key}", ", ".join(str(entry) for entry in value)
        else:
            yield f"{prefix}{key}", str(value)
