"""Out of the clinic: objects are made of what was signed, kept sealed, and sent by a job.

What a case exports is made once an edition: asked for again, it is the same objects. A withdrawn case exports a note
that rejects what went out before.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from io import BytesIO

from pydicom import dcmread
from pydicom.dataset import Dataset
from sqlalchemy import select
from sqlalchemy.orm import Session

from radiolucent.clinic.audit.trail import note
from radiolucent.clinic.errors import Conflict, NotFound, WrongState
from radiolucent.clinic.jobs.queue import LeasedJob, complete, enqueue
from radiolucent.clinic.jobs.worker import Handler, Tell
from radiolucent.clinic.outbox import destination as outbox
from radiolucent.clinic.outbox.build import build, kind_of
from radiolucent.clinic.outbox.rejection_note import rejection_note
from radiolucent.clinic.outbox.send import send
from radiolucent.clinic.service.access import permit
from radiolucent.clinic.service.documents import document_of, latest_reason, sealed_study, signed_text, subject_of
from radiolucent.clinic.service.evidence import original, study_of
from radiolucent.clinic.service.loading import locked, seen
from radiolucent.clinic.store.actor import SYSTEM, Actor
from radiolucent.clinic.store.columns import new_id
from radiolucent.clinic.store.engine import Store
from radiolucent.clinic.store.files import files_of, get_file, put_file
from radiolucent.clinic.store.keys import Keys
from radiolucent.clinic.store.patients import case_key
from radiolucent.clinic.store.sealed import seal, unseal
from radiolucent.clinic.store.tables import Case, Destination, Export, StoredFile

KIND = "send"


@dataclass(frozen=True)
class ExportView:
    """One object made for the hospital, and where it went.

    Parameters
    ----------
    kind
        As :func:`radiolucent.clinic.outbox.build.kind_of` has it.
    state
        ``made`` (no destination), ``queued``, ``sent`` or ``failed``.
    """

    id: str
    edition: int
    preliminary: bool
    kind: str
    sop_uid: str | None
    state: str
    destination: str | None
    created_at: datetime
    sent_at: datetime | None
    error: str | None


def export(
    store: Store, actor: Actor, case_id: str, destination: str | None = None, *, options: Sequence[str] = ()
) -> list[ExportView]:
    """Make the signed edition's objects, and queue them for a destination where one is named.

    Parameters
    ----------
    options
        Of ``gsps`` and ``seg``.

    Raises
    ------
    WrongState
        Where nothing is signed.
    DestinationRefused
        Where a demo model's objects would leave this machine, and on the like.
    NotFound
        Where there is no such destination, or it is switched off.
    """
    permit(actor, "export")
    with store.read() as session:
        case = seen(session, case_id)
        edition = _edition(store, session, case)
        known = _made(session, case_id, edition)
        to = None if destination is None else _destination(store, session, destination)
        kept = _read(store, session, case, known)
    made = None if known and not options else _objects(store, case_id, options)
    if to is not None:
        outbox.admitted(kept if made is None else made, to)
    with store.begin() as session:
        case = locked(session, case_id)
        if _edition(store, session, case) != edition:
            raise Conflict("The case was changed while its objects were made; export it again.", version=case.version)
        if made is not None:
            _keep(store, session, case, edition, made)
        rows = _made(session, case_id, edition)
        if destination is not None:
            rows = _queue(store, session, case, edition, rows, destination)
        note(
            store,
            session,
            actor,
            "export.made" if destination is None else "export.queued",
            "case",
            case.id,
            edition=edition.number,
            destination=destination,
            objects=len(rows),
        )
        return [export_view(row) for row in rows]


def exports(store: Store, actor: Actor, case_id: str) -> list[ExportView]:
    """Everything that was made of a case, the oldest first."""
    permit(actor, "see cases")
    with store.begin() as session:
        seen(session, case_id)
        note(store, session, actor, "export.list", "case", case_id)
        found = select(Export).where(Export.case_id == case_id).order_by(Export.created_at, Export.id)
        return [export_view(row) for row in session.scalars(found)]


def export_file(store: Store, actor: Actor, case_id: str, export_id: str) -> bytes:
    """An object as a DICOM file.

    Raises
    ------
    NotFound
        Where the case has no such object.
    """
    permit(actor, "export")
    with store.begin() as session:
        case = seen(session, case_id)
        row = session.get(Export, export_id)
        if row is None or row.case_id != case_id or row.file_id is None:
            raise NotFound("This case has no such export. / 无此导出对象。")
        file = session.get_one(StoredFile, row.file_id)
        key = case_key(store, session, case)
        note(store, session, actor, "export.downloaded", "case", case_id, export=export_id)
    return get_file(store, file, key)


def export_view(row: Export) -> ExportView:
    """A row as it is handed out."""
    return ExportView(
        row.id,
        row.edition,
        row.preliminary,
        row.kind,
        row.sop_uid,
        row.state,
        row.destination,
        row.created_at,
        row.sent_at,
        row.error,
    )


def send_handler() -> Handler:
    """For :class:`radiolucent.clinic.jobs.worker.Worker`, under the kind ``send``."""

    def work(given: Store, job: LeasedJob, tell: Tell) -> None:
        assert job.case_id is not None
        with given.read() as session:
            case = seen(session, job.case_id)
            to = _destination(given, session, str(job.payload["destination"]))
            made = _read(given, session, case, _queued(session, job))
        tell("sending", 0.1)
        send(made, to)
        with given.begin() as session:
            complete(session, given, job)
            for row in _queued(session, job):
                row.state, row.sent_at, row.error = "sent", given.now(), None
            note(given, session, SYSTEM, "export.sent", "case", job.case_id, destination=to.name, objects=len(made))

    def buried(session: Session, job: LeasedJob, error: str) -> None:
        for row in _queued(session, job):
            row.state, row.error = "failed", error

    return Handler(work, buried, (outbox.SendFailed,))


@dataclass(frozen=True)
class _Edition:
    """Whose objects are spoken of: an edition, preliminary or final, or the note that withdraws it."""

    number: int
    preliminary: bool
    withdrawn: bool


def _edition(store: Store, session: Session, case: Case) -> _Edition:
    text, signed = signed_text(session, case)
    # A final report stays final where the site asks for two signatures later on.
    preliminary = case.state == "reported" or (case.state == "rejected" and case.edition == 0)
    return _Edition(text.version, preliminary and "reviewing" not in signed, case.state == "rejected")


def _objects(store: Store, case_id: str, options: Sequence[str]) -> list[Dataset]:
    with store.read() as session:
        case = seen(session, case_id)
        document = document_of(store, session, case)
        if case.state == "rejected":
            withdrawn = _exported(store, session, case)
            if not withdrawn:
                raise WrongState("Nothing of this case ever left; there is nothing to reject.", version=case.version)
            return [rejection_note(document, withdrawn, latest_reason(session, case, "withdrawal"))]
        sealed = sealed_study(store, session, case)
        subject = subject_of(store, session, case)
        originals = len(files_of(session, case_id, "original"))
    sources: list[Dataset] = []
    if sealed.get("format") == "dicom":
        sources = [dcmread(BytesIO(original(store, case_id, n)), stop_before_pixels=True) for n in range(originals)]
    places = [(int(file), int(frame)) for file, frame in sealed.get("frame_places") or ()] or None
    frames = study_of(store, case_id).frames
    return build(
        document,
        sources,
        frames,
        places=places if sources else None,
        subject=None if sources else subject,
        options=options,
    )


def _keep(store: Store, session: Session, case: Case, edition: _Edition, made: Sequence[Dataset]) -> None:
    key = case_key(store, session, case)
    known = {row.sop_uid for row in _made(session, case.id, edition)}
    for one in made:
        if str(one.SOPInstanceUID) in known:
            continue
        stream = BytesIO()
        one.save_as(stream, enforce_file_format=True)
        file = put_file(session, store, case.id, key, "export", stream.getvalue())
        session.add(
            Export(
                case_id=case.id,
                edition=edition.number,
                preliminary=edition.preliminary,
                kind=kind_of(one),
                sop_class=str(one.SOPClassUID),
                sop_uid=str(one.SOPInstanceUID),
                series_uid=str(one.SeriesInstanceUID),
                study_uid=str(one.StudyInstanceUID),
                file_id=file.id,
                state="made",
                created_at=store.now(),
            )
        )
    session.flush()


def _made(session: Session, case_id: str, edition: _Edition) -> list[Export]:
    """The objects of an edition themselves; of a withdrawn case the note that rejects them."""
    found = select(Export).where(
        Export.case_id == case_id,
        Export.edition == edition.number,
        Export.preliminary == edition.preliminary,
        Export.destination.is_(None),
        Export.kind == "rejection_note" if edition.withdrawn else Export.kind != "rejection_note",
    )
    return list(session.scalars(found.order_by(Export.created_at, Export.id)))


def _exported(store: Store, session: Session, case: Case) -> list[Dataset]:
    rows = _made(session, case.id, replace(_edition(store, session, case), withdrawn=False))
    return _read(store, session, case, [row for row in rows if row.kind != "original"])


def _read(store: Store, session: Session, case: Case, rows: Sequence[Export]) -> list[Dataset]:
    files = [session.get_one(StoredFile, row.file_id) for row in rows if row.file_id is not None]
    if not files:
        return []
    key = case_key(store, session, case)
    return [dcmread(BytesIO(get_file(store, file, key))) for file in files]


def _destination(store: Store, session: Session, name: str) -> outbox.Destination:
    row = session.get(Destination, name)
    if row is None or not row.enabled:
        raise NotFound("There is no such destination, or it is switched off. / 无此目的地或已停用。")
    return as_destination(store.keys, row)


def sealed_token(keys: Keys, name: str, token: str | None) -> bytes | None:
    """A destination's token as it is kept."""
    return seal(keys.master, token.encode(), f"token {name}") if token else None


def as_destination(keys: Keys, row: Destination) -> outbox.Destination:
    """A listed destination as the outbox takes it."""
    sealed = row.sealed_token
    return outbox.Destination(
        name=row.name,
        kind="stow" if row.kind == "stow" else "cstore",
        url=row.url or "",
        host=row.host or "",
        port=row.port or 0,
        aet=row.aet or "",
        verify_tls=row.verify_tls,
        tls=row.tls or False,
        ca_pem=row.ca_pem or "",
        token="" if sealed is None else unseal(keys.master, sealed, f"token {row.name}").decode(),
        calling_aet=row.calling_aet or outbox.CALLING_AET,
    )


def _queue(
    store: Store, session: Session, case: Case, edition: _Edition, rows: Sequence[Export], destination: str
) -> list[Export]:
    """One row an object and destination; what failed before is tried again."""
    earlier = {
        row.sop_uid: row
        for row in session.scalars(select(Export).where(Export.case_id == case.id, Export.destination == destination))
    }
    queued = []
    for row in rows:
        sent = earlier.get(row.sop_uid)
        if sent is None:
            sent = Export(
                case_id=case.id,
                edition=row.edition,
                preliminary=row.preliminary,
                kind=row.kind,
                sop_class=row.sop_class,
                sop_uid=row.sop_uid,
                series_uid=row.series_uid,
                study_uid=row.study_uid,
                file_id=row.file_id,
                state="queued",
                destination=destination,
                created_at=store.now(),
            )
            session.add(sent)
        elif sent.state == "failed":
            sent.state, sent.error = "queued", None
        queued.append(sent)
    session.flush()
    waiting = [row.id for row in queued if row.state == "queued"]
    if waiting:
        enqueue(
            session,
            store,
            KIND,
            case_id=case.id,
            payload={"destination": destination, "exports": waiting},
            idempotency_key=f"send {destination} {new_id()}",
        )
    return queued


def _queued(session: Session, job: LeasedJob) -> list[Export]:
    return list(session.scalars(select(Export).where(Export.id.in_(list(job.payload["exports"])))))
