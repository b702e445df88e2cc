"""Every public code is the one that pydicom's dictionary of DICOM PS3.16 holds."""

from __future__ import annotations

import pytest
from pydicom.sr._concepts_dict import concepts

from radiolucent.errors import MalformedInput
from radiolucent.findings import ATTRIBUTES, CODES
from radiolucent.findings.coding import (
    DEVICE_CONCEPTS,
    FINDING_CONCEPTS,
    PRIVATE_SCHEME,
    SIDE_CONCEPTS,
    CodedConcept,
    coded,
)

ALL = [*FINDING_CONCEPTS.values(), *DEVICE_CONCEPTS.values(), *SIDE_CONCEPTS.values()]
PUBLIC = [concept for concept in ALL if concept.scheme != PRIVATE_SCHEME.designator]
PRIVATE = [concept for concept in ALL if concept.scheme == PRIVATE_SCHEME.designator]


def test_every_code_and_device_has_one_concept() -> None:
    assert set(FINDING_CONCEPTS) == set(CODES)
    assert set(DEVICE_CONCEPTS) == set(ATTRIBUTES["kind"])
    assert len({(concept.scheme, concept.value) for concept in ALL}) == len(ALL)


@pytest.mark.parametrize("concept", PUBLIC, ids=lambda concept: concept.meaning)
def test_a_public_code_has_this_meaning_in_the_dictionary(concept: CodedConcept) -> None:
    meanings = [
        meaning.lower()
        for by_value in concepts[concept.scheme].values()
        for value, (meaning, _) in by_value.items()
        if value == concept.value
    ]
    assert concept.meaning.lower() in meanings


@pytest.mark.parametrize("concept", PRIVATE, ids=lambda concept: concept.meaning)
def test_a_private_code_fits_dicom(concept: CodedConcept) -> None:
    assert PRIVATE_SCHEME.designator.startswith("99")  # PS3.16 section 8: private designators
    assert len(PRIVATE_SCHEME.designator) <= 16 and len(concept.value) <= 16  # VR SH
    assert concept.value.isascii() and len(concept.meaning) <= 64  # VR LO


@pytest.mark.parametrize("concept", ALL, ids=lambda concept: concept.meaning)
def test_highdicom_takes_every_concept(concept: CodedConcept) -> None:
    coding = pytest.importorskip("highdicom.sr.coding", reason="highdicom is not installed")
    made = coding.CodedConcept(concept.value, concept.scheme, concept.meaning)
    assert (made.value, made.scheme_designator, made.meaning) == (concept.value, concept.scheme, concept.meaning)


def test_a_device_is_coded_by_its_kind() -> None:
    assert coded("support_devices", "endotracheal_tube").value == "26412008"
    assert coded("support_devices") == FINDING_CONCEPTS["support_devices"]


@pytest.mark.parametrize(("code", "kind"), [("wibble", None), ("nodule", "valve"), ("support_devices", "wibble")])
def test_what_is_not_in_the_vocabulary_is_refused(code: str, kind: str | None) -> None:
    with pytest.raises(MalformedInput):
        coded(code, kind)
