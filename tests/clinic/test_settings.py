"""Settings are read once, checked, and say what is wrong by name."""

from __future__ import annotations

from pathlib import Path

import pytest

from radiolucent.clinic.settings import from_env
from radiolucent.errors import MalformedInput


def test_defaults_are_local_and_for_research(tmp_path: Path) -> None:
    settings = from_env({}, data=tmp_path)
    assert settings.host == "127.0.0.1" and settings.mode == "research" and settings.is_sqlite
    assert settings.keys == tmp_path / "keys"


def test_the_environment_is_read() -> None:
    settings = from_env(
        {
            "RADIOLUCENT_DATABASE_URL": "postgresql://clinic@db/one",
            "RADIOLUCENT_TWO_SIGNATURES": "yes",
            "RADIOLUCENT_PORT": "9000",
            "RADIOLUCENT_LEASE_S": "2.5",
        }
    )
    assert settings.database_url == "postgresql+psycopg://clinic@db/one" and not settings.is_sqlite
    assert settings.two_signatures and settings.port == 9000 and settings.lease_s == 2.5


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("PORT", "many"),
        ("PORT", "70000"),
        ("TWO_SIGNATURES", "perhaps"),
        ("LANGUAGE", "fr"),
        ("MODE", "sales"),
        ("MODE", "clinical"),
        ("LOG_RETENTION_DAYS", "30"),
        ("DATABASE_URL", "mysql://x"),
        ("LEVEL", "deepest"),
        ("PARSE_PIXELS", "0"),
    ],
)
def test_what_does_not_fit_is_named(name: str, value: str) -> None:
    with pytest.raises(MalformedInput):
        from_env({f"RADIOLUCENT_{name}": value})


def test_clinical_mode_needs_its_ground() -> None:
    settings = from_env({"RADIOLUCENT_MODE": "clinical", "RADIOLUCENT_LEGAL_BASIS": "Approved as IIT 2026-7"})
    assert settings.mode == "clinical"
