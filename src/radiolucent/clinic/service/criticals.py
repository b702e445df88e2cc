"""Critical values (危急值): confirming a critical finding opens a record that is listed until it is complete."""

from __future__ import annotations

from datetime import datetime, timedelta

from sqlalchemy import select

from radiolucent.clinic.audit.trail import note
from radiolucent.clinic.errors import Conflict, NotFound
from radiolucent.clinic.service.access import permit
from radiolucent.clinic.service.loading import locked, touch
from radiolucent.clinic.service.presenting import case_view, critical_view
from radiolucent.clinic.service.views import CaseView, CriticalView
from radiolucent.clinic.store.actor import Actor
from radiolucent.clinic.store.columns import refuse_unclean
from radiolucent.clinic.store.engine import Store
from radiolucent.clinic.store.tables import Critical
from radiolucent.errors import MalformedInput

LONGEST_NAME = 200


def record(
    store: Store,
    actor: Actor,
    case_id: str,
    critical_id: str,
    *,
    caller: str,
    receiver: str,
    at: datetime,
    read_back: bool,
) -> CaseView:
    """Who told whom, when, and whether it was read back; complete only once it was.

    Raises
    ------
    NotFound, Conflict, MalformedInput
        Where there is no such record, it is complete, or a name or the time does not fit.
    """
    permit(actor, "review")
    refuse_unclean([caller, receiver], "A name")
    caller, receiver = caller.strip(), receiver.strip()
    if not 0 < len(caller) <= LONGEST_NAME or not 0 < len(receiver) <= LONGEST_NAME:
        raise MalformedInput("Name the caller and the receiver. / 请填写报告人和接收人。")
    if at.tzinfo is None or at > store.now() + timedelta(minutes=1):
        raise MalformedInput("The time of the call must carry its zone and not lie ahead. / 通知时间无效。")
    with store.begin() as session:
        case = locked(session, case_id)
        row = session.get(Critical, critical_id)
        if row is None or row.case_id != case.id or row.withdrawn_at is not None:
            raise NotFound("There is no such critical value record. / 无此危急值记录。")
        if row.completed_at is not None:
            raise Conflict("This critical value record is complete; it is not changed any more.", version=case.version)
        row.caller, row.receiver, row.at, row.read_back = caller, receiver, at, bool(read_back)
        row.completed_at = store.now() if read_back else None
        touch(store, case)
        note(
            store,
            session,
            actor,
            "critical.completed" if read_back else "critical.called",
            "case",
            case.id,
            critical=row.id,
            code=row.code,
            read_back=bool(read_back),
        )
        return case_view(store, session, actor, case)


def open_records(store: Store, actor: Actor) -> list[tuple[str, CriticalView]]:
    """Records that are not complete, the oldest first, each with its case's id."""
    permit(actor, "see cases")
    with store.begin() as session:
        rows = session.scalars(
            select(Critical)
            .where(Critical.completed_at.is_(None), Critical.withdrawn_at.is_(None))
            .order_by(Critical.opened_at)
        ).all()
        note(store, session, actor, "critical.list", "worklist", "criticals", count=len(rows))
        return [(row.case_id, critical_view(row)) for row in rows]
