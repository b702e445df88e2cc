"""Who a DICOM file says the patient is, and what it says of the study: in Unicode, whatever its character set."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta, timezone
from typing import Any

from pydicom.dataset import Dataset
from pydicom.multival import MultiValue
from pydicom.tag import Tag

from radiolucent.clinic.intake.parsed import Facts, Identifiers
from radiolucent.study.fitness import age_of
from radiolucent.study.header import items, text, texts

_LONGEST_NAME, _LONGEST_TEXT = 200, 2000
_UID = re.compile(r"[0-9]+(\.[0-9]+)+")
# pydicom leaves the escape sequences of ISO 2022 IR 58 (PS3.5 annex K) in the text.
_ESCAPE = re.compile(r"\x1b[\x20-\x2f]+[\x30-\x7e]")
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f]")
_REASONS = (
    "ReasonForTheRequestedProcedure",  # (0040,1002)
    "ReasonForVisit",  # (0032,1066)
    "AdmittingDiagnosesDescription",  # (0008,1080)
    "AdditionalPatientHistory",  # (0010,21B0)
    "RequestedProcedureDescription",  # (0032,1060)
)
_MOMENTS = (("StudyDate", "StudyTime"), ("AcquisitionDate", "AcquisitionTime"), ("ContentDate", "ContentTime"))


@dataclass
class Reader:
    """Reads texts of one header, and remembers what was unclear about their characters."""

    header: Dataset
    notices: set[str] = field(default_factory=set)

    def text(self, keyword: str, dataset: Dataset | None = None, longest: int = _LONGEST_TEXT) -> str:
        """An attribute as clean Unicode; empty where not stated."""
        holder = self.header if dataset is None else dataset
        found: Any = holder.get_item(Tag(keyword)) if Tag(keyword) in holder else None
        if found is None or found.value in (None, b"", ""):
            return ""
        raw = found.value
        if isinstance(raw, bytes) and not raw.isascii() and self._undeclared(raw):
            self.notices.add("charset_assumed")
            return self._clean(_guessed(raw), longest)
        value = holder.get(keyword)
        several = value if isinstance(value, MultiValue) else [value]
        return self._clean("\\".join(map(str, several)), longest)

    def _undeclared(self, raw: bytes) -> bool:
        """Bytes above ASCII in a text that the header says is ASCII: no character set, or no escape to another."""
        declared = texts(self.header, "SpecificCharacterSet")
        return not declared or (declared[0] in ("", "ISO_IR 6", "ISO 2022 IR 6") and b"\x1b" not in raw)

    def uid(self, keyword: str) -> str:
        """A valid UID, or empty with a notice."""
        found = text(self.header, keyword)
        if _UID.fullmatch(found) and len(found) <= 64:
            return found
        self.notices.add("uid_invalid")
        return ""

    def _clean(self, words: str, longest: int) -> str:
        if "\ufffd" in words or any("\ud800" <= character <= "\udfff" for character in words):
            self.notices.add("charset_damaged")
        words = re.sub("[\ud800-\udfff]", "\ufffd", words)
        words = _ESCAPE.sub("", words)
        return _CONTROL.sub("", words.replace("\r\n", "\n").replace("\r", "\n")).strip()[:longest]


def identifiers_of(reader: Reader) -> Identifiers:
    """Who the patient is."""
    written = reader.text("PatientName", longest=_LONGEST_NAME * 3)
    groups = [group.strip().strip("^") for group in written.split("=")]
    alphabetic, ideographic, phonetic = [*groups, "", "", ""][:3]
    sex = text(reader.header, "PatientSex")
    born = _day(text(reader.header, "PatientBirthDate"))
    return Identifiers(
        patient_id=reader.text("PatientID", longest=64),
        name=alphabetic[:_LONGEST_NAME],
        name_ideographic=ideographic[:_LONGEST_NAME],
        name_phonetic=phonetic[:_LONGEST_NAME],
        sex=sex if sex in ("M", "F", "O") else "",
        birth_date=born.isoformat() if born else "",
    )


def facts_of(reader: Reader, headers: Sequence[Dataset], view: str | None, places: Sequence[tuple[int, int]]) -> Facts:
    """What the study is.

    Parameters
    ----------
    reader
        Of the first file.
    headers
        Of every file.
    places
        (file, frame) of each frame of the study.
    """
    moment, local, zone = study_moment(reader.header)
    if zone == "site":
        reader.notices.add("study_time_site_zone")
    each = [Reader(header) for header in headers]
    series, instances, classes = (
        tuple(one.uid(keyword) for one in each) for keyword in ("SeriesInstanceUID", "SOPInstanceUID", "SOPClassUID")
    )
    study_uid = reader.uid("StudyInstanceUID")
    for one in each:
        reader.notices |= one.notices
    return Facts(
        modality=text(reader.header, "Modality"),
        view=view,
        study_at=moment,
        study_local=local,
        zone=zone,
        age=_age(reader.header),
        accession=reader.text("AccessionNumber", longest=64),
        study_uid=study_uid,
        series_uids=series,
        sop_uids=instances,
        sop_classes=classes,
        clinical_information=_clinical_information(reader),
        institution=reader.text("InstitutionName", longest=_LONGEST_NAME),
        frame_places=tuple(places),
    )


def study_moment(header: Dataset) -> tuple[datetime | None, str, str | None]:
    """(UTC, as written, ``header`` or ``site``): the study's time, else the acquisition's, else the content's.

    A header without Timezone Offset From UTC (0008,0201) means the time where it was made (PS3.3 C.12.1.1.8), taken to
    be this machine's.
    """
    for day_word, time_word in _MOMENTS:
        day = _day(text(header, day_word))
        if day is None:
            continue
        written = datetime.combine(day, _time(text(header, time_word)))
        offset = zone_of(header)
        aware = written.replace(tzinfo=offset) if offset else written.astimezone()
        return aware.astimezone(UTC), written.isoformat(), "header" if offset else "site"
    return None, "", None


def zone_of(header: Dataset) -> timezone | None:
    """The zone that the header states (0008,0201); None where it states none that is valid."""
    return _offset(text(header, "TimezoneOffsetFromUTC"))


def _clinical_information(reader: Reader) -> str:
    request = items(reader.header, "RequestAttributesSequence")[:1]
    said: list[str] = []
    for keyword in _REASONS:
        for holder in (reader.header, *request):
            words = reader.text(keyword, holder)
            if words and words not in said:
                said.append(words)
    return "\n".join(said)[:_LONGEST_TEXT]


def _age(header: Dataset) -> str:
    stated = text(header, "PatientAge")
    if re.fullmatch(r"\d{3}[DWMY]", stated):
        return stated
    years = age_of(header)
    if years is None or not 0 <= years < 150:
        return ""
    return f"{int(years):03d}Y" if years >= 2 else f"{int(years * 12):03d}M"


def _day(digits: str) -> date | None:
    digits = digits.replace(".", "")
    if not re.fullmatch(r"\d{8}", digits):
        return None
    try:
        found = date(int(digits[:4]), int(digits[4:6]), int(digits[6:]))
    except ValueError:  # such as month 13: the date is not known
        return None
    return found if found.year >= 1850 else None


def _time(digits: str) -> time:
    found = re.fullmatch(r"(\d{2})(\d{2})?(\d{2})?(?:\.\d{1,6})?", digits.replace(":", ""))
    if not found:
        return time()
    hour, minute, second = (int(group or 0) for group in found.groups())
    return time(hour, minute, min(second, 59)) if hour < 24 and minute < 60 else time()


def _offset(words: str) -> timezone | None:
    found = re.fullmatch(r"([+-])(\d{2})(\d{2})", words)
    if not found or int(found[3]) > 59 or int(found[2]) > 14:
        return None
    ahead = timedelta(hours=int(found[2]), minutes=int(found[3]))
    return timezone(ahead if found[1] == "+" else -ahead)


def _guessed(raw: bytes) -> str:
    for charset in ("utf-8", "gb18030"):
        try:
            return raw.decode(charset)
        except UnicodeDecodeError:  # the next one; which was taken is told by the notice
            continue
    return raw.decode("ascii", errors="replace")
