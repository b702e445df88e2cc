"""Fetching studies from a listed DICOMweb server: queued here, done by a worker, each study one case."""

from __future__ import annotations

import base64
import hashlib
import hmac
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date as day
from pathlib import Path

from radiolucent.clinic.audit.trail import note
from radiolucent.clinic.errors import NotFound
from radiolucent.clinic.jobs.queue import LeasedJob, complete, enqueue
from radiolucent.clinic.jobs.worker import Handler, Tell
from radiolucent.clinic.outbox import destination as outbox
from radiolucent.clinic.outbox.pull import PullLimits, find, pull
from radiolucent.clinic.service.access import permit
from radiolucent.clinic.service.exporting import as_destination
from radiolucent.clinic.service.intake import new_case
from radiolucent.clinic.store.actor import SYSTEM, Actor
from radiolucent.clinic.store.engine import Store
from radiolucent.clinic.store.sealed import seal_json, unseal_json
from radiolucent.clinic.store.tables import Destination
from radiolucent.errors import MalformedInput

KIND = "pull"
_CONTEXT = "study to fetch"
_PURPOSE = b"jobs"


def ask_for_studies(
    store: Store, actor: Actor, source: str, *, study_uid: str | None = None, date: str | None = None
) -> str:
    """Queue a fetch by Study Instance UID or study date (ISO); never by a patient's ID. Returns the job's id.

    Raises
    ------
    NotFound, MalformedInput
        Where the source is not listed or no DICOMweb server; where the date is none.
    """
    permit(actor, "submit")
    if (study_uid is None) == (date is None):
        raise MalformedInput("Name either a Study Instance UID or a date.")
    if date is not None:
        try:
            day.fromisoformat(date)
        except ValueError as error:
            raise MalformedInput("There is no such day; give it as 2026-11-24.") from error
    with store.begin() as session:
        row = session.get(Destination, source)
        if row is None or row.kind != "stow" or not row.enabled:
            raise NotFound("There is no such DICOMweb server among this site's destinations. / 无此来源。")
        asked = {"date": date} if study_uid is None else {"study": _sealed(store, study_uid)}
        job = enqueue(session, store, KIND, payload={"source": source, **asked})
        note(store, session, actor, "pull.asked", "job", job, source=source, by="date" if date else "study")
        return job


def pull_handler() -> Handler:
    """For :class:`radiolucent.clinic.jobs.worker.Worker`, under the kind ``pull``."""
    return Handler(_work, again=(outbox.PullFailed,))


def _work(store: Store, job: LeasedJob, tell: Tell) -> None:
    archive = _archive(store, str(job.payload["source"]))
    if "study" not in job.payload:
        _list_day(store, job, archive, str(job.payload["date"]).replace("-", ""))
        return
    study_uid = _opened(store, str(job.payload["study"]))
    tell("fetching", 0.1)
    with _folder(store) as folder:
        files = pull(archive, study_uid, folder, limits=PullLimits(study_mb=store.settings.upload_limit_mb))
        tell("taking in", 0.7)
        key = hmac.new(store.keys.index, f"pull {study_uid}".encode(), hashlib.sha256).hexdigest()
        case = new_case(store, SYSTEM, files, idempotency_key=key, source="pull")
    with store.begin() as session:
        complete(session, store, job)
        note(store, session, SYSTEM, "pull.done", "case", case.id, source=archive.name, files=len(files))


def _list_day(store: Store, job: LeasedJob, archive: outbox.Destination, date: str) -> None:
    """A day becomes one job a study, all of them or none."""
    found = find(archive, date=date)
    with store.begin() as session:
        for study in found:
            enqueue(session, store, KIND, payload={"source": archive.name, "study": _sealed(store, study.study_uid)})
        complete(session, store, job)
        note(store, session, SYSTEM, "pull.listed", "job", job.id, source=archive.name, studies=len(found))


def _archive(store: Store, name: str) -> outbox.Destination:
    with store.read() as session:
        row = session.get(Destination, name)
        if row is None or not row.enabled:
            raise NotFound("The DICOMweb server was taken off the list meanwhile. / 来源已被移除。")
        return as_destination(store.keys, row)


@contextmanager
def _folder(store: Store) -> Iterator[Path]:
    incoming = store.settings.incoming
    incoming.mkdir(mode=0o700, parents=True, exist_ok=True)
    folder = Path(tempfile.mkdtemp(dir=incoming))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _sealed(store: Store, study_uid: str) -> str:
    """A study's UID leads to a patient: it lies sealed in the queue."""
    return base64.b64encode(seal_json(store.keys.derived(_PURPOSE), study_uid, _CONTEXT)).decode("ascii")


def _opened(store: Store, sealed: str) -> str:
    return str(unseal_json(store.keys.derived(_PURPOSE), base64.b64decode(sealed), _CONTEXT))
