"""An explanation to a JSON document and arrays, and back, without loss."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from radiolucent.attribution.types import AttributionMap, RegionTest
from radiolucent.confidence.types import Confidence, FindingConfidence
from radiolucent.errors import MalformedInput, Notice
from radiolucent.faithfulness.types import MapGrade
from radiolucent.findings.types import Finding
from radiolucent.localize.box_readings import BoxReading
from radiolucent.localize.boxes import Agreement, ModelBox
from radiolucent.report import schema
from radiolucent.report.explanation import Explanation
from radiolucent.study.geometry import Geometry
from radiolucent.study.types import Display, Frame, Source, Study
from radiolucent.trace.types import ChainStep, Contrast, Link, Summary, Trace, TraceWord
from radiolucent.vlm.types import Alternative, AttentionRows, Generation, Prompt, PromptInputs, Target, Word

Array = NDArray[Any]
TEST_ARRAYS = ("region", "controls", "order")  # of a RegionTest
STORED_TYPES = (np.uint8, np.int16, np.uint16)  # tried in this order for pixels that are whole numbers


@dataclass
class Arrays:
    """Arrays on their way into or out of the bundle: file name -> key -> array."""

    files: dict[str, dict[str, Array]] = field(default_factory=dict)

    def put(self, file: str, key: str, array: Array) -> schema.ArrayModel:
        """Keep an array and return its entry for the document."""
        self.files.setdefault(file, {})[key] = np.ascontiguousarray(array)
        return schema.ArrayModel.model_validate(
            {"key": key, "dtype": np.dtype(array.dtype).name, "shape": tuple(array.shape)}
        )

    def get(self, file: str, entry: schema.ArrayModel) -> Array:
        """The array of an entry.

        Raises
        ------
        MalformedInput
            Where it is missing or not of the stated type and shape.
        """
        array = self.files.get(file, {}).get(entry.key)
        if array is None:
            raise MalformedInput(f"{file} lacks the array {entry.key!r} that explanation.json names.")
        if array.dtype.name != entry.dtype or array.shape != entry.shape:
            raise MalformedInput(
                f"{file}: {entry.key!r} is {array.dtype.name} {array.shape}; explanation.json says "
                f"{entry.dtype} {entry.shape}."
            )
        return array


def encode(explanation: Explanation) -> tuple[dict[str, Any], Arrays]:
    """The fields of :class:`~radiolucent.report.schema.ExplanationModel` but ``files`` and ``content``, and the arrays.

    Raises
    ------
    MalformedInput
        Where something cannot be written as it is (a value that is not JSON, an array of an unknown type).
    """
    arrays = Arrays()
    generation = explanation.generation
    document = {
        "study": encode_study(explanation.study, arrays),
        "shown_frames": explanation.shown_frames,
        "prompt": _plain(schema.PromptModel, explanation.prompt),
        "generation": _encode_generation(generation, explanation.prompt, arrays),
        "findings": [_plain(schema.FindingModel, finding) for finding in explanation.findings],
        "maps": [
            _encode_map(method, finding, attribution, f"map/{number:03d}", arrays)
            for number, ((method, finding), attribution) in enumerate(explanation.maps.items())
        ],
        "faithfulness": [
            {"finding": finding, "key_method": method, "grade": _plain(schema.GradeModel, grade)}
            for (method, finding), grade in explanation.faithfulness.items()
        ],
        "trace": None if explanation.trace is None else _encode_trace(explanation.trace, arrays),
        "confidence": None
        if explanation.confidence is None
        else _plain(schema.ConfidenceModel, explanation.confidence),
        "provenance": plain_json(explanation.provenance, "provenance"),
        "warnings": [_plain(schema.NoticeModel, notice) for notice in explanation.warnings],
        "boxes": [_plain(schema.BoxReadingModel, reading) for reading in explanation.boxes],
    }
    return document, arrays


def decode(document: schema.ExplanationModel, arrays: Arrays) -> Explanation:
    """The explanation that a validated document and its arrays hold."""
    prompt = Prompt(**dict(document.prompt))
    return Explanation(
        study=decode_study(document.study, arrays),
        shown_frames=document.shown_frames,
        prompt=prompt,
        generation=_decode_generation(document.generation, prompt, arrays),
        findings=tuple(Finding(**dict(finding)) for finding in document.findings),
        maps={(entry.key_method, entry.finding): _decode_map(entry, arrays) for entry in document.maps},
        trace=None if document.trace is None else _decode_trace(document.trace, arrays),
        confidence=None
        if document.confidence is None
        else Confidence(
            **dict(document.confidence)
            | {"findings": tuple(FindingConfidence(**dict(entry)) for entry in document.confidence.findings)}
        ),
        faithfulness={
            (entry.key_method, entry.finding): MapGrade(**dict(entry.grade)) for entry in document.faithfulness
        },
        provenance=document.provenance,
        warnings=_notices(document.warnings),
        boxes=tuple(
            BoxReading(
                ModelBox(**dict(reading.box)),
                reading.finding,
                None if reading.agreement is None else Agreement(**dict(reading.agreement)),
            )
            for reading in document.boxes
        ),
    )


def _encode_map(method: str, finding: str, made: AttributionMap, key: str, arrays: Arrays) -> dict[str, Any]:
    def put(name: str, array: Array | None) -> schema.ArrayModel | None:
        return None if array is None else arrays.put("maps.npz", f"{key}/{name}", array)

    return {
        "finding": finding,
        "key_method": method,
        "values": arrays.put("maps.npz", key, made.values),
        "claim": made.claim,
        "method": made.method,
        "target": _plain(schema.TargetModel, made.target),
        "units": made.units,
        "geometry": [_plain(schema.GeometryModel, geometry) for geometry in made.geometry],
        "forwards": made.forwards,
        "backwards": made.backwards,
        "note": made.note,
        "tests": [
            {name: getattr(test, name) for name in schema.RegionTestModel.model_fields}
            | {name: put(f"test_{number}_{name}", getattr(test, name)) for name in TEST_ARRAYS}
            for number, test in enumerate(made.tests)
        ],
        "panel": put("panel", made.panel),
    }


def _decode_map(entry: schema.MapModel, arrays: Arrays) -> AttributionMap:
    def get(array: schema.ArrayModel | None) -> Any:
        return None if array is None else arrays.get("maps.npz", array)

    return AttributionMap(
        values=get(entry.values),
        claim=entry.claim,
        method=entry.method,
        target=Target(**dict(entry.target)),
        units=entry.units,
        geometry=tuple(Geometry(**dict(geometry)) for geometry in entry.geometry),
        forwards=entry.forwards,
        backwards=entry.backwards,
        note=entry.note,
        tests=tuple(
            RegionTest(**dict(test) | {name: get(getattr(test, name)) for name in TEST_ARRAYS}) for test in entry.tests
        ),
        panel=get(entry.panel),
    )


def plain_json(value: Any, where: str) -> Any:
    """``value`` with NumPy scalars, tuples and mappings made plain, refusing what JSON cannot hold exactly."""
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, Mapping):
        if not all(isinstance(key, str) for key in value):
            raise MalformedInput(f"{where} has keys that are not strings; JSON cannot hold them. Make them strings.")
        return {key: plain_json(entry, f"{where}.{key}") for key, entry in value.items()}
    if isinstance(value, list | tuple):
        return [plain_json(entry, where) for entry in value]
    if value is None or isinstance(value, bool | int | str):
        return value
    if isinstance(value, float) and np.isfinite(value):
        return value
    raise MalformedInput(f"{where} holds {value!r} ({type(value).__name__}), which JSON cannot hold; make it plain.")


def canonical(document: Mapping[str, Any]) -> bytes:
    """The bytes whose SHA-256 is the document's ``content``: sorted keys, no spaces, without ``content`` itself."""
    bare = {key: value for key, value in document.items() if key != "content"}
    return json.dumps(bare, sort_keys=True, separators=(",", ":"), ensure_ascii=True, allow_nan=False).encode()


def _plain(model: type[schema.Model], value: object) -> dict[str, Any]:
    return model.model_validate(value).model_dump(mode="python")


def _notices(entries: tuple[schema.NoticeModel, ...]) -> tuple[Notice, ...]:
    return tuple(Notice(**dict(entry)) for entry in entries)


def encode_study(study: Study, arrays: Arrays) -> dict[str, Any]:
    frames = []
    for number, frame in enumerate(study.frames):
        pixels = f"frames/{number:03d}.npz"
        display = frame.display
        frames.append(
            {
                "picture": f"frames/{number:03d}.png",
                "pixels": pixels,
                "values": arrays.put(pixels, "values", _smallest(frame.values)),
                "dtype": frame.values.dtype.name,
                "display": {
                    "low": display.low,
                    "high": display.high,
                    "inverted": display.inverted,
                    "function": display.function,
                    "lut": None if display.lut is None else arrays.put(pixels, "lut", display.lut),
                    "padding": None if display.padding is None else arrays.put(pixels, "padding", display.padding),
                },
                "geometry": _plain(schema.GeometryModel, frame.geometry),
                "label": frame.label,
                "view": frame.view,
            }
        )
    return {
        "frames": frames,
        "modality": study.modality,
        "source": _plain(schema.SourceModel, study.source),
        "warnings": [_plain(schema.NoticeModel, notice) for notice in study.warnings],
        "view": study.view,
    }


def decode_study(entry: schema.StudyModel, arrays: Arrays) -> Study:
    frames = []
    for frame in entry.frames:
        display = frame.display
        frames.append(
            Frame(
                values=arrays.get(frame.pixels, frame.values).astype(frame.dtype),
                display=Display(
                    low=display.low,
                    high=display.high,
                    inverted=display.inverted,
                    function=display.function,
                    lut=None if display.lut is None else arrays.get(frame.pixels, display.lut),
                    padding=None if display.padding is None else arrays.get(frame.pixels, display.padding),
                ),
                geometry=Geometry(**dict(frame.geometry)),
                label=frame.label,
                view=frame.view,
            )
        )
    return Study(
        frames=tuple(frames),
        modality=entry.modality,
        source=Source(**dict(entry.source)),
        warnings=_notices(entry.warnings),
        view=entry.view,
    )


def _smallest(values: Array) -> Array:
    """The same numbers in the smallest whole-number type that holds each exactly, else unchanged."""
    if values.dtype.kind != "f" or not np.isfinite(values).all():
        return values
    for stored in STORED_TYPES:
        limits = np.iinfo(stored)
        if values.min() >= limits.min and values.max() <= limits.max:
            smaller = values.astype(stored)
            # -0.0 would come back as 0.0
            if np.array_equal(smaller, values) and not np.signbit(values[values == 0]).any():
                return smaller
    return values


def _encode_generation(generation: Generation, prompt: Prompt, arrays: Arrays) -> dict[str, Any]:
    inputs, rows = generation.prompt_inputs, generation.rows

    def put(name: str, array: Array) -> schema.ArrayModel:
        return arrays.put("maps.npz", f"generation/{name}", array)

    return {
        "text": generation.text,
        "thinking": generation.thinking,
        "words": [_plain(schema.WordModel, word) for word in generation.words],
        "token_ids": put("token_ids", generation.token_ids),
        "logprobs": put("logprobs", generation.logprobs),
        "entropy": put("entropy", generation.entropy),
        "alternatives": [
            [_plain(schema.AlternativeModel, candidate) for candidate in candidates]
            for candidates in generation.alternatives
        ],
        "image_spans": generation.image_spans,
        "prompt": None if generation.prompt == prompt else _plain(schema.PromptModel, generation.prompt),
        "prompt_inputs": {
            "input_ids": put("input_ids", inputs.input_ids),
            "token_type_ids": put("token_type_ids", inputs.token_type_ids),
            "image_spans": inputs.image_spans,
        },
        "rows": None
        if rows is None
        else {
            "image": put("rows_image", rows.image),
            "prompt_text": put("rows_prompt_text", rows.prompt_text),
            "generated": put("rows_generated", rows.generated),
            "layer_types": rows.layer_types,
        },
        "finish": generation.finish,
    }


def _decode_generation(entry: schema.GenerationModel, prompt: Prompt, arrays: Arrays) -> Generation:
    def get(array: schema.ArrayModel) -> Array:
        return arrays.get("maps.npz", array)

    return Generation(
        text=entry.text,
        thinking=entry.thinking,
        words=tuple(Word(**dict(word)) for word in entry.words),
        token_ids=get(entry.token_ids),
        logprobs=get(entry.logprobs),
        entropy=get(entry.entropy),
        alternatives=tuple(_alternatives(candidates) for candidates in entry.alternatives),
        image_spans=entry.image_spans,
        prompt=prompt if entry.prompt is None else Prompt(**dict(entry.prompt)),
        prompt_inputs=PromptInputs(
            get(entry.prompt_inputs.input_ids), get(entry.prompt_inputs.token_type_ids), entry.prompt_inputs.image_spans
        ),
        rows=None
        if entry.rows is None
        else AttentionRows(
            get(entry.rows.image), get(entry.rows.prompt_text), get(entry.rows.generated), entry.rows.layer_types
        ),
        finish=entry.finish,
    )


def _alternatives(entries: tuple[schema.AlternativeModel, ...]) -> tuple[Alternative, ...]:
    return tuple(Alternative(**dict(entry)) for entry in entries)


def _encode_trace(trace: Trace, arrays: Arrays) -> dict[str, Any]:
    mapped = [word.attended for word in trace.words if word.attended is not None]
    if len({(attended.shape, attended.dtype) for attended in mapped}) > 1:
        raise MalformedInput("The attended maps of a trace differ in shape or type; they must all be alike.")
    place = 0
    words = []
    for word in trace.words:
        entry = {
            name: getattr(word, name)
            for name in (
                "text", "part", "chars", "tokens", "probability", "logprob", "entropy", "image_reliance", "anatomy",
                "reliance_blank", "reliance_other", "kind", "mark",
            )
        }  # fmt: skip
        entry["alternatives"] = [_plain(schema.AlternativeModel, candidate) for candidate in word.alternatives]
        entry["attended"] = None if word.attended is None else place
        place += word.attended is not None
        words.append(entry)
    return {
        "words": words,
        "layers": trace.layers,
        "layer_types": trace.layer_types,
        "attended": arrays.put("maps.npz", "trace/attended", np.stack(mapped)) if mapped else None,
        "replaced_by": trace.replaced_by,
        "threshold": trace.threshold,
        "sentences": [_plain(schema.SummaryModel, one) for one in trace.sentences],
        "findings": [_plain(schema.SummaryModel, one) for one in trace.findings],
        "chain": [_plain(schema.ChainStepModel, step) for step in trace.chain],
        "contrasts": [
            {name: getattr(one, name) for name in schema.ContrastModel.model_fields}
            | {"region": None if one.region is None else arrays.put("maps.npz", f"trace/contrast_{n:02d}", one.region)}
            for n, one in enumerate(trace.contrasts)
        ],
    }


def _decode_trace(entry: schema.TraceModel, arrays: Arrays) -> Trace:
    stack = None if entry.attended is None else arrays.get("maps.npz", entry.attended)
    words = []
    for word in entry.words:
        values = dict(word) | {"alternatives": _alternatives(word.alternatives), "attended": None}
        if word.attended is not None:
            if stack is None or not 0 <= word.attended < len(stack):
                raise MalformedInput(
                    f"The word {word.text!r} points at attended map {word.attended}, which is not there."
                )
            values["attended"] = stack[word.attended]
        words.append(TraceWord(**values))
    return Trace(
        words=tuple(words),
        layers=entry.layers,
        layer_types=entry.layer_types,
        replaced_by=entry.replaced_by,
        threshold=entry.threshold,
        sentences=tuple(Summary(**dict(one)) for one in entry.sentences),
        findings=tuple(Summary(**dict(one)) for one in entry.findings),
        chain=tuple(
            ChainStep(**dict(step) | {"links": tuple(Link(**dict(link)) for link in step.links)})
            for step in entry.chain
        ),
        contrasts=tuple(
            Contrast(**dict(one) | {"region": None if one.region is None else arrays.get("maps.npz", one.region)})
            for one in entry.contrasts
        ),
    )
