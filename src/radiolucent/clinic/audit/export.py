"""The trail for other systems: JSON Lines, and DICOM audit messages (PS3.15 A.5, which ATNA carries)."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterable, Iterator
from xml.etree import ElementTree

from radiolucent.clinic.audit.chain import Entry, canonical

Code = tuple[str, str]  # (code, meaning) in DCM

# PS3.16 CID 400 (Audit Event ID) and CID 401 (Audit Event Type Code).
EVENTS: dict[str, Code] = {
    "system": ("110100", "Application Activity"),
    "audit": ("110101", "Audit Log Used"),
    "case": ("110103", "DICOM Instances Accessed"),
    "draft": ("110103", "DICOM Instances Accessed"),
    "export": ("110106", "Export"),
    "import": ("110107", "Import"),
    "erase": ("110105", "DICOM Study Deleted"),
    "login": ("110114", "User Authentication"),
    "patient": ("110110", "Patient Record"),
    "security": ("110113", "Security Alert"),
}
TYPES: dict[str, Code] = {
    "system.start": ("110120", "Application Start"),
    "system.stop": ("110121", "Application Stop"),
    "login.in": ("110122", "Login"),
    "login.out": ("110123", "Logout"),
    "login.failed": ("110122", "Login"),
}
_KINDS = {  # first word of an action -> event
    "system": "system",
    "worker": "system",
    "audit": "audit",
    "login": "login",
    "session": "login",
    "user": "security",
    "token": "security",
    "switch": "security",
    "destination": "security",
    "export": "export",
    "erasure": "erase",
    "patient": "patient",
}
_READS = {"read", "list", "opened", "shown", "downloaded"}
_CREATES = {"received", "made", "added", "created", "drafted"}
_DELETES = {"erased", "deleted", "revoked"}


def json_lines(entries: Iterable[Entry]) -> Iterator[str]:
    """One canonical JSON object a line, all fields of an entry, the detail as an object."""
    for entry in entries:
        yield canonical({**entry.__dict__, "detail": json.loads(entry.detail)}) + "\n"


def audit_messages(entries: Iterable[Entry], source: str = "radiolucent") -> Iterator[str]:
    """One ``AuditMessage`` element a line, after the schema of DICOM PS3.15 A.5.1.

    Parameters
    ----------
    source
        Audit source ID of this site.
    """
    for entry in entries:
        yield ElementTree.tostring(_message(entry, source), encoding="unicode") + "\n"


def _message(entry: Entry, source: str) -> ElementTree.Element:
    kind, _, verb = entry.action.partition(".")
    event = EVENTS["import"] if entry.action == "case.received" else EVENTS[_KINDS.get(kind, "case")]
    root = ElementTree.Element("AuditMessage")
    identified = ElementTree.SubElement(
        root,
        "EventIdentification",
        EventActionCode=_action_code(verb),
        EventDateTime=entry.at,
        EventOutcomeIndicator="4" if verb in ("failed", "refused", "dead") else "0",
    )
    _code(identified, "EventID", event)
    if entry.action in TYPES:
        _code(identified, "EventTypeCode", TYPES[entry.action])
    ElementTree.SubElement(root, "ActiveParticipant", UserID=entry.actor, UserIsRequestor="true")
    origin = ElementTree.SubElement(root, "AuditSourceIdentification", AuditSourceID=source)
    ElementTree.SubElement(origin, "AuditSourceTypeCode", attrib={"csd-code": "4"})  # application server
    case = entry.object_kind == "case"
    thing = ElementTree.SubElement(
        root,
        "ParticipantObjectIdentification",
        ParticipantObjectID=entry.object_id,
        ParticipantObjectTypeCode="2",  # system object
        ParticipantObjectTypeCodeRole="3" if case else "24",  # report; query
    )
    _code(thing, "ParticipantObjectIDTypeCode", ("9", "Report Number") if case else ("12", "URI"), "RFC-3881")
    for name, value in (
        ("seq", str(entry.seq)),
        ("action", entry.action),
        ("detail", entry.detail),
        ("digest", entry.digest),
    ):
        ElementTree.SubElement(thing, "ParticipantObjectDetail", type=name, value=_base64(value))
    return root


def _action_code(verb: str) -> str:
    if verb in _READS:
        return "R"
    if verb in _CREATES:
        return "C"
    return "D" if verb in _DELETES else "E" if verb in ("start", "stop", "in", "out", "failed") else "U"


def _code(parent: ElementTree.Element, tag: str, code: Code, system: str = "DCM") -> None:
    ElementTree.SubElement(parent, tag, attrib={"csd-code": code[0], "codeSystemName": system, "originalText": code[1]})


def _base64(text: str) -> str:
    return base64.b64encode(text.encode("utf-8")).decode("ascii")  # A.5.1: the value is base64Binary
