"""The audit trail, a part at a time."""

from __future__ import annotations

from sqlalchemy import select

from radiolucent.clinic.audit.chain import Entry
from radiolucent.clinic.audit.trail import as_entry, note
from radiolucent.clinic.service.access import permit
from radiolucent.clinic.store.actor import Actor
from radiolucent.clinic.store.engine import Store
from radiolucent.clinic.store.tables import AuditEntry


def page_of_trail(store: Store, actor: Actor, *, after: int = 0, limit: int = 100) -> tuple[list[Entry], int | None]:
    """Entries after number ``after``, oldest first, and the number to go on from; None at the end."""
    permit(actor, "administer")
    with store.begin() as session:
        rows = session.scalars(
            select(AuditEntry).where(AuditEntry.seq > after).order_by(AuditEntry.seq).limit(limit + 1)
        ).all()
        found = [as_entry(row) for row in rows[:limit]]
        note(store, session, actor, "audit.read", "audit", "trail", after=after, count=len(found))
    return found, found[-1].seq if len(rows) > limit else None
