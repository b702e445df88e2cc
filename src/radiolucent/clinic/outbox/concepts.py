"""The codes of exported objects: public ones as pydicom's dictionary of PS3.16 has them, the rest private.

The private values never change and are never used again; what is signed with them must stay readable.
"""

from __future__ import annotations

from pydicom.dataset import Dataset
from pydicom.sr.coding import Code

from radiolucent.clinic.outbox.document import SignedFinding
from radiolucent.findings.coding import PRIVATE_SCHEME, SIDE_CONCEPTS, CodedConcept, coded
from radiolucent.localize.anatomy import ALLOWED

FINDINGS = Code("121070", "DCM", "Findings")
FINDING = Code("121071", "DCM", "Finding")
IMPRESSIONS = Code("121072", "DCM", "Impressions")
IMPRESSION = Code("121073", "DCM", "Impression")
ADDENDUM = Code("121078", "DCM", "Addendum")
COMMENT = Code("121106", "DCM", "Comment")
HISTORY = Code("121060", "DCM", "History")
LANGUAGE = Code("121049", "DCM", "Language of Content Item and Descendants")
OBSERVER_TYPE = Code("121005", "DCM", "Observer Type")
PERSON = Code("121006", "DCM", "Person")
PERSON_NAME = Code("121008", "DCM", "Person Observer Name")
PERSON_ORGANISATION = Code("121009", "DCM", "Person Observer's Organization Name")
REPORT_TITLE = Code("18748-4", "LN", "Diagnostic Imaging Report")
PRESENCE = Code("121052", "DCM", "Presence of property")
PRESENT = Code("52101004", "SCT", "Present")
ABSENT = Code("272519000", "SCT", "Absent")
SEVERITY = Code("246112005", "SCT", "Severity")
LENGTH = Code("410668003", "SCT", "Length")
MILLIMETRE = Code("mm", "UCUM", "millimeter")
REJECTED = Code("113037", "DCM", "Rejected for Patient Safety Reasons")
SOURCE_IMAGE = Code("121324", "DCM", "Source image")
LANGUAGES = {"en": Code("en", "RFC5646", "English"), "zh": Code("zh", "RFC5646", "Chinese")}
CHEST = Code("816094009", "SCT", "Chest")
RADIOGRAPHY = Code("168537006", "SCT", "Plain radiography")
ARTIFICIAL_INTELLIGENCE = Code("123110", "DCM", "Artificial Intelligence")


def _private(value: str, meaning: str) -> Code:
    return Code(value, PRIVATE_SCHEME.designator, meaning)


LIKELY = _private("RL0301", "Likely")
POSSIBLE = _private("RL0302", "Possible, not excluded")
DECISION = _private("RL0310", "Reader's decision on the algorithm's finding")
DECISIONS = {
    "accepted": _private("RL0311", "Accepted as proposed"),
    "changed": _private("RL0312", "Changed by the reader"),
    "added": _private("RL0313", "Added by the reader"),
}
REGION = _private("RL0320", "What the region is")
REGIONS = {
    "model": _private("RL0321", "Area the model relied on, not the lesion's outline"),
    "reader": _private("RL0322", "Area marked by the reader"),
}
MINIMAL = _private("RL0330", "Minimal")
NOTICE = _private("RL0340", "Notice")
REASON = _private("RL0341", "Reason for the amendment")
TOMOGRAPHY = _private("RL0351", "Computed tomography of chest")

SEVERITIES = {
    "minimal": MINIMAL,
    "mild": Code("255604002", "SCT", "Mild"),
    "moderate": Code("6736007", "SCT", "Moderate"),
    "severe": Code("24484000", "SCT", "Severe"),
}
_ZONES = {
    "upper": Code("281392002", "SCT", "Upper zone of lung"),
    "middle": Code("281393007", "SCT", "Middle zone of lung"),
    "lower": Code("281394001", "SCT", "Lower zone of lung"),
    "hilar": Code("46750007", "SCT", "Hilum of lung"),
}
_STRUCTURES = {
    "lungs": Code("39607008", "SCT", "Lung"),
    "pleura": Code("3120008", "SCT", "Pleura"),
    "heart": Code("80891009", "SCT", "Heart"),
    "mediastinum": Code("72410000", "SCT", "Mediastinum"),
    "diaphragm": Code("5798000", "SCT", "Diaphragm"),
    "anywhere": CHEST,
}
DIFFUSE = Code("19648000", "SCT", "Diffuse")


def as_code(concept: CodedConcept) -> Code:
    """A concept of the vocabulary as pydicom has codes."""
    return Code(concept.value, concept.scheme, concept.meaning)


def finding_code(finding: SignedFinding) -> Code:
    """What was found."""
    return as_code(coded(finding.code, finding.kind))


def presence_code(finding: SignedFinding) -> Code:
    """Present, absent, likely or possible."""
    if finding.polarity == "uncertain":
        return LIKELY if finding.certainty == "likely" else POSSIBLE
    return ABSENT if finding.polarity == "absent" else PRESENT


def site_of(finding: SignedFinding) -> tuple[Code, Code | None, Code | None]:
    """(anatomy, laterality, topographical modifier): a lung zone where one is named, never a lobe; effusion and
    pneumothorax the pleura; the heart for cardiomegaly."""
    side = None if finding.side is None else as_code(SIDE_CONCEPTS[finding.side])
    structure = ALLOWED[finding.code][0]
    place = _STRUCTURES[structure]
    if structure == "lungs" and finding.zone in _ZONES:
        place = _ZONES[str(finding.zone)]
    return place, side, DIFFUSE if finding.zone == "diffuse" else None


def private_scheme() -> Dataset:
    """The item of Coding Scheme Identification Sequence (0008,0110) that private codes need."""
    item = Dataset()
    item.CodingSchemeDesignator = PRIVATE_SCHEME.designator
    item.CodingSchemeName = PRIVATE_SCHEME.name
    item.CodingSchemeVersion = PRIVATE_SCHEME.version
    item.CodingSchemeResponsibleOrganization = PRIVATE_SCHEME.responsible_organization
    return item
