"""The bundle: one explanation as one folder, written whole or not at all, and read back equal.

============================ =============================================================================
``explanation.json``         everything but arrays; see :mod:`radiolucent.report.schema`
``maps.npz``                 raw signed float32 maps and the generation's arrays, under the keys in the JSON
``frames/NNN.png``           each frame as displayed, 8 bits
``frames/NNN.npz``           each frame's stored values
``report.png``               :mod:`radiolucent.report.picture`
``report.html``              :mod:`radiolucent.report.html`
============================ =============================================================================
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import re
import shutil
import tempfile
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from PIL.PngImagePlugin import PngInfo
from pydantic import ValidationError

from radiolucent.errors import MalformedInput, RadiolucentError, UnsupportedInput
from radiolucent.report import schema
from radiolucent.report.codec import Array, Arrays, canonical, decode, encode
from radiolucent.report.explanation import Explanation

DOCUMENT = "explanation.json"
FILE_NAME = re.compile(r"maps\.npz|report\.png|report\.html|frames/\d{3,}\.(png|npz)")
NOTICE = "Not a medical device. AI-generated, not reviewed by a physician. / 非医疗器械。AI生成，未经医师审核。"
MAX_DOCUMENT = 256 * 2**20  # bytes; a 4,000-word trace is about 10 MB
MAX_ARRAYS = 16 * 2**30  # bytes once unpacked; an 85-slice CT with all its maps is under 1 GB

# Names of facts that point at a person or a machine. Studies are free of them; a hand-made provenance might not be.
IDENTIFYING = re.compile(
    r"patient(?!_right)|accession|birth|\buid|_uid|instance_?uid|institution|physician|operator|station|serial|"
    r"address|file_?name|path\b|folder|hostname|user_?name|e_?mail|phone",
    re.IGNORECASE,
)
ABSOLUTE_PATH = re.compile(r"^(/[^/\0]+){2,}/?$|^[A-Za-z]:\\|^\\\\")


class BundlePathError(RadiolucentError):
    """The place given for a bundle cannot be written to or read from."""


class BundleCorrupt(MalformedInput):
    """The bundle is incomplete, damaged or was changed after it was written."""


class BundleTooNew(UnsupportedInput):
    """The bundle was written by a newer radiolucent than this one."""


class IdentifyingContent(RadiolucentError):
    """The explanation holds something that may identify a patient or a machine; nothing was written."""


def save(explanation: Explanation, directory: str | Path) -> Path:
    """Write the bundle.

    Everything is written to a temporary sibling, flushed to disk, and moved into place at the end; an earlier bundle
    in ``directory`` stays until then. A folder that holds anything else is left alone.

    Parameters
    ----------
    directory
        The bundle's folder: new, empty, or an earlier bundle.

    Returns
    -------
    The folder as given.

    Raises
    ------
    BundlePathError
        Where the folder is a file, holds other things, or cannot be written.
    IdentifyingContent
        Where provenance or source details name a person or a machine.
    MalformedInput
        Where the explanation cannot be written as it is.
    """
    target = Path(directory)
    _check_target(target)
    contents = bundle_files(explanation)
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        temporary = Path(tempfile.mkdtemp(prefix=f".{target.name}.", suffix=".writing", dir=target.parent))
    except OSError as problem:
        raise BundlePathError(
            f"{target} cannot be written ({problem.strerror}); choose a folder you may write to."
        ) from problem
    try:
        for name, data in contents.items():
            _write(temporary / name, data)
        temporary.chmod(0o777 & ~_umask())
        _sync(temporary)
        _replace(target, temporary)
    except OSError as problem:
        raise BundlePathError(
            f"{target} could not be written ({problem.strerror}); nothing was changed there."
        ) from problem
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
    return target


def bundle_files(explanation: Explanation) -> dict[str, bytes]:
    """The bundle's files by name, in memory; ``explanation.json`` last."""
    from radiolucent.report.picture import render_png
    from radiolucent.report.viewer_bridge import render_viewer

    _refuse_identifying(explanation)
    document, arrays = encode(explanation)
    files = {name: _npz(members) for name, members in sorted(arrays.files.items())}
    files.setdefault("maps.npz", _npz({}))
    for number, frame in enumerate(explanation.study.frames):
        files[f"frames/{number:03d}.png"] = _png(frame.picture())
    picture = io.BytesIO()
    stated = PngInfo()
    stated.add_itxt("Comment", NOTICE)  # the visible notice again, for machines (EU AI Act 50(2))
    render_png(explanation).save(picture, format="PNG", pnginfo=stated)
    files["report.png"] = picture.getvalue()
    files["report.html"] = _utf8(render_viewer(explanation))
    files[DOCUMENT] = _document(document, files)
    return files


def load_explanation(directory: str | Path) -> Explanation:
    """Read a bundle back; the result equals what was saved.

    Raises
    ------
    BundlePathError
        Where there is no bundle to read.
    BundleTooNew
        Where its schema is newer than this radiolucent.
    BundleCorrupt
        Where a file is missing, damaged, or not the one that was written.
    """
    folder = Path(directory)
    document = _read_document(folder)
    for name, digest in document.files.items():
        if not FILE_NAME.fullmatch(name):
            raise BundleCorrupt(f"{DOCUMENT} lists {name!r}, which is no file of a bundle.")
        if hashlib.sha256(_read(folder / name)).hexdigest() != digest:
            raise BundleCorrupt(
                f"{folder / name} is not the file that was written (SHA-256 differs): it was damaged or edited. "
                "Take the bundle from its source again, or run the explanation again."
            )
    arrays = Arrays()
    budget = MAX_ARRAYS
    for name in sorted({"maps.npz"} | {frame.pixels for frame in document.study.frames}):
        if name not in document.files:
            raise BundleCorrupt(f"{DOCUMENT} needs {name} and does not list it.")
        arrays.files[name], budget = _unpack(folder / name, budget)
    try:
        return decode(document, arrays)
    except MalformedInput as problem:
        raise BundleCorrupt(f"{folder}: {problem}") from problem


def _check_target(target: Path) -> None:
    try:
        if not target.exists():
            return
        if not target.is_dir():
            raise BundlePathError(f"{target} is a file; a bundle is a folder. Give the name of a new folder.")
        present = {entry.name for entry in target.iterdir()}
    except OSError as problem:
        raise BundlePathError(f"{target} cannot be read ({problem.strerror}); choose another folder.") from problem
    foreign = sorted(present - {DOCUMENT, "maps.npz", "report.png", "report.html", "frames"})
    if present and (DOCUMENT not in present or foreign):
        raise BundlePathError(
            f"{target} holds other things ({', '.join((foreign or sorted(present))[:3])}) that a bundle would replace. "
            "Give the name of a new folder, such as one inside it."
        )


def _refuse_identifying(explanation: Explanation) -> None:
    def check(value: Any, where: str) -> None:
        if isinstance(value, Mapping):
            for key, entry in value.items():
                if IDENTIFYING.search(str(key)):
                    raise IdentifyingContent(
                        f"{where} has an entry {key!r}, which may identify a patient or a machine. Leave it out; "
                        "bundles are free of identifiers."
                    )
                check(entry, f"{where}.{key}")
        elif isinstance(value, list | tuple):
            for entry in value:
                check(entry, where)
        elif isinstance(value, str) and ABSOLUTE_PATH.match(value):
            raise IdentifyingContent(
                f"{where} is an absolute path, which may name a person or a machine. Leave it out."
            )

    check(explanation.provenance, "provenance")
    check(explanation.study.source.details, "study.source.details")


def _document(fields: dict[str, Any], files: Mapping[str, bytes]) -> bytes:
    digests = {name: hashlib.sha256(data).hexdigest() for name, data in files.items()}
    try:
        model = schema.ExplanationModel.model_validate(
            fields | {"notice": NOTICE, "files": digests, "content": "0" * 64}
        )
        plain = model.model_dump(mode="json")
        plain["content"] = hashlib.sha256(canonical(plain)).hexdigest()
        return _utf8(json.dumps(plain, ensure_ascii=False, allow_nan=False, indent=1))
    except ValidationError as problem:
        raise MalformedInput(f"The explanation cannot be written as JSON: {problem}") from problem


def _utf8(text: str) -> bytes:
    try:
        return text.encode("utf-8")
    except UnicodeEncodeError as problem:
        raise MalformedInput(
            "A text of the explanation holds lone surrogate characters, which no file can hold; repair its decoding."
        ) from problem


def _read_document(folder: Path) -> schema.ExplanationModel:
    path = folder / DOCUMENT
    if not path.is_file():
        raise BundlePathError(f"{folder} is no bundle: it has no {DOCUMENT}. Give the folder that save() wrote.")
    if path.stat().st_size > MAX_DOCUMENT:
        raise BundleCorrupt(f"{path} has {path.stat().st_size} bytes; at most {MAX_DOCUMENT} are read.")
    try:
        plain = json.loads(_read(path).decode("utf-8"))
    except (ValueError, RecursionError) as problem:
        raise BundleCorrupt(f"{path} is not JSON ({problem}); the bundle was damaged.") from problem
    if not isinstance(plain, dict) or plain.get("schema_name") != schema.SCHEMA_NAME:
        raise BundleCorrupt(f"{path} is not an explanation (schema_name must be {schema.SCHEMA_NAME!r}).")
    version = plain.get("schema_version")
    if isinstance(version, int) and version > schema.SCHEMA_VERSION:
        raise BundleTooNew(
            f"{path} has schema version {version}; this radiolucent reads up to {schema.SCHEMA_VERSION}. "
            "Update radiolucent."
        )
    try:
        if hashlib.sha256(canonical(plain)).hexdigest() != plain.get("content"):
            raise BundleCorrupt(f"{path} was changed after it was written (its SHA-256 differs).")
        return schema.ExplanationModel.model_validate(plain)
    except (ValidationError, ValueError) as problem:
        raise BundleCorrupt(f"{path} does not fit the schema: {problem}") from problem


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except FileNotFoundError as problem:
        raise BundleCorrupt(f"{path} is missing; the bundle is incomplete.") from problem
    except OSError as problem:
        raise BundlePathError(f"{path} cannot be read ({problem.strerror}).") from problem


def _npz(members: Mapping[str, Array]) -> bytes:
    """A compressed NPZ with fixed time stamps: the same arrays give the same bytes."""
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED, compresslevel=6) as archive:
        for key, array in members.items():
            member = io.BytesIO()
            np.lib.format.write_array(member, array, allow_pickle=False)
            archive.writestr(zipfile.ZipInfo(f"{key}.npy"), member.getvalue(), zipfile.ZIP_DEFLATED)
    return stream.getvalue()


def _unpack(path: Path, budget: int) -> tuple[dict[str, Array], int]:
    """Arrays of an NPZ, never unpickling and never more bytes than ``budget``; returns what is left of it."""
    members: dict[str, Array] = {}
    try:
        with zipfile.ZipFile(path) as archive:
            for entry in archive.infolist():
                budget -= entry.file_size
                if budget < 0:
                    raise BundleCorrupt(f"{path} unpacks to more than {MAX_ARRAYS} bytes; it is no bundle of ours.")
                with archive.open(entry) as member:
                    members[entry.filename.removesuffix(".npy")] = np.lib.format.read_array(member, allow_pickle=False)
    except (zipfile.BadZipFile, ValueError, EOFError, NotImplementedError, RuntimeError, OSError) as problem:
        raise BundleCorrupt(f"{path} is not a sound NPZ file ({problem}).") from problem
    return members, budget


def _png(picture: Array) -> bytes:
    stream = io.BytesIO()
    grey = np.rint(np.clip(picture, 0.0, 1.0) * 255).astype(np.uint8)
    Image.fromarray(grey).save(stream, format="PNG")
    return stream.getvalue()


def _write(path: Path, data: bytes) -> None:
    path.parent.mkdir(exist_ok=True)
    with path.open("wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())


def _sync(folder: Path) -> None:
    for place in (folder / "frames", folder):
        if os.name != "nt" and place.is_dir():  # Windows cannot open a folder to flush it
            handle = os.open(place, os.O_RDONLY)
            try:
                os.fsync(handle)
            finally:
                os.close(handle)


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


def _replace(target: Path, complete: Path) -> None:
    """Move a complete folder to ``target``; an earlier bundle there comes back if the move fails."""
    if not target.exists():
        complete.rename(target)
        _sync(target.parent)
        return
    earlier = Path(tempfile.mkdtemp(prefix=f".{target.name}.", suffix=".replaced", dir=target.parent))
    target.rename(earlier / target.name)
    try:
        complete.rename(target)
    except OSError:
        (earlier / target.name).rename(target)
        raise
    finally:
        if target.exists():
            shutil.rmtree(earlier)
    _sync(target.parent)
