"""Single sign-on against a provider in this process: what a right answer does, and every wrong one refused."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from typing import Any

import httpx2
import pytest
from clinic_door import Person
from fastapi import FastAPI
from id_provider import KEY, TestProvider
from joserfc.jwk import OctKey, RSAKey

from radiolucent.clinic.api.app import make_app
from radiolucent.clinic.auth.accounts import add_user
from radiolucent.clinic.auth.oidc import Provider
from radiolucent.clinic.store.actor import SYSTEM
from radiolucent.clinic.store.engine import Store

ISSUER = "https://id.example.org"
PUBLIC = "https://reading.example.org"
OTHER = RSAKey.generate_key(2048, {"kid": "one"})


@pytest.fixture
def provider() -> TestProvider:
    return TestProvider(ISSUER, PUBLIC)


@pytest.fixture
def site(make_store: Callable[..., Store], provider: TestProvider) -> FastAPI:
    store = make_store()
    add_user(store, SYSTEM, login="li.wei", name="李伟", role="radiologist")
    add_user(store, SYSTEM, login="boss", name="Boss", role="admin", password="correct horse battery")
    transport = httpx2.MockTransport(provider.answer)
    return make_app(store, provider=Provider(ISSUER, "radiolucent", "s3cret", transport), public_url=PUBLIC)


def browser(site: FastAPI) -> Person:
    somebody = Person(site, None)
    somebody.client.base_url = PUBLIC
    return somebody


def sign_on(who: Person, provider: TestProvider, **bent: str) -> Any:
    left = who.client.get("/api/v1/session/oidc", follow_redirects=False)
    assert left.status_code == 303, left.text
    cookie = left.headers["set-cookie"].lower()
    assert "httponly" in cookie and "samesite=lax" in cookie and "secure" in cookie
    back = provider.authorize(left.headers["location"]) | bent
    return who.client.get("/api/v1/session/oidc/callback", params=back, follow_redirects=False)


def test_a_known_person_comes_in(site: FastAPI, provider: TestProvider) -> None:
    who = browser(site)
    answer = sign_on(who, provider)
    assert answer.status_code == 303 and answer.headers["location"] == "/"
    assert "samesite=strict" in answer.headers["set-cookie"].lower()
    session = who("GET", "/session").json()
    assert session["user"]["login"] == "li.wei"
    assert provider.asked["scope"].split() == ["openid", "profile", "email"]
    provider.claims = {"preferred_username": "renamed"}  # known by subject from now on
    assert sign_on(browser(site), provider).status_code == 303


def test_a_signature_asks_the_provider_for_the_password(site: FastAPI, provider: TestProvider) -> None:
    who = browser(site)
    sign_on(who, provider)
    assert who("GET", "/session").json()["reauth_at"] is None, "a login there may be hours old"
    left = who.client.get("/api/v1/session/oidc?again=true", follow_redirects=False)
    back = provider.authorize(left.headers["location"])
    assert provider.asked["prompt"] == "login" and provider.asked["max_age"] == "0"
    provider.claims = {"auth_time": int(time.time())}
    came = who.client.get("/api/v1/session/oidc/callback", params=back, follow_redirects=False)
    assert came.headers["location"] == "/#/signed-on/again", "a tab beside the one that waits for it"
    session = who("GET", "/session").json()
    assert session["reauth_at"] is not None and session["by_password"] is False


def test_an_answer_is_good_once_and_for_the_browser_that_asked(site: FastAPI, provider: TestProvider) -> None:
    who = browser(site)
    left = who.client.get("/api/v1/session/oidc", follow_redirects=False)
    back = provider.authorize(left.headers["location"])
    assert browser(site).client.get("/api/v1/session/oidc/callback", params=back).status_code == 401
    assert who.client.get("/api/v1/session/oidc/callback", params=back, follow_redirects=False).status_code == 303
    again = who.client.get("/api/v1/session/oidc/callback", params=back, follow_redirects=False)
    assert again.status_code == 401


@pytest.mark.parametrize(
    "bent",
    [{"state": "another"}, {"code": "another"}, {"error": "access_denied"}, {"iss": "https://evil.example.org"}],
    ids=lambda bent: next(iter(bent)),
)
def test_a_wrong_way_back_is_refused(bent: dict[str, str], site: FastAPI, provider: TestProvider) -> None:
    answer = sign_on(browser(site), provider, **bent)
    assert answer.status_code == 401 and answer.json()["code"] == "not-logged-in"


@pytest.mark.parametrize(
    ("claims", "drop"),
    [
        ({"iss": "https://evil.example.org"}, ()),
        ({"aud": "another client"}, ()),
        ({"exp": int(time.time()) - 3600}, ()),
        ({"nonce": "another"}, ()),
        ({}, ("nonce",)),
        ({}, ("sub",)),
        ({}, ("exp",)),
        ({"azp": "another client", "aud": ["radiolucent", "another client"]}, ()),
    ],
    ids=["issuer", "audience", "expired", "nonce", "no nonce", "no subject", "no expiry", "another party"],
)
def test_a_wrong_id_token_is_refused(
    claims: dict[str, Any], drop: tuple[str, ...], site: FastAPI, provider: TestProvider
) -> None:
    provider.claims, provider.drop = claims, drop
    assert sign_on(browser(site), provider).status_code == 401


def test_an_id_token_signed_by_another_key_or_with_a_shared_secret_is_refused(
    site: FastAPI, provider: TestProvider
) -> None:
    provider.key = OTHER
    assert sign_on(browser(site), provider).status_code == 401
    public = json.dumps(KEY.as_dict(private=False)).encode()
    provider.key, provider.algorithm = OctKey.import_key(public), "HS256"  # the public key as an HMAC secret
    assert sign_on(browser(site), provider).status_code == 401


@pytest.mark.parametrize(
    "claims",
    [
        {"preferred_username": "stranger"},
        {"preferred_username": "boss"},  # has a password: it is not handed to whoever is called so elsewhere
        {"preferred_username": None, "email": "li.wei", "email_verified": False},
    ],
    ids=["stranger", "password account", "unverified e-mail"],
)
def test_who_has_no_account_made_for_this_stays_out(
    claims: dict[str, Any], site: FastAPI, provider: TestProvider
) -> None:
    provider.claims = claims
    assert sign_on(browser(site), provider).status_code == 401


@pytest.mark.parametrize(
    "configuration",
    [{"issuer": "https://evil.example.org"}, {"token_endpoint": "http://id.example.org/token"}, {"jwks_uri": None}],
    ids=["another name", "unencrypted", "no keys"],
)
def test_a_provider_that_is_not_what_it_says_is_not_used(
    configuration: dict[str, Any], site: FastAPI, provider: TestProvider
) -> None:
    provider.configuration = configuration
    assert browser(site).client.get("/api/v1/session/oidc").status_code == 503


def test_somebody_at_a_browser_is_led_back_to_the_page_where_it_fails(site: FastAPI, provider: TestProvider) -> None:
    who = browser(site)
    who.client.headers["Accept"] = "text/html,application/xhtml+xml"
    assert sign_on(who, provider, error="access_denied").headers["location"] == "/#/signed-on/refused"
    assert who("GET", "/session").status_code == 401
    provider.away = True
    away = who.client.get("/api/v1/session/oidc", follow_redirects=False)
    assert (away.status_code, away.headers["location"]) == (303, "/#/signed-on/away")


def test_the_page_learns_whether_there_is_a_provider(site: FastAPI, make_store: Callable[..., Store]) -> None:
    assert browser(site)("GET", "/session/ways").json() == {"single_sign_on": True}
    assert browser(make_app(make_store(), public_url=PUBLIC))("GET", "/session/ways").json() == {
        "single_sign_on": False
    }


def test_a_provider_that_is_away_is_a_clear_answer(site: FastAPI, provider: TestProvider) -> None:
    provider.away = True
    answer = browser(site).client.get("/api/v1/session/oidc")
    assert answer.status_code == 503 and "cannot be reached" in answer.json()["detail"]
