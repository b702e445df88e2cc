"""What comes out of the confined process: the study, who it is of, and what the header says of it."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime

from radiolucent.clinic.settings import Settings
from radiolucent.errors import MalformedInput, Notice, UnsupportedInput
from radiolucent.study.types import Study


@dataclass(frozen=True)
class Limits:
    """What one parse may use.

    Parameters
    ----------
    memory_mb
        Address space of the child (RLIMIT_AS), libraries included.
    cpu_s, wall_s
        Seconds of processor time, and by the clock, after which the child is killed.
    pixels
        Over all frames of all files, as declared, before anything is decoded.
    files
        Most files of one case.
    upload_mb
        All files together.
    """

    memory_mb: int = 2048
    cpu_s: int = 60
    wall_s: float = 90.0
    pixels: int = 64_000_000
    files: int = 4096
    upload_mb: int = 512


def limits_of(settings: Settings) -> Limits:
    """The site's limits."""
    return Limits(
        memory_mb=settings.parse_memory_mb,
        cpu_s=settings.parse_cpu_s,
        wall_s=float(settings.parse_wall_s),
        pixels=settings.parse_pixels,
        upload_mb=settings.upload_limit_mb,
    )


@dataclass(frozen=True)
class Identifiers:
    """Who the files say the patient is; empty where they do not say.

    Parameters
    ----------
    name, name_ideographic, name_phonetic
        The component groups of Patient's Name (0010,0010) as written (``Zhang^San``, ``张^三``), in Unicode whatever
        the file's character set.
    sex
        ``M``, ``F``, ``O`` or empty.
    birth_date
        ISO date or empty.
    """

    patient_id: str = ""
    name: str = ""
    name_ideographic: str = ""
    name_phonetic: str = ""
    sex: str = ""
    birth_date: str = ""


@dataclass(frozen=True)
class Facts:
    """What the first file says of the study.

    Parameters
    ----------
    study_at
        UTC; None where no valid date stands in the header.
    study_local
        The same as written, ISO without a zone; for people.
    zone
        ``header``: Timezone Offset From UTC (0008,0201); ``site``: the header states none, so this machine's zone was
        taken; None without a time.
    age
        DICOM age string such as ``045Y``, stated or from the birth date; empty where unknown.
    clinical_information
        Reasons for the examination, one a line.
    sop_uids, sop_classes, series_uids
        One a file, in the order of the files.
    frame_places
        (file, frame inside the file from 0) of each frame of the study.
    """

    modality: str = ""
    view: str | None = None
    study_at: datetime | None = None
    study_local: str = ""
    zone: str | None = None
    age: str = ""
    accession: str = ""
    study_uid: str = ""
    series_uids: tuple[str, ...] = ()
    sop_uids: tuple[str, ...] = ()
    sop_classes: tuple[str, ...] = ()
    clinical_information: str = ""
    institution: str = ""
    frame_places: tuple[tuple[int, int], ...] = ()


@dataclass(frozen=True, eq=False)
class Parsed:
    """One upload, opened.

    Parameters
    ----------
    format
        ``dicom``, ``png`` or ``jpeg``.
    study
        Free of identifiers; its warnings are the fitness notices.
    notices
        Of the header's texts, such as a name whose character set is not declared.
    originals
        The files, fit to be stored: the 128-byte preamble zeroed (CVE-2019-11687), metadata of pictures (EXIF, XMP,
        texts) removed but for the orientation.
    seconds, peak_mb
        Of the child: by the clock, and its resident memory at the most.
    confined_by
        What held the child: ``memory``, ``cpu``, ``file size``, ``open files``, ``wall clock``, ``system calls``.
    """

    format: str
    study: Study
    identifiers: Identifiers
    facts: Facts
    notices: tuple[Notice, ...] = ()
    originals: tuple[bytes, ...] = ()
    seconds: float = 0.0
    peak_mb: float = 0.0
    confined_by: tuple[str, ...] = field(default=())


class DamagedUpload(MalformedInput):
    """An upload that is broken or too large, with a reason in both languages.

    ``seconds`` and ``peak_mb`` are those of the confined process, 0 where it was not asked.
    """

    def __init__(self, reason: Notice) -> None:
        super().__init__(f"{reason.en} / {reason.zh}")
        self.reason, self.seconds, self.peak_mb = reason, 0.0, 0.0


class UnfitUpload(UnsupportedInput):
    """An upload that is sound but not something this product may open, with a reason in both languages.

    ``seconds`` and ``peak_mb`` are those of the confined process, 0 where it was not asked.
    """

    def __init__(self, reason: Notice) -> None:
        super().__init__(f"{reason.en} / {reason.zh}")
        self.reason, self.seconds, self.peak_mb = reason, 0.0, 0.0
