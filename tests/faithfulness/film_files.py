"""Films and annotations on disk, so that every test states what it is about."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import highdicom
import numpy as np
from PIL import Image
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.sr.codedict import codes
from pydicom.uid import ExplicitVRLittleEndian, generate_uid

SIZE = (40, 30)  # rows, cols: neither square nor equal, so that a transpose shows
SERIES = "1.2.826.0.1.1"


def picture(size: tuple[int, int] = SIZE, seed: int = 0) -> np.ndarray:
    """uint8 (rows, cols), different for every seed."""
    return np.random.default_rng(seed).integers(0, 256, size, dtype=np.uint8)


def blob(size: tuple[int, int] = SIZE, seed: int = 0) -> np.ndarray:
    """Bool (rows, cols): an ellipse inside the film, different for every seed."""
    draw = np.random.default_rng(seed)
    rows, cols = size
    row, col = draw.uniform(0.35, 0.65, 2) * size
    high, wide = draw.uniform(0.1, 0.3, 2) * size
    y, x = np.mgrid[:rows, :cols] + 0.5
    return ((y - row) / high) ** 2 + ((x - col) / wide) ** 2 <= 1


def save_png(path: Path, values: np.ndarray) -> Path:
    """A picture, or a mask as black and white."""
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(values.astype(np.uint8) * (255 if values.dtype == bool else 1)).save(path)
    return path


def save_json(path: Path, document: Any) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(document, ensure_ascii=False), encoding="utf-8")
    return path


def dicom_film(values: np.ndarray, instance: str = "1.2.826.0.1.1.1", **attributes: Any) -> Dataset:
    """A frontal chest film (DX) of integers (rows, cols); ``None`` takes an attribute away."""
    film = Dataset()
    film.file_meta = FileMetaDataset()
    film.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    film.file_meta.MediaStorageSOPClassUID = film.SOPClassUID = "1.2.840.10008.5.1.4.1.1.1.1"
    film.file_meta.MediaStorageSOPInstanceUID = film.SOPInstanceUID = instance
    film.Rows, film.Columns = values.shape
    film.SamplesPerPixel, film.PhotometricInterpretation, film.PixelRepresentation = 1, "MONOCHROME2", 0
    bits = values.dtype.itemsize * 8
    film.BitsAllocated, film.BitsStored, film.HighBit = bits, bits, bits - 1
    film.PixelData = values.astype(values.dtype.newbyteorder("<")).tobytes()
    film["PixelData"].VR = "OB" if bits == 8 else "OW"
    stated = {
        "Modality": "DX",
        "BodyPartExamined": "CHEST",
        "ViewPosition": "PA",
        "PatientOrientation": ["L", "F"],
        "PatientName": "Zhang^San",
        "PatientID": "P1",
        "PatientAge": "050Y",
        "PatientBirthDate": "",
        "PatientSex": "",
        "BurnedInAnnotation": "NO",
        "StudyInstanceUID": "1.2.826.0.1",
        "SeriesInstanceUID": SERIES,
        "StudyID": "",
        "StudyDate": "",
        "StudyTime": "",
        "AccessionNumber": "",
        "ReferringPhysicianName": "",
        "SeriesNumber": 1,
        "InstanceNumber": 1,
        "WindowCenter": (int(values.max()) + 1) // 2,
        "WindowWidth": int(values.max()) + 1,
    }
    for keyword, value in {**stated, **attributes}.items():
        if value is not None:
            setattr(film, keyword, value)
    return film


def save_dicom(path: Path, dataset: Dataset) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    dataset.save_as(path, enforce_file_format=True)
    return path


def segmentation(
    film: Dataset, masks: Sequence[np.ndarray], labels: Sequence[str], meanings: Sequence[str] | None = None
) -> Dataset:
    """A binary SEG of a film as highdicom writes it; one bool (rows, cols) a segment, none overlapping another."""
    named = meanings or labels
    segments = [
        highdicom.seg.SegmentDescription(
            segment_number=number,
            segment_label=label,
            segmented_property_category=codes.SCT.MorphologicallyAbnormalStructure,
            segmented_property_type=highdicom.sr.CodedConcept(str(number), "99TEST", meaning),
            algorithm_type="MANUAL",
        )
        for number, (label, meaning) in enumerate(zip(labels, named, strict=True), start=1)
    ]
    stacked = np.stack(masks, axis=-1)[None]
    return highdicom.seg.Segmentation(
        [film], stacked, "BINARY", segments, generate_uid(), 1, generate_uid(), 1, "maker", "model", "1", "1"
    )


def coco(
    images: Sequence[dict[str, Any]], annotations: Sequence[dict[str, Any]], categories: Sequence[str]
) -> dict[str, Any]:
    """A COCO document; categories count from 1."""
    return {
        "images": list(images),
        "annotations": [{"id": number, **one} for number, one in enumerate(annotations, start=1)],
        "categories": [{"id": number, "name": name} for number, name in enumerate(categories, start=1)],
    }


def coco_image(identifier: int, name: str, size: tuple[int, int] = SIZE) -> dict[str, Any]:
    return {"id": identifier, "file_name": name, "height": size[0], "width": size[1]}
