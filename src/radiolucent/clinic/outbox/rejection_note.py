"""Withdrawal of objects that were sent: a Key Object Selection that rejects them (IHE IOCM)."""

from __future__ import annotations

from collections.abc import Sequence

from highdicom.ko import KeyObjectSelection, KeyObjectSelectionDocument
from highdicom.sr import ObserverContext, PersonObserverIdentifyingAttributes
from pydicom.dataset import Dataset
from pydicom.uid import ExplicitVRLittleEndian

from radiolucent.clinic.outbox import concepts
from radiolucent.clinic.outbox.document import SignedDocument
from radiolucent.clinic.outbox.envelope import UNICODE, edition_uid, equipment, finish, made_in, person_name

KIND = "rejection_note"


def rejection_note(document: SignedDocument, withdrawn: Sequence[Dataset], reason: str) -> Dataset:
    """A note that rejects objects for patient safety (113037, DCM).

    Parameters
    ----------
    document
        The signed document that is withdrawn; whoever signed it last is the observer.
    withdrawn
        The objects as they were made; all of one study.
    reason
        Free text, kept in the note.
    """
    header = withdrawn[0]
    note = KeyObjectSelection(
        document_title=concepts.REJECTED,
        referenced_objects=list(withdrawn),
        observer_person_context=ObserverContext(
            concepts.PERSON, PersonObserverIdentifyingAttributes(person_name(document.last_signature))
        ),
        description=reason.strip() or None,
    )
    made: Dataset = KeyObjectSelectionDocument(
        evidence=list(withdrawn),
        content=note,
        series_instance_uid=edition_uid(document, KIND, "series"),
        series_number=9006,
        sop_instance_uid=edition_uid(document, KIND, "instance"),
        instance_number=1,
        institution_name=made_in(document),
        transfer_syntax_uid=ExplicitVRLittleEndian,
        specific_character_set=UNICODE,
        **equipment(),
    )
    return finish(made, document, header, "withdrawal")
