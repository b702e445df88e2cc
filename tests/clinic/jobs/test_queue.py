"""A job is done once: leased to one, taken back from the silent, tried again, given up at last."""

from __future__ import annotations

from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from radiolucent.clinic.audit.verify import entries
from radiolucent.clinic.errors import LeaseLost
from radiolucent.clinic.jobs.queue import (
    LeasedJob,
    claim,
    complete,
    depth,
    enqueue,
    fail,
    heartbeat,
    postpone,
    revive,
    waiting,
)
from radiolucent.clinic.jobs.worker import Handler, Tell, Worker
from radiolucent.clinic.store.engine import Store
from radiolucent.clinic.store.tables import Job, Switch
from radiolucent.errors import MalformedInput


class Clock:
    """A clock that a test turns."""

    def __init__(self) -> None:
        self.now = datetime(2026, 1, 1, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.now

    def on(self, seconds: float) -> None:
        self.now += timedelta(seconds=seconds)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def timed(store: Store, clock: Clock) -> Store:
    return replace(store, clock=clock)


def add(store: Store, number: int = 1, **more: object) -> list[str]:
    with store.begin() as session:
        return [enqueue(session, store, "work", payload={"n": n}, **more) for n in range(number)]  # type: ignore[arg-type]


def end(store: Store, job: LeasedJob) -> None:
    with store.begin() as session:
        complete(session, store, job)


def test_each_job_is_leased_to_one(store: Store) -> None:
    add(store, 60)
    done: Counter[str] = Counter()

    def work(owner: str) -> list[str]:
        mine = []
        while (job := claim(store, owner, ["work"])) is not None:
            end(store, job)
            mine.append(job.id)
        return mine

    with ThreadPoolExecutor(6) as pool:
        for mine in pool.map(work, [f"w{n}" for n in range(6)]):
            done.update(mine)
    assert len(done) == 60 and set(done.values()) == {1}
    assert depth(store) == {"ready": 0, "leased": 0, "done": 60, "dead": 0}


def test_a_silent_worker_loses_its_job_and_its_result(timed: Store, clock: Clock) -> None:
    add(timed)
    first = claim(timed, "a", ["work"], lease_s=10)
    assert first is not None and claim(timed, "b", ["work"]) is None
    clock.on(9)
    heartbeat(timed, first, lease_s=10)
    clock.on(9)
    assert claim(timed, "b", ["work"]) is None
    clock.on(2)
    second = claim(timed, "b", ["work"], lease_s=10)
    assert second is not None and second.id == first.id and second.attempt == 2
    for act in (lambda: heartbeat(timed, first), lambda: end(timed, first)):
        with pytest.raises(LeaseLost):
            act()
    end(timed, second)
    with pytest.raises(LeaseLost):
        end(timed, second)


def test_the_same_owner_with_an_older_try_is_not_the_owner(timed: Store, clock: Clock) -> None:
    add(timed)
    first = claim(timed, "a", ["work"], lease_s=1)
    clock.on(2)
    second = claim(timed, "a", ["work"], lease_s=1)
    assert first is not None and second is not None
    with pytest.raises(LeaseLost):
        end(timed, first)


def test_tries_pause_longer_and_longer_and_end(timed: Store, clock: Clock) -> None:
    (job_id,) = add(timed, max_attempts=3)
    pauses = []
    for attempt in (1, 2, 3):
        job = claim(timed, "a", ["work"])
        assert job is not None and job.attempt == attempt
        with timed.begin() as session:
            assert fail(session, timed, job, "broken") is (attempt == 3)
        began = clock.now
        while attempt < 3 and not waiting(timed, ["work"]):
            clock.on(0.5)
        pauses.append((clock.now - began).total_seconds())
    assert pauses == [2.0, 4.0, 0.0] and depth(timed)["dead"] == 1
    with timed.begin() as session:
        assert revive(session, timed, job_id) and not revive(session, timed, job_id)
    assert claim(timed, "a", ["work"]) is not None


def test_a_postponed_job_keeps_its_tries(timed: Store, clock: Clock) -> None:
    add(timed, max_attempts=1)
    for _ in range(3):
        job = claim(timed, "a", ["work"])
        assert job is not None and job.attempt == 1
        with timed.begin() as session:
            postpone(session, timed, job, 5, "paused")
        assert claim(timed, "a", ["work"]) is None
        clock.on(6)


def test_an_idempotency_key_makes_one_job(store: Store) -> None:
    assert len({add(store, idempotency_key="k")[0] for _ in range(3)}) == 1


def test_the_result_and_the_end_commit_together(store: Store) -> None:
    add(store)
    job = claim(store, "a", ["work"])
    assert job is not None
    with pytest.raises(RuntimeError), store.begin() as session:
        complete(session, store, job)
        session.add(Switch(key="result", value={}, changed_by="x", changed_at=store.now()))
        raise RuntimeError("killed here")
    with store.read() as session:
        assert session.get(Switch, "result") is None and session.get_one(Job, job.id).state == "leased"


def run(store: Store, work: object, *, tries: int = 3, buried: object = None) -> Worker:
    worker = Worker(store, {"work": Handler(work, buried)}, name="w")  # type: ignore[arg-type]
    for _ in range(tries):
        worker.run(until_idle=True)
    return worker


def test_a_worker_reports_progress_and_keeps_its_lease(store: Store) -> None:
    import time

    quick = replace(store, settings=store.settings.with_(lease_s=0.4))
    (job_id,) = add(quick)
    seen: list[tuple[float, str | None]] = []

    def work(given: Store, job: LeasedJob, tell: Tell) -> None:
        for share in (0.2, 0.4, 0.6, 0.8):
            tell(f"at {share}", share)
            time.sleep(0.25)  # longer in all than the lease
            with given.read() as session:
                row = session.get_one(Job, job.id)
                seen.append((row.progress, row.note))
        end(given, job)

    run(quick, work, tries=1)
    with quick.read() as session:
        row = session.get_one(Job, job_id)
        assert row.state == "done" and row.attempts == 1 and row.progress == 1.0
    assert [share for share, _ in seen] == sorted(share for share, _ in seen) and seen[-1][0] > 0.5


def test_a_refused_input_is_given_up_at_once_and_others_are_tried_again(timed: Store, clock: Clock) -> None:
    calls: list[int] = []

    def refused(given: Store, job: LeasedJob, tell: Tell) -> None:
        calls.append(job.attempt)
        raise MalformedInput("The file is broken.")

    told: list[str] = []
    add(timed)
    run(timed, refused, buried=lambda session, job, error: told.append(error))
    assert calls == [1] and told == ["The file is broken."]

    def crashes(given: Store, job: LeasedJob, tell: Tell) -> None:
        calls.append(job.attempt)
        clock.on(3600)
        raise ValueError("Zhang San, born 1970")

    calls.clear()
    (job_id,) = add(timed, max_attempts=3)
    worker = Worker(timed, {"work": Handler(crashes)})
    while worker.step():
        clock.on(3600)
    assert calls == [1, 2, 3]
    with timed.read() as session:
        row = session.get_one(Job, job_id)
        assert row.state == "dead" and "Zhang" not in (row.error or "")  # a strange error may quote its input
    assert [entry.action for entry in entries(timed)].count("job.dead") == 2


def test_a_job_whose_worker_always_dies_is_given_up(timed: Store, clock: Clock) -> None:
    (job_id,) = add(timed, max_attempts=2)
    for _ in range(2):
        assert claim(timed, "dies", ["work"], lease_s=1) is not None
        clock.on(2)
    run(timed, lambda *given: pytest.fail("it must not be tried again"), tries=1)
    with timed.read() as session:
        assert session.get_one(Job, job_id).state == "dead"


def test_a_worker_stops_when_told(store: Store) -> None:
    add(store, 5)
    worker = Worker(store, {})
    worker.handlers["work"] = Handler(lambda given, job, tell: (end(given, job), worker.stop())[0])
    assert worker.run() == 1 and depth(store)["ready"] == 4
