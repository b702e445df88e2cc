"""People and programs at the door of a test site."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
from argon2 import PasswordHasher
from fastapi import FastAPI
from PIL import Image
from starlette.testclient import TestClient

from radiolucent.clinic.auth import passwords
from radiolucent.clinic.auth.accounts import add_user
from radiolucent.clinic.store.actor import SYSTEM
from radiolucent.clinic.store.engine import Store

BASE = "http://127.0.0.1:8411"
PASSWORD = "correct horse battery"


def quick_hashes(monkeypatch: Any) -> None:
    """Hashes that cost nothing; the real ones have a test of their own."""
    monkeypatch.setattr(passwords, "_hasher", PasswordHasher(time_cost=1, memory_cost=8, parallelism=1))


class Person:
    """Somebody at the page: a cookie jar and the CSRF token.

    Parameters
    ----------
    role
        Of the account that is made; None: nobody is logged in.
    """

    def __init__(self, app: FastAPI, role: str | None, login: str | None = None, address: str = "127.0.0.1") -> None:
        self.client = TestClient(app, base_url=BASE, client=(address, 50000), raise_server_exceptions=False)
        self.csrf, self.id = "", ""
        if role is not None:
            login = login or role
            self.id = add_user(
                app.state.store, SYSTEM, login=login, name=login.title(), role=role, password=PASSWORD
            ).id
            self.log_in(login)

    def log_in(self, login: str, password: str = PASSWORD) -> Any:
        """Log in and keep what it gives."""
        answer = self.client.post("/api/v1/session", json={"login": login, "password": password})
        if answer.status_code == 200:
            self.csrf = answer.json()["csrf"]
        return answer

    def __call__(self, method: str, path: str, *, version: int | None = None, **more: Any) -> Any:
        """A request as the page makes it; paths under /api/v1 are given without it."""
        headers = dict(more.pop("headers", {}))
        if method != "GET":
            headers.setdefault("X-CSRF-Token", self.csrf)
        if version is not None:
            headers["If-Match"] = f'"{version}"'
        whole = path if path.startswith(("/healthz", "/readyz", "/metrics", "/api")) else f"/api/v1{path}"
        return self.client.request(method, whole, headers=headers, **more)


def token_client(app: FastAPI, store: Store, owner: Person, *scopes: str) -> TestClient:
    """A program with a token of a person's account."""
    made = owner("POST", "/tokens", json={"name": "test", "scopes": list(scopes)})
    assert made.status_code == 201, made.text
    client = TestClient(app, base_url=BASE, raise_server_exceptions=False)
    client.headers["Authorization"] = f"Bearer {made.json()['value']}"
    return client


def picture(seed: int = 0, size: int = 32) -> bytes:
    """A PNG of noise."""
    pixels = np.random.default_rng(seed).integers(0, 255, (size, size)).astype(np.uint8)
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, "PNG")
    return stream.getvalue()
