"""The review page as it is served, in a real browser, over a site with real drafts of the demo model."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import clinic_door
import pytest
from argon2 import PasswordHasher
from page_desk import SICK, Desk, Site, serving
from playwright.sync_api import Browser, BrowserContext

from radiolucent.clinic.api.app import make_app
from radiolucent.clinic.auth import passwords
from radiolucent.clinic.auth.accounts import add_user
from radiolucent.clinic.jobs.worker import Worker
from radiolucent.clinic.ops.work import handlers
from radiolucent.clinic.service import intake
from radiolucent.clinic.settings import Settings
from radiolucent.clinic.store.actor import SYSTEM, Actor
from radiolucent.clinic.store.engine import open_store
from radiolucent.phantom.dicom import write_dicom
from radiolucent.phantom.film import draw_case


@pytest.fixture(scope="session")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    folder: Path = tmp_path_factory.mktemp("site")
    with pytest.MonkeyPatch.context() as patch, ExitStack() as stack:
        patch.setattr(passwords, "_hasher", PasswordHasher(time_cost=1, memory_cost=8, parallelism=1))
        store = open_store(Settings(data=folder / "data", keys=folder / "keys"))
        served = Site(store, stack.enter_context(serving(make_app(store))))
        for login, name, role in (
            ("zhao", "Dr Zhao", "radiologist"),
            ("qian", "Dr Qian", "radiologist"),
            ("ada", "Ada Admin", "admin"),
        ):
            made = add_user(store, SYSTEM, login=login, name=name, role=role, password=clinic_door.PASSWORD)
            served.people[login] = Actor(made.id, role, name)  # type: ignore[arg-type]
        film = write_dicom(draw_case(SICK), folder / "film.dcm")
        served.drafted[SICK] = intake.new_case(store, SYSTEM, [film]).id
        Worker(store, handlers(store)).run(until_idle=True)
        yield served
    store.dispose()


@pytest.fixture
def desk_of(browser: Browser, site: Site) -> Iterator[Callable[..., Desk]]:
    """Sign somebody in: ``desk_of("zhao")``."""
    contexts: list[BrowserContext] = []

    def sign_in(login: str = "zhao", *, language: str = "en", theme: str = "dark") -> Desk:
        context = browser.new_context(
            viewport={"width": 1440, "height": 900}, locale="zh-CN" if language == "zh" else "en-GB"
        )
        contexts.append(context)
        context.set_default_timeout(30_000)
        page = context.new_page()
        desk = Desk(page, site)
        page.on("console", lambda message: desk.complaints.append(message.text) if message.type == "error" else None)
        page.on("pageerror", lambda error: desk.complaints.append(str(error)))
        page.on("request", desk.asked)
        page.on("requestfinished", desk.answered)
        page.on("requestfailed", desk.answered)
        page.goto(site.address)
        page.fill("input[name=login]", login)
        page.fill("input[name=password]", clinic_door.PASSWORD)
        page.keyboard.press("Enter")
        page.wait_for_selector(".top .me")
        if theme == "light":
            page.get_by_role("button", name="浅色" if language == "zh" else "Light").click()
        return desk

    yield sign_in
    for context in contexts:
        context.close()
