"""A parsed study as bytes and back: JSON with plain arrays behind it, read as strictly as any other foreign input.

The bytes come from a process that opened a hostile file, so nothing in them is executed (no pickle), every size is
checked, and notices are known codes, not sentences.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Sequence
from dataclasses import asdict
from datetime import datetime
from typing import Any

import numpy as np
from numpy.typing import NDArray

from radiolucent.clinic.intake.parsed import Facts, Identifiers
from radiolucent.clinic.intake.reasons import NOTICE_CODES, header_notice
from radiolucent.errors import MalformedInput, Notice
from radiolucent.study.geometry import Geometry
from radiolucent.study.notices import CODES, notice
from radiolucent.study.types import Display, Frame, Source, Study

_MAGIC = b"RLP1"
_HEAD = struct.Struct("<4sQ")
_MOST_JSON = 64 << 20
_DTYPES: dict[str, np.dtype[Any]] = {"f4": np.dtype("<f4"), "u1": np.dtype("u1")}


class Broken(MalformedInput):
    """The answer of the confined process is not one."""


def written(entry: dict[str, Any], blocks: Sequence[bytes | memoryview]) -> list[bytes | memoryview]:
    """An answer as parts to be written one after another."""
    document = json.dumps({**entry, "blocks": [len(block) for block in blocks]}).encode("ascii")
    return [_HEAD.pack(_MAGIC, len(document)), document, *blocks]


def read(answer: memoryview) -> tuple[dict[str, Any], list[memoryview]]:
    """The parts of an answer.

    Raises
    ------
    Broken
        Where it is cut short or put together wrongly.
    """
    if len(answer) < _HEAD.size:
        raise Broken("The answer of the confined process is cut short.")
    magic, length = _HEAD.unpack_from(answer)
    if magic != _MAGIC or length > min(_MOST_JSON, len(answer) - _HEAD.size):
        raise Broken("The answer of the confined process is not one.")
    start = _HEAD.size + length
    entry = json.loads(bytes(answer[_HEAD.size : start]))
    if not isinstance(entry, dict) or not isinstance(entry.get("blocks"), list):
        raise Broken("The answer of the confined process is not one.")
    blocks = []
    for size in entry["blocks"]:
        if not isinstance(size, int) or not 0 <= size <= len(answer) - start:
            raise Broken("The answer of the confined process is cut short.")
        blocks.append(answer[start : start + size])
        start += size
    return entry, blocks


def study_entry(study: Study, blocks: list[bytes | memoryview]) -> dict[str, Any]:
    """A study as JSON; its arrays are added to ``blocks``."""
    return {
        "modality": study.modality,
        "view": study.view,
        "source": asdict(study.source),
        "warnings": [one.code for one in study.warnings],
        "frames": [_frame_entry(frame, blocks) for frame in study.frames],
    }


def read_study(entry: dict[str, Any], blocks: Sequence[memoryview]) -> Study:
    """The study of :func:`study_entry`.

    Raises
    ------
    Broken
        Where an array is not of the size that its frame has.
    """
    frames = tuple(_read_frame(one, blocks) for one in entry["frames"])
    if not frames:
        raise Broken("The answer of the confined process holds no frame.")
    source = entry["source"]
    details = {str(key): str(value) for key, value in source["details"].items()}
    return Study(
        frames,
        str(entry["modality"]),
        Source(str(source["format"]), str(source["sha256"]), details),
        tuple(read_notice(code) for code in entry["warnings"]),
        _choice(entry["view"], ("PA", "AP", "LATERAL", None)),
    )


def read_notice(code: str) -> Notice:
    """The notice of a code, of a study or of a header.

    Raises
    ------
    Broken
        Where there is none.
    """
    if code in CODES:
        return notice(code)
    if code in NOTICE_CODES:
        return header_notice(code)
    raise Broken("The answer of the confined process holds an unknown notice.")


def read_identifiers(entry: dict[str, Any]) -> Identifiers:
    """Texts only."""
    return Identifiers(**{name: _text(value) for name, value in entry.items()})


def facts_entry(facts: Facts) -> dict[str, Any]:
    """Facts as JSON."""
    return {**asdict(facts), "study_at": facts.study_at.isoformat() if facts.study_at else None}


def read_facts(entry: dict[str, Any]) -> Facts:
    """The facts of :func:`facts_entry`."""
    several: dict[str, Any] = {
        name: tuple(_text(one) for one in entry[name]) for name in ("series_uids", "sop_uids", "sop_classes")
    }
    words = ("modality", "study_local", "age", "accession", "study_uid", "clinical_information", "institution")
    plain: dict[str, Any] = {name: _text(entry[name]) for name in words}
    moment = entry["study_at"]
    return Facts(
        **plain,
        **several,
        view=_choice(entry["view"], ("PA", "AP", "LATERAL", None)),
        zone=_choice(entry["zone"], ("header", "site", None)),
        study_at=None if moment is None else datetime.fromisoformat(_text(moment)),
        frame_places=tuple((int(file), int(frame)) for file, frame in entry["frame_places"]),
    )


def _frame_entry(frame: Frame, blocks: list[bytes | memoryview]) -> dict[str, Any]:
    display, geometry = frame.display, frame.geometry
    return {
        "values": _array_entry(frame.values, blocks),
        "lut": None if display.lut is None else _array_entry(display.lut, blocks),
        "padding": None if display.padding is None else _array_entry(display.padding.astype(np.uint8), blocks),
        "low": display.low,
        "high": display.high,
        "inverted": display.inverted,
        "function": display.function,
        "rows": geometry.rows,
        "cols": geometry.cols,
        "patient_right": geometry.patient_right,
        "side_source": geometry.side_source,
        "spacing": geometry.spacing,
        "spacing_kind": geometry.spacing_kind,
        "label": frame.label,
        "view": frame.view,
    }


def _read_frame(entry: dict[str, Any], blocks: Sequence[memoryview]) -> Frame:
    rows, cols = int(entry["rows"]), int(entry["cols"])
    values = _read_array(entry["values"], blocks)
    if values.shape not in ((rows, cols), (rows, cols, 3)):
        raise Broken("A frame of the confined process has another size than it says.")
    lut = None if entry["lut"] is None else _read_array(entry["lut"], blocks)
    padding = None if entry["padding"] is None else _read_array(entry["padding"], blocks).astype(bool)
    if padding is not None and padding.shape != (rows, cols):
        raise Broken("A padding mask of the confined process has another size than its frame.")
    spacing = entry["spacing"]
    geometry = Geometry(
        rows,
        cols,
        patient_right=_choice(entry["patient_right"], ("left", "right", None)),
        side_source=_choice(entry["side_source"], ("orientation", "assumed", "array", "none")),
        spacing=None if spacing is None else (float(spacing[0]), float(spacing[1])),
        spacing_kind=_choice(entry["spacing_kind"], ("patient", "detector", None)),
    )
    function = _choice(entry["function"], ("LINEAR", "LINEAR_EXACT", "SIGMOID"))
    display = Display(float(entry["low"]), float(entry["high"]), bool(entry["inverted"]), function, lut, padding)
    return Frame(
        values, display, geometry, _text(entry["label"]), view=_choice(entry["view"], ("PA", "AP", "LATERAL", None))
    )


def _array_entry(array: NDArray[Any], blocks: list[bytes | memoryview]) -> dict[str, Any]:
    name = "f4" if array.dtype == np.float32 else "u1"
    plain: Any = np.ascontiguousarray(array, dtype=_DTYPES[name])
    blocks.append(memoryview(plain).cast("B"))
    return {"dtype": name, "shape": list(array.shape), "block": len(blocks) - 1}


def _read_array(entry: dict[str, Any], blocks: Sequence[memoryview]) -> NDArray[Any]:
    dtype, shape = _DTYPES[entry["dtype"]], tuple(int(side) for side in entry["shape"])
    block = blocks[int(entry["block"])]
    if min(shape) < 1 or int(np.prod(shape, dtype=object)) * dtype.itemsize != len(block):
        raise Broken("An array of the confined process has another size than it says.")
    array: NDArray[Any] = np.frombuffer(block, dtype).reshape(shape).copy()
    return array


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise Broken("The answer of the confined process holds something else where a text belongs.")
    return value


def _choice(value: Any, allowed: tuple[Any, ...]) -> Any:
    if value not in allowed:
        raise Broken("The answer of the confined process holds a value that there is not.")
    return value
