"""A new case: files in; rows, job and audit entry in one transaction."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from radiolucent.clinic.audit.trail import note
from radiolucent.clinic.errors import Conflict
from radiolucent.clinic.intake import limits_of, parse
from radiolucent.clinic.jobs.queue import enqueue
from radiolucent.clinic.review.states import after
from radiolucent.clinic.service.access import permit
from radiolucent.clinic.service.drafting import KIND
from radiolucent.clinic.service.loading import latest_run, locked, touch
from radiolucent.clinic.service.presenting import case_view
from radiolucent.clinic.service.switches import reader_first
from radiolucent.clinic.service.views import CaseView
from radiolucent.clinic.store.actor import Actor
from radiolucent.clinic.store.columns import new_id, refuse_unclean
from radiolucent.clinic.store.engine import Store, advisory_lock
from radiolucent.clinic.store.files import put_file
from radiolucent.clinic.store.packed import pack_study
from radiolucent.clinic.store.patients import Identity, find_or_add
from radiolucent.clinic.store.sealed import seal_json
from radiolucent.clinic.store.tables import Case, Job
from radiolucent.errors import MalformedInput
from radiolucent.study.types import Study
from radiolucent.vlm.types import language_of

NUMBERS = 7_204_102  # PostgreSQL's advisory lock under which case numbers are given
LONGEST = {"question": 2_000, "patient_id": 64, "clinical_information": 10_000, "idempotency_key": 200}


@dataclass(frozen=True)
class Received:
    """What came in, parsed: the study, free of identifiers, and what identifies it, apart.

    Parameters
    ----------
    identity
        Its ``id`` is empty where the files name no patient.
    sealed
        JSON-ready facts kept under the patient's key: ``accession``, ``study_uid``, ``series_uid``, ``sop_uids``,
        ``institution``, ``clinical_information`` and what else exports need.
    originals
        The files as they came.
    """

    study: Study
    identity: Identity
    originals: Sequence[bytes]
    sealed: dict[str, Any] = field(default_factory=dict)
    study_at: datetime | None = None
    age: str | None = None
    sex: str | None = None


def new_case(
    store: Store,
    actor: Actor,
    files: Sequence[Path],
    *,
    question: str | None = None,
    language: str | None = None,
    patient_id: str | None = None,
    clinical_information: str | None = None,
    idempotency_key: str | None = None,
    due_at: datetime | None = None,
    source: str = "upload",
) -> CaseView:
    """Take in files and queue their draft.

    Parameters
    ----------
    files
        Opened in a confined child process, never in this one.
    patient_id
        For pictures that name no patient; where the files name one, it must be the same.
    idempotency_key
        The same key with the same files gives the case that is there already.

    Raises
    ------
    MalformedInput, UnsupportedInput
        Where the files or a text are refused.
    Conflict
        Where the key was used for other files.
    """
    permit(actor, "submit")
    given = {
        "question": question,
        "patient_id": patient_id,
        "clinical_information": clinical_information,
        "idempotency_key": idempotency_key,
    }
    check_texts(given)
    received = receive(store, files)
    return register(
        store,
        actor,
        received,
        question=question,
        language=language,
        patient_id=patient_id,
        clinical_information=clinical_information,
        idempotency_key=idempotency_key,
        due_at=due_at,
        source=source,
    )


def receive(store: Store, files: Sequence[Path]) -> Received:
    """Files, opened by a confined child process, as a case needs them."""
    parsed = parse(files, limits_of(store.settings))
    who, facts = parsed.identifiers, parsed.facts
    return Received(
        study=replace(parsed.study, warnings=(*parsed.study.warnings, *parsed.notices)),
        identity=Identity(who.patient_id, who.name, who.name_ideographic, who.name_phonetic, who.sex, who.birth_date),
        originals=parsed.originals,
        sealed={
            "accession": facts.accession,
            "study_uid": facts.study_uid,
            "series_uids": list(facts.series_uids),
            "sop_uids": list(facts.sop_uids),
            "sop_classes": list(facts.sop_classes),
            "clinical_information": facts.clinical_information,
            "institution": facts.institution,
            "study_local": facts.study_local,
            "zone": facts.zone,
            "frame_places": [list(place) for place in facts.frame_places],
            "format": parsed.format,
        },
        study_at=facts.study_at,
        age=facts.age or None,
        sex=who.sex or None,
    )


def register(
    store: Store,
    actor: Actor,
    received: Received,
    *,
    question: str | None = None,
    language: str | None = None,
    patient_id: str | None = None,
    clinical_information: str | None = None,
    idempotency_key: str | None = None,
    due_at: datetime | None = None,
    source: str = "upload",
) -> CaseView:
    """The part of :func:`new_case` after the files are parsed."""
    permit(actor, "submit")
    if language not in (None, "en", "zh"):
        raise MalformedInput(f"Language {language!r} is unknown; use 'en' or 'zh'.")
    if due_at is not None and due_at.tzinfo is None:
        raise MalformedInput("due_at must carry its zone.")
    question = question.strip() or None if question is not None else None
    identity = _agreed(received.identity, patient_id)
    digest = _digest(received.originals)

    def once() -> CaseView:
        with store.begin() as session:
            advisory_lock(session, NUMBERS)
            known = _known(session, idempotency_key, digest)
            if known is not None:
                note(store, session, actor, "case.received_again", "case", known.id)
                return case_view(store, session, actor, known)
            patient, key = find_or_add(session, store, identity)
            case_id, now = new_id(), store.now()
            frames = [_frame(frame) for frame in received.study.frames]
            sealed = dict(received.sealed)
            if clinical_information is not None and clinical_information.strip():
                sealed["clinical_information"] = clinical_information.strip()
            case = Case(
                id=case_id,
                number=(session.scalar(select(func.max(Case.number))) or 0) + 1,
                patient_id=patient.id,
                state="queued",
                question=question,
                language=language or spoken_language(question, store.settings.language),
                mode=store.settings.mode,
                reader_first=reader_first(store, session),
                created_at=now,
                updated_at=now,
                study_at=received.study_at,
                due_at=None if due_at is None else due_at.astimezone(UTC),
                modality=received.study.modality,
                view=received.study.view,
                age=received.age,
                sex=received.sex or identity.sex or None,
                sealed_study=seal_json(key, sealed, f"study {case_id}"),
                frames=frames,
                side_source=frames[0]["side_source"],
                patient_right=frames[0]["patient_right"],
                warnings=[{"code": one.code, "en": one.en, "zh": one.zh} for one in received.study.warnings],
                prior_case_id=_prior(session, patient.id, received.study_at),
                idempotency_key=idempotency_key,
                input_sha256=digest,
                source=source,
            )
            session.add(case)
            session.flush()
            put_file(session, store, case_id, key, "frame", pack_study(received.study))
            for position, content in enumerate(received.originals):
                put_file(session, store, case_id, key, "original", without_preamble(content), position)
            _queue(session, store, case_id, 1)
            note(
                store,
                session,
                actor,
                "case.received",
                "case",
                case_id,
                input=digest,
                files=len(received.originals),
                source=source,
            )
            return case_view(store, session, actor, case)

    made: CaseView = store.retrying(once)
    return made


def rerun(store: Store, actor: Actor, case_id: str) -> CaseView:
    """Draft a case anew: a new run; the earlier one and its rulings stay on record."""
    permit(actor, "submit")
    with store.begin() as session:
        case = locked(session, case_id)
        target = after("rerun", case.state)
        pending = select(Job.id).where(Job.case_id == case_id, Job.kind == KIND, Job.state.in_(("ready", "leased")))
        if session.scalars(pending.limit(1)).first() is not None:
            raise Conflict("A draft is being made already; wait for it. / 草稿正在生成。", version=case.version)
        run = latest_run(session, case_id)
        number = (0 if run is None else run.number) + 1
        case.state = target
        _queue(session, store, case_id, number)
        touch(store, case)
        note(store, session, actor, "draft.asked_again", "case", case_id, run=number)
        return case_view(store, session, actor, case)


def check_texts(given: dict[str, str | None]) -> None:
    """Refuse texts that are unclean or too long, naming the field."""
    for name, text in given.items():
        if text is None:
            continue
        refuse_unclean(text, name)
        if len(text) > LONGEST[name]:
            raise MalformedInput(f"{name} has {len(text):,} characters; at most {LONGEST[name]:,} are taken.")


def spoken_language(question: str | None, default: str) -> str:
    """``zh`` where the question is written in Chinese, else the site's language."""
    return default if question is None else language_of(question)


def without_preamble(content: bytes) -> bytes:
    """A DICOM file with its 128-byte preamble zeroed: it may hold another format's header (CVE-2019-11687)."""
    return bytes(128) + content[128:] if content[128:132] == b"DICM" else content


def _queue(session: Session, store: Store, case_id: str, number: int) -> None:
    enqueue(
        session,
        store,
        KIND,
        case_id=case_id,
        payload={"run": number, "model": store.settings.model},
        idempotency_key=f"draft {case_id} {number}",
    )


def _agreed(found: Identity, given: str | None) -> Identity:
    if given is None or not given.strip():
        return found
    if found.id and found.id.strip() != given.strip():
        raise MalformedInput(
            "The files name another patient than the patient ID given with them; check which is right. / "
            "文件中的患者编号与所给编号不一致，请核对。"
        )
    return Identity(**{**found.__dict__, "id": given.strip()})


def _digest(originals: Sequence[bytes]) -> str:
    each = sorted(hashlib.sha256(content).hexdigest() for content in originals)
    return hashlib.sha256("\n".join(each).encode()).hexdigest()


def _known(session: Session, idempotency_key: str | None, digest: str) -> Case | None:
    if idempotency_key is None:
        return None
    known = session.scalars(select(Case).where(Case.idempotency_key == idempotency_key)).first()
    if known is not None and known.input_sha256 != digest:
        raise Conflict("This Idempotency-Key was used for other files; use a new one. / 幂等键已用于其他文件。")
    return known


def _prior(session: Session, patient_id: str, study_at: datetime | None) -> str | None:
    """The patient's latest earlier case."""
    found = select(Case).where(Case.patient_id == patient_id).order_by(Case.created_at.desc())
    for row in session.scalars(found):
        if study_at is None or row.study_at is None or row.study_at <= study_at:
            return row.id
    return None


def _frame(frame: Any) -> dict[str, Any]:
    geometry = frame.geometry
    return {
        "rows": geometry.rows,
        "cols": geometry.cols,
        "label": frame.label,
        "view": frame.view,
        "patient_right": geometry.patient_right,
        "side_source": geometry.side_source,
        "spacing": None if geometry.spacing is None else list(geometry.spacing),
        "spacing_kind": geometry.spacing_kind,
    }
