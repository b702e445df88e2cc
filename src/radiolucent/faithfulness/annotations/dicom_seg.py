"""DICOM Segmentation objects (PS3.3 A.51): binary segments, found by the SOP instance that they were drawn on."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from pydicom import dcmread, uid
from pydicom.dataset import Dataset

from radiolucent.errors import MalformedInput, UnsupportedInput
from radiolucent.faithfulness.annotations.films import Film, Folder, readable_dicom
from radiolucent.faithfulness.annotations.types import AnnotatedImage, Area
from radiolucent.study.decode import read_header
from radiolucent.study.header import group, items, numbers, stated, text
from radiolucent.study.limits import check_file, check_size

_LITTLE_ENDIAN = (uid.ImplicitVRLittleEndian, uid.ExplicitVRLittleEndian)
_SAME = 0.01  # a spacing within 1 % is the same: writers round to few digits


@dataclass(frozen=True)
class _Segment:
    label: str
    meaning: str


@dataclass(frozen=True, eq=False)
class _Drawn:
    """What one object says of one image; ``spacing`` is None where it states none."""

    instance: str
    areas: tuple[Area, ...]
    size: tuple[int, int]
    spacing: tuple[float, ...] | None


def read_segmentations(paths: Sequence[Path], folder: Folder) -> list[AnnotatedImage]:
    """The images that segmentation objects were drawn on, with their areas; several objects may share an image.

    Raises
    ------
    MalformedInput
        Damaged objects; a frame that does not say its segment or its image; a size or spacing that is not the film's
        or another object's of that film.
    UnsupportedInput
        Another modality; segments that are fractional or a label map; compressed pixels; places not preserved.
    """
    by_instance: dict[str, list[_Drawn]] = defaultdict(list)
    for number, path in enumerate(paths, start=1):
        name = f"DICOM segmentation {number} of {len(paths)}" if len(paths) > 1 else "The DICOM segmentation"
        with readable_dicom(name):
            for drawn in _object(path):
                by_instance[drawn.instance].append(drawn)
    images = []
    for place, (instance, several) in enumerate(by_instance.items(), start=1):
        where = f"image {place} of {len(by_instance)} in the DICOM segmentations"
        if len({drawn.size for drawn in several}) > 1:
            raise MalformedInput(f"{where}: segmentations of one film differ in size; export them again.")
        film = folder.instance(instance)
        if film is not None:
            _check_spacing(film, several, where)
        areas = tuple(area for drawn in several for area in drawn.areas)
        images.append(AnnotatedImage(film, instance, where, several[0].size, areas))
    return images


def _object(path: Path) -> list[_Drawn]:
    """What one object says of each image that it lists."""
    check_file(path)
    header = read_header(path)
    _check_kind(header)
    rows, cols, frames = (_whole(header, word) for word in ("Rows", "Columns", "NumberOfFrames"))
    check_size(rows, cols, frames)
    segments = _segments(header)
    planes = _planes(path, (frames, rows, cols))
    masks: dict[str, dict[int, NDArray[np.bool_]]] = {instance: {} for instance in _listed_instances(header)}
    spacings: dict[str, tuple[float, ...]] = {}
    for frame in range(frames):
        segment = _whole(group(header, frame, "SegmentIdentificationSequence"), "ReferencedSegmentNumber")
        if segment not in segments:
            raise MalformedInput(f"Its frame {frame + 1} belongs to segment {segment}, which it does not describe.")
        instance = _instance(header, frame)
        of_image = masks.setdefault(instance, {})
        of_image[segment] = of_image[segment] | planes[frame] if segment in of_image else planes[frame]
        spacings[instance] = stated(header, frame, "PixelMeasuresSequence", "PixelSpacing", numbers)
    return [
        _Drawn(
            instance,
            tuple(
                Area(segments[number].label, "pixels", partial(np.copy, mask), segments[number].meaning)
                for number, mask in of_image.items()
                if mask.any()
            ),
            (rows, cols),
            spacings.get(instance) or None,
        )
        for instance, of_image in masks.items()
    ]


def _check_spacing(film: Film, several: Sequence[_Drawn], where: str) -> None:
    """A spacing that is none of the film's own says that the segments were drawn on another sampling of it."""
    with readable_dicom(film.called):
        header = read_header(film.path)
        own = [numbers(header, word) for word in ("PixelSpacing", "ImagerPixelSpacing")]
    known = [spacing for spacing in own if len(spacing) == 2]
    for drawn in several:
        if known and drawn.spacing and not any(np.allclose(drawn.spacing, one, rtol=_SAME) for one in known):
            raise MalformedInput(
                f"{where}: the segmentation's pixel spacing {drawn.spacing} is not that of {film.called}, {known[0]}."
            )


def _check_kind(header: Dataset) -> None:
    modality = text(header, "Modality")
    if modality != "SEG" or text(header, "SOPClassUID") != uid.SegmentationStorage:
        raise UnsupportedInput(
            f"It is not a segmentation object (Modality {modality or 'not stated'}); give DICOM SEG, or export the "
            "annotations as COCO JSON or PNG masks. Label maps are not read."
        )
    kind = text(header, "SegmentationType")
    if kind != "BINARY":
        raise UnsupportedInput(f"Its segments are {kind or 'of no stated type'}; binary ones are read.")


def _segments(header: Dataset) -> dict[int, _Segment]:
    found: dict[int, _Segment] = {}
    for item in items(header, "SegmentSequence"):
        number = _whole(item, "SegmentNumber")
        if number < 1 or number in found:
            raise MalformedInput(f"It describes segment {number} twice or without a number.")
        kinds = items(item, "SegmentedPropertyTypeCodeSequence")
        meaning = str(kinds[0].get("CodeMeaning", "") or "").strip() if kinds else ""
        label = str(item.get("SegmentLabel", "") or "").strip()
        if not label and not meaning:
            raise MalformedInput(f"Its segment {number} has neither a label nor a code; name it.")
        found[number] = _Segment(label or meaning, meaning)
    return found


def _planes(path: Path, shape: tuple[int, int, int]) -> NDArray[np.bool_]:
    """Bool (frames, rows, cols): one bit a pixel, the lowest first, frames without a gap (PS3.5 8.1.1)."""
    full = dcmread(path)
    if full.file_meta.TransferSyntaxUID not in _LITTLE_ENDIAN:
        raise UnsupportedInput("Its pixels are compressed or big-endian; convert it to Explicit VR Little Endian.")
    allocated = text(full, "BitsAllocated")
    if allocated != "1" or text(full, "SamplesPerPixel") not in ("", "1"):
        raise MalformedInput(f"A binary segmentation has 1 bit a pixel; the header declares {allocated or 'none'}.")
    count = int(np.prod(shape, dtype=np.int64))
    stored = full.get("PixelData", b"")
    if len(stored) < -(-count // 8):
        raise MalformedInput(f"It declares {count} pixels but holds {len(stored)} bytes; it is truncated.")
    bits = np.unpackbits(np.frombuffer(stored, dtype=np.uint8), count=count, bitorder="little")
    return bits.reshape(shape).astype(bool)


def _instance(header: Dataset, frame: int) -> str:
    """The SOP instance that a frame was drawn on, from the frame itself, else the only one that the object lists."""
    derivation = group(header, frame, "DerivationImageSequence")
    sources = items(derivation, "SourceImageSequence")
    if len(sources) > 1:
        raise UnsupportedInput(f"Its frame {frame + 1} was drawn on {len(sources)} images; one film is expected.")
    if not sources:
        listed = _listed_instances(header)
        if len(listed) != 1:
            raise MalformedInput(f"Its frame {frame + 1} does not say which of {len(listed)} images it was drawn on.")
        return listed[0]
    if text(sources[0], "SpatialLocationsPreserved") in ("NO", "REORIENTED_ONLY"):
        raise UnsupportedInput(f"Its frame {frame + 1} says that places of the image were not preserved.")
    if (numbers(sources[0], "ReferencedFrameNumber") or (1,))[0] != 1:
        raise UnsupportedInput(f"Its frame {frame + 1} was drawn on a later frame of a multi-frame image.")
    instance = text(sources[0], "ReferencedSOPInstanceUID")
    if not instance:
        raise MalformedInput(f"Its frame {frame + 1} does not say which image it was drawn on.")
    return instance


def _listed_instances(header: Dataset) -> list[str]:
    return [
        text(instance, "ReferencedSOPInstanceUID")
        for series in items(header, "ReferencedSeriesSequence")
        for instance in items(series, "ReferencedInstanceSequence")
    ]


def _whole(header: Dataset | None, keyword: str) -> int:
    """A whole number; 0 where not stated."""
    found = numbers(header, keyword)
    return int(found[0]) if found else 0
