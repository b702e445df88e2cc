"""Single sign-on against a provider in this process: what a right answer does, and every wrong one refused."""

from __future__ import annotations

import base64
import hashlib
import json
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx2
import pytest
from clinic_door import Person
from fastapi import FastAPI
from joserfc import jwt
from joserfc.jwk import OctKey, RSAKey

from radiolucent.clinic.api.app import make_app
from radiolucent.clinic.auth.accounts import add_user
from radiolucent.clinic.auth.oidc import Provider
from radiolucent.clinic.store.actor import SYSTEM
from radiolucent.clinic.store.engine import Store

ISSUER = "https://id.example.org"
PUBLIC = "https://reading.example.org"
KEY = RSAKey.generate_key(2048, {"kid": "one"})
OTHER = RSAKey.generate_key(2048, {"kid": "one"})


@dataclass
class TestProvider:
    """Keeps to OpenID Connect, except where a test bends it."""

    __test__ = False
    claims: dict[str, Any] = field(default_factory=dict)
    drop: tuple[str, ...] = ()
    key: Any = field(default_factory=lambda: KEY)
    algorithm: str = "RS256"
    configuration: dict[str, Any] = field(default_factory=dict)
    away: bool = False
    asked: dict[str, str] = field(default_factory=dict)
    codes: dict[str, dict[str, str]] = field(default_factory=dict)

    def authorize(self, address: str) -> dict[str, str]:
        """What a browser brings back after the person agreed."""
        self.asked = {name: value[0] for name, value in parse_qs(urlsplit(address).query).items()}
        assert self.asked["response_type"] == "code" and self.asked["code_challenge_method"] == "S256"
        code = hashlib.sha256(self.asked["state"].encode()).hexdigest()
        self.codes[code] = dict(self.asked)
        return {"code": code, "state": self.asked["state"], "iss": ISSUER}

    def answer(self, request: httpx2.Request) -> httpx2.Response:
        """Its three addresses."""
        if self.away:
            raise httpx2.ConnectError("away", request=request)
        if request.url.path.endswith("openid-configuration"):
            told = {
                "issuer": ISSUER,
                "authorization_endpoint": f"{ISSUER}/authorize",
                "token_endpoint": f"{ISSUER}/token",
                "jwks_uri": f"{ISSUER}/keys",
            }
            return httpx2.Response(200, json=told | self.configuration)
        if request.url.path == "/keys":
            return httpx2.Response(200, json={"keys": [KEY.as_dict(private=False)]})
        return self._token(request)

    def _token(self, request: httpx2.Request) -> httpx2.Response:
        given = {name: value[0] for name, value in parse_qs(request.content.decode()).items()}
        assert request.headers["authorization"].startswith("Basic ")
        asked = self.codes.pop(given["code"], None)
        if asked is None:
            return httpx2.Response(400, json={"error": "invalid_grant"})
        digest = hashlib.sha256(given["code_verifier"].encode()).digest()
        assert base64.urlsafe_b64encode(digest).decode().rstrip("=") == asked["code_challenge"]
        assert given["redirect_uri"] == asked["redirect_uri"] == f"{PUBLIC}/api/v1/session/oidc/callback"
        now = int(time.time())
        claims = {
            "iss": ISSUER,
            "sub": "subject-1",
            "aud": "radiolucent",
            "exp": now + 300,
            "iat": now,
            "nonce": asked["nonce"],
            "preferred_username": "li.wei",
        } | self.claims
        for name in self.drop:
            del claims[name]
        token = jwt.encode({"alg": self.algorithm, "kid": "one"}, claims, self.key, algorithms=[self.algorithm])
        return httpx2.Response(200, json={"access_token": "a", "token_type": "Bearer", "id_token": token})


@pytest.fixture
def provider() -> TestProvider:
    return TestProvider()


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
    who.client.get("/api/v1/session/oidc/callback", params=back, follow_redirects=False)
    assert who("GET", "/session").json()["reauth_at"] is not None


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


def test_a_provider_that_is_away_is_a_clear_answer(site: FastAPI, provider: TestProvider) -> None:
    provider.away = True
    answer = browser(site).client.get("/api/v1/session/oidc")
    assert answer.status_code == 503 and "cannot be reached" in answer.json()["detail"]
