"""DICOM objects out: made of a signed document, sent by STOW-RS or C-STORE; studies pulled by QIDO-RS and WADO-RS."""

from radiolucent.clinic.outbox.build import build, kind_of
from radiolucent.clinic.outbox.destination import Destination, DestinationRefused, PullFailed, SendFailed
from radiolucent.clinic.outbox.document import (
    DEMO_STAMP,
    Algorithm,
    Box,
    Overlay,
    Physician,
    Reference,
    SignedDocument,
    SignedFinding,
    Subject,
)
from radiolucent.clinic.outbox.envelope import NotExportable
from radiolucent.clinic.outbox.pull import FoundStudy, PullLimits, find, pull
from radiolucent.clinic.outbox.rejection_note import rejection_note
from radiolucent.clinic.outbox.send import Sent, as_file, send

__all__ = [
    "DEMO_STAMP",
    "Algorithm",
    "Box",
    "Destination",
    "DestinationRefused",
    "FoundStudy",
    "NotExportable",
    "Overlay",
    "Physician",
    "PullFailed",
    "PullLimits",
    "Reference",
    "SendFailed",
    "Sent",
    "SignedDocument",
    "SignedFinding",
    "Subject",
    "as_file",
    "build",
    "find",
    "kind_of",
    "pull",
    "rejection_note",
    "send",
]
