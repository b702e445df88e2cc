"""Which DICOM inputs are refused and which are opened with a warning, from the header alone."""

from __future__ import annotations

import re
from datetime import date

from pydicom.dataset import Dataset

from radiolucent.errors import Notice, UnsupportedInput
from radiolucent.study.header import items, text, texts
from radiolucent.study.notices import notice

PROJECTIONS = ("CR", "DX", "RG")  # RG: conventional film, digitised
MODALITIES = (*PROJECTIONS, "CT")
_REASONS = {
    "RF": "fluoroscopy is not a plain film",
    "XA": "angiography is not a plain film",
    "MG": "a mammogram is not a chest film",
    "US": "ultrasound is not an X-ray picture",
    "MR": "magnetic resonance is not an X-ray picture",
    "PT": "a PET volume is not an X-ray picture",
    "NM": "a scintigram is not an X-ray picture",
    "SR": "a structured report holds no picture",
    "PR": "a presentation state holds no picture",
    "SEG": "a segmentation holds no picture",
    "KO": "a key object note holds no picture",
    "OT": "its origin is not stated",
}
_ADULT = 18

# Body parts: words of Body Part Examined (PS3.16 Annex L) and of everyday descriptions.
_CHEST_STARTS = ("CHEST", "THORAX", "TORAX", "LUNG")
_CHEST_WORDS = frozenset({"HEART", "MEDIASTINUM", "RIB", "RIBS", "CXR"})
_OTHER_PARTS = """
    ABDOMEN ABDOMENPELVIS ABDOMINAL ANKLE ARM BACK BLADDER BRAIN BREAST CALCANEUS CALF CAROTID CERVICAL COCCYX COLON
    CSPINE EAR ELBOW EXTREMITY EYE FACE FEMUR FIBULA FINGER FOOT FOREARM HAND HEAD HEADNECK HIP HUMERUS IAC JAW
    KIDNEY KNEE KNIE LEG LIVER LSPINE LSSPINE LUMBAR MANDIBLE MAXILLA NECK NOSE ORBIT PANCREAS PATELLA PELVIS
    PROSTATE RADIUS SACRUM SCAPULA SHOULDER SINUS SINUSES SKULL SPINE SPLEEN SSPINE STOMACH TEETH THIGH
    THORACICSPINE THUMB TIBIA TLSPINE TMJ TOE TSPINE ULNA UTERUS WRIST
"""
_OTHER_WORDS = frozenset(_OTHER_PARTS.split())
_SPINE_WORDS = frozenset({"SPINE", "TSPINE", "VERTEBRA", "VERTEBRAE"})
_OTHER_CHINESE = ("胸椎", "颈椎", "腰椎", "头颅", "颅脑", "腹部", "骨盆", "膝", "踝", "腕", "肘", "肩", "髋", "乳腺")
_CHEST_CHINESE = ("胸", "肺")
_CHEST_CODES = frozenset({"51185008", "T-D3000", "39607008", "T-28000", "43799004", "72410000", "80891009", "T-32000"})

_FRONTAL = {"PA": "PA", "AP": "AP"}
_LATERAL_WORDS = frozenset({"LL", "RL", "LAT", "LATERAL", "LLAT", "RLAT"})
# View Code Sequence (0054,0220), context group 4010: SNOMED CT and the older SNOMED RT codes.
_VIEW_CODES = {
    "272479007": "PA",
    "R-10214": "PA",
    "399348003": "AP",
    "R-10206": "AP",
    "399067008": "LATERAL",
    "399173006": "LATERAL",
    "399198007": "LATERAL",
    "R-10232": "LATERAL",
    "R-10236": "LATERAL",
}
_LYING_WORDS = frozenset({"SUPINE", "RECUMBENT", "DECUBITUS", "PRONE"})
_LYING_CHINESE = ("仰卧", "卧位")
_LYING_CODES = frozenset({"102538003", "40199007", "1240000", "F-10340", "F-10310", "F-10450"})
_LYING_POSITIONS = ("HFS", "HFP", "FFS", "FFP", "HFDR", "HFDL", "FFDR", "FFDL")
_DESCRIPTIONS = ("StudyDescription", "SeriesDescription", "ProtocolName", "PerformedProcedureStepDescription")


def check_fitness(header: Dataset) -> list[Notice]:
    """Refuse what may not be explained; warn of what needs care.

    Parameters
    ----------
    header
        A DICOM data set; its pixels are not looked at.

    Returns
    -------
    list of Notice
        ``body_part_unknown``, ``view_ap``, ``view_unknown``, ``supine``, ``paediatric``, ``burned_in_unknown``. The
        side's own notices come from :mod:`radiolucent.study.orientation`.

    Raises
    ------
    UnsupportedInput
        Modality other than CR, DX, RG or CT; unprocessed detector data; a body part other than the chest; a CT scout;
        an animal.
    """
    modality = text(header, "Modality")
    if modality not in MODALITIES:
        found = f"Modality {modality!r} is not explained" if modality else "The header states no modality"
        reason = f" ({_REASONS[modality]})" if modality in _REASONS else ""
        raise UnsupportedInput(f"{found}{reason}; give a chest film (CR, DX) or a chest CT.")
    if text(header, "PresentationIntentType") == "FOR PROCESSING":
        raise UnsupportedInput(
            "The film is raw detector data (Presentation Intent Type FOR PROCESSING); give the FOR PRESENTATION image."
        )
    if text(header, "AnatomicalOrientationType") == "QUADRUPED":
        raise UnsupportedInput("The header describes an animal; give a human chest film or chest CT.")
    if modality == "CT" and "LOCALIZER" in texts(header, "ImageType"):
        raise UnsupportedInput("The image is a CT scout (Image Type LOCALIZER); give the axial slices alone.")
    notices = _body_part(header)
    if modality in PROJECTIONS:
        notices += _projection(header)
    years = age_of(header)
    if years is not None and years < _ADULT:
        notices.append(notice("paediatric"))
    if text(header, "BurnedInAnnotation") != "NO":
        notices.append(notice("burned_in_unknown"))
    return notices


def view_of(header: Dataset) -> str | None:
    """``PA``, ``AP``, ``LATERAL`` or None, from View Position (0018,5101), else View Code Sequence (0054,0220)."""
    stated = text(header, "ViewPosition")
    words = set(re.findall(r"[A-Z]+", stated.replace("-", "").replace(".", "")))
    if words & _LATERAL_WORDS and "DECUBITUS" not in words:
        return "LATERAL"
    frontal = words & set(_FRONTAL)
    if stated:
        return frontal.pop() if len(frontal) == 1 else None
    for item in items(header, "ViewCodeSequence"):
        found = _VIEW_CODES.get(text(item, "CodeValue"))
        if found:
            return found
    return None


def age_of(header: Dataset) -> float | None:
    """Years from Patient's Age (0010,1010), else from birth to the earliest date of the image; None if unknown."""
    age = re.fullmatch(r"(\d{3})([DWMY])", text(header, "PatientAge"))
    if age:
        return int(age[1]) / {"D": 365.25, "W": 52.18, "M": 12, "Y": 1}[age[2]]
    born = _day(text(header, "PatientBirthDate"))
    days = [_day(text(header, word)) for word in ("AcquisitionDate", "ContentDate", "SeriesDate", "StudyDate")]
    taken = [day for day in days if day is not None]
    if born is None or not taken:
        return None
    return (min(taken) - born).days / 365.25


def _projection(header: Dataset) -> list[Notice]:
    view = view_of(header)
    notices = [notice("view_ap")] if view == "AP" else []
    if _lying(header):
        notices.append(notice("supine"))
    return notices


def _lying(header: Dataset) -> bool:
    positions = items(header, "PatientOrientationCodeSequence")
    modifiers = tuple(entry for one in positions for entry in items(one, "PatientOrientationModifierCodeSequence"))
    if any(text(one, "CodeValue") in _LYING_CODES for one in (*positions, *modifiers)):
        return True
    if text(header, "PatientPosition") in _LYING_POSITIONS:
        return True
    said = " ".join(text(header, word) for word in ("ViewPosition", *_DESCRIPTIONS))
    decubitus = bool({"LLD", "RLD"} & set(re.findall(r"[A-Z]+", text(header, "ViewPosition"))))
    return decubitus or bool(_LYING_WORDS & _words(said)) or any(word in said for word in _LYING_CHINESE)


def _body_part(header: Dataset) -> list[Notice]:
    """Nothing for a chest, a notice where it is not stated, an error for another part."""
    regions = items(header, "AnatomicRegionSequence")
    if any(text(one, "CodeValue") in _CHEST_CODES for one in regions):
        return []
    formal = " ".join([*texts(header, "BodyPartExamined"), *(text(one, "CodeMeaning") for one in regions)])
    for source, said in (
        ("Body Part Examined", formal),
        ("description", " ".join(text(header, word) for word in _DESCRIPTIONS)),
    ):
        part = _part(said)
        if part == "CHEST":
            return []
        if part is not None:
            raise UnsupportedInput(f"The header's {source} names another body part ({part.lower()}); give a chest.")
    return [notice("body_part_unknown")]


def _part(said: str) -> str | None:
    """``CHEST``, the name of another part, or None where the words name neither."""
    words = _words(said)
    others = sorted(words & _OTHER_WORDS) + [part for part in _OTHER_CHINESE if part in said]
    spine = bool(words & _SPINE_WORDS) or "胸椎" in said
    chest = any(word.startswith(_CHEST_STARTS) or word in _CHEST_WORDS for word in words)
    chest = chest or any(part in said.replace("胸椎", "") for part in _CHEST_CHINESE)
    if chest and not (spine and not words & {"CHEST"}):
        return "CHEST"
    return others[0] if others else None


def _words(said: str) -> set[str]:
    return set(re.findall(r"[A-ZÀ-Ý]+", said))


def _day(digits: str) -> date | None:
    if not re.fullmatch(r"\d{8}", digits):
        return None
    try:
        return date(int(digits[:4]), int(digits[4:6]), int(digits[6:]))
    except ValueError:  # such as month 13: the date is not known
        return None
