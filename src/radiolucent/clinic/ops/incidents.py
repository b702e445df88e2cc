"""Incidents: what went wrong, in a reader's words, kept for those who answer for the site."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import select

from radiolucent.clinic.audit.trail import note
from radiolucent.clinic.service.access import permit
from radiolucent.clinic.service.loading import seen
from radiolucent.clinic.service.presenting import user_name
from radiolucent.clinic.store.actor import Actor
from radiolucent.clinic.store.columns import new_id, refuse_unclean
from radiolucent.clinic.store.engine import Store
from radiolucent.clinic.store.tables import Incident
from radiolucent.errors import MalformedInput

LONGEST = 10_000


@dataclass(frozen=True)
class IncidentView:
    """An incident as it is handed out."""

    id: str
    case_id: str | None
    text: str
    author: str
    at: datetime


def report_incident(store: Store, actor: Actor, text: str, case_id: str | None = None) -> IncidentView:
    """Keep an incident. Its text may name a patient, so the audit trail has only its number.

    Raises
    ------
    MalformedInput, NotFound
        Where the text is empty or too long; where there is no such case.
    """
    permit(actor, "see cases")
    refuse_unclean(text, "The incident")
    if not 0 < len(text.strip()) <= LONGEST:
        raise MalformedInput(f"Say what happened in 1 to {LONGEST:,} characters. / 请说明发生了什么。")
    with store.begin() as session:
        if case_id is not None:
            seen(session, case_id)
        row = Incident(id=new_id(), case_id=case_id, text=text.strip(), author=actor.user_id, at=store.now())
        session.add(row)
        session.flush()
        kind, of = ("incident", row.id) if case_id is None else ("case", case_id)
        note(store, session, actor, "incident.reported", kind, of, incident=row.id)
        return IncidentView(row.id, row.case_id, row.text, actor.name, row.at)


def incidents(store: Store, actor: Actor, *, limit: int = 200) -> list[IncidentView]:
    """The latest incidents, newest first."""
    permit(actor, "administer")
    with store.begin() as session:
        rows = session.scalars(select(Incident).order_by(Incident.at.desc(), Incident.id).limit(limit)).all()
        note(store, session, actor, "incident.list", "incident", "all", count=len(rows))
        return [IncidentView(row.id, row.case_id, row.text, user_name(session, row.author), row.at) for row in rows]
