"""What runs in the confined process: open the files, say what is in them, and nothing else."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from PIL import Image
from pydicom.dataset import Dataset

from radiolucent.clinic.intake.cleaned import cleaned
from radiolucent.clinic.intake.header import Reader, facts_of, identifiers_of
from radiolucent.clinic.intake.parsed import Facts, Identifiers, Limits, UnfitUpload
from radiolucent.clinic.intake.png_rows import check_rows
from radiolucent.clinic.intake.reasons import reason_of, refused
from radiolucent.clinic.intake.wire import facts_entry, study_entry, written
from radiolucent.errors import MalformedInput, RadiolucentError
from radiolucent.study import load_study
from radiolucent.study.decode import pixel_form, read_header
from radiolucent.study.fitness import PROJECTIONS, check_fitness
from radiolucent.study.header import text
from radiolucent.study.load import one_format
from radiolucent.study.series import check_one_study, slice_order

_TAKEN = ("dicom", "png", "jpeg")
_EXIF_ORIENTATION = 0x0112

Blocks = list[bytes | memoryview]


def answer(paths: Sequence[Path], limits: Limits, held: Sequence[str] = ()) -> list[bytes | memoryview]:
    """The files' content, or why they are refused, as parts to be written."""
    blocks: Blocks = []
    try:
        entry = {**_opened(paths, limits, blocks), "confined_by": list(held)}
    except MemoryError:
        blocks.clear()
        entry = _refusal(refused("memory"))
    except RadiolucentError as error:
        blocks.clear()
        entry = _refusal(error)
    except Exception as error:  # whatever a damaged file makes a reader raise: a reason, not a crash
        blocks.clear()
        kind = type(error).__name__
        entry = _refusal(MalformedInput(f"The file could not be read ({kind}): it is damaged. Export it again."))
    return written(entry, blocks)


def _refusal(error: RadiolucentError) -> dict[str, Any]:
    reason = getattr(error, "reason", None)
    kind = "unfit" if isinstance(error, UnfitUpload) else "damaged"
    if reason is None:
        if isinstance(error.__cause__, MemoryError):
            reason = refused("memory").reason
        else:
            kind, reason = reason_of(error)
    return {"refused": {"kind": kind, **asdict(reason)}}


def _opened(paths: Sequence[Path], limits: Limits, blocks: Blocks) -> dict[str, Any]:
    form = one_format(paths)
    if form not in _TAKEN:
        raise refused("format_not_taken")
    return _dicom(paths, limits, blocks) if form == "dicom" else _pictures(paths, form, limits, blocks)


def _dicom(paths: Sequence[Path], limits: Limits, blocks: Blocks) -> dict[str, Any]:
    headers = [read_header(path) for path in paths]
    for header in headers:
        check_fitness(header)
    forms = [pixel_form(header) for header in headers]
    if sum(form.rows * form.cols * form.frames for form in forms) > limits.pixels:
        raise refused("too_many_pixels")
    study = load_study(list(paths))
    places = _places(headers, [form.frames for form in forms])
    reader = Reader(headers[0])
    identifiers, facts = identifiers_of(reader), facts_of(reader, headers, study.view, places)
    return {
        "format": "dicom",
        "study": study_entry(study, blocks),
        "identifiers": asdict(identifiers),
        "facts": facts_entry(facts),
        "notices": sorted(reader.notices),
        "originals": [],
    }


def _places(headers: Sequence[Dataset], counts: Sequence[int]) -> list[tuple[int, int]]:
    if text(headers[0], "Modality") in PROJECTIONS:
        return [(file, frame) for file, count in enumerate(counts) for frame in range(count)]
    check_one_study(headers, one_series=False)
    return [(place.file, place.frame) for place in slice_order(headers, counts)[0]]


def _pictures(paths: Sequence[Path], form: str, limits: Limits, blocks: Blocks) -> dict[str, Any]:
    pixels, orientations = 0, []
    for path in paths:
        size, orientation = _measured(path, form)
        pixels += size
        orientations.append(orientation)
    if pixels > limits.pixels:
        raise refused("too_many_pixels")
    contents = [path.read_bytes() for path in paths]
    if form == "png":
        for content in contents:
            check_rows(content)
    study = load_study(list(paths))
    entry = study_entry(study, blocks)
    originals = []
    for content, orientation in zip(contents, orientations, strict=True):
        blocks.append(cleaned(content, form, orientation))
        originals.append(len(blocks) - 1)
    places = tuple((index, 0) for index in range(len(study.frames)))
    return {
        "format": form,
        "study": entry,
        "identifiers": asdict(Identifiers()),
        "facts": facts_entry(Facts(modality=study.modality, view=study.view, frame_places=places)),
        "notices": [],
        "originals": originals,
    }


def _measured(path: Path, form: str) -> tuple[int, int]:
    """(pixels declared, EXIF orientation), nothing decoded.

    Raises
    ------
    MalformedInput
        Where not even the picture's header can be read.
    """
    try:
        with Image.open(path, formats=("PNG", "JPEG")) as picture:
            return picture.width * picture.height, int(picture.getexif().get(_EXIF_ORIENTATION, 1) or 1)
    except Image.DecompressionBombError as error:
        raise refused("too_many_pixels") from error
    except MemoryError:
        raise
    except Exception as error:  # Pillow's readers raise OSError, SyntaxError, ValueError, struct.error and others
        raise MalformedInput(
            f"The {form.upper()} file could not be read ({type(error).__name__}): it is truncated or damaged. "
            "Export or copy it again."
        ) from error
