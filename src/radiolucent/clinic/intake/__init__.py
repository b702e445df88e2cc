"""Uploads in: opened in a confined child process, never in the server's own."""

from radiolucent.clinic.intake.parse import parse, prewarm
from radiolucent.clinic.intake.parsed import (
    DamagedUpload,
    Facts,
    Identifiers,
    Limits,
    Parsed,
    UnfitUpload,
    limits_of,
)

__all__ = [
    "DamagedUpload",
    "Facts",
    "Identifiers",
    "Limits",
    "Parsed",
    "UnfitUpload",
    "limits_of",
    "parse",
    "prewarm",
]
