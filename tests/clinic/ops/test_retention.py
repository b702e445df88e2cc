"""Only patients with nothing open and everything old are erased; what interrupted work left is swept up."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta

import pytest
from clinic_site import DOCTOR, VIEWER, received, signed_case
from sqlalchemy import select

from radiolucent.clinic.audit.verify import entries, verify
from radiolucent.clinic.errors import Forbidden
from radiolucent.clinic.ops.retention import due, sweep
from radiolucent.clinic.service import cases, intake
from radiolucent.clinic.store.actor import Actor
from radiolucent.clinic.store.engine import Store
from radiolucent.clinic.store.tables import Patient

ADMIN = Actor("u-admin", "admin", "Ada")


def later(store: Store, days: float) -> Store:
    return replace(store, clock=lambda: store.now() + timedelta(days=days))


def test_old_and_finished_is_due_and_nothing_else(store: Store) -> None:
    done = signed_case(store, patient_id="DONE")
    signed_case(store, patient_id="BOTH")
    intake.register(store, DOCTOR, received("BOTH"))  # still open
    assert due(store, 30) == []
    found = due(later(store, 31), 30)
    with store.read() as session:
        patients = {row.lookup: row.id for row in session.scalars(select(Patient))}
    assert found == [patients[store.keys.lookup("DONE")]]
    told = sweep(later(store, 31), ADMIN, days=30, dry_run=True)
    assert told.patients == tuple(found) and cases.case(store, DOCTOR, done.id).patient is not None
    swept = sweep(later(store, 31), ADMIN, days=30)
    assert swept.patients == tuple(found) and swept.files > 0
    erased = cases.case(store, DOCTOR, done.id)
    assert erased.patient is None and erased.texts.signed is not None  # what was signed stays, nameless
    assert due(later(store, 31), 30) == []
    assert verify(store).intact
    assert "retention.swept" in [one.action for one in entries(store)]


def test_nobody_is_erased_where_no_period_is_set(store: Store) -> None:
    signed_case(store)
    assert sweep(later(store, 10_000), ADMIN).patients == ()


def test_left_overs_go(make_store: Callable[..., Store]) -> None:
    store = make_store()
    old, fresh = store.settings.data / "incoming" / "old", store.settings.data / "incoming" / "fresh"
    for folder in (old, fresh):
        folder.mkdir(parents=True)
        (folder / "0000").write_bytes(b"film")
    os.utime(old, (time.time() - 7200,) * 2)
    assert sweep(store, ADMIN).uploads == 1
    assert not old.exists() and fresh.exists()


def test_it_takes_an_administrator(make_store: Callable[..., Store]) -> None:
    with pytest.raises(Forbidden):
        sweep(make_store(), VIEWER)
