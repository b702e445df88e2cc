"""A queue in the database: a job is leased to one worker, and its result commits together with its end.

A job row is written in the same transaction as what it is about, which no broker gives. A worker that dies lets its
lease run out, and another takes the job up; what it had written was never committed. SQLite leases with one ``UPDATE …
RETURNING`` under its write lock, PostgreSQL with ``FOR UPDATE SKIP LOCKED``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import CursorResult, and_, func, or_, select, update
from sqlalchemy.orm import Session

from radiolucent.clinic.errors import LeaseLost
from radiolucent.clinic.store.columns import new_id
from radiolucent.clinic.store.engine import Store
from radiolucent.clinic.store.tables import Job

LONGEST_PAUSE = 600.0  # seconds between two tries
ERROR_LENGTH = 2_000


@dataclass(frozen=True)
class LeasedJob:
    """A job in the hands of one worker.

    Parameters
    ----------
    attempt
        1 for the first try; with ``owner`` it says whose lease it is.
    """

    id: str
    kind: str
    case_id: str | None
    payload: Mapping[str, Any]
    owner: str
    attempt: int
    max_attempts: int


def enqueue(
    session: Session,
    store: Store,
    kind: str,
    *,
    case_id: str | None = None,
    payload: Mapping[str, Any] | None = None,
    idempotency_key: str | None = None,
    max_attempts: int | None = None,
    not_before: datetime | None = None,
) -> str:
    """Add a job to a transaction; the same ``idempotency_key`` gives the job that is there already."""
    if idempotency_key is not None:
        known = session.scalars(select(Job.id).where(Job.idempotency_key == idempotency_key)).first()
        if known is not None:
            return known
    now = store.now()
    job = Job(
        id=new_id(),
        kind=kind,
        case_id=case_id,
        payload=dict(payload or {}),
        state="ready",
        max_attempts=store.settings.max_attempts if max_attempts is None else max_attempts,
        not_before=now if not_before is None else not_before,
        idempotency_key=idempotency_key,
        created_at=now,
    )
    session.add(job)
    session.flush()
    return job.id


def claim(store: Store, owner: str, kinds: Sequence[str], lease_s: float | None = None) -> LeasedJob | None:
    """Lease the job that has waited longest, or one whose worker fell silent; None where nothing is to be done."""
    seconds = store.settings.lease_s if lease_s is None else lease_s

    def once() -> LeasedJob | None:
        now = store.now()
        with store.begin() as session:
            due = or_(
                and_(Job.state == "ready", Job.not_before <= now),
                and_(Job.state == "leased", Job.lease_until < now),
            )
            first = select(Job.id).where(due, Job.kind.in_(kinds)).order_by(Job.not_before, Job.id).limit(1)
            if not store.is_sqlite:
                first = first.with_for_update(skip_locked=True)
            taken = session.execute(
                update(Job)
                .where(Job.id == first.scalar_subquery())
                .values(
                    state="leased",
                    owner=owner,
                    attempts=Job.attempts + 1,
                    lease_until=now + timedelta(seconds=seconds),
                )
                .returning(Job.id, Job.kind, Job.case_id, Job.payload, Job.attempts, Job.max_attempts)
                .execution_options(synchronize_session=False)
            ).one_or_none()
            if taken is None:
                return None
            return LeasedJob(
                taken.id, taken.kind, taken.case_id, taken.payload, owner, taken.attempts, taken.max_attempts
            )

    if not waiting(store, kinds):  # an idle worker takes no write lock
        return None
    leased: LeasedJob | None = store.retrying(once)
    return leased


def waiting(store: Store, kinds: Sequence[str]) -> int:
    """Jobs that could be leased now."""
    now = store.now()
    with store.read() as session:
        found = session.scalar(
            select(func.count())
            .select_from(Job)
            .where(
                Job.kind.in_(kinds),
                or_(
                    and_(Job.state == "ready", Job.not_before <= now),
                    and_(Job.state == "leased", Job.lease_until < now),
                ),
            )
        )
    return found or 0


def heartbeat(
    store: Store,
    job: LeasedJob,
    *,
    progress: float | None = None,
    note: str | None = None,
    lease_s: float | None = None,
) -> None:
    """Keep the lease, and say how far the work is.

    Raises
    ------
    LeaseLost
        Where the job is another worker's by now; stop working on it.
    """
    seconds = store.settings.lease_s if lease_s is None else lease_s
    changes: dict[str, Any] = {"lease_until": store.now() + timedelta(seconds=seconds)}
    if progress is not None:
        changes["progress"] = min(max(progress, 0.0), 1.0)
    if note is not None:
        changes["note"] = note
    with store.begin() as session:
        _mine(session, job, changes)


def complete(session: Session, store: Store, job: LeasedJob) -> None:
    """End a job inside the transaction that holds its result: both stand, or neither.

    Raises
    ------
    LeaseLost
        Where the job is another worker's by now; roll the result back.
    """
    _mine(
        session,
        job,
        {"state": "done", "finished_at": store.now(), "progress": 1.0, "error": None, "lease_until": None},
    )


def fail(session: Session, store: Store, job: LeasedJob, error: str, *, final: bool = False) -> bool:
    """Put a job back for another try after a pause that doubles, or bury it after its last; True where buried.

    Parameters
    ----------
    final
        No try can help (the input is refused): bury it now.
    """
    now = store.now()
    buried = final or job.attempt >= job.max_attempts
    pause = min(store.settings.retry_s * 2 ** (job.attempt - 1), LONGEST_PAUSE)
    changes: dict[str, Any] = {"error": error[:ERROR_LENGTH], "lease_until": None, "owner": None}
    if buried:
        changes |= {"state": "dead", "finished_at": now}
    else:
        changes |= {"state": "ready", "not_before": now + timedelta(seconds=pause)}
    _mine(session, job, changes)
    return buried


def postpone(session: Session, store: Store, job: LeasedJob, seconds: float, note: str) -> None:
    """Put a job back without counting the try: what it needs is not to be had now."""
    _mine(
        session,
        job,
        {
            "state": "ready",
            "attempts": job.attempt - 1,
            "not_before": store.now() + timedelta(seconds=seconds),
            "owner": None,
            "lease_until": None,
            "note": note,
        },
    )


def revive(session: Session, store: Store, job_id: str) -> bool:
    """Give a buried job its tries back; False where it is not buried."""
    done: CursorResult[Any] = session.execute(  # type: ignore[assignment]
        update(Job)
        .where(Job.id == job_id, Job.state == "dead")
        .values(state="ready", attempts=0, not_before=store.now(), finished_at=None, error=None, progress=0.0)
        .execution_options(synchronize_session=False)
    )
    return done.rowcount == 1


def depth(store: Store) -> dict[str, int]:
    """Jobs by state."""
    with store.read() as session:
        rows = session.execute(select(Job.state, func.count()).group_by(Job.state)).all()
    return {"ready": 0, "leased": 0, "done": 0, "dead": 0} | {state: count for state, count in rows}


def _mine(session: Session, job: LeasedJob, changes: Mapping[str, Any]) -> None:
    done: CursorResult[Any] = session.execute(  # type: ignore[assignment]
        update(Job)
        .where(Job.id == job.id, Job.owner == job.owner, Job.attempts == job.attempt, Job.state == "leased")
        .values(**changes)
        .execution_options(synchronize_session=False)
    )
    if done.rowcount != 1:
        raise LeaseLost(f"Job {job.id} was taken up by another worker; this one's result is not kept.")
