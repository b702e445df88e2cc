"""Patients: found by ID without storing it in the clear, read only through their own key."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from radiolucent.clinic.errors import Erased
from radiolucent.clinic.store.columns import new_id, refuse_unclean
from radiolucent.clinic.store.engine import Store
from radiolucent.clinic.store.sealed import new_data_key, seal, seal_json, unseal, unseal_json
from radiolucent.clinic.store.tables import Case, Patient


@dataclass(frozen=True)
class Identity:
    """Who a patient is.

    Parameters
    ----------
    name, name_ideographic, name_phonetic
        The component groups of DICOM's Patient's Name, as written (``Zhang^San``, ``张^三``).
    birth_date
        ISO date, or empty.
    """

    id: str
    name: str = ""
    name_ideographic: str = ""
    name_phonetic: str = ""
    sex: str = ""
    birth_date: str = ""


def find_or_add(session: Session, store: Store, identity: Identity) -> tuple[Patient, bytes]:
    """The patient of an ID and the data key, added where new; what was unknown before is filled in.

    A film without a patient's ID has a patient of its own: two of them are never taken for one.
    """
    refuse_unclean(asdict(identity), "The patient's identity")
    lookup = store.keys.lookup(identity.id) if identity.id.strip() else None
    known = None
    if lookup is not None:
        known = session.scalars(select(Patient).where(Patient.lookup == lookup).with_for_update()).first()
    if known is not None:
        key = data_key(store, known)
        held = asdict(identity_of(store, known))
        fresh = held | {name: value for name, value in asdict(identity).items() if value}
        if fresh != held:
            known.sealed = seal_json(key, fresh, f"patient {known.id}")
        return known, key
    key, patient_id = new_data_key(), new_id()
    patient = Patient(
        id=patient_id,
        lookup=lookup,
        wrapped_key=seal(store.keys.master, key, f"key {patient_id}"),
        sealed=seal_json(key, asdict(identity), f"patient {patient_id}"),
        created_at=store.now(),
    )
    session.add(patient)
    session.flush()
    return patient, key


def find(session: Session, store: Store, patient_id: str) -> Patient | None:
    """The patient of an ID as written on the film; None where there is none, or it was erased."""
    refuse_unclean(patient_id, "The patient's ID")
    if not patient_id.strip():
        return None
    return session.scalars(select(Patient).where(Patient.lookup == store.keys.lookup(patient_id))).first()


def data_key(store: Store, patient: Patient) -> bytes:
    """The patient's data key.

    Raises
    ------
    Erased
        Where it was destroyed.
    """
    if patient.wrapped_key is None:
        raise Erased("This patient's data was erased; it cannot be read again. / 该患者数据已抹除，无法恢复。")
    return unseal(store.keys.master, patient.wrapped_key, f"key {patient.id}")


def case_key(store: Store, session: Session, case: Case) -> bytes:
    """The data key of the patient whose case it is; errors as of :func:`data_key`."""
    return data_key(store, session.get_one(Patient, case.patient_id))


def identity_of(store: Store, patient: Patient) -> Identity:
    """Who the patient is.

    Raises
    ------
    Erased
        Where the key was destroyed.
    """
    key = data_key(store, patient)
    assert patient.sealed is not None
    held: dict[str, Any] = unseal_json(key, patient.sealed, f"patient {patient.id}")
    return Identity(**held)


def destroy(session: Session, store: Store, patient: Patient) -> None:
    """Destroy the key, and with it everything that it sealed, wherever copies lie."""
    patient.wrapped_key = patient.sealed = patient.lookup = None
    patient.erased_at = store.now()
    session.flush()
