"""The vocabulary as coded concepts, for DICOM SR and the like.

A public code stands here only where the dictionary that ships with pydicom (``pydicom.sr.codedict``, from DICOM PS3.16)
holds it with the meaning that is meant; everything else has a code of the private scheme, which a DICOM object
declares in its Coding Scheme Identification Sequence (0008,0110). The dictionary holds "Cardiomegaly" (287272002)
among fetal findings only and "Feeding tube" where a gastric tube may drain, so these are private too.
"""

from __future__ import annotations

from dataclasses import dataclass

from radiolucent.errors import MalformedInput
from radiolucent.findings.vocabulary import ATTRIBUTES, VOCABULARY


@dataclass(frozen=True)
class CodedConcept:
    """Code Value (0008,0100), Coding Scheme Designator (0008,0102) and Code Meaning (0008,0104)."""

    value: str
    scheme: str
    meaning: str


@dataclass(frozen=True)
class CodingScheme:
    """What an item of the Coding Scheme Identification Sequence (0008,0110) says of a private scheme."""

    designator: str
    name: str
    version: str
    responsible_organization: str


PRIVATE_SCHEME = CodingScheme("99RADIOLUCENT", "radiolucent chest radiograph findings", "1", "radiolucent")

# The private values never change and are never used again: what is signed with them must stay readable.
FINDING_CONCEPTS: dict[str, CodedConcept] = {
    "lung_opacity": CodedConcept("112001", "DCM", "Opacity"),
    "nodule": CodedConcept("27925004", "SCT", "Nodule"),
    "mass": CodedConcept("4147007", "SCT", "Mass"),
    "edema": CodedConcept("19242006", "SCT", "Pulmonary edema"),
    "pneumothorax": CodedConcept("36118008", "SCT", "Pneumothorax"),
    "pleural_effusion": CodedConcept("60046008", "SCT", "Pleural effusion"),
    "inflammation": CodedConcept("409774005", "SCT", "Inflammation"),
    "fibrosis": CodedConcept("112674009", "SCT", "Fibrosis"),
    "interstitial_change": CodedConcept("112004", "DCM", "Abnormal interstitial pattern"),
}
_PRIVATE_FINDINGS = {
    "enlarged_cardiomediastinum": "RL0001",
    "cardiomegaly": "RL0002",
    "consolidation": "RL0003",
    "pneumonia": "RL0004",
    "atelectasis": "RL0005",
    "pleural_other": "RL0006",
    "fracture": "RL0007",
    "support_devices": "RL0008",
    "calcification": "RL0009",
    "hilar_enlargement": "RL0010",
    "hyperinflation": "RL0011",
    "tuberculosis": "RL0012",
    "cavity": "RL0013",
    "mediastinal_shift": "RL0014",
    "subdiaphragmatic_gas": "RL0015",
    "subcutaneous_emphysema": "RL0016",
    "raised_diaphragm": "RL0017",
    "increased_lung_markings": "RL0018",
}
FINDING_CONCEPTS |= {
    code: CodedConcept(value, PRIVATE_SCHEME.designator, VOCABULARY[code].en.capitalize())
    for code, value in _PRIVATE_FINDINGS.items()
}

DEVICE_CONCEPTS: dict[str, CodedConcept] = {
    "endotracheal_tube": CodedConcept("26412008", "SCT", "Endotracheal tube"),
    "central_venous_catheter": CodedConcept("52124006", "SCT", "Central venous catheter"),
    "chest_drain": CodedConcept("112173", "DCM", "Chest tube"),
    "valve": CodedConcept("25510005", "SCT", "Heart valve prosthesis"),
}
_PRIVATE_DEVICES = {"gastric_tube": "RL0101", "pacemaker": "RL0102", "sternal_wires": "RL0103", "other": "RL0104"}
DEVICE_CONCEPTS |= {
    kind: CodedConcept(value, PRIVATE_SCHEME.designator, ATTRIBUTES["kind"][kind][0].capitalize())
    for kind, value in _PRIVATE_DEVICES.items()
}

SIDE_CONCEPTS: dict[str, CodedConcept] = {
    "left": CodedConcept("7771000", "SCT", "Left"),
    "right": CodedConcept("24028007", "SCT", "Right"),
    "bilateral": CodedConcept("51440002", "SCT", "Bilateral"),
    "midline": CodedConcept("RL0201", PRIVATE_SCHEME.designator, "Midline"),
}


def coded(code: str, kind: str | None = None) -> CodedConcept:
    """The concept of a finding's code or, where ``kind`` is given, of that kind of device.

    Raises
    ------
    MalformedInput
        Where the code or the kind is not in the vocabulary.

    Examples
    --------
    >>> coded("pneumothorax")
    CodedConcept(value='36118008', scheme='SCT', meaning='Pneumothorax')
    >>> coded("support_devices", "gastric_tube").scheme
    '99RADIOLUCENT'
    """
    if code not in FINDING_CONCEPTS:
        raise MalformedInput(f"{code!r} is not in the vocabulary; the codes are {', '.join(FINDING_CONCEPTS)}.")
    if kind is None:
        return FINDING_CONCEPTS[code]
    if code != "support_devices" or kind not in DEVICE_CONCEPTS:
        raise MalformedInput(
            f"{code!r} has no kind {kind!r}; the kinds of support_devices are {', '.join(DEVICE_CONCEPTS)}."
        )
    return DEVICE_CONCEPTS[kind]
