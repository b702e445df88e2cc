"""The worker's part: a case becomes a draft, once, however often it is tried."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from radiolucent.clinic.audit.trail import note
from radiolucent.clinic.jobs.queue import LeasedJob, complete, postpone
from radiolucent.clinic.jobs.worker import Handler, Tell
from radiolucent.clinic.review.states import after, allowed
from radiolucent.clinic.service.drafted import Draft, draft_of
from radiolucent.clinic.service.evidence import study_of
from radiolucent.clinic.service.loading import critical_list, locked, seen, touch
from radiolucent.clinic.service.switches import paused
from radiolucent.clinic.store.actor import SYSTEM
from radiolucent.clinic.store.columns import new_id
from radiolucent.clinic.store.engine import Store
from radiolucent.clinic.store.files import put_file
from radiolucent.clinic.store.packed import pack_explanation
from radiolucent.clinic.store.patients import case_key
from radiolucent.clinic.store.tables import AiFinding, Run
from radiolucent.errors import InsufficientMemory, WeightsUnavailable
from radiolucent.explain import explain

ModelOf = Callable[[str], Any]
"""Name -> a loaded model; asked for at each draft, so it loads once and keeps what it loaded."""

KIND = "draft"
WORTH_TRYING_AGAIN = (InsufficientMemory, WeightsUnavailable)
PAUSED_S = 30.0  # between two looks whether a paused model may draft again


def write_draft(store: Store, job: LeasedJob, model_of: ModelOf, tell: Tell = lambda what, share: None) -> None:
    """Explain the case's study and keep the draft: run, findings, bundle, state, audit entry and the job's end in one
    transaction. Done again, it changes nothing: a run is written once a (case, number).

    Raises
    ------
    LeaseLost
        Where another worker has the job by now; nothing of this draft is kept then.
    """
    assert job.case_id is not None
    name = str(job.payload.get("model") or store.settings.model)
    number = int(job.payload["run"])
    with store.begin() as session:
        case = seen(session, job.case_id)
        if not allowed("draft", case.state) or _run(session, case.id, number) is not None:
            complete(session, store, job)
            note(store, session, SYSTEM, "draft.not_needed", "case", case.id, run=number, state=case.state)
            return
        if (reason := paused(store, session, name)) is not None:
            postpone(session, store, job, PAUSED_S, f"paused: {reason}")
            return
        question, language = case.question, case.language
    study = study_of(store, job.case_id)
    explanation = explain(
        model_of(name),
        study,
        question=question,
        language="zh" if language == "zh" else "en",
        level=store.settings.level,  # type: ignore[arg-type]  # checked by Settings
        progress=tell,
    )
    with store.read() as session:
        entries = critical_list(session)
    draft = draft_of(explanation, entries)
    packed = pack_explanation(explanation)
    keep_draft(store, job, number, draft, packed)


def keep_draft(store: Store, job: LeasedJob, number: int, draft: Draft, packed: bytes | None) -> None:
    """The transaction in which a draft comes to be.

    Raises
    ------
    LeaseLost
        See :func:`write_draft`.
    """
    assert job.case_id is not None
    with store.begin() as session:
        complete(session, store, job)
        case = locked(session, job.case_id)
        if not allowed("draft", case.state) or _run(session, case.id, number) is not None:
            note(store, session, SYSTEM, "draft.not_needed", "case", case.id, run=number, state=case.state)
            return
        run = Run(id=new_id(), case_id=case.id, number=number, created_at=store.now(), **draft.run)
        if packed is not None:
            run.bundle_id = put_file(session, store, case.id, case_key(store, session, case), "bundle", packed).id
        session.add(run)
        session.flush()
        session.add_all(AiFinding(id=new_id(), run_id=run.id, **row) for row in draft.findings)
        case.state = after("draft", case.state)
        case.urgency, case.critical = draft.urgency, draft.critical
        case.drafted_at = store.now()
        case.warnings = _merged(case.warnings, draft.run["warnings"])
        touch(store, case)
        note(
            store,
            session,
            SYSTEM,
            "draft.made",
            "case",
            case.id,
            run=number,
            model=run.model,
            weights=run.weights_hash,
            job=job.id,
        )


def draft_handler(store: Store, model_of: ModelOf) -> Handler:
    """For :class:`radiolucent.clinic.jobs.worker.Worker`, under the kind ``draft``."""

    def buried(session: Session, job: LeasedJob, error: str) -> None:
        assert job.case_id is not None
        case = locked(session, job.case_id)
        if not allowed("give up", case.state):
            return
        case.state = after("give up", case.state)
        case.warnings = _merged(case.warnings, [_failed(error)])
        touch(store, case)

    return Handler(lambda given, job, tell: write_draft(given, job, model_of, tell), buried, WORTH_TRYING_AGAIN)


def _run(session: Session, case_id: str, number: int) -> str | None:
    return session.scalars(select(Run.id).where(Run.case_id == case_id, Run.number == number)).first()


def _failed(error: str) -> dict[str, str]:
    return {
        "code": "draft_failed",
        "en": f"No draft could be made: {error} The case can be reported by hand.",
        "zh": "草稿生成失败，可手工报告。",
    }


def _merged(first: list[Any], second: list[Any]) -> list[Any]:
    kept = {one["en"]: one for one in (*first, *second) if one["code"] != "draft_failed" or one in second}
    return list(kept.values())


def loaded_once(load: Callable[[str], Any]) -> ModelOf:
    """Keeps the model that was asked for last: a worker drafts with one model at a time."""
    held: dict[str, Any] = {}

    def model_of(name: str) -> Any:
        if name not in held:
            held.clear()
            held[name] = load(name)
        return held[name]

    return model_of
