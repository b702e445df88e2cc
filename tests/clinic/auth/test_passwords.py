"""The hashes that ship: argon2id at RFC 9106's parameters, whatever the other tests make do with."""

from __future__ import annotations

import argon2
import pytest
from argon2.low_level import Type

from radiolucent.clinic.auth import passwords


@pytest.fixture(autouse=True)
def _real(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(passwords, "_hasher", argon2.PasswordHasher())


def test_parameters_are_at_least_those_of_the_rfc() -> None:
    kept = passwords.hashed("correct horse battery")
    found = argon2.extract_parameters(kept)
    assert found.type is Type.ID and found.memory_cost >= 65_536 and found.time_cost >= 3
    assert not passwords.outdated(kept)
    weak = argon2.PasswordHasher(time_cost=1, memory_cost=8, parallelism=1).hash("x")
    assert passwords.outdated(weak)


def test_one_spelling_whichever_keyboard() -> None:
    kept = passwords.hashed("Ångström café lait")  # composed
    assert passwords.matches(kept, "Ångström café lait")  # decomposed
    assert not passwords.matches(kept, "Angstrom cafe lait")


def test_no_account_matches_nothing() -> None:
    assert not passwords.matches(None, "of no account")
    assert not passwords.matches("not a hash", "anything")
