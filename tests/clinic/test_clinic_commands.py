"""The clinic's commands as a site types them."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest
from clinic_door import PASSWORD, quick_hashes
from clinic_site import signed_case
from sqlalchemy import text
from typer.testing import CliRunner

from radiolucent.cli import app
from radiolucent.clinic.audit.verify import entries, verify
from radiolucent.clinic.auth.sessions import log_in
from radiolucent.clinic.store.engine import Store, open_store

COMMANDS = (
    ["serve"],
    ["worker"],
    ["verify-audit"],
    ["admin", "create"],
    ["admin", "reset"],
    ["backup"],
    ["restore"],
    ["retention"],
)


@pytest.fixture
def site(make_store: Callable[..., Store], monkeypatch: pytest.MonkeyPatch) -> Store:
    """A store, and an environment that leads to it."""
    quick_hashes(monkeypatch)
    store = make_store()
    monkeypatch.setenv("RADIOLUCENT_DATA", str(store.settings.data))
    monkeypatch.setenv("RADIOLUCENT_KEYS", str(store.settings.keys))
    return store


def run(*words: str, given: str | None = None) -> Any:
    return CliRunner().invoke(app, list(words), input=given)


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_help_has_an_example_and_json(command: list[str]) -> None:
    told = run(*command, "--help")
    assert told.exit_code == 0, told.output
    plain = re.sub(r"\x1b\[[0-9;]*m", "", told.output)
    assert f"radiolucent {' '.join(command)}" in plain and "Example" in plain and "--json" in plain


def test_the_first_administrator_and_a_forgotten_password(site: Store) -> None:
    assert run("admin", "create", "--login", "ada", "--name", "Ada", "--password-stdin", given="short\n").exit_code == 2
    made = run(
        "admin", "create", "--login", "ada", "--name", "Ada", "--password-stdin", "--json", given=f"{PASSWORD}\n"
    )
    assert made.exit_code == 0 and json.loads(made.output)["login"] == "ada"
    assert PASSWORD not in made.output
    log_in(site, "ada", PASSWORD, "127.0.0.1")
    again = run("admin", "reset", "--login", "ada", "--password-stdin", given="another long password\n")
    assert again.exit_code == 0
    log_in(site, "ada", "another long password", "127.0.0.1")
    assert run("admin", "reset", "--login", "eve", "--password-stdin", given=f"{PASSWORD}\n").exit_code == 1


def test_the_trail_is_checked_and_written_out(site: Store, tmp_path: Path) -> None:
    signed_case(site)
    for form in ("jsonl", "dicom"):
        done = run("verify-audit", "--json", "--format", form, "--export", str(tmp_path / form))
        assert done.exit_code == 0 and json.loads(done.output)["intact"]
        assert len((tmp_path / form).read_text().splitlines()) == len(list(entries(site)))
    assert run("verify-audit", "--format", "csv").exit_code == 2
    with site.begin() as session:
        session.execute(text("DROP TRIGGER audit_no_update"))
        session.execute(text("UPDATE audit SET actor = 'somebody' WHERE seq = 3"))
    broken = run("verify-audit", "--json")
    assert broken.exit_code == 1 and json.loads(broken.output)["findings"][0]["seq"] == 3


def test_out_and_back(site: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    signed_case(site)
    out = run("backup", str(tmp_path / "b.rlb"))
    assert out.exit_code == 0 and "keys are not in it" in out.output and "密钥" in out.output
    assert run("backup", str(tmp_path / "b.rlb")).exit_code == 2
    monkeypatch.setenv("RADIOLUCENT_DATA", str(tmp_path / "new"))
    back = run("restore", str(tmp_path / "b.rlb"), "--reason", "test", "--json")
    assert back.exit_code == 0 and json.loads(back.output)["rows"]["cases"] == 1
    restored = open_store(site.settings.with_(data=tmp_path / "new", database_url=""))
    assert verify(restored).intact
    restored.dispose()
    assert run("restore", str(tmp_path / "none.rlb"), "--reason", "test").exit_code == 2


def test_retention_says_what_it_would_do(site: Store) -> None:
    signed_case(site)
    done = run("retention", "--days", "30", "--dry-run", "--json")
    assert done.exit_code == 0 and json.loads(done.output) == {
        "patients": [],
        "files": 0,
        "orphans": 0,
        "uploads": 0,
        "sessions": 0,
        "dry_run": True,
    }
    assert run("retention", "--days", "-1").exit_code == 2


def test_serving_beyond_this_machine_needs_tls(site: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    refused = run("serve", "--host", "0.0.0.0", "--json")
    assert refused.exit_code == 2 and "unencrypted" in json.loads(refused.output)["message"]
    assert run("serve", "--port", "0").exit_code == 2


def test_one_command_serves_says_how_to_begin_and_ends_cleanly(site: Store) -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    code = "from radiolucent.cli import main; main()"
    process = subprocess.Popen(
        [sys.executable, "-c", code, "serve", "--port", str(port), "--workers", "0", "--json"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )
    try:
        assert process.stdout is not None
        told = json.loads(process.stdout.readline())
        assert told == {"address": f"http://127.0.0.1:{port}", "workers": 0, "first_admin": "radiolucent admin create"}
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            try:
                ready = httpx.get(f"http://127.0.0.1:{port}/readyz")
                break
            except httpx.TransportError:
                time.sleep(0.1)
        assert ready.json()["ready"]
        assert httpx.get(f"http://127.0.0.1:{port}/").headers["content-type"].startswith("text/html")
        process.send_signal(signal.SIGTERM)
        _, errors = process.communicate(timeout=60)
    finally:
        process.kill()
        process.wait()
    for line in errors.splitlines():
        json.loads(line)
    actions = [one.action for one in entries(site)]
    assert "system.start" in actions and "system.stop" in actions
