"""Reading cases: the worklist and one case, each read audited."""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, and_, func, or_, select
from sqlalchemy.orm import Session

from radiolucent.clinic.audit.trail import note
from radiolucent.clinic.review.order import Waiting, ordered
from radiolucent.clinic.review.states import OPEN, STATES
from radiolucent.clinic.service.access import may, permit
from radiolucent.clinic.service.loading import seen
from radiolucent.clinic.service.presenting import case_view, user_name
from radiolucent.clinic.service.views import CaseRow, CaseView, Page
from radiolucent.clinic.store.actor import Actor
from radiolucent.clinic.store.columns import refuse_unclean
from radiolucent.clinic.store.engine import Store
from radiolucent.clinic.store.patients import find, identity_of
from radiolucent.clinic.store.tables import AuditEntry, Case, Critical, Job, Patient, Run
from radiolucent.errors import MalformedInput, Notice

LONGEST_PAGE = 200
SORTS = ("urgency", "received", "due")

CRITICAL_BADGE = Notice("critical", "critical finding suspected by the AI", "AI 提示危急征象")
UNCERTAIN_BADGE = Notice(
    "uncertain", "findings that are uncertain or lack support in the image", "有不确定或缺乏图像依据的征象"
)
OVERDUE_BADGE = Notice("overdue", "overdue", "已超时")
CALL_BADGE = Notice("critical_open", "critical value record open", "危急值记录未完成")
SIDE_BADGE = Notice("side_assumed", "side not verified", "左右未核实")


def worklist(
    store: Store,
    actor: Actor,
    *,
    state: str | None = None,
    query: str | None = None,
    sort: str = "urgency",
    reveal: bool = True,
    cursor: str | None = None,
    limit: int = 50,
) -> Page[CaseRow]:
    """A part of the worklist.

    Parameters
    ----------
    state
        One state, ``open`` (somebody still has to do something; the default), or ``all``.
    query
        A case's number, or a patient's exact ID, which is found through its HMAC.
    sort
        ``urgency`` (see :mod:`radiolucent.clinic.review.order`), ``received`` (newest first) or ``due``.
    reveal
        False: order and badges say nothing of the AI for any case; a reader-first case hides it in any case until it
        is revealed.
    cursor
        From the page before.

    Raises
    ------
    MalformedInput
        Where a state, sort, cursor or limit is none.
    """
    permit(actor, "see cases")
    refuse_unclean(query, "The query")
    if sort not in SORTS:
        raise MalformedInput(f"sort is {sort!r}; expected one of {', '.join(SORTS)}.")
    if not 1 <= limit <= LONGEST_PAGE:
        raise MalformedInput(f"limit is {limit}; expected 1 to {LONGEST_PAGE}.")
    now = store.now()
    with store.begin() as session:
        wanted = _wanted(session, store, actor, state, query)
        if sort == "urgency":
            cases, following = _by_urgency(session, wanted, reveal, now, cursor, limit)
        else:
            cases, following = _by_time(session, wanted, sort, cursor, limit)
        beside = _beside(session, cases)
        rows = tuple(_row(store, session, actor, case, beside, reveal, now) for case in cases)
        note(store, session, actor, "case.list", "worklist", "cases", count=len(rows), searched=query is not None)
    return Page(rows, following)


def case(store: Store, actor: Actor, case_id: str) -> CaseView:
    """One case as a reader opens it; the read is audited.

    Raises
    ------
    NotFound, Forbidden
        Where there is none, or this role may see none.
    """
    permit(actor, "see cases")
    with store.begin() as session:
        row = seen(session, case_id)
        note(store, session, actor, "case.read", "case", row.id)
        return case_view(store, session, actor, row)


def progress(store: Store, actor: Actor, case_id: str) -> dict[str, Any]:
    """How far the case's latest draft is: ``{state, progress, note, attempts, error}``; not audited, it is polled."""
    permit(actor, "see cases")
    with store.read() as session:
        row = seen(session, case_id)
        job = latest_draft(session, case_id)
        known = None if job is None else job.state
        return {
            "case_state": row.state,
            "version": row.version,
            "state": known,
            "progress": 0.0 if job is None else job.progress,
            "note": None if job is None else job.note,
            "attempts": 0 if job is None else job.attempts,
            "error": None if job is None else job.error,
        }


def history(store: Store, actor: Actor, case_id: str) -> tuple[dict[str, Any], ...]:
    """Who did what with the case and when, oldest first: ``[{seq, at, actor, action, detail}]``."""
    permit(actor, "see cases")
    with store.begin() as session:
        seen(session, case_id)
        rows = session.scalars(
            select(AuditEntry)
            .where(AuditEntry.object_kind == "case", AuditEntry.object_id == case_id)
            .order_by(AuditEntry.seq)
        ).all()
        told = tuple(
            {
                "seq": row.seq,
                "at": row.at,
                "actor": user_name(session, row.actor),
                "action": row.action,
                "detail": json.loads(row.detail),
            }
            for row in rows
        )
        note(store, session, actor, "case.history_read", "case", case_id)
    return told


def latest_draft(session: Session, case_id: str) -> Job | None:
    """The case's last draft job."""
    found = select(Job).where(Job.case_id == case_id, Job.kind == "draft")
    return session.scalars(found.order_by(Job.created_at.desc(), Job.id).limit(1)).first()


def _wanted(
    session: Session, store: Store, actor: Actor, state: str | None, query: str | None
) -> list[ColumnElement[bool]]:
    conditions: list[ColumnElement[bool]] = []
    if state in (None, "open"):
        conditions.append(Case.state.in_(OPEN))
    elif state != "all":
        if state not in STATES:
            raise MalformedInput(f"state is {state!r}; expected open, all or one of {', '.join(STATES)}.")
        conditions.append(Case.state == state)
    if query is not None and query.strip():
        text = query.strip()
        matches: list[ColumnElement[bool]] = []
        if text.isascii() and text.isdigit() and len(text) < 10:
            matches.append(Case.number == int(text))
        patient = find(session, store, text) if may(actor, "see identity") else None
        if patient is not None:
            matches.append(Case.patient_id == patient.id)
        conditions.append(or_(*matches) if matches else Case.id == "")
    return conditions


def _by_urgency(
    session: Session,
    wanted: Sequence[ColumnElement[bool]],
    reveal: bool,
    now: datetime,
    cursor: str | None,
    limit: int,
) -> tuple[list[Case], str | None]:
    """The whole order is computed from a few columns, then one page of rows is read."""
    shown = or_(Case.reader_first.is_(False), Case.revealed_at.is_not(None))
    found = session.execute(
        select(Case.id, Case.created_at, Case.due_at, Case.critical, Case.urgency, shown).where(*wanted)
    ).all()
    waiting = [
        Waiting(
            id=one[0],
            received=one[1],
            due=one[2],
            critical=bool(one[3] and one[5] and reveal),
            urgency=one[4] if one[5] and reveal else 0,
        )
        for one in found
    ]
    ids = ordered(waiting, now)
    start = 0 if cursor is None else int(_opened(cursor, "urgency")[0])
    page = ids[start : start + limit]
    rows = {row.id: row for row in session.scalars(select(Case).where(Case.id.in_(page)))}
    following = _closed("urgency", start + limit) if start + limit < len(ids) else None
    return [rows[one] for one in page], following


def _by_time(
    session: Session, wanted: Sequence[ColumnElement[bool]], sort: str, cursor: str | None, limit: int
) -> tuple[list[Case], str | None]:
    key = Case.created_at if sort == "received" else func.coalesce(Case.due_at, Case.created_at)
    newest_first = sort == "received"
    conditions = list(wanted)
    if cursor is not None:
        at_text, last_id = _opened(cursor, sort)
        try:
            at = datetime.fromisoformat(str(at_text))
        except ValueError as error:
            raise MalformedInput("The cursor is none of this list's; begin at the first page.") from error
        beyond = key < at if newest_first else key > at
        conditions.append(or_(beyond, and_(key == at, Case.id > str(last_id))))
    order = key.desc() if newest_first else key.asc()
    rows = list(session.scalars(select(Case).where(*conditions).order_by(order, Case.id).limit(limit + 1)))
    if len(rows) <= limit:
        return rows, None
    last = rows[limit - 1]
    at = last.created_at if newest_first else last.due_at or last.created_at
    return rows[:limit], _closed(sort, at.isoformat(), last.id)


@dataclass(frozen=True)
class _Beside:
    """What the rows of a page need of other tables, read at once."""

    patients: dict[str, Patient]
    calls: set[str]
    progress: dict[str, float]
    demo: dict[str, bool]


def _beside(session: Session, cases: Sequence[Case]) -> _Beside:
    ids = [case.id for case in cases]
    queued = [case.id for case in cases if case.state == "queued"]
    patients = session.scalars(select(Patient).where(Patient.id.in_({case.patient_id for case in cases})))
    calls = session.scalars(
        select(Critical.case_id).where(
            Critical.case_id.in_(ids), Critical.completed_at.is_(None), Critical.withdrawn_at.is_(None)
        )
    )
    jobs = session.execute(
        select(Job.case_id, Job.progress).where(Job.case_id.in_(queued), Job.kind == "draft").order_by(Job.created_at)
    )
    runs = session.execute(select(Run.case_id, Run.demo).where(Run.case_id.in_(ids)).order_by(Run.number))
    return _Beside(
        patients={one.id: one for one in patients},
        calls=set(calls),
        progress={case_id: share for case_id, share in jobs if case_id is not None},
        demo={case_id: demo for case_id, demo in runs},
    )


def _row(
    store: Store, session: Session, actor: Actor, case: Case, beside: _Beside, reveal: bool, now: datetime
) -> CaseRow:
    hidden = not reveal or (case.reader_first and case.revealed_at is None)
    name, patient_id = _named(store, actor, beside.patients[case.patient_id])
    badges = []
    if not hidden and case.critical:
        badges.append(CRITICAL_BADGE)
    if not hidden and case.urgency:
        badges.append(UNCERTAIN_BADGE)
    if case.state in OPEN and case.due_at is not None and case.due_at <= now:
        badges.append(OVERDUE_BADGE)
    if case.side_source == "assumed" and case.side_confirmed_at is None:
        badges.append(SIDE_BADGE)
    if case.id in beside.calls:
        badges.append(CALL_BADGE)
    return CaseRow(
        id=case.id,
        number=case.number,
        state=case.state,
        version=case.version,
        received_at=case.created_at,
        study_at=case.study_at,
        due_at=case.due_at,
        modality=case.modality,
        view=case.view,
        age=case.age,
        sex=case.sex,
        patient_name=name,
        patient_id=patient_id,
        urgency=None if hidden else case.urgency,
        critical=None if hidden else case.critical,
        badges=tuple(badges),
        claimed_by=user_name(session, case.claimed_by),
        reader_first=case.reader_first,
        demo=beside.demo.get(case.id, store.settings.model == "demo"),
        question=case.question,
        progress=beside.progress.get(case.id),
    )


def _named(store: Store, actor: Actor, patient: Patient) -> tuple[str | None, str | None]:
    if not may(actor, "see identity") or patient.wrapped_key is None:
        return None, None
    who = identity_of(store, patient)
    name = (who.name_ideographic.replace("^", "") or who.name.replace("^", " ")).strip()
    return name or None, who.id or None


def _closed(*parts: Any) -> str:
    return base64.urlsafe_b64encode(json.dumps(parts).encode()).decode().rstrip("=")


def _opened(cursor: str, kind: str) -> list[Any]:
    try:
        parts = json.loads(base64.urlsafe_b64decode(cursor.encode() + b"=" * (-len(cursor) % 4)))
        if not isinstance(parts, list) or parts[0] != kind or len(parts) != (2 if kind == "urgency" else 3):
            raise ValueError(kind)
        if kind == "urgency" and not (isinstance(parts[1], int) and 0 <= parts[1] < 10**9):
            raise ValueError(kind)
    except (ValueError, binascii.Error, IndexError, KeyError, TypeError, RecursionError) as error:
        raise MalformedInput("The cursor is none of this list's; begin at the first page.") from error
    return parts[1:]
