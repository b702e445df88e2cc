"""The front door: what a source holds is found from its content, never from a file's name."""

from __future__ import annotations

import gzip
import os
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import TypedDict

import numpy as np
from numpy.typing import NDArray

from radiolucent.errors import MalformedInput, UnsupportedInput
from radiolucent.study.array import load_array
from radiolucent.study.dicom import load_dicom
from radiolucent.study.geometry import PictureSide
from radiolucent.study.limits import MAX_FRAMES, check_file
from radiolucent.study.nifti import load_nifti
from radiolucent.study.notices import notice, once
from radiolucent.study.picture import load_pictures
from radiolucent.study.types import Study

_HEAD_BYTES = 352  # a NIfTI-1 header with its mark

PathLike = str | os.PathLike[str]


class _Stated(TypedDict, total=False):
    modality: str
    patient_right: PictureSide | None
    spacing: tuple[float, float] | None
    view: str | None
    window: tuple[float, float] | None


def load_study(
    source: PathLike | Sequence[PathLike] | NDArray[np.generic],
    *,
    modality: str | None = None,
    patient_right: PictureSide | None = None,
    spacing: tuple[float, float] | None = None,
    view: str | None = None,
    window: tuple[float, float] | None = None,
) -> Study:
    """Open a film, several views, or a volume.

    Parameters
    ----------
    source
        A file (PNG, JPEG, TIFF, DICOM, NIfTI), a folder of slices, a list of files, or an array: (rows, cols) grey,
        (rows, cols, 3) colour, or (frames, rows, cols). Floats within [0, 1] and uint8 are shown as they are.
    modality, patient_right, spacing, view, window
        What the caller knows of an array or a plain picture, whose files say nothing: DICOM modality; the side of
        the picture on which the patient's right lies (``"left"`` or ``"right"``); (row, column) millimetres; ``PA``,
        ``AP`` or ``LATERAL``; (low, high) values shown black and white. Only ``modality`` and ``window`` are taken
        for NIfTI, none for DICOM, whose header answers.

    Returns
    -------
    Study
        Free of patient identifiers. Its ``warnings`` say what the file left open, above all an unverified side.

    Raises
    ------
    MalformedInput
        Missing, empty, truncated, damaged or absurdly large input; NaN; a wrong shape; slices of several series.
    UnsupportedInput
        Sound input that may not be explained: another body part or modality, unprocessed detector data, a format
        that is not read.

    Examples
    --------
    >>> study = load_study(np.linspace(0, 1, 12).reshape(3, 4), view="PA", patient_right="left")
    >>> study.frames[0].geometry.patient_side(0.5), study.warnings
    ('right', ())
    """
    stated = _Stated()
    if modality is not None:
        stated["modality"] = modality
    if patient_right is not None:
        stated["patient_right"] = patient_right
    if spacing is not None:
        stated["spacing"] = spacing
    if view is not None:
        stated["view"] = view
    if window is not None:
        stated["window"] = window
    if isinstance(source, np.ndarray):
        return load_array(source, **stated)
    if isinstance(source, (str, os.PathLike)):
        path = _path(source)
        if path.is_dir():
            return _load_folder(path, stated)
        return _load_files([path], stated, in_folder=False)
    if isinstance(source, Sequence) and source and all(isinstance(one, (str, os.PathLike)) for one in source):
        return _load_files([_path(one) for one in source], stated, in_folder=False)
    raise MalformedInput(
        f"A study is a path, a list of paths or a NumPy array; got {type(source).__name__}"
        + (" with nothing in it." if isinstance(source, Sequence) and not source else ".")
    )


def sniff(path: Path, name: str = "The file") -> str:
    """``dicom``, ``png``, ``jpeg``, ``tiff`` or ``nifti``, from the file's first bytes.

    Raises
    ------
    MalformedInput
        Where the bytes are none of a picture, or of DICOM without its file header.
    UnsupportedInput
        Where they are a known format that is not read.
    """
    head = _head(path)
    found = _known(head, path, name)
    if found is not None:
        return found
    for magic, what in _NOT_READ.items():
        if head.startswith(magic):
            raise UnsupportedInput(f"{name} is {what}; export the picture as DICOM, PNG, JPEG or TIFF.")
    raise MalformedInput(f"{name} is not a picture: its first bytes are those of no DICOM, PNG, JPEG, TIFF or NIfTI.")


_NOT_READ = {
    b"\x1f\x8b": "a gzip file that holds no NIfTI volume",
    b"%PDF": "a PDF",
    b"GIF8": "a GIF",
    b"BM": "a BMP picture",
    b"PK\x03\x04": "a ZIP archive",
    b"RIFF": "a WebP picture or another RIFF file",
    b"\x00\x00\x00\x0cjP  ": "a bare JPEG 2000 picture",
    b"\xff\x4f\xff\x51": "a bare JPEG 2000 codestream",
    b"NRRD": "an NRRD volume",
}


def _head(path: Path) -> bytes:
    with path.open("rb") as stream:
        return stream.read(_HEAD_BYTES)


def _known(head: bytes, path: Path, name: str) -> str | None:
    """The format of a file that is read, or None; an error where it is such a format, damaged."""
    if head[:2] == b"\x1f\x8b":
        try:
            with gzip.open(path) as stream:
                unpacked = stream.read(_HEAD_BYTES)
        except (OSError, EOFError, zlib.error) as error:
            raise MalformedInput(f"{name} is a damaged gzip file; copy it again.") from error
        return "nifti" if _is_nifti(unpacked) else None
    # A DICOM preamble may carry another format's magic (CVE-2019-11687): its own mark is looked for first.
    if head[128:132] == b"DICM":
        return "dicom"
    if head[:2] in (b"\x08\x00", b"\x02\x00") and head[3:4] == b"\x00":
        raise MalformedInput(
            f"{name} looks like DICOM without its file header, so that its transfer syntax is unknown; "
            "write it as a DICOM Part 10 file first (dcmconv does)."
        )
    if head.startswith(b"\x89PNG\r\n\x1a\n"):
        return "png"
    if head.startswith(b"\xff\xd8\xff"):
        return "jpeg"
    if head[:4] in (b"II*\x00", b"MM\x00*", b"II+\x00", b"MM\x00+"):
        return "tiff"
    return "nifti" if _is_nifti(head) else None


def _is_nifti(head: bytes) -> bool:
    return head[344:348] in (b"n+1\x00", b"ni1\x00") or head[4:8] in (b"n+2\x00", b"ni2\x00")


def _path(source: PathLike) -> Path:
    text = os.fspath(source)
    if "\x00" in text:
        raise MalformedInput("The path holds a NUL character; check where it was put together.")
    if not text:
        raise MalformedInput("The path is empty.")
    return Path(text)


def _load_folder(folder: Path, stated: _Stated) -> Study:
    """Every picture of a folder, subfolders and hidden files left out."""
    files = sorted(one for one in folder.iterdir() if one.is_file() and not one.name.startswith("."))
    if not files:
        raise MalformedInput("The folder holds no files; give the folder that holds the slices themselves.")
    if len(files) > MAX_FRAMES:
        raise MalformedInput(f"The folder holds {len(files)} files; at most {MAX_FRAMES} are opened. Give one series.")
    pictures, ignored = [], 0
    for number, path in enumerate(files, start=1):
        name = f"File {number} of {len(files)} in the folder"
        check_file(path, name)
        if _known(_head(path), path, name) is None:
            ignored += 1  # told to the reader by the notice below
        else:
            pictures.append(path)
    if not pictures:
        raise MalformedInput(f"None of the folder's {len(files)} files is a DICOM, PNG, JPEG, TIFF or NIfTI picture.")
    study = _load_files(pictures, stated, in_folder=True)
    return _with_notice(study, "files_ignored") if ignored else study


def _with_notice(study: Study, code: str) -> Study:
    return Study(study.frames, study.modality, study.source, once([*study.warnings, notice(code)]), study.view)


def one_format(paths: Sequence[Path]) -> str:
    """The format that all files of a study are in, see :func:`sniff`.

    Raises
    ------
    MalformedInput, UnsupportedInput
        Where a file is missing, too large or of no format that is read; where they are of several.
    """
    forms = set()
    for number, path in enumerate(paths, start=1):
        name = "The file" if len(paths) == 1 else f"File {number} of {len(paths)}"
        check_file(path, name)
        forms.add(sniff(path, name))
    if len(forms) > 1:
        raise MalformedInput(f"The files are of several formats ({', '.join(sorted(forms))}); give one study.")
    return forms.pop()


def _load_files(paths: list[Path], stated: _Stated, in_folder: bool) -> Study:
    form = one_format(paths)
    if form == "dicom":
        if stated:
            raise UnsupportedInput(
                f"DICOM files say {', '.join(sorted(stated))} themselves; leave the options out, or correct the header."
            )
        return load_dicom(paths, one_series=in_folder)
    if form == "nifti":
        taken = {"modality", "window"}
        if not set(stated) <= taken:
            raise UnsupportedInput(
                f"Only modality and window can be stated for NIfTI; got {', '.join(sorted(stated))}."
            )
        if len(paths) > 1:
            raise MalformedInput(f"{len(paths)} NIfTI volumes were given; give one.")
        return load_nifti(paths[0], modality=stated.get("modality"), window=stated.get("window"))
    return load_pictures(paths, form, **stated)
