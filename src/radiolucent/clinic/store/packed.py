"""A study and an explanation as bytes in memory, so that neither lies on disk unsealed."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Mapping

import numpy as np

from radiolucent.errors import MalformedInput
from radiolucent.report import schema
from radiolucent.report.bundle import DOCUMENT, bundle_files
from radiolucent.report.codec import Arrays, decode, decode_study, encode_study
from radiolucent.report.explanation import Explanation
from radiolucent.study.types import Study

STUDY = "study.json"
PAGE = "report.html"


def pack_study(study: Study) -> bytes:
    """A study, pixel for pixel."""
    arrays = Arrays()
    entry = schema.StudyModel.model_validate(encode_study(study, arrays))
    members = {name: _npz(held) for name, held in arrays.files.items()}
    members[STUDY] = entry.model_dump_json().encode("utf-8")
    return _zip(members)


def unpack_study(packed: bytes) -> Study:
    """The study that was packed."""
    members = _unzip(packed)
    entry = schema.StudyModel.model_validate_json(members[STUDY])
    return decode_study(entry, _arrays(members))


def pack_explanation(explanation: Explanation) -> bytes:
    """The bundle's files in one archive."""
    return _zip(bundle_files(explanation))


def unpack_explanation(packed: bytes) -> Explanation:
    """The explanation that was packed."""
    members = _unzip(packed)
    document = schema.ExplanationModel.model_validate(json.loads(members[DOCUMENT]))
    return decode(document, _arrays(members))


def bundle_member(packed: bytes, name: str = PAGE) -> bytes:
    """One file of a packed bundle.

    Raises
    ------
    MalformedInput
        Where the bundle holds no such file.
    """
    members = _unzip(packed)
    if name not in members:
        raise MalformedInput(f"The bundle holds no {name!r}.")
    return members[name]


def _npz(arrays: Mapping[str, np.ndarray]) -> bytes:
    stream = io.BytesIO()
    np.savez(stream, allow_pickle=False, **arrays)
    return stream.getvalue()


def _arrays(members: Mapping[str, bytes]) -> Arrays:
    found = Arrays()
    for name, content in members.items():
        if name.endswith(".npz"):
            with np.load(io.BytesIO(content), allow_pickle=False) as held:
                found.files[name] = {key: held[key] for key in held.files}
    return found


def _zip(members: Mapping[str, bytes]) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        for name, content in members.items():
            archive.writestr(zipfile.ZipInfo(name), content, zipfile.ZIP_DEFLATED)
    return stream.getvalue()


def _unzip(packed: bytes) -> dict[str, bytes]:
    with zipfile.ZipFile(io.BytesIO(packed)) as archive:
        return {name: archive.read(name) for name in archive.namelist()}
