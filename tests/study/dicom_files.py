"""Small DICOM data sets, so that every test states the attributes it is about."""

from __future__ import annotations

from typing import Any

import numpy as np
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian

# Always the same, so that a file is the same bytes in every run.
STUDY, SERIES, INSTANCE = "1.2.826.0.1", "1.2.826.0.1.1", "1.2.826.0.1.1.1"


def chest_film(pixels: np.ndarray, **attributes: Any) -> Dataset:
    """A PA chest film that says of itself all that a sound one says; ``None`` takes an attribute away."""
    dataset = Dataset()
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    dataset.file_meta.MediaStorageSOPClassUID = dataset.SOPClassUID = "1.2.840.10008.5.1.4.1.1.1.1"
    dataset.file_meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID = INSTANCE
    colour = pixels.shape[-1] == 3 and pixels.ndim >= 3
    frames = pixels.ndim == (4 if colour else 3)
    dataset.Rows, dataset.Columns = pixels.shape[int(frames) : int(frames) + 2]
    if frames:
        dataset.NumberOfFrames = len(pixels)
    dataset.SamplesPerPixel = 3 if colour else 1
    if colour:
        dataset.PlanarConfiguration = 0
    dataset.PhotometricInterpretation = "RGB" if colour else "MONOCHROME2"
    bits = pixels.dtype.itemsize * 8
    dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit = bits, bits, bits - 1
    dataset.PixelRepresentation = int(pixels.dtype.kind == "i")
    dataset.PixelData = pixels.astype(pixels.dtype.newbyteorder("<")).tobytes()
    dataset["PixelData"].VR = "OB" if bits == 8 else "OW"
    stated = {
        "Modality": "DX",
        "BodyPartExamined": "CHEST",
        "ViewPosition": "PA",
        "PatientOrientation": ["L", "F"],
        "PatientAge": "050Y",
        "PatientID": "P1",
        "BurnedInAnnotation": "NO",
        "SeriesInstanceUID": SERIES,
        "StudyInstanceUID": STUDY,
        "WindowCenter": 128,
        "WindowWidth": 256,
    }
    for keyword, value in {**stated, **attributes}.items():
        if value is not None:
            setattr(dataset, keyword, value)
        elif keyword in dataset:
            delattr(dataset, keyword)
    return dataset


def chest_slice(pixels: np.ndarray, height: float, **attributes: Any) -> Dataset:
    """An axial CT slice at ``height`` millimetres towards the head."""
    stated = {
        "Modality": "CT",
        "ViewPosition": None,
        "PatientOrientation": None,
        "ImageOrientationPatient": [1, 0, 0, 0, 1, 0],
        "ImagePositionPatient": [-100, -100, height],
        "PixelSpacing": [0.7, 0.7],
        "RescaleSlope": 1,
        "RescaleIntercept": -1024,
        "WindowCenter": -600,
        "WindowWidth": 1500,
    }
    return chest_film(pixels, **{**stated, **attributes})


def ramp(rows: int = 12, cols: int = 10, top: int = 255, dtype: str = "u2") -> np.ndarray:
    """Different values everywhere, so that a flip or a transpose shows."""
    return np.linspace(0, top, rows * cols).reshape(rows, cols).astype(dtype)
