"""An application over a test store, and people at it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from clinic_door import Person, quick_hashes
from fastapi import FastAPI

from radiolucent.clinic.api.app import make_app
from radiolucent.clinic.store.engine import Store


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    quick_hashes(monkeypatch)


@pytest.fixture
def app(store: Store) -> FastAPI:
    """On each database."""
    return make_app(store)


@pytest.fixture
def lone_app(make_store: Callable[..., Store]) -> FastAPI:
    """On SQLite alone, where the database makes no difference."""
    return make_app(make_store())


@pytest.fixture
def person(lone_app: FastAPI) -> Callable[..., Person]:
    """Makes people at the lone application."""

    def make(role: str | None, **more: Any) -> Person:
        return Person(lone_app, role, **more)

    return make
