"""The trail stands or falls with what it tells of, never forks, and shows every kind of tampering."""

from __future__ import annotations

import json
import shutil
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from xml.etree import ElementTree

import pytest
from clinic_site import ADMIN, DOCTOR, drafted_case, signed_case
from sqlalchemy import select, text

from radiolucent.clinic.audit.checkpoint import checkpoint_path, read_checkpoint
from radiolucent.clinic.audit.export import audit_messages, json_lines
from radiolucent.clinic.audit.trail import note
from radiolucent.clinic.audit.verify import confirm_restored, entries, verify
from radiolucent.clinic.errors import AuditBroken
from radiolucent.clinic.service import cases
from radiolucent.clinic.store.actor import SYSTEM
from radiolucent.clinic.store.engine import Store, open_store
from radiolucent.clinic.store.tables import AuditEntry


def write(store: Store, number: int = 1, **detail: object) -> None:
    for _ in range(number):
        with store.begin() as session:
            note(store, session, SYSTEM, "test.made", "thing", "1", **detail)


def unguarded(store: Store, statement: str) -> None:
    """What somebody with all rights on the database can do: take the triggers away and write."""
    with store.begin() as session:
        if store.is_sqlite:
            session.execute(text("DROP TRIGGER IF EXISTS audit_no_update"))
            session.execute(text("DROP TRIGGER IF EXISTS audit_no_delete"))
        else:
            session.execute(text("SET LOCAL session_replication_role = replica"))
        session.execute(text(statement))


def test_an_entry_of_a_failed_transaction_is_not_written(store: Store) -> None:
    write(store)
    with pytest.raises(RuntimeError), store.begin() as session:
        note(store, session, SYSTEM, "test.made", "thing", "2")
        raise RuntimeError("failed")
    verdict = verify(store)
    assert verdict.intact and verdict.entries == verdict.checkpoint == 1


def test_appends_of_many_at_once_never_fork(store: Store) -> None:
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda number: write(store, 5, of=number), range(8)))
    verdict = verify(store)
    assert verdict.intact and verdict.entries == verdict.checkpoint == 40


@pytest.mark.parametrize(
    ("statement", "fault"),
    [
        ("UPDATE audit SET actor = 'somebody' WHERE seq = 3", "edited"),
        ("UPDATE audit SET detail = '{}' WHERE seq = 6", "edited"),
        ("DELETE FROM audit WHERE seq = 3", "missing"),
        ("DELETE FROM audit WHERE seq = 1", "missing"),
        ("DELETE FROM audit WHERE seq > 4", "truncated"),
        ("DELETE FROM audit", "truncated"),
        ("UPDATE audit SET seq = CASE seq WHEN 2 THEN 103 WHEN 3 THEN 102 ELSE seq END", "missing"),
    ],
)
def test_tampering_is_found(store: Store, statement: str, fault: str) -> None:
    write(store, 6, a=1)
    unguarded(store, statement)
    verdict = verify(store)
    assert not verdict.intact and fault in {finding.fault for finding in verdict.findings}
    assert all(finding.en and finding.zh for finding in verdict.findings)


def test_two_entries_exchanged_are_found(store: Store) -> None:
    write(store, 5, a=1)
    for statement in ("SET seq = 100 WHERE seq = 2", "SET seq = 2 WHERE seq = 3", "SET seq = 3 WHERE seq = 100"):
        unguarded(store, f"UPDATE audit {statement}")
    assert not verify(store).intact


def test_nothing_is_appended_to_a_trail_that_was_cut_off(store: Store) -> None:
    write(store, 5)
    unguarded(store, "DELETE FROM audit WHERE seq > 3")
    with pytest.raises(AuditBroken, match="verify-audit"):
        write(store)
    assert verify(store).entries == 3


def test_nor_where_the_checkpoint_is_gone_or_forged(store: Store) -> None:
    write(store, 2)
    path = checkpoint_path(store)
    held = path.read_text()
    path.unlink()
    with pytest.raises(AuditBroken):
        write(store)
    assert [finding.fault for finding in verify(store).findings] == ["unanchored"]
    path.write_text(held.replace('"seq":2', '"seq":1'))
    with pytest.raises(AuditBroken, match="forged"):
        write(store)
    assert "forged checkpoint" in {finding.fault for finding in verify(store).findings}
    path.write_text("{")
    with pytest.raises(AuditBroken):
        write(store)
    path.write_text(held)
    write(store)
    assert verify(store).intact


def test_a_kill_between_commit_and_checkpoint_is_no_break(store: Store) -> None:
    write(store, 3)
    behind = checkpoint_path(store).read_text()
    write(store, 1)
    checkpoint_path(store).write_text(behind)  # as if killed before it moved on
    assert verify(store).intact
    write(store, 1)
    held = read_checkpoint(store)
    assert verify(store).intact and held is not None and held.head.seq == 5


def test_an_older_copy_put_back_is_found_until_confirmed(make_store: object, tmp_path: Path) -> None:
    store: Store = make_store("site")  # type: ignore[operator]
    write(store, 3)
    store.dispose()
    shutil.copytree(store.settings.data, tmp_path / "backup")
    write(store, 4)
    store.dispose()
    shutil.rmtree(store.settings.data)
    shutil.copytree(tmp_path / "backup", store.settings.data)
    with pytest.raises(AuditBroken):
        write(store)
    given_up = confirm_restored(store, ADMIN, "restored after a disk failure")
    assert given_up is not None and given_up.seq == 7
    verdict = verify(store)
    assert verdict.intact and verdict.breaks == (7,) and verdict.entries == 4
    write(store)


def test_a_trail_broken_in_itself_is_not_confirmed(store: Store) -> None:
    write(store, 4)
    unguarded(store, "UPDATE audit SET actor = 'x' WHERE seq = 2")
    with pytest.raises(AuditBroken):
        confirm_restored(store, ADMIN, "no")


def test_reads_are_audited_and_identifiers_are_not_in_it(store: Store) -> None:
    case = signed_case(store, patient_id="P99887", clinical_information="Cough since May")
    cases.case(store, DOCTOR, case.id)
    cases.worklist(store, DOCTOR, query="P99887")
    told = "\n".join(json_lines(entries(store)))
    assert "case.read" in told and "case.list" in told and DOCTOR.user_id in told
    assert not any(part in told for part in ("P99887", "Zhang", "张", "1970", "ACC", "Cough", "Hospital"))


def test_json_lines_hold_every_field(store: Store) -> None:
    write(store, 2, a=1)
    lines = [json.loads(line) for line in json_lines(entries(store))]
    with store.read() as session:
        rows = session.scalars(select(AuditEntry).order_by(AuditEntry.seq)).all()
    assert [line["digest"] for line in lines] == [row.digest for row in rows]
    assert lines[0]["detail"] == {"a": 1}


def test_audit_messages_follow_the_standard(store: Store) -> None:
    case = drafted_case(store)
    cases.case(store, DOCTOR, case.id)
    messages = [ElementTree.fromstring(line) for line in audit_messages(entries(store), "site-1")]
    assert len(messages) == verify(store).entries
    for message in messages:
        # PS3.15 A.5.1: exactly these parts, in this order.
        assert [part.tag for part in message] == [
            "EventIdentification",
            "ActiveParticipant",
            "AuditSourceIdentification",
            "ParticipantObjectIdentification",
        ]
        event = message[0]
        assert event.get("EventActionCode") in tuple("CRUDE") and event.get("EventOutcomeIndicator") in ("0", "4")
        assert event.get("EventDateTime") and event[0].tag == "EventID" and event[0].get("codeSystemName") == "DCM"
    codes = {message[0][0].get("csd-code") for message in messages}
    assert {"110103", "110107"} <= codes


def test_a_reopened_store_goes_on(store: Store) -> None:
    write(store, 2)
    again = open_store(store.settings)
    write(again, 2)
    assert verify(again).entries == 4 and verify(store).intact
    again.dispose()
