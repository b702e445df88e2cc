"""The shape of ``explanation.json``: one pydantic model a type, versioned, published as JSON Schema.

Numbers that a computation may leave without a finite value are written as the strings ``"NaN"``, ``"Infinity"`` and
``"-Infinity"``, since JSON has no others. Arrays stand in ``maps.npz`` (results) and ``frames/NNN.npz`` (the pixels as
stored) under the key given here.
"""

from __future__ import annotations

import math
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, FiniteFloat, PlainSerializer

SCHEMA_NAME = "radiolucent.explanation"
SCHEMA_VERSION = 1


def _read_number(value: object) -> object:
    return float(value) if isinstance(value, str) and value in ("NaN", "Infinity", "-Infinity") else value


def _write_number(value: float) -> float | str:
    if math.isnan(value):
        return "NaN"
    if math.isinf(value):
        return "Infinity" if value > 0 else "-Infinity"
    return value


Number = Annotated[
    float,
    BeforeValidator(_read_number, json_schema_input_type=FiniteFloat | Literal["NaN", "Infinity", "-Infinity"]),
    PlainSerializer(_write_number, return_type=FiniteFloat | Literal["NaN", "Infinity", "-Infinity"], when_used="json"),
]
Span = tuple[int, int]
Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]


class Model(BaseModel):
    """Base of the models: built from the dataclasses by attribute, refusing what it does not know."""

    model_config = ConfigDict(extra="forbid", from_attributes=True, frozen=True)


class ArrayModel(Model):
    """An array in an NPZ file: where it is and what it must be."""

    key: Annotated[str, Field(pattern=r"^[a-z_]+(/[\w.\-+]+)*$")]
    dtype: Literal["float16", "float32", "float64", "int64", "int32", "int16", "uint16", "uint8", "bool"]
    shape: tuple[Annotated[int, Field(ge=0)], ...]


class NoticeModel(Model):
    """:class:`radiolucent.errors.Notice`."""

    code: str
    en: str
    zh: str


class GeometryModel(Model):
    """:class:`radiolucent.study.geometry.Geometry`."""

    rows: int
    cols: int
    model_size: int
    grid: int
    patient_right: Literal["left", "right"] | None
    side_source: Literal["orientation", "assumed", "array", "none"]
    spacing: tuple[float, float] | None
    spacing_kind: Literal["patient", "detector"] | None


class DisplayModel(Model):
    """:class:`radiolucent.study.types.Display`."""

    low: Number
    high: Number
    inverted: bool
    function: str
    lut: ArrayModel | None
    padding: ArrayModel | None


class FrameModel(Model):
    """:class:`radiolucent.study.types.Frame`.

    ``values`` may be stored in a smaller integer type that holds the same numbers; ``dtype`` is the type in memory.
    """

    picture: str
    pixels: str
    values: ArrayModel
    dtype: Literal["float32", "uint8"]
    display: DisplayModel
    geometry: GeometryModel
    label: str
    view: str | None


class SourceModel(Model):
    """:class:`radiolucent.study.types.Source`."""

    format: str
    sha256: str
    details: dict[str, str]


class StudyModel(Model):
    """:class:`radiolucent.study.types.Study`."""

    frames: Annotated[tuple[FrameModel, ...], Field(min_length=1)]
    modality: str
    source: SourceModel
    warnings: tuple[NoticeModel, ...]
    view: str | None


class PromptModel(Model):
    """:class:`radiolucent.vlm.types.Prompt`."""

    question: str
    language: Literal["en", "zh"]
    thinking: bool


class WordModel(Model):
    """:class:`radiolucent.vlm.types.Word`."""

    text: str
    chars: Span
    tokens: Span
    part: Literal["answer", "thinking"]


class AlternativeModel(Model):
    """:class:`radiolucent.vlm.types.Alternative`."""

    token_id: int
    text: str
    logprob: Number


class RowsModel(Model):
    """:class:`radiolucent.vlm.types.AttentionRows`."""

    image: ArrayModel
    prompt_text: ArrayModel
    generated: ArrayModel
    layer_types: tuple[str, ...]


class PromptInputsModel(Model):
    """:class:`radiolucent.vlm.types.PromptInputs`."""

    input_ids: ArrayModel
    token_type_ids: ArrayModel
    image_spans: tuple[Span, ...]


class GenerationModel(Model):
    """:class:`radiolucent.vlm.types.Generation`; ``prompt`` is null where it is the explanation's own."""

    text: str
    thinking: str
    words: tuple[WordModel, ...]
    token_ids: ArrayModel
    logprobs: ArrayModel
    entropy: ArrayModel
    alternatives: tuple[tuple[AlternativeModel, ...], ...]
    image_spans: tuple[Span, ...]
    prompt: PromptModel | None
    prompt_inputs: PromptInputsModel
    rows: RowsModel | None
    finish: Literal["stop", "length"]


class FindingModel(Model):
    """:class:`radiolucent.findings.types.Finding`."""

    code: str
    polarity: Literal["present", "absent", "uncertain"]
    side: Literal["left", "right", "bilateral", "midline"] | None
    zone: Literal["upper", "middle", "lower", "hilar", "diffuse"] | None
    severity: Literal["minimal", "mild", "moderate", "severe"] | None
    words: str
    chars: Span
    sentence: Span
    certainty: Literal["definite", "likely", "possible"]
    change: str | None
    contradicted: bool
    zones: tuple[Literal["upper", "middle", "lower", "hilar", "diffuse"], ...] = ()
    size_mm: tuple[float, ...] = ()
    percent: float | None = None
    count: int | Literal["multiple"] | None = None
    attributes: tuple[tuple[str, str], ...] = ()
    not_knowable: tuple[Literal["comparison", "size", "history", "view"], ...] = ()


class TargetModel(Model):
    """:class:`radiolucent.vlm.types.Target`."""

    tokens: Span
    foil: tuple[int, ...] | None
    label: str


class RegionTestModel(Model):
    """:class:`radiolucent.attribution.types.RegionTest`."""

    region: ArrayModel
    proposer: str
    hidden: Number
    only: Number
    everything: Number
    controls: ArrayModel
    control_kinds: tuple[Literal["mirrored", "matched", "random", "other finding"], ...]
    controls_hidden: tuple[Number, ...]
    controls_only: tuple[Number, ...]
    necessity: Number | None
    sufficiency: Number | None
    specificity: Number | None
    necessity_interval: tuple[Number, Number] | None
    sufficiency_interval: tuple[Number, Number] | None
    specificity_interval: tuple[Number, Number] | None
    verdict: Literal["necessary and sufficient", "necessary", "sufficient", "not verified"]
    order: ArrayModel | None


class MapModel(Model):
    """:class:`radiolucent.attribution.types.AttributionMap` and its key."""

    finding: str
    key_method: str
    values: ArrayModel
    claim: Literal["attended", "sensitive", "relied_on", "plausible"]
    method: str
    target: TargetModel
    units: str
    geometry: tuple[GeometryModel, ...]
    forwards: int
    backwards: int
    note: str = ""
    tests: tuple[RegionTestModel, ...] = ()
    panel: ArrayModel | None = None


class GradeModel(Model):
    """:class:`radiolucent.faithfulness.types.MapGrade`."""

    grade: Literal["verified", "weak", "not shown"]
    effect: Number
    control_low: Number | None
    control_high: Number | None
    necessity: Number | None
    note: str
    withheld: bool
    sufficiency: Number | None
    score: Number | None = None
    letter: Literal["A", "B", "C", "withheld"] | None = None
    lift: Number | None = None
    gap: Number | None = None
    gap_interval: tuple[Number, Number] | None = None
    specificity: Number | None = None
    agreement: Number | None = None
    overlap: Number | None = None
    outside: bool | None = None
    other_side: bool | None = None


class GradedModel(Model):
    """A grade and the key of the map that it belongs to."""

    finding: str
    key_method: str
    grade: GradeModel


class TraceWordModel(Model):
    """:class:`radiolucent.trace.types.TraceWord`; ``attended`` is its place in the trace's array."""

    text: str
    part: Literal["answer", "thinking"]
    chars: Span
    tokens: Span
    probability: Number
    logprob: Number
    entropy: Number
    alternatives: tuple[AlternativeModel, ...]
    image_reliance: Number | None
    anatomy: str | None
    attended: int | None
    reliance_blank: Number | None = None
    reliance_other: Number | None = None
    kind: Literal["finding", "anatomy", "side", "severity", "negation", "hedge", "change", "grammar", "punctuation"] = (
        "grammar"
    )
    mark: Literal["seen", "guessed", "unknown"] | None = None


class SummaryModel(Model):
    """:class:`radiolucent.trace.types.Summary`."""

    of: str
    part: Literal["answer", "thinking"]
    chars: Span
    probability: Number
    least_certain: int
    image_reliance: Number | None
    seen: int
    clinical: int
    place: str | None
    nearly: tuple[tuple[int, str, Number], ...]


class LinkModel(Model):
    """:class:`radiolucent.trace.types.Link`."""

    kind: Literal["words", "map", "intervention"]
    strength: Literal["verified", "weak", "not shown"]
    en: str
    zh: str
    method: str
    finding: str


class ChainStepModel(Model):
    """:class:`radiolucent.trace.types.ChainStep`."""

    stage: Literal["question", "looked", "named", "weighed", "concluded"]
    en: str
    zh: str
    chars: tuple[Span, ...]
    words: tuple[int, ...]
    links: tuple[LinkModel, ...]
    strength: Literal["verified", "weak", "not shown"]
    finding: str


class ContrastModel(Model):
    """:class:`radiolucent.trace.types.Contrast`."""

    finding: str
    about: Literal["presence", "side", "words"]
    said: str
    foil: str
    token: int
    foil_ids: tuple[int, ...]
    chars: Span
    margin: Number
    margin_blank: Number | None
    margin_other: Number | None
    margin_hidden: Number | None
    margin_control: Number | None
    region: ArrayModel | None
    place: str | None
    strength: Literal["verified", "weak", "not shown"]
    en: str
    zh: str


class TraceModel(Model):
    """:class:`radiolucent.trace.types.Trace`; ``attended`` (words with a map, layers, frames, rows, columns)."""

    words: tuple[TraceWordModel, ...]
    layers: tuple[int, ...]
    layer_types: tuple[str, ...]
    attended: ArrayModel | None
    replaced_by: Literal["", "drawn", "given"] = ""
    threshold: Number = 0.0
    sentences: tuple[SummaryModel, ...] = ()
    findings: tuple[SummaryModel, ...] = ()
    chain: tuple[ChainStepModel, ...] = ()
    contrasts: tuple[ContrastModel, ...] = ()


class FindingConfidenceModel(Model):
    """:class:`radiolucent.confidence.types.FindingConfidence`."""

    code: str
    side: Literal["left", "right", "bilateral", "midline"] | None
    present: int
    uncertain: int
    absent: int
    silent: int
    samples: int
    low: float
    high: float
    polarity: Literal["present", "absent", "uncertain"]
    interval: Literal["jeffreys", "wilson"]
    level: float
    yes_probability: Number | None
    image_lift: Number | None
    quadrant: Literal["grounded", "unstable", "not image-based", "evidence elsewhere", "unreliable"] | None
    probability: Number | None
    side_agreement: tuple[int, int] | None = None
    side_interval: tuple[float, float] | None = None
    severity_agreement: tuple[int, int] | None = None
    severity_interval: tuple[float, float] | None = None
    lift_blank: Number | None = None
    lift_other: Number | None = None


class ConfidenceModel(Model):
    """:class:`radiolucent.confidence.types.Confidence`."""

    findings: tuple[FindingConfidenceModel, ...]
    samples: int
    temperature: float
    top_p: float
    seed: int
    calibrated: bool
    note: str
    terms: dict[str, Number] = Field(default_factory=dict)
    entropy: Number | None = None
    meanings: int = 0


class ModelBoxModel(Model):
    """:class:`radiolucent.localize.boxes.ModelBox`."""

    label: str
    box: tuple[float, float, float, float]
    box_2d: tuple[float, float, float, float]
    cut: bool


class AgreementModel(Model):
    """:class:`radiolucent.localize.boxes.Agreement`."""

    iou: float
    centre_distance: Number
    peak_inside: bool
    mass_inside: float
    agrees: bool | None


class BoxReadingModel(Model):
    """:class:`radiolucent.localize.box_readings.BoxReading`."""

    box: ModelBoxModel
    finding: str | None
    agreement: AgreementModel | None


class ExplanationModel(Model):
    """``explanation.json``.

    ``files`` gives the SHA-256 of every other file of the bundle; ``content`` is that of this document itself, written
    as canonical JSON without ``content``. They reveal damage and careless edits, not a forger: for that, see the
    audit chain.
    """

    schema_name: Literal["radiolucent.explanation"] = "radiolucent.explanation"
    schema_version: Literal[1] = 1
    notice: str
    study: StudyModel
    shown_frames: tuple[Annotated[int, Field(ge=0)], ...]
    prompt: PromptModel
    generation: GenerationModel
    findings: tuple[FindingModel, ...]
    maps: tuple[MapModel, ...]
    faithfulness: tuple[GradedModel, ...]
    trace: TraceModel | None
    confidence: ConfidenceModel | None
    provenance: dict[str, Any]
    warnings: tuple[NoticeModel, ...]
    boxes: tuple[BoxReadingModel, ...] = ()
    files: dict[str, Sha256]
    content: Sha256


def json_schema() -> dict[str, Any]:
    """JSON Schema (2020-12) of ``explanation.json``, also kept in ``docs/explanation.schema.json``."""
    schema = ExplanationModel.model_json_schema(mode="serialization")
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", "title": SCHEMA_NAME} | schema
