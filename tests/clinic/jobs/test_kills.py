"""kill -9 at any point loses nothing and doubles nothing: workers, and the process that takes cases in."""

from __future__ import annotations

import multiprocessing
import os
import random
import signal
import subprocess
import time
from collections import Counter
from collections.abc import Callable

from clinic_site import SERVICE, draft, received
from sqlalchemy import func, select

from radiolucent.clinic.audit.verify import entries, verify
from radiolucent.clinic.jobs.queue import LeasedJob, depth
from radiolucent.clinic.jobs.worker import Handler, Tell, Worker
from radiolucent.clinic.service import intake
from radiolucent.clinic.service.drafting import KIND, keep_draft
from radiolucent.clinic.settings import Settings
from radiolucent.clinic.store.engine import Store, open_store
from radiolucent.clinic.store.tables import Case, Job, Run

FORK = multiprocessing.get_context("fork")
CASES, KILLS = 24, 50


def quick_draft(store: Store, job: LeasedJob, tell: Tell) -> None:
    """As a real one, without a model: progress, a while, and the transaction with its bundle."""
    tell("working", 0.5)
    time.sleep(random.uniform(0, 0.02))
    keep_draft(store, job, int(job.payload["run"]), draft(), b"bundle")


def work(settings: Settings) -> None:
    store = open_store(settings, migrate=False)
    Worker(store, {KIND: Handler(quick_draft)}, poll=0.01).run()


def take_in(settings: Settings, keys: list[str]) -> None:
    store = open_store(settings, migrate=False)
    for number, key in enumerate(keys):
        intake.register(store, SERVICE, received(f"P{number % 5}", seed=number), idempotency_key=key)


def kill(process: multiprocessing.process.BaseProcess) -> None:
    assert process.pid is not None
    os.kill(process.pid, signal.SIGKILL)
    process.join()


def test_workers_killed_fifty_times_draft_every_case_once(settings: Settings) -> None:
    settings = settings.with_(lease_s=0.25, max_attempts=10_000)
    store = open_store(settings)
    for number in range(CASES):
        intake.register(store, SERVICE, received(f"P{number}", seed=number))
    store.dispose()
    dice = random.Random(7)
    workers = [FORK.Process(target=work, args=(settings,)) for _ in range(2)]
    for one in workers:
        one.start()
    for round_number in range(KILLS):
        time.sleep(dice.uniform(0.0, 0.09))
        chosen = dice.randrange(2)
        kill(workers[chosen])
        workers[chosen] = FORK.Process(target=work, args=(settings,))
        workers[chosen].start()
        if round_number % 5 == 0:  # there is always something left to be killed in the middle of
            intake.register(store, SERVICE, received(f"Q{round_number}", seed=100 + round_number))
            store.dispose()
    until = time.monotonic() + 60
    while depth(store)["done"] < CASES + KILLS // 5 and time.monotonic() < until:
        time.sleep(0.05)
    for one in workers:
        kill(one)
    total = CASES + KILLS // 5
    with store.read() as session:
        assert dict(session.execute(select(Case.state, func.count()).group_by(Case.state)).all()) == {"drafted": total}
        assert set(session.scalars(select(func.count()).select_from(Run).group_by(Run.case_id))) == {1}
        assert session.scalar(select(func.count()).select_from(Run)) == total
        assert session.scalar(select(func.max(Job.attempts))) > 1  # the kills did hit workers at work
    made = Counter(entry.object_id for entry in entries(store) if entry.action == "draft.made")
    assert len(made) == total and set(made.values()) == {1}
    assert verify(store).intact
    store.dispose()


def test_a_server_killed_while_taking_cases_in_takes_each_once(settings: Settings) -> None:
    store = open_store(settings)
    store.dispose()
    keys = [f"key {number}" for number in range(12)]
    dice = random.Random(11)
    for _ in range(12):
        server = FORK.Process(target=take_in, args=(settings, keys))
        server.start()
        time.sleep(dice.uniform(0.0, 0.12))
        kill(server)
    take_in(settings, keys)
    with store.read() as session:
        assert session.scalar(select(func.count()).select_from(Case)) == len(keys)
        assert session.scalar(select(func.count()).select_from(Job)) == len(keys)
        assert sorted(session.scalars(select(Case.number))) == list(range(1, len(keys) + 1))
    received_once = Counter(entry.object_id for entry in entries(store) if entry.action == "case.received")
    assert set(received_once.values()) == {1} and len(received_once) == len(keys)
    assert verify(store).intact
    store.dispose()


REAL = """
import sys
from pathlib import Path
import radiolucent as rl
from radiolucent.clinic.settings import Settings
from radiolucent.clinic.store.engine import open_store
from radiolucent.clinic.jobs.worker import Worker
from radiolucent.clinic.service.drafting import KIND, draft_handler, loaded_once
store = open_store(Settings(data=Path(sys.argv[1]), keys=Path(sys.argv[2]), level="quick", lease_s=1.0))
Worker(store, {KIND: draft_handler(store, loaded_once(rl.load_model))}, poll=0.05).run(until_idle=sys.argv[3] == "end")
"""


def test_the_demo_model_killed_in_the_middle_drafts_once(
    make_store: Callable[..., Store], in_child: Callable[..., subprocess.Popen[bytes]]
) -> None:
    store = make_store("real", lease_s=1.0, level="quick")
    case = intake.register(store, SERVICE, received())
    places = (str(store.settings.data), str(store.settings.keys))
    first = in_child(REAL, *places, "stay")
    until = time.monotonic() + 90
    while depth(store)["leased"] == 0 and time.monotonic() < until:
        time.sleep(0.02)
    time.sleep(0.3)
    first.kill()
    first.wait()
    assert depth(store) == {"ready": 0, "leased": 1, "done": 0, "dead": 0}
    time.sleep(1.1)
    assert in_child(REAL, *places, "end").wait(timeout=120) == 0
    with store.read() as session:
        run = session.scalars(select(Run).where(Run.case_id == case.id)).one()
        assert run.report and run.demo and run.bundle_id is not None
        assert session.get_one(Case, case.id).state == "drafted"
    assert [entry.action for entry in entries(store)].count("draft.made") == 1
