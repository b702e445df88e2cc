"""A backup holds everything but the keys, opens only with them, and comes back equal on either database."""

from __future__ import annotations

import io
import json
import shutil
import tarfile
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from clinic_site import DOCTOR, received, signed_case
from sqlalchemy import select

from radiolucent.clinic.audit.checkpoint import checkpoint_path
from radiolucent.clinic.audit.verify import verify
from radiolucent.clinic.auth.accounts import add_user
from radiolucent.clinic.auth.sessions import log_in
from radiolucent.clinic.errors import KeysMismatch
from radiolucent.clinic.ops.backup import PIECE, PURPOSE, _Opened, _Sealed, backup, restore
from radiolucent.clinic.ops.destinations import DestinationView, add_destination, destinations
from radiolucent.clinic.service import cases, evidence, intake
from radiolucent.clinic.service.erasure import erase_patient
from radiolucent.clinic.settings import Settings
from radiolucent.clinic.store.actor import SYSTEM, Actor
from radiolucent.clinic.store.engine import Store, open_store
from radiolucent.clinic.store.tables import Base, Case

ADMIN = Actor("u-admin", "admin", "Ada")


def rows_of(store: Store) -> dict[str, list[Any]]:
    with store.read() as session:
        return {
            table.name: [tuple(row) for row in session.execute(select(table).order_by(*table.primary_key.columns))]
            for table in Base.metadata.sorted_tables
            if table.name not in ("audit", "sessions")
        }


def filled(store: Store) -> str:
    """A site with a signed case, a second one of the same patient that points at it, an account and a session."""
    signed = signed_case(store, patient_id="P1")
    intake.register(store, DOCTOR, received("P1"))
    add_user(store, SYSTEM, login="ada", name="Ada", role="admin", password="correct horse battery")
    log_in(store, "ada", "correct horse battery", "127.0.0.1")
    return signed.id


def elsewhere(settings: Settings, tmp_path: Path, url: str = "") -> Settings:
    return settings.with_(data=tmp_path / "other", database_url=url or f"sqlite:///{tmp_path / 'other' / 'c.sqlite'}")


def test_everything_comes_back_equal(settings: Settings, tmp_path: Path, request: pytest.FixtureRequest) -> None:
    store = open_store(settings)
    case_id = filled(store)
    before, pixels = rows_of(store), evidence.frame(store, DOCTOR, case_id, 0).pixels
    summary = backup(store, tmp_path / "b.rlb")
    assert summary.rows["cases"] == 2 and summary.missing == 0
    on_postgres = settings.database_url.startswith("postgresql")
    url = request.getfixturevalue("postgres").create() if on_postgres else ""
    there = elsewhere(settings, tmp_path, url)
    back = restore(tmp_path / "b.rlb", there, reason="test")
    assert back.rows == summary.rows and back.files == summary.files
    restored = open_store(there)
    assert rows_of(restored) == before
    assert verify(restored).intact
    assert (evidence.frame(restored, DOCTOR, case_id, 0).pixels == pixels).all()
    assert cases.case(restored, DOCTOR, case_id).patient is not None
    with restored.read() as session:
        assert session.scalars(select(Case.prior_case_id).where(Case.prior_case_id.is_not(None))).all() == [case_id]
    restored.dispose()
    store.dispose()


def test_a_backup_made_before_a_column_came_is_restored_and_brought_up_to_date(
    settings: Settings, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    """The archive as the program of revision 0001 wrote it: its revision, and rows without the newer columns."""
    store = open_store(settings)
    add_destination(
        store, ADMIN, DestinationView("pacs", "stow", "https://pacs.example.org", None, None, None, True, True)
    )
    backup(store, tmp_path / "new.rlb")
    newer = ("calling_aet", "tls", "ca_pem", "sealed_token")
    key = store.keys.derived(PURPOSE)
    with ExitStack() as open_files:
        old = open_files.enter_context((tmp_path / "new.rlb").open("rb"))
        new = open_files.enter_context((tmp_path / "old.rlb").open("wb"))
        sink = open_files.enter_context(_Sealed(new, key))
        given = open_files.enter_context(tarfile.open(fileobj=_Opened(old, key), mode="r|"))
        made = open_files.enter_context(tarfile.open(fileobj=sink, mode="w|"))
        for member in given:
            content = given.extractfile(member)
            assert content is not None
            lines = content.read()
            if member.name == "about.json":
                lines = json.dumps(json.loads(lines) | {"revision": "0001"}).encode()
            if member.name == "rows/destinations.jsonl":
                rows = [json.loads(line) for line in lines.splitlines()]
                kept = [{name: value for name, value in row.items() if name not in newer} for row in rows]
                lines = b"".join(json.dumps(row).encode() + b"\n" for row in kept)
            member.size = len(lines)
            made.addfile(member, io.BytesIO(lines))
    store.dispose()
    on_postgres = settings.database_url.startswith("postgresql")
    there = elsewhere(settings, tmp_path, request.getfixturevalue("postgres").create() if on_postgres else "")
    restore(tmp_path / "old.rlb", there, reason="test")
    restored = open_store(there)
    assert [one.url for one in destinations(restored, ADMIN)] == ["https://pacs.example.org"]
    restored.dispose()


def test_from_one_kind_of_database_into_the_other(
    make_store: Callable[..., Store], tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    store = make_store()
    filled(store)
    before = rows_of(store)
    backup(store, tmp_path / "b.rlb")
    there = elsewhere(store.settings, tmp_path, request.getfixturevalue("postgres").create())
    restore(tmp_path / "b.rlb", there, reason="moved")
    restored = open_store(there)
    assert rows_of(restored) == before and verify(restored).intact
    restored.dispose()


def test_entries_that_the_backup_does_not_know_are_given_up_on_record(
    make_store: Callable[..., Store], tmp_path: Path
) -> None:
    store = make_store()
    filled(store)
    backup(store, tmp_path / "b.rlb")
    cases.worklist(store, DOCTOR)  # one entry more
    there = elsewhere(store.settings, tmp_path)
    restore(tmp_path / "b.rlb", there, reason="disk failure")
    restored = open_store(there)
    verdict = verify(restored)
    assert verdict.intact and len(verdict.breaks) == 1
    restored.dispose()


def test_without_the_keys_it_is_worthless(make_store: Callable[..., Store], tmp_path: Path) -> None:
    store = make_store()
    filled(store)
    summary = backup(store, tmp_path / "b.rlb")
    content = (tmp_path / "b.rlb").read_bytes()
    assert b"Zhang" not in content and b"pleural" not in content and store.keys.master not in content
    assert summary.size == len(content)
    other = elsewhere(store.settings, tmp_path).with_(keys=tmp_path / "other-keys")
    with pytest.raises(KeysMismatch, match="other keys"):
        restore(tmp_path / "b.rlb", other, reason="theft")
    fresh = tmp_path / "kept-keys"  # the keys came back from their own medium, without a checkpoint
    shutil.copytree(store.settings.keys, fresh)
    checkpoint_path(store).unlink()
    (fresh / "audit.checkpoint").unlink()
    there = store.settings.with_(
        data=tmp_path / "third", keys=fresh, database_url=f"sqlite:///{tmp_path}/third/c.sqlite"
    )
    restore(tmp_path / "b.rlb", there, reason="new machine")
    restored = open_store(there)
    assert verify(restored).intact and not verify(restored).breaks
    restored.dispose()


def test_a_damaged_shortened_or_mixed_backup_is_refused(make_store: Callable[..., Store], tmp_path: Path) -> None:
    store = make_store()
    filled(store)
    (store.settings.data / "files" / "ab").mkdir(exist_ok=True)
    backup(store, tmp_path / "whole.rlb")
    whole = (tmp_path / "whole.rlb").read_bytes()
    turned = bytearray(whole)
    turned[len(whole) // 2] ^= 1
    for name, content in (
        ("turned", bytes(turned)),
        ("short", whole[: len(whole) // 2]),
        ("no end", whole[:-40]),
        ("longer", whole + b"\x00\x00\x00\x10" + b"x" * 16),
        ("other", b"PK\x03\x04" + whole),
        ("empty", b""),
    ):
        (tmp_path / name).write_bytes(content)
        there = store.settings.with_(data=tmp_path / f"to-{name}", database_url="")
        with pytest.raises((KeysMismatch, ValueError, Exception)) as refused:
            restore(tmp_path / name, there, reason="test")
        assert type(refused.value).__name__ in ("KeysMismatch", "MalformedInput"), (name, refused.value)
    assert len(whole) < PIECE * 8


def test_nothing_is_written_over(make_store: Callable[..., Store], tmp_path: Path) -> None:
    store = make_store()
    filled(store)
    backup(store, tmp_path / "b.rlb")
    with pytest.raises(Exception, match="exists already"):
        backup(store, tmp_path / "b.rlb")
    with pytest.raises(Exception, match="empty one"):
        restore(tmp_path / "b.rlb", store.settings, reason="by mistake")


def test_what_was_erased_stays_unreadable_in_the_backup_made_before(
    make_store: Callable[..., Store], tmp_path: Path
) -> None:
    """After the erasure a fresh backup carries neither key nor identity; files of the erased are not in it."""
    store = make_store()
    case_id = filled(store)
    with store.read() as session:
        patient = session.get_one(Case, case_id).patient_id
    erase_patient(store, ADMIN, patient, "request")
    summary = backup(store, tmp_path / "b.rlb")
    assert summary.files == 0 and summary.missing > 0
    there = elsewhere(store.settings, tmp_path)
    restore(tmp_path / "b.rlb", there, reason="test")
    restored = open_store(there)
    assert cases.case(restored, DOCTOR, case_id).patient is None
    restored.dispose()
