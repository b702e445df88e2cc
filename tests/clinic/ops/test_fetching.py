"""Studies fetched from an archive: listed servers only, one case a study however often it is asked for."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from clinic_door import picture
from clinic_site import DOCTOR, VIEWER
from sqlalchemy import select

from radiolucent.clinic.audit.verify import entries, verify
from radiolucent.clinic.errors import Conflict, Forbidden, KeysMismatch, NotFound
from radiolucent.clinic.jobs.queue import depth
from radiolucent.clinic.jobs.worker import Worker
from radiolucent.clinic.ops import pulling
from radiolucent.clinic.ops.destinations import (
    DestinationView,
    add_destination,
    destinations,
    remove_destination,
)
from radiolucent.clinic.outbox.destination import PullFailed
from radiolucent.clinic.outbox.pull import FoundStudy
from radiolucent.clinic.service.exporting import as_destination
from radiolucent.clinic.store.actor import Actor
from radiolucent.clinic.store.engine import Store
from radiolucent.clinic.store.tables import Case, Destination, Job
from radiolucent.errors import MalformedInput

ADMIN = Actor("u-admin", "admin", "Ada")
UID = "1.2.840.77.31337"
ARCHIVE = DestinationView("archive", "stow", "http://127.0.0.1:8042/dicom-web", None, None, None, True, True)


@pytest.fixture
def archive(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """Two studies of one day; ``faults`` counts down refusals."""
    state: dict[str, Any] = {"faults": 0, "asked": []}

    def find(_: Any, *, date: str) -> list[FoundStudy]:
        state["asked"].append(date)
        return [FoundStudy(UID, ("DX",), 1), FoundStudy(f"{UID}.2", ("DX",), 1)]

    def pull(_: Any, study_uid: str, folder: Path, **__: Any) -> list[Path]:
        state["asked"].append(study_uid)
        if state["faults"]:
            state["faults"] -= 1
            raise PullFailed("away")
        path = folder / "0"
        path.write_bytes(picture(len(study_uid)))
        return [path]

    monkeypatch.setattr(pulling, "find", find)
    monkeypatch.setattr(pulling, "pull", pull)
    return state


def work(store: Store) -> None:
    Worker(store, {pulling.KIND: pulling.pull_handler()}).run(until_idle=True)


def test_a_day_becomes_a_case_a_study_once(store: Store, archive: dict[str, Any]) -> None:
    add_destination(store, ADMIN, ARCHIVE)
    for _ in range(2):
        pulling.ask_for_studies(store, DOCTOR, "archive", date="2026-11-24")
        work(store)
    pulling.ask_for_studies(store, DOCTOR, "archive", study_uid=UID)
    work(store)
    with store.read() as session:
        assert list(session.scalars(select(Case.source))) == ["pull", "pull"]
        assert UID not in json.dumps([job.payload for job in session.scalars(select(Job))])
    assert archive["asked"][0] == "20261124"
    assert UID not in repr(list(entries(store))) and verify(store).intact
    assert not list((store.settings.data / "incoming").iterdir())


def test_an_archive_that_is_away_is_tried_again(make_store: Callable[..., Store], archive: dict[str, Any]) -> None:
    store = make_store(retry_s=0.001)
    add_destination(store, ADMIN, ARCHIVE)
    archive["faults"] = 1
    pulling.ask_for_studies(store, DOCTOR, "archive", study_uid=UID)
    worker = Worker(store, {pulling.KIND: pulling.pull_handler()})
    while (left := depth(store))["ready"]:
        worker.step()
        if left["done"]:
            break
    with store.read() as session:
        assert {job.kind: job.state for job in session.scalars(select(Job))}["pull"] == "done"


def test_only_what_is_listed_and_only_by_study_or_day(make_store: Callable[..., Store]) -> None:
    store = make_store()
    add_destination(store, ADMIN, ARCHIVE)
    with pytest.raises(NotFound):
        pulling.ask_for_studies(store, DOCTOR, "elsewhere", study_uid=UID)
    with pytest.raises(Forbidden):
        pulling.ask_for_studies(store, VIEWER, "archive", study_uid=UID)
    for given in ({}, {"study_uid": UID, "date": "2026-11-24"}, {"date": "2026-02-30"}):
        with pytest.raises(MalformedInput):
            pulling.ask_for_studies(store, DOCTOR, "archive", **given)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "wrong",
    [
        {"url": None},
        {"url": "http://pacs.example.org/dicom-web"},  # unencrypted beyond this machine
        {"url": "https://user:secret@pacs.example.org/"},
        {"url": "https://pacs.example.org/?token=secret"},
        {"url": "https://pacs.example.org:99999/"},
        {"url": "https://pacs.example.org/", "verify_tls": False},
        {"tls": True},  # said of C-STORE
        {"calling_aet": "READING"},
        {"ca_pem": "-----BEGIN CERTIFICATE-----\nnothing\n-----END CERTIFICATE-----\n"},
        {"ca_pem": "nothing\x00"},
        {"kind": "cstore"},
        {"kind": "cstore", "url": None, "host": "pacs", "port": None, "aet": "PACS"},
    ],
    ids=str,
)
def test_an_unsafe_destination_is_refused(wrong: dict[str, Any], make_store: Callable[..., Store]) -> None:
    with pytest.raises(MalformedInput):
        add_destination(make_store(), ADMIN, DestinationView(**{**vars(ARCHIVE), **wrong}))


@pytest.mark.parametrize("token", ["two words", "line\nbreak", "a\x00b", "令牌"])
def test_a_token_that_is_none_is_refused(token: str, make_store: Callable[..., Store]) -> None:
    with pytest.raises(MalformedInput):
        add_destination(make_store(), ADMIN, ARCHIVE, token=token)


def test_a_token_is_sealed_and_used_and_never_handed_out(store: Store) -> None:
    secret = "s3cret.t0ken-of_the~site=="
    made = add_destination(store, ADMIN, ARCHIVE, token=secret)
    assert made.has_token and secret not in repr(made) and destinations(store, ADMIN) == [made]
    with store.read() as session:
        row = session.get_one(Destination, "archive")
        assert row.sealed_token is not None and secret.encode() not in row.sealed_token
        target = as_destination(store.keys, row)
        assert target.token == secret and secret not in repr(target)
        row.name = "elsewhere"  # a sealed token moved to another destination
        with pytest.raises(KeysMismatch):
            as_destination(store.keys, row)
        session.rollback()


def test_a_node_is_reached_over_tls_under_our_own_title(store: Store) -> None:
    node = DestinationView("node", "cstore", None, "localhost", 11112, "PACS", True, True, "READING", True)
    assert add_destination(store, ADMIN, node) == node
    with store.read() as session:
        target = as_destination(store.keys, session.get_one(Destination, "node"))
    assert (target.calling_aet, target.aet, target.tls) == ("READING", "PACS", True)
    with pytest.raises(MalformedInput):
        add_destination(store, ADMIN, replace(node, name="other"), token="t")


def test_destinations_are_an_administrators(store: Store) -> None:
    with pytest.raises(Forbidden):
        add_destination(store, DOCTOR, ARCHIVE)
    add_destination(store, ADMIN, ARCHIVE)
    with pytest.raises(Conflict):
        add_destination(store, ADMIN, ARCHIVE)
    assert destinations(store, DOCTOR) == [ARCHIVE]
    remove_destination(store, ADMIN, "archive")
    with pytest.raises(NotFound):
        remove_destination(store, ADMIN, "archive")
