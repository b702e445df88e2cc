"""A site that is served, and a person's browser at it."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import uvicorn
from playwright.sync_api import Page, Request

from radiolucent.clinic.store.actor import Actor
from radiolucent.clinic.store.engine import Store

SICK = 7  # seed of a phantom with three findings

SHOWS = {"s": "dialog[open]", "t": ".save-state:is(.unsaved, .saving, .saved)"}
"""What a key brings up on a case: a loaded machine may take its time."""


@contextmanager
def serving(app: Any, host: str = "127.0.0.1", port: int = 0) -> Iterator[str]:
    """An application behind real HTTP; gives its address."""
    server = uvicorn.Server(uvicorn.Config(app, host=host, port=port, log_config=None))
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    while not server.started:
        time.sleep(0.02)
    yield f"http://{host}:{server.servers[0].sockets[0].getsockname()[1]}"
    server.should_exit = True
    thread.join(20)


@dataclass
class Site:
    """A served site.

    Parameters
    ----------
    people
        Login -> actor.
    drafted
        Seed of a phantom -> id of its case.
    """

    store: Store
    address: str
    people: dict[str, Actor] = field(default_factory=dict)
    drafted: dict[int, str] = field(default_factory=dict)


@dataclass
class Desk:
    """A person's browser at the site, with what the page complained about and whom it asked."""

    page: Page
    site: Site
    complaints: list[str] = field(default_factory=list)
    requests: list[str] = field(default_factory=list)
    waiting: set[Request] = field(default_factory=set)

    def asked(self, request: Request) -> None:
        """A request left."""
        self.requests.append(request.url)
        self.waiting.add(request)

    def answered(self, request: Request) -> None:
        """It came back, or failed."""
        self.waiting.discard(request)

    def open(self, case_id: str) -> None:
        """A case, its film painted and its claim made."""
        self.page.goto(f"{self.site.address}/#/case/{case_id}")
        self.page.wait_for_selector(".viewport canvas")
        self.page.wait_for_selector(".pane-waiting", state="detached")
        self.settle()

    def press(self, *keys: str) -> None:
        """Keys, each after the page has done what the one before asked for."""
        for key in keys:
            self.page.keyboard.press(key)
            if key in SHOWS:
                self.page.wait_for_selector(SHOWS[key])
            self.settle()

    def settle(self) -> None:
        """Nothing is under way."""
        quiet = 0
        while quiet < 2:
            self.page.wait_for_timeout(60)
            quiet = 0 if self.waiting else quiet + 1
