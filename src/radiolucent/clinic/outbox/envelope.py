"""What all exported objects share: whose they are, in Unicode; when they were made; that they are research."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from datetime import datetime, timezone
from importlib.metadata import version
from typing import Any

from pydicom.dataset import Dataset

from radiolucent.clinic.intake.header import Reader, zone_of
from radiolucent.clinic.outbox.concepts import private_scheme
from radiolucent.clinic.outbox.document import DEMO_STAMP, Physician, SignedDocument
from radiolucent.errors import MalformedInput
from radiolucent.findings.coding import PRIVATE_SCHEME
from radiolucent.study.header import items, text

UNICODE = "ISO_IR 192"
MANUFACTURER = "radiolucent"
NOT_CLINICAL = "RESEARCH"  # Content Qualification (0018,9004)
_LONG_STRING = 64  # characters of VR LO

# Copied from the source as they are written there; everything else of its header stays behind.
_TEXTS = ("PatientID", "IssuerOfPatientID", "StudyID", "AccessionNumber", "StudyDescription", "InstitutionName")
_CODES = (
    "PatientAge", "Modality", "BodyPartExamined", "SOPClassUID", "SOPInstanceUID", "SeriesInstanceUID",
    "StudyInstanceUID", "FrameOfReferenceUID", "PhotometricInterpretation", "BurnedInAnnotation",
    "TimezoneOffsetFromUTC", "Laterality", "ImageLaterality",
)  # fmt: skip
_WHOLE = ("Rows", "Columns", "SamplesPerPixel", "BitsAllocated", "BitsStored", "HighBit", "PixelRepresentation")
_UIDS = ("StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID", "SOPClassUID")


class NotExportable(MalformedInput):
    """The source image cannot be referred to, so nothing can be made of it."""


def uid_of(*parts: object) -> str:
    """A UID that follows from its parts, so that one edition's objects are the same however often they are made.

    Under 2.25 (PS3.5 B.2): a UUID of version 8 (RFC 9562) from a SHA-256.
    """
    digest = bytearray(hashlib.sha256("\x1f".join(map(str, parts)).encode("utf-8")).digest()[:16])
    digest[6], digest[8] = digest[6] & 0x0F | 0x80, digest[8] & 0x3F | 0x80
    return f"2.25.{int.from_bytes(digest, 'big')}"


def edition_uid(document: SignedDocument, kind: str, *parts: object) -> str:
    """A UID of one object, or series, of an edition; a preliminary one is another object than the final one."""
    return uid_of(MANUFACTURER, document.case_id, document.edition, document.status, kind, *parts)


def reference(source: Dataset) -> Dataset:
    """The header that exported objects are made against: an allow-list of the source's, in Unicode.

    Parameters
    ----------
    source
        The image's data set as read; its pixels are not looked at.

    Raises
    ------
    NotExportable
        Where the study or the image has no valid UID.
    """
    reader, header = Reader(source), Dataset()
    for keyword in _UIDS:
        if not reader.uid(keyword):
            raise NotExportable(
                f"The source image states no valid {keyword}, so that no DICOM object can refer to it; send the "
                "report another way. / 源图像缺少有效UID，无法生成引用它的DICOM对象。"
            )
    header.SpecificCharacterSet = UNICODE
    header.PatientName = reader.text("PatientName")
    header.ReferringPhysicianName = reader.text("ReferringPhysicianName")
    for keyword in _TEXTS:
        setattr(header, keyword, reader.text(keyword))
    for keyword in _CODES:
        if text(source, keyword):
            setattr(header, keyword, text(source, keyword))
    for keyword in _WHOLE:
        if text(source, keyword).isdigit():
            setattr(header, keyword, int(text(source, keyword)))
    if text(source, "NumberOfFrames").isdigit():
        header.NumberOfFrames = int(text(source, "NumberOfFrames"))
    header.PatientSex = text(source, "PatientSex") if text(source, "PatientSex") in ("M", "F", "O") else ""
    for keyword, shape in (("PatientBirthDate", r"\d{8}"), ("StudyDate", r"\d{8}"), ("StudyTime", r"\d{2,6}(\.\d+)?")):
        setattr(header, keyword, text(source, keyword) if re.fullmatch(shape, text(source, keyword)) else "")
    orientation = source.get("PatientOrientation")
    if orientation and len(orientation) == 2:
        header.PatientOrientation = list(orientation)
    return header


def made_in(document: SignedDocument) -> str:
    """The organisation that the objects are made in; never empty, since a verifying organisation is required."""
    return (document.organisation or "Not stated")[:_LONG_STRING]


def equipment() -> dict[str, Any]:
    """Enhanced General Equipment, as keyword arguments for highdicom."""
    return {
        "manufacturer": MANUFACTURER,
        "manufacturer_model_name": "radiolucent clinic",
        "software_versions": version("radiolucent"),
        "device_serial_number": "1",
    }


def person_name(physician: Physician) -> str:
    """A physician's name as DICOM has it; a name in one piece is a family name (``张三^``)."""
    name = re.sub(r"[\\=\x00-\x1f]", " ", physician.name).strip()
    return name if "^" in name else f"{name[:62]}^"


def series_description(document: SignedDocument, what: str) -> str:
    """What the series is, the demo stamp first, at most 64 characters (VR LO)."""
    state = "PRELIMINARY" if document.status == "preliminary" else "FINAL"
    edition = f" edition {document.edition}" if document.edition > 1 else ""
    said = f"{DEMO_STAMP} {what}" if document.demo else f"AI-assisted {what}, {state}{edition}, research"
    return said[:_LONG_STRING]


def local_moment(document: SignedDocument, header: Dataset) -> datetime:
    """When it was signed, in the zone that the study's own times are written in."""
    signed = document.last_signature.signed_at
    stated: timezone | None = zone_of(header)
    return signed.astimezone(stated) if stated else signed.astimezone()


def finish(made: Dataset, document: SignedDocument, header: Dataset, what: str) -> Dataset:
    """Give an object what its library leaves out or takes from the clock.

    Unicode, the study's zone, the moment of the signature in place of now, the private coding scheme where it is used,
    the series' description, and Content Qualification RESEARCH.
    """
    moment = local_moment(document, header)
    day, hour = moment.strftime("%Y%m%d"), moment.strftime("%H%M%S")
    made.SpecificCharacterSet = UNICODE
    made.PatientName, made.ReferringPhysicianName = header.PatientName, header.ReferringPhysicianName
    for keyword in ("PatientID", "AccessionNumber", "StudyID", "StudyDescription"):
        setattr(made, keyword, header.get(keyword, ""))
    if header.get("IssuerOfPatientID"):
        made.IssuerOfPatientID = header.IssuerOfPatientID
    if header.get("PatientAge"):
        made.PatientAge = header.PatientAge
    if header.get("TimezoneOffsetFromUTC"):
        made.TimezoneOffsetFromUTC = header.TimezoneOffsetFromUTC
    made.InstanceCreationDate = made.SeriesDate = day
    made.InstanceCreationTime = made.SeriesTime = hour
    if "ContentDate" in made:
        made.ContentDate, made.ContentTime = day, hour
    if "PresentationCreationDate" in made:
        made.PresentationCreationDate, made.PresentationCreationTime = day, hour
    for observer in items(made, "VerifyingObserverSequence"):
        observer.VerificationDateTime = moment.strftime("%Y%m%d%H%M%S%z")
    for equipped in items(made, "ContributingEquipmentSequence"):
        equipped.ContributionDateTime = moment.strftime("%Y%m%d%H%M%S%z")
    made.SeriesDescription = series_description(document, what)
    made.ContentQualification = NOT_CLINICAL
    if made.Modality in ("OT", "PR"):
        made.Laterality = header.get("Laterality", "")  # type 2C of General Series: empty where not known
    if made.Modality in ("OT", "SEG"):
        made.PatientOrientation = list(header.get("PatientOrientation") or [])
    made.InstitutionName = made_in(document)
    if uses_private_codes(made):
        made.CodingSchemeIdentificationSequence = [private_scheme()]
    return made


def uses_private_codes(made: Dataset) -> bool:
    """Whether a code of the private scheme stands anywhere in the object."""
    if made.get("CodingSchemeDesignator") == PRIVATE_SCHEME.designator:
        return True
    sequences: Sequence[Any] = [element for element in made if element.VR == "SQ"]
    return any(uses_private_codes(item) for element in sequences for item in element.value)


def is_demo(made: Dataset) -> bool:
    """Whether an object was made of a demo model's draft: its series says so."""
    return DEMO_STAMP in str(made.get("SeriesDescription", ""))
