"""Writing the trail: entries are noted during a transaction and appended last in it, so that they stand or fall
with what they tell of."""

from __future__ import annotations

from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from radiolucent.clinic.audit.chain import Entry, link
from radiolucent.clinic.audit.checkpoint import Head, advance, read_checkpoint
from radiolucent.clinic.errors import AuditBroken
from radiolucent.clinic.store.actor import Actor
from radiolucent.clinic.store.columns import refuse_unclean
from radiolucent.clinic.store.engine import AFTER_COMMIT, BEFORE_COMMIT, Store, advisory_lock
from radiolucent.clinic.store.tables import AuditEntry

LOCK = 7_204_101  # of PostgreSQL's advisory locks: one appends at a time, so that the chain never forks
_NOTED = "audit"


def note(
    store: Store,
    session: Session,
    actor: Actor,
    action: str,
    object_kind: str,
    object_id: str,
    **detail: Any,
) -> None:
    """Note an event in a transaction of :meth:`Store.begin`.

    Parameters
    ----------
    action
        ``object.verb``, such as ``case.read``, ``ruling.made``, ``login.failed``.
    detail
        Plain JSON values, free of identifiers.
    """
    refuse_unclean(detail, "An audit detail")
    noted = session.info.setdefault(_NOTED, [])
    if not noted:
        session.info.setdefault(BEFORE_COMMIT, []).append(lambda given: _append(store, given))
    noted.append((store.now().isoformat(timespec="microseconds"), actor, action, object_kind, object_id, detail))


def as_entry(row: AuditEntry) -> Entry:
    """A row as the chain sees it."""
    return Entry(
        row.seq, row.at, row.actor, row.action, row.object_kind, row.object_id, row.detail, row.previous, row.digest
    )


def _append(store: Store, session: Session) -> None:
    session.flush()
    advisory_lock(session, LOCK)
    last_row = session.scalars(select(AuditEntry).order_by(AuditEntry.seq.desc()).limit(1)).first()
    last = None if last_row is None else as_entry(last_row)
    _refuse_broken(store, session, last)
    for at, actor, action, object_kind, object_id, detail in session.info.pop(_NOTED):
        last = link(
            store.keys.audit,
            last,
            at=at,
            actor=actor.user_id,
            action=action,
            object_kind=object_kind,
            object_id=object_id,
            detail=detail,
        )
        session.add(AuditEntry(**last.__dict__))
    session.flush()
    if last is not None:
        head = Head(last.seq, last.digest)
        session.info.setdefault(AFTER_COMMIT, []).append(lambda: advance(store, head))


def _refuse_broken(store: Store, session: Session, last: Entry | None) -> None:
    """Nothing is appended to a trail that does not hold the entry that the checkpoint names."""
    checkpoint = read_checkpoint(store)
    if checkpoint is None:
        if last is None:
            advance(store, Head(0))
            return
        raise AuditBroken(
            "The audit trail has entries but its checkpoint file is missing beside the keys. Put it back from the "
            "keys' backup, or have an administrator confirm the trail as it stands."
        )
    head = checkpoint.head
    if head.seq == 0:
        return
    held = last.digest if last is not None and last.seq == head.seq else None
    if held is None:
        held = session.scalars(select(AuditEntry.digest).where(AuditEntry.seq == head.seq)).first()
    if held != head.digest:
        raise AuditBroken(
            f"The audit trail does not hold entry {head.seq} as it was written: it was cut off, or an older copy of "
            "the database was put back. Run radiolucent verify-audit."
        )
