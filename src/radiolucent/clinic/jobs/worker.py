"""The worker: leases jobs, keeps the lease while it works, and leaves nothing half done however it ends."""

from __future__ import annotations

import logging
import os
import secrets
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from sqlalchemy.exc import OperationalError
from sqlalchemy.orm import Session

from radiolucent.clinic.audit.trail import note
from radiolucent.clinic.errors import LeaseLost
from radiolucent.clinic.jobs.queue import LeasedJob, claim, fail, heartbeat
from radiolucent.clinic.store.actor import SYSTEM
from radiolucent.clinic.store.engine import Store
from radiolucent.errors import RadiolucentError

log = logging.getLogger(__name__)

TELL_EVERY = 0.5  # seconds between two writes of the progress
Tell = Callable[[str, float], None]


@dataclass(frozen=True)
class Handler:
    """What is done with a kind of job.

    Parameters
    ----------
    work
        Called with (store, job, tell): does it all, and ends with one transaction that calls
        :func:`radiolucent.clinic.jobs.queue.complete`. ``tell(what, share)`` reports progress.
    buried
        Called inside the transaction that gives the job up, with (session, job, error).
    again
        Typed errors that a later try may not meet; other typed errors are refusals, and end the job at once.
    """

    work: Callable[[Store, LeasedJob, Tell], None]
    buried: Callable[[Session, LeasedJob, str], None] | None = None
    again: tuple[type[RadiolucentError], ...] = ()


class Worker:
    """One worker; its handlers share what they loaded (a model is loaded once).

    Parameters
    ----------
    poll
        Seconds between two looks at an empty queue.
    """

    def __init__(
        self, store: Store, handlers: Mapping[str, Handler], *, poll: float = 0.5, name: str | None = None
    ) -> None:
        self.store, self.handlers, self.poll = store, dict(handlers), poll
        self.name = name or f"{os.getpid()}-{secrets.token_hex(4)}"
        self._stop = threading.Event()

    def stop(self) -> None:
        """Finish the job in hand and return from :meth:`run`."""
        self._stop.set()

    def run(self, *, until_idle: bool = False) -> int:
        """Work until :meth:`stop`, or until nothing is left to be done; returns the number of jobs ended."""
        ended = 0
        while not self._stop.is_set():
            if self.step():
                ended += 1
            elif until_idle:
                break
            else:
                self._stop.wait(self.poll)
        return ended

    def step(self) -> bool:
        """Do one job; False where there was none."""
        job = claim(self.store, self.name, tuple(self.handlers))
        if job is None:
            return False
        handler = self.handlers[job.kind]
        if job.attempt > job.max_attempts:  # its last worker died with it
            self._give_up(job, handler, "The worker stopped while working on it, too often.", final=True)
            return True
        try:
            with self._kept(job) as tell:
                handler.work(self.store, job, tell)
        except LeaseLost:
            log.warning("job %s was taken up by another worker", job.id)
        except Exception as error:
            final = isinstance(error, RadiolucentError) and not isinstance(error, handler.again)
            log.exception("job %s failed", job.id)
            self._give_up(job, handler, _reason(error), final=final)
        return True

    def _give_up(self, job: LeasedJob, handler: Handler, error: str, *, final: bool) -> None:
        def once() -> None:
            with self.store.begin() as session:
                buried = fail(session, self.store, job, error, final=final)
                if buried and handler.buried is not None:
                    handler.buried(session, job, error)
                kind, of = ("case", job.case_id) if job.case_id else ("job", job.id)
                action = "job.dead" if buried else "job.failed"
                note(self.store, session, SYSTEM, action, kind, of, job=job.id, kind=job.kind, attempt=job.attempt)

        try:
            self.store.retrying(once)
        except LeaseLost:
            log.warning("job %s was taken up by another worker", job.id)

    @contextmanager
    def _kept(self, job: LeasedJob) -> Iterator[Tell]:
        """Keeps the lease from a thread of its own, and writes the latest progress with it."""
        over = threading.Event()
        latest: dict[str, Any] = {}
        lost: list[LeaseLost] = []
        lease = self.store.settings.lease_s

        def tell(what: str, share: float) -> None:
            latest.update(note=what, progress=share)
            if lost:
                raise lost[0]

        def beat() -> None:
            waited, told = 0.0, dict[str, Any]()
            step = min(TELL_EVERY, lease / 4)
            while not over.wait(step):
                waited += step
                if latest == told and waited < lease / 3:
                    continue
                waited, told = 0.0, dict(latest)
                try:
                    heartbeat(self.store, job, **told)
                except LeaseLost as error:
                    lost.append(error)
                    return
                except OperationalError:
                    log.warning("heartbeat of job %s failed; trying again", job.id)

        thread = threading.Thread(target=beat, name=f"heartbeat {job.id}", daemon=True)
        thread.start()
        try:
            yield tell
        finally:
            over.set()
            thread.join()


def _reason(error: Exception) -> str:
    """What people read: a typed error's own words, otherwise only its kind (others may quote their input)."""
    return str(error) if isinstance(error, RadiolucentError) else f"Unexpected {type(error).__name__}; see the log."
