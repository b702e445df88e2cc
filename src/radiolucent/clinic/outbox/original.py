"""A picture without a header as DICOM, so that it can be referred to: a Secondary Capture in its own new study."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import datetime

import numpy as np
from highdicom.sc import SCImage
from numpy.typing import NDArray
from pydicom.dataset import Dataset
from pydicom.uid import ExplicitVRLittleEndian

from radiolucent.clinic.outbox.document import DEMO_STAMP, SignedDocument, Subject
from radiolucent.clinic.outbox.envelope import MANUFACTURER, NOT_CLINICAL, UNICODE, equipment, uid_of
from radiolucent.study.types import Frame

KIND = "original"


def original(document: SignedDocument, frames: Sequence[Frame], subject: Subject) -> list[Dataset]:
    """One Secondary Capture a frame, all in one new study; the same for every edition of the case.

    Parameters
    ----------
    frames
        Their displayed grey is what is kept, 16 bits; colour 8 bits a sample.
    subject
        Who the picture is of, as the clinic knows it.
    """
    return [_one(document, frame, subject, number) for number, frame in enumerate(frames, start=1)]


def _one(document: SignedDocument, frame: Frame, subject: Subject, number: int) -> Dataset:
    moment = (subject.study_at or document.reporting.signed_at).astimezone()
    pixels = _pixels(frame)
    grey = pixels.ndim == 2
    right = frame.geometry.patient_right if frame.geometry.side_source != "assumed" or document.side_confirmed else None
    series = uid_of(MANUFACTURER, document.case_id, KIND, "series")
    made = SCImage(
        pixel_array=pixels,
        photometric_interpretation="MONOCHROME2" if grey else "RGB",
        bits_allocated=16 if grey else 8,
        coordinate_system="PATIENT",
        patient_orientation=("R" if right == "right" else "L", "F"),
        study_instance_uid=uid_of(MANUFACTURER, document.case_id, KIND, "study"),
        series_instance_uid=series,
        series_number=1,
        sop_instance_uid=uid_of(MANUFACTURER, document.case_id, KIND, "instance", number),
        instance_number=number,
        patient_id=_short(subject.patient_id),
        patient_name=_name(subject),
        patient_birth_date=subject.birth_date.replace("-", ""),
        patient_sex=subject.sex if subject.sex in ("M", "F", "O") else "",
        accession_number=_short(subject.accession, 16),
        study_id="",
        study_date=moment.date(),
        study_time=moment.time().replace(microsecond=0),
        referring_physician_name="",
        institution_name=_short(subject.institution) or None,
        transfer_syntax_uid=ExplicitVRLittleEndian,
        specific_character_set=UNICODE,
        **equipment(),
    )
    if right is None:
        made.PatientOrientation = []
    _complete(made, document, moment)
    if re.fullmatch(r"\d{3}[DWMY]", subject.age):
        made.PatientAge = subject.age
    return made


def _complete(made: Dataset, document: SignedDocument, moment: datetime) -> None:
    made.PatientName = str(made.PatientName)
    made.ConversionType = "WSD"
    made.BurnedInAnnotation = "YES"  # the picture says nothing of itself: taken as the worse
    made.ImageType = ["DERIVED", "SECONDARY"]
    made.BodyPartExamined = "CHEST"
    made.DerivationDescription = "Uploaded picture file; its displayed grey levels"
    what = "uploaded picture"
    made.SeriesDescription = f"{DEMO_STAMP} {what}" if document.demo else f"{what}, research"
    made.ContentQualification = NOT_CLINICAL
    made.TimezoneOffsetFromUTC = moment.strftime("%z")
    made.InstanceCreationDate = made.SeriesDate = made.ContentDate = moment.strftime("%Y%m%d")
    made.InstanceCreationTime = made.SeriesTime = made.ContentTime = moment.strftime("%H%M%S")


def _pixels(frame: Frame) -> NDArray[np.uint8] | NDArray[np.uint16]:
    shown = frame.picture().clip(0, 1)
    if shown.ndim == 3:
        return np.asarray(np.rint(shown * 255), dtype=np.uint8)
    return np.asarray(np.rint(shown * 65535), dtype=np.uint16)


def _name(subject: Subject) -> str:
    groups = (subject.name, subject.name_ideographic, subject.name_phonetic)
    clean = [re.sub(r"[\\=\x00-\x1f]", " ", group).strip()[:64] for group in groups]
    joined = "=".join(clean).rstrip("=")
    return joined if "^" in joined or not joined else f"{joined}^"


def _short(words: str, longest: int = 64) -> str:
    return re.sub(r"[\\\x00-\x1f]", " ", words).strip()[:longest]
