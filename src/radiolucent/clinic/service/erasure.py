"""Erasure: the patient's key is destroyed, and with it everything that it sealed, in backups too."""

from __future__ import annotations

from sqlalchemy import select, update

from radiolucent.clinic.audit.trail import note
from radiolucent.clinic.errors import NotFound
from radiolucent.clinic.service.access import permit
from radiolucent.clinic.service.evidence import forget
from radiolucent.clinic.store.actor import Actor
from radiolucent.clinic.store.columns import refuse_unclean
from radiolucent.clinic.store.engine import AFTER_COMMIT, Store
from radiolucent.clinic.store.files import remove
from radiolucent.clinic.store.patients import destroy
from radiolucent.clinic.store.tables import Case, Job, Patient, StoredFile
from radiolucent.errors import MalformedInput


def erase_patient(store: Store, actor: Actor, patient_id: str, reason: str) -> int:
    """Destroy a patient's key, identifiers, sealed facts and files; what was signed stays, nameless.

    Parameters
    ----------
    patient_id
        The internal one (``patients.id``, as a case has it), never the patient's own.
    reason
        On what ground, such as ``retention`` or ``request``: a short word without names; it is in the audit trail.

    Returns
    -------
    Files removed from disk.

    Raises
    ------
    NotFound
        Where there is no such patient, or it was erased before.
    """
    permit(actor, "administer")
    refuse_unclean(reason, "The reason")
    if not 0 < len(reason.strip()) <= 40:
        raise MalformedInput("Give the ground of the erasure in a word or two, such as 'request' or 'retention'.")
    removed: list[int] = []
    with store.begin() as session:
        patient = session.scalars(select(Patient).where(Patient.id == patient_id).with_for_update()).first()
        if patient is None or patient.erased_at is not None:
            raise NotFound("There is no such patient, or it was erased before. / 无此患者或已抹除。")
        cases = list(session.scalars(select(Case).where(Case.patient_id == patient.id).with_for_update()))
        ids = [case.id for case in cases]
        rows = list(session.scalars(select(StoredFile).where(StoredFile.case_id.in_(ids))))
        destroy(session, store, patient)
        for case in cases:
            case.sealed_study, case.age, case.sex = None, None, None
            case.version += 1
            case.updated_at = store.now()
        session.execute(
            update(Job)
            .where(Job.case_id.in_(ids), Job.state == "ready")
            .values(state="done", finished_at=store.now(), note="erased")
            .execution_options(synchronize_session=False)
        )
        note(
            store,
            session,
            actor,
            "erasure.done",
            "patient",
            patient.id,
            reason=reason.strip(),
            cases=len(cases),
            files=len(rows),
        )
        # Only once the key is gone for good: without it the files are noise anyway.
        session.info.setdefault(AFTER_COMMIT, []).append(lambda: removed.append(remove(store, rows)))
    forget(store)
    return sum(removed)
