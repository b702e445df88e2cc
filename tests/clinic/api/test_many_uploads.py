"""200 uploads at once over HTTP to a real server, drafted by two workers that are killed twice each: each case once."""

from __future__ import annotations

import multiprocessing
import os
import random
import signal
import socket
import threading
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from multiprocessing.process import BaseProcess
from typing import Any

import httpx
import uvicorn
from clinic_door import PASSWORD, picture
from clinic_site import draft
from sqlalchemy import select

from radiolucent.clinic.api.app import make_app
from radiolucent.clinic.audit.verify import entries, verify
from radiolucent.clinic.auth.accounts import add_user
from radiolucent.clinic.intake import prewarm
from radiolucent.clinic.jobs.queue import LeasedJob, depth
from radiolucent.clinic.jobs.worker import Handler, Tell, Worker
from radiolucent.clinic.service.drafting import KIND, keep_draft
from radiolucent.clinic.settings import Settings
from radiolucent.clinic.store.actor import SYSTEM
from radiolucent.clinic.store.engine import Store, open_store
from radiolucent.clinic.store.tables import Case, Run

UPLOADS, AT_ONCE, REPEATED, KILLS = 200, 200, 20, 2
FORK = multiprocessing.get_context("fork")


def quick_draft(store: Store, job: LeasedJob, tell: Tell) -> None:
    tell("working", 0.5)
    time.sleep(random.uniform(0, 0.05))
    keep_draft(store, job, int(job.payload["run"]), draft(), None)


def work(settings: Settings, begin: Any) -> None:
    begin.wait()
    Worker(open_store(settings, migrate=False), {KIND: Handler(quick_draft)}, poll=0.02).run()


@contextmanager
def served(store: Store) -> Iterator[str]:
    """A server in a thread of this process, on a free port."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    app = make_app(store)
    server = uvicorn.Server(uvicorn.Config(app, port=port, log_level="critical", access_log=False))
    thread = threading.Thread(target=server.run)
    thread.start()
    while not server.started:
        time.sleep(0.02)
    try:
        yield f"http://127.0.0.1:{port}/api/v1"
    finally:
        server.should_exit = True
        thread.join()


def test_every_case_is_drafted_exactly_once(settings: Settings) -> None:
    settings = settings.with_(lease_s=0.5, max_attempts=10_000)
    open_store(settings).dispose()
    spare = [_forked(settings) for _ in range(2 + 2 * KILLS)]  # forked before there are threads, set to work later
    workers = [_begun(spare) for _ in range(2)]
    prewarm()
    store = open_store(settings, migrate=False)
    add_user(store, SYSTEM, login="gate", name="Gate", role="service", password=PASSWORD)
    with served(store) as address, httpx.Client(timeout=240, limits=httpx.Limits(max_connections=AT_ONCE)) as client:
        token = _token(client, address)
        with ThreadPoolExecutor(AT_ONCE) as pool:
            numbers = [*range(UPLOADS), *range(REPEATED)]  # some are sent twice: by a client that lost the answer
            sent = [pool.submit(_upload, client, address, token, number) for number in numbers]
            for kill in range(1, KILLS + 1):  # both, in the midst of it
                while sum(one.done() for one in sent) < len(sent) * kill // (KILLS + 1):
                    time.sleep(0.02)
                for place, worker in enumerate(workers):
                    _kill(worker)
                    workers[place] = _begun(spare)
            ids = [one.result() for one in sent]
        deadline = time.monotonic() + 120
        while (left := depth(store))["ready"] + left["leased"] and time.monotonic() < deadline:
            time.sleep(0.1)
    for worker in workers:
        _kill(worker)
    assert ids[:REPEATED] == ids[UPLOADS:], "the same attempt gives the same case"
    assert len(set(ids)) == UPLOADS
    with store.read() as session:
        assert Counter(session.scalars(select(Run.case_id))) == Counter(dict.fromkeys(ids[:UPLOADS], 1))
        assert set(session.scalars(select(Case.state))) == {"drafted"}
    assert left["dead"] == 0
    assert Counter(one.action for one in entries(store))["draft.made"] == UPLOADS
    assert verify(store).intact
    store.dispose()


def _token(client: httpx.Client, address: str) -> str:
    answer = client.post(f"{address}/session", json={"login": "gate", "password": PASSWORD})
    made = client.post(
        f"{address}/tokens",
        json={"name": "gate", "scopes": ["cases:submit"]},
        headers={"X-CSRF-Token": answer.json()["csrf"]},
    )
    client.cookies.clear()
    return str(made.json()["value"])


def _upload(client: httpx.Client, address: str, token: str, number: int) -> str:
    answer = client.post(
        f"{address}/cases",
        files=[("files", ("film.png", picture(number), "image/png"))],
        data={"patient_id": f"P{number % 17}"},
        headers={"Authorization": f"Bearer {token}", "Idempotency-Key": f"attempt-{number}"},
    )
    assert answer.status_code == 201, answer.text
    return str(answer.json()["id"])


def _forked(settings: Settings) -> tuple[BaseProcess, Any]:
    begin = FORK.Event()
    process = FORK.Process(target=work, args=(settings, begin), daemon=True)
    process.start()
    return process, begin


def _begun(spare: list[tuple[BaseProcess, Any]]) -> BaseProcess:
    process, begin = spare.pop()
    begin.set()
    return process


def _kill(process: BaseProcess) -> None:
    assert process.pid is not None
    os.kill(process.pid, signal.SIGKILL)
    process.join()
