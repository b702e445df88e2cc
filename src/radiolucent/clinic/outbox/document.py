"""What is sent out: a signed report as plain values, apart from any database."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from radiolucent.attribution.types import Claim

Status = Literal["preliminary", "final"]
Decision = Literal["accepted", "changed", "added"]
BoxOrigin = Literal["model", "reader"]

Pair = tuple[str, str]  # (English, Chinese)

DEMO_STAMP = "DEMO – not clinical / 演示 – 非临床"


@dataclass(frozen=True)
class Box:
    """A rectangle on a film.

    Parameters
    ----------
    frame
        Index into the study's frames.
    x0, y0, x1, y1
        Source pixels (column, row), the film's top-left corner (0, 0).
    origin
        ``model``: the area that the model relied on; ``reader``: marked by a person.
    """

    frame: int
    x0: float
    y0: float
    x1: float
    y1: float
    origin: BoxOrigin = "reader"


@dataclass(frozen=True)
class SignedFinding:
    """A finding that a person accepted, changed or added; rejected ones never get here.

    Parameters
    ----------
    id
        Of the ruling; makes the tracking identifier.
    kind
        Of a support device, see :data:`radiolucent.findings.coding.DEVICE_CONCEPTS`.
    """

    id: str
    decision: Decision
    code: str
    polarity: str = "present"
    side: str | None = None
    zone: str | None = None
    severity: str | None = None
    certainty: str = "definite"
    size_mm: tuple[float, ...] = ()
    kind: str | None = None
    boxes: tuple[Box, ...] = ()

    @property
    def from_ai(self) -> bool:
        """Whether an algorithm proposed it."""
        return self.decision != "added"


@dataclass(frozen=True)
class Physician:
    """Who signed.

    Parameters
    ----------
    name
        As people write it (``张三``, ``Dr Li Wei``) or in DICOM form with ``^``.
    organisation
        Empty: the document's own.
    """

    name: str
    signed_at: datetime
    organisation: str = ""


@dataclass(frozen=True)
class Algorithm:
    """The model that drafted, for TID 4019 and the pictures."""

    name: str
    version: str
    weights_hash: str = ""
    manufacturer: str = "radiolucent"


@dataclass(frozen=True)
class Reference:
    """A DICOM object that was made before."""

    sop_class: str
    sop_uid: str
    series_uid: str
    study_uid: str


@dataclass(frozen=True, eq=False)
class Overlay:
    """A map that may be shown on a frame.

    Parameters
    ----------
    values
        Float (n, n) over the padded square.
    finding
        Id of the signed finding that it belongs to.
    """

    frame: int
    values: NDArray[np.floating]
    claim: Claim
    finding: str


@dataclass(frozen=True)
class Subject:
    """Who a picture without a header is of, as the clinic knows it."""

    patient_id: str = ""
    name: str = ""
    name_ideographic: str = ""
    name_phonetic: str = ""
    sex: str = ""
    birth_date: str = ""
    age: str = ""
    accession: str = ""
    study_at: datetime | None = None
    institution: str = ""


@dataclass(frozen=True, eq=False)
class SignedDocument:
    """A report as it was signed.

    Parameters
    ----------
    case_id
        Seeds the objects' UIDs together with the edition, so that a second export of one edition is the same objects.
    edition
        1 for the first; a later one names ``predecessors`` and ``reason``.
    language
        Of the signed text: ``en`` or ``zh``.
    reporting
        The reporting physician (报告医师).
    reviewing
        The reviewing physician (审核医师); None where there is one signature.
    two_signatures
        The site asks for both: without ``reviewing`` the document is PRELIMINARY and UNVERIFIED.
    side_source, side_confirmed
        How the patient's sides are known, see :class:`radiolucent.study.geometry.Geometry`.
    """

    case_id: str
    edition: int
    language: str
    findings_text: str
    impression_text: str
    reporting: Physician
    reviewing: Physician | None = None
    two_signatures: bool = False
    findings: tuple[SignedFinding, ...] = ()
    algorithm: Algorithm | None = None
    demo: bool = False
    mode: Literal["research", "clinical"] = "research"
    organisation: str = ""
    clinical_information: str = ""
    side_source: str = "orientation"
    side_confirmed: bool = True
    predecessors: tuple[Reference, ...] = ()
    reason: str = ""
    overlays: tuple[Overlay, ...] = ()

    @property
    def status(self) -> Status:
        """``final`` once every signature that the site asks for is there."""
        return "preliminary" if self.two_signatures and self.reviewing is None else "final"

    @property
    def last_signature(self) -> Physician:
        """The signature that made it what it is."""
        return self.reviewing or self.reporting
