"""A doctor without a password here: in by the hospital's identity provider, and through it again to sign."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from dataclasses import dataclass

import clinic_site
import pytest
from id_provider import TestProvider
from page_desk import Desk, Site, serving
from playwright.sync_api import Browser

from radiolucent.clinic.api.app import make_app
from radiolucent.clinic.auth.accounts import add_user
from radiolucent.clinic.auth.oidc import Provider
from radiolucent.clinic.service import cases
from radiolucent.clinic.store.actor import SYSTEM

NORMAL = tuple(clinic_site.finding(code, "absent") for code in ("pleural_effusion", "pneumothorax", "consolidation"))


@dataclass
class Hospital:
    """A site beside its identity provider, which is another site to the browser."""

    desk: Desk
    provider: TestProvider


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture
def hospital(browser: Browser, site: Site) -> Iterator[Hospital]:
    mine, theirs = free_port(), free_port()
    public, issuer = f"http://127.0.0.1:{mine}", f"http://localhost:{theirs}"
    provider = TestProvider(issuer, public)
    app = make_app(site.store, provider=Provider(issuer, "radiolucent", "s3cret"), public_url=public)
    context = browser.new_context(viewport={"width": 1440, "height": 900}, locale="en-GB")
    context.set_default_timeout(30_000)
    with serving(provider.served(), "localhost", theirs), serving(app, port=mine):
        desk = Desk(context.new_page(), Site(site.store, public))
        desk.page.on("request", desk.asked)
        desk.page.on("requestfinished", desk.answered)
        desk.page.on("requestfailed", desk.answered)
        yield Hospital(desk, provider)
        context.close()


def test_a_doctor_comes_in_and_signs_without_a_password_here(hospital: Hospital, site: Site) -> None:
    add_user(site.store, SYSTEM, login="li.wei", name="Dr Li", role="radiologist")
    case = clinic_site.drafted_case(site.store, NORMAL)
    desk, page = hospital.desk, hospital.desk.page
    page.goto(desk.site.address)
    page.get_by_role("link", name="hospital account").click()
    page.wait_for_selector(".top .me")
    desk.open(case.id)
    desk.press("a", "t", "s")
    dialog = page.locator("dialog[open]")
    assert dialog.locator("input[type=password]").count() == 0
    assert dialog.locator("button[type=submit]").is_disabled(), "a login at the provider may be hours old"
    with page.context.expect_page() as opened:
        dialog.get_by_role("link", name="hospital account").click()
    opened.value.get_by_text("Close this tab").wait_for()
    assert hospital.provider.asked["prompt"] == "login"
    opened.value.close()
    page.bring_to_front()
    page.evaluate("window.dispatchEvent(new Event('focus'))")  # headless windows are not told
    dialog.locator("button[type=submit]:enabled").click()
    page.wait_for_selector(".state.signed")
    signed = cases.case(site.store, site.people["zhao"], case.id)
    assert [one.user for one in signed.signatures] == ["Dr Li"]


def test_what_went_wrong_there_is_said_at_the_sign_in_page(hospital: Hospital) -> None:
    page = hospital.desk.page
    hospital.provider.claims |= {"preferred_username": "stranger", "sub": "subject-2"}
    page.goto(hospital.desk.site.address)
    page.get_by_role("link", name="hospital account").click()
    page.locator(".fault").wait_for()
    assert "no account here" in page.locator(".fault").inner_text()
    assert page.locator("input[name=login]").is_visible()
