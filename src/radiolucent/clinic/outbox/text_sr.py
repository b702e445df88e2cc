"""The signed text as a Basic Text SR: TID 2000, Basic Diagnostic Imaging Report (PS3.16)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from highdicom.sr import (
    CodeContentItem,
    ContainerContentItem,
    ContentSequence,
    EnhancedSR,
    PnameContentItem,
    RelationshipTypeValues,
    TextContentItem,
)
from pydicom.dataset import Dataset
from pydicom.sr.coding import Code
from pydicom.uid import BasicTextSRStorage, ExplicitVRLittleEndian

from radiolucent.clinic.outbox import concepts
from radiolucent.clinic.outbox.document import DEMO_STAMP, Physician, SignedDocument
from radiolucent.clinic.outbox.envelope import (
    UNICODE,
    edition_uid,
    equipment,
    finish,
    local_moment,
    made_in,
    person_name,
)
from radiolucent.report.wording import both

KIND = "text_sr"
_CONTAINS, _CONTEXT, _MODIFIER = (
    RelationshipTypeValues.CONTAINS,
    RelationshipTypeValues.HAS_OBS_CONTEXT,
    RelationshipTypeValues.HAS_CONCEPT_MOD,
)
AI_DRAFT = (
    "An AI draft was used as an aid. The physician who signed read the images and answers for the text.",
    "AI 草稿仅供参考；签署医师已亲自阅片，并对本报告负责。",
)
AWAITS = ("Preliminary: awaits the reviewing physician.", "初步报告，待审核医师审核。")


def text_sr(document: SignedDocument, headers: Sequence[Dataset]) -> Dataset:
    """The signed text, in the words that were signed.

    Parameters
    ----------
    document
        What was signed.
    headers
        :func:`radiolucent.clinic.outbox.envelope.reference` of each source image.

    Returns
    -------
    A Basic Text SR: PRELIMINARY and UNVERIFIED before the second of two signatures, else FINAL and VERIFIED; a later
    edition names its predecessors (0040,A360) and the reason.
    """
    made = sr_object(EnhancedSR, document, headers, _content(document, headers[0]), KIND, series_number=9001)
    # TID 2000 fits both; Basic Text is what the most viewers show, and every item here is allowed in it.
    made.SOPClassUID = made.file_meta.MediaStorageSOPClassUID = BasicTextSRStorage
    return finish(made, document, headers[0], "report text")


def sr_object(
    sr_class: Any, document: SignedDocument, headers: Sequence[Dataset], content: Any, kind: str, series_number: int
) -> Dataset:
    """A structured report with the flags of the document's state.

    Parameters
    ----------
    sr_class
        highdicom's class.
    content
        Root of the content tree.
    kind
        Names the object in its UIDs.
    """
    final = document.status == "final"
    made: Dataset = sr_class(
        evidence=list(headers),
        content=content,
        series_instance_uid=edition_uid(document, kind, "series"),
        series_number=series_number,
        sop_instance_uid=edition_uid(document, kind, "instance"),
        instance_number=1,
        institution_name=made_in(document),
        is_complete=True,
        is_final=final,
        is_verified=final,
        verifying_observer_name=person_name(document.last_signature) if final else None,
        verifying_organization=_organisation(document, document.last_signature) if final else None,
        previous_versions=_predecessors(document, kind),
        transfer_syntax_uid=ExplicitVRLittleEndian,
        specific_character_set=UNICODE,
        **equipment(),
    )
    if "CurrentRequestedProcedureEvidenceSequence" not in made and "PertinentOtherEvidenceSequence" in made:
        made.CurrentRequestedProcedureEvidenceSequence = made.PertinentOtherEvidenceSequence
        del made.PertinentOtherEvidenceSequence
    return made


def _predecessors(document: SignedDocument, kind: str) -> list[Dataset] | None:
    """Earlier editions of this kind of object."""
    classes = {"text_sr": "1.2.840.10008.5.1.4.1.1.88.11", "measurement_sr": "1.2.840.10008.5.1.4.1.1.88.33"}
    found = []
    for one in document.predecessors:
        if one.sop_class == classes[kind]:
            item = Dataset()
            item.SOPClassUID, item.SOPInstanceUID = one.sop_class, one.sop_uid
            item.SeriesInstanceUID, item.StudyInstanceUID = one.series_uid, one.study_uid
            found.append(item)
    return found or None


def notices(document: SignedDocument) -> list[str]:
    """What everybody has to know of the object, each in both languages."""
    said = [DEMO_STAMP, both("demo")] if document.demo else []
    if document.algorithm is not None:
        said.append(" / ".join(AI_DRAFT))
    if document.status == "preliminary":
        said.append(" / ".join(AWAITS))
    if document.side_source == "assumed" and not document.side_confirmed:
        said.append(both("side_assumed"))
    if any(box.origin == "model" for finding in document.findings for box in finding.boxes):
        said.append(both("box"))
    return [*said, both("not_device")]


def _content(document: SignedDocument, header: Dataset) -> ContainerContentItem:
    root = ContainerContentItem(concepts.REPORT_TITLE, is_content_continuous=False, template_id="2000")
    language = CodeContentItem(concepts.LANGUAGE, concepts.LANGUAGES[document.language], _MODIFIER)
    sections = [*_observers(document)]
    sections.append(_section(concepts.NOTICE, [(concepts.NOTICE, one) for one in notices(document)]))
    if document.clinical_information.strip():
        sections.append(_section(concepts.HISTORY, [(concepts.HISTORY, document.clinical_information.strip())]))
    if document.findings_text.strip():
        sections.append(_section(concepts.FINDINGS, [(concepts.FINDING, document.findings_text)]))
    if document.impression_text.strip():
        sections.append(_section(concepts.IMPRESSIONS, [(concepts.IMPRESSION, document.impression_text)]))
    if document.reason.strip():
        sections.append(_section(concepts.ADDENDUM, [(concepts.REASON, document.reason.strip())]))
    root.ContentSequence = ContentSequence([language, *sections])
    moment = local_moment(document, header)
    root.ObservationDateTime = moment.strftime("%Y%m%d%H%M%S%z")
    return root


def _observers(document: SignedDocument) -> list[Any]:
    said: list[Any] = []
    for physician in (document.reporting, document.reviewing):
        if physician is not None:
            said += [
                CodeContentItem(concepts.OBSERVER_TYPE, concepts.PERSON, _CONTEXT),
                PnameContentItem(concepts.PERSON_NAME, person_name(physician), _CONTEXT),
                TextContentItem(concepts.PERSON_ORGANISATION, _organisation(document, physician), _CONTEXT),
            ]
    return said


def _section(heading: Code, texts: Sequence[tuple[Code, str]]) -> ContainerContentItem:
    section = ContainerContentItem(heading, is_content_continuous=False, relationship_type=_CONTAINS)
    section.ContentSequence = ContentSequence([TextContentItem(name, value, _CONTAINS) for name, value in texts])
    return section


def _organisation(document: SignedDocument, physician: Physician) -> str:
    return (physician.organisation or made_in(document))[:64]
