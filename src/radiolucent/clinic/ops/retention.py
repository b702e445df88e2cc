"""Retention: patients whose cases are all finished and old enough are erased; what is left over is swept up.

The audit trail is never shortened: entries hold no identifiers, and laws ask for six months and more.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

from sqlalchemy import func, select

from radiolucent.clinic.audit.trail import note
from radiolucent.clinic.auth.sessions import clear_ended
from radiolucent.clinic.review.states import OPEN
from radiolucent.clinic.service.access import permit
from radiolucent.clinic.service.erasure import erase_patient
from radiolucent.clinic.store.actor import Actor
from radiolucent.clinic.store.engine import Store
from radiolucent.clinic.store.files import orphans
from radiolucent.clinic.store.tables import Case, Patient
from radiolucent.errors import MalformedInput

LEFT_OVER_S = 3_600.0  # an upload older than this was interrupted
REASON = "retention period over"


@dataclass(frozen=True)
class Swept:
    """What was done, or would be.

    Parameters
    ----------
    patients
        Internal ids of those whose data key was (or would be) destroyed.
    """

    patients: tuple[str, ...]
    files: int
    orphans: int
    uploads: int
    sessions: int
    dry_run: bool


def due(store: Store, days: int) -> list[str]:
    """Internal ids of patients with nothing open whose last case has not changed for so many days."""
    limit = store.now() - timedelta(days=days)
    with store.read() as session:
        still_open = select(Case.patient_id).where(Case.state.in_(OPEN))
        return list(
            session.scalars(
                select(Patient.id)
                .join(Case, Case.patient_id == Patient.id)
                .where(Patient.erased_at.is_(None), Patient.id.not_in(still_open))
                .group_by(Patient.id)
                .having(func.max(Case.updated_at) < limit)
                .order_by(Patient.id)
            )
        )


def sweep(store: Store, actor: Actor, *, days: int | None = None, dry_run: bool = False) -> Swept:
    """Erase what is due and take away what is left over.

    Parameters
    ----------
    days
        In the settings' place; 0: nobody is erased.

    Raises
    ------
    MalformedInput
        Where the number of days makes no sense.
    """
    permit(actor, "administer")
    days = store.settings.retention_days if days is None else days
    if days < 0:
        raise MalformedInput(f"Retention is {days} days; expected 0 (never) or more.")
    patients = due(store, days) if days else []
    left, uploads = orphans(store), _left_uploads(store)
    if dry_run:
        return Swept(tuple(patients), 0, len(left), len(uploads), 0, True)
    removed = sum(erase_patient(store, actor, patient, REASON) for patient in patients)
    _remove(left)
    for folder in uploads:
        shutil.rmtree(folder, ignore_errors=True)
    sessions = clear_ended(store)
    with store.begin() as session:
        note(
            store,
            session,
            actor,
            "retention.swept",
            "site",
            "retention",
            days=days,
            patients=len(patients),
            orphans=len(left),
        )
    return Swept(tuple(patients), removed, len(left), len(uploads), sessions, False)


def _left_uploads(store: Store) -> list[Path]:
    limit = time.time() - LEFT_OVER_S
    return [path for path in store.settings.incoming.glob("*") if path.stat().st_mtime < limit]


def _remove(paths: Iterable[Path]) -> None:
    for path in paths:
        path.unlink(missing_ok=True)
