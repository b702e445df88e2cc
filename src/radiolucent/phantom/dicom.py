"""Phantoms as proper DICOM: Digital X-Ray Image Storage, For Presentation (PS3.3 A.26)."""

from __future__ import annotations

from pathlib import Path

from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.sequence import Sequence
from pydicom.uid import ExplicitVRLittleEndian, generate_uid

from radiolucent.phantom.anatomy import FIELD_CM
from radiolucent.phantom.film import PhantomCase

DX_FOR_PRESENTATION = "1.2.840.10008.5.1.4.1.1.1.1"


def write_dicom(case: PhantomCase, path: str | Path) -> Path:
    """Write a phantom as a DX object with a made-up patient.

    Parameters
    ----------
    case
        The film; its patient's right lies on the picture's left, so Patient Orientation is ``L\\F``.
    path
        File to write.
    """
    path = Path(path)
    build_dataset(case).save_as(path, enforce_file_format=True)
    return path


def build_dataset(case: PhantomCase) -> Dataset:
    """The same, in memory; UIDs follow from the seed, so the same phantom is the same object."""
    entropy = [f"radiolucent-phantom-{case.seed}"]
    dataset = Dataset()
    dataset.SOPClassUID = DX_FOR_PRESENTATION
    dataset.SOPInstanceUID = generate_uid(entropy_srcs=[*entropy, "instance"])
    dataset.StudyInstanceUID = generate_uid(entropy_srcs=[*entropy, "study"])
    dataset.SeriesInstanceUID = generate_uid(entropy_srcs=[*entropy, "series"])
    dataset.SpecificCharacterSet = "ISO_IR 192"
    dataset.PatientName, dataset.PatientID = f"Phantom^Case{case.seed}", f"PHANTOM{case.seed}"
    dataset.PatientBirthDate, dataset.PatientSex, dataset.PatientAge = "", "O", "045Y"
    dataset.StudyDate = dataset.ContentDate = dataset.AcquisitionDate = "20260101"
    dataset.StudyTime = dataset.ContentTime = dataset.AcquisitionTime = "120000"
    dataset.StudyID, dataset.AccessionNumber, dataset.ReferringPhysicianName = "1", "", ""
    dataset.SeriesNumber, dataset.InstanceNumber = 1, 1
    dataset.Modality, dataset.Manufacturer = "DX", "radiolucent phantom generator"
    dataset.ManufacturerModelName, dataset.DeviceSerialNumber, dataset.SoftwareVersions = "phantom", "0", "1"
    dataset.ImageType = ["DERIVED", "PRIMARY"]
    dataset.DerivationDescription = "Synthetic film; no person was imaged"
    dataset.PresentationIntentType = "FOR PRESENTATION"
    dataset.BodyPartExamined, dataset.ViewPosition, dataset.ImageLaterality = "CHEST", "PA", "U"
    dataset.PatientOrientation = ["L", "F"]
    dataset.AnatomicRegionSequence = Sequence([_code("51185008", "SCT", "Chest")])
    dataset.ViewCodeSequence = Sequence([_code("399348003", "SCT", "postero-anterior")])
    dataset.ViewCodeSequence[0].ViewModifierCodeSequence = Sequence()
    dataset.AcquisitionContextSequence = Sequence()
    dataset.BurnedInAnnotation, dataset.LossyImageCompression = "NO", "00"
    # A decimal string holds 16 characters at most (PS3.5 6.2).
    dataset.ImagerPixelSpacing = [f"{FIELD_CM * 10 / case.film.shape[0]:.10g}"] * 2
    dataset.DetectorType, dataset.PositionerType = "DIRECT", "NONE"
    dataset.SamplesPerPixel, dataset.PhotometricInterpretation = 1, "MONOCHROME2"
    dataset.Rows, dataset.Columns = case.film.shape
    dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit, dataset.PixelRepresentation = 8, 8, 7, 0
    dataset.PixelIntensityRelationship, dataset.PixelIntensityRelationshipSign = "LOG", -1
    dataset.RescaleIntercept, dataset.RescaleSlope, dataset.RescaleType = 0, 1, "US"
    dataset.PresentationLUTShape = "IDENTITY"
    dataset.WindowCenter, dataset.WindowWidth = 128, 256  # the identity of PS3.3 C.11.2.1.2
    data = case.film.tobytes()
    dataset.PixelData = data + b"\0" * (len(data) % 2)
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    dataset.file_meta.MediaStorageSOPClassUID = dataset.SOPClassUID
    dataset.file_meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID
    return dataset


def _code(value: str, scheme: str, meaning: str) -> Dataset:
    item = Dataset()
    item.CodeValue, item.CodingSchemeDesignator, item.CodeMeaning = value, scheme, meaning
    return item
