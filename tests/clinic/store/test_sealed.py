"""What is sealed opens with its key, in its place, unchanged, and in no other way."""

from __future__ import annotations

import os
import threading
from pathlib import Path

import pytest
from clinic_site import drafted_case
from hypothesis import given
from hypothesis import strategies as st

from radiolucent.clinic.errors import Erased, KeysMismatch, UncleanText
from radiolucent.clinic.settings import Settings
from radiolucent.clinic.store.columns import refuse_unclean
from radiolucent.clinic.store.engine import Store, open_store
from radiolucent.clinic.store.files import files_of, get_file, orphans, put_file
from radiolucent.clinic.store.keys import load_keys
from radiolucent.clinic.store.patients import Identity, data_key, destroy, find, find_or_add, identity_of
from radiolucent.clinic.store.sealed import new_data_key, seal, seal_json, unseal, unseal_json
from radiolucent.clinic.store.tables import Case, Patient, Switch

WHO = Identity("P0042", "Zhang^San", "张^三", "", "M", "1970-01-02")


@given(st.binary(max_size=200), st.text(max_size=20))
def test_sealed_opens_in_its_place_only(content: bytes, context: str) -> None:
    context = context.encode("utf-8", "ignore").decode()
    key = new_data_key()
    sealed = seal(key, content, context)
    assert unseal(key, sealed, context) == content
    with pytest.raises(KeysMismatch):
        unseal(key, sealed, context + "x")
    with pytest.raises(KeysMismatch):
        unseal(new_data_key(), sealed, context)


@given(st.data())
def test_a_changed_byte_is_noticed(data: st.DataObject) -> None:
    key = new_data_key()
    sealed = bytearray(seal(key, b"identity", "here"))
    place = data.draw(st.integers(0, len(sealed) - 1))
    sealed[place] ^= data.draw(st.integers(1, 255))
    with pytest.raises(KeysMismatch):
        unseal(key, bytes(sealed), "here")


def test_json_round_trip() -> None:
    key = new_data_key()
    assert unseal_json(key, seal_json(key, {"name": "张^三"}, "x"), "x") == {"name": "张^三"}


@given(st.text(max_size=30))
def test_nul_and_surrogates_are_refused_anywhere(text: str) -> None:
    assert refuse_unclean({"a": [text]}) == {"a": [text]} if "\x00" not in text else True
    for bad in ("\x00", "\ud800", "\udfff"):
        for value in (text + bad, {"a": [text, bad]}, {bad: 1}, (bad,)):
            with pytest.raises(UncleanText):
                refuse_unclean(value)


def test_every_text_column_refuses_them_too(store: Store) -> None:
    for value in ({"a": "\x00"}, {"a": "\ud800"}):
        with pytest.raises(UncleanText), store.begin() as session:
            session.add(Switch(key="k", value=value, changed_by="x", changed_at=store.now()))
    with pytest.raises(UncleanText), store.begin() as session:
        session.add(Switch(key="k\x00", value={}, changed_by="x", changed_at=store.now()))


def test_identifiers_are_nowhere_in_the_clear(store: Store) -> None:
    with store.begin() as session:
        patient, key = find_or_add(session, store, WHO)
        row_id = patient.id
        assert data_key(store, patient) == key
    with store.read() as session:
        row = session.get_one(Patient, row_id)
        stored = repr((row.lookup, row.wrapped_key, row.sealed))
        assert identity_of(store, row) == WHO
        assert find(session, store, " P0042 ") is not None
        assert find(session, store, "P0043") is None
    assert not any(part in stored for part in ("P0042", "Zhang", "张", "1970"))
    if store.is_sqlite:
        files = [path.read_bytes() for path in store.settings.data.glob("clinic.sqlite*")]
        assert not any(part in raw for raw in files for part in (b"P0042", b"Zhang", "张".encode(), b"1970-01"))


def test_a_patient_is_found_again_and_filled_in(store: Store) -> None:
    with store.begin() as session:
        first, _ = find_or_add(session, store, Identity("P1"))
        second, _ = find_or_add(session, store, Identity("P1", name="Li^Si"))
        nobody, _ = find_or_add(session, store, Identity(""))
        other, _ = find_or_add(session, store, Identity(""))
        assert first.id == second.id and identity_of(store, second).name == "Li^Si"
        assert nobody.id != other.id


def test_an_erased_patient_cannot_be_read_or_found(store: Store) -> None:
    with store.begin() as session:
        patient, _ = find_or_add(session, store, WHO)
        destroy(session, store, patient)
        with pytest.raises(Erased):
            identity_of(store, patient)
        assert find(session, store, WHO.id) is None


def test_files_are_sealed_on_disk(store: Store) -> None:
    case = drafted_case(store)
    with store.begin() as session:
        row_case = session.get_one(Case, case.id)
        key = data_key(store, session.get_one(Patient, row_case.patient_id))
        row = put_file(session, store, case.id, key, "export", b"PLAIN CONTENT")
        assert get_file(store, row, key) == b"PLAIN CONTENT"
        raw = store.path(row.path).read_bytes()
        assert b"PLAIN" not in raw and store.path(row.path).stat().st_mode & 0o077 == 0
        store.path(row.path).write_bytes(raw[:-1] + bytes([raw[-1] ^ 1]))
        with pytest.raises(KeysMismatch):
            get_file(store, row, key)
        assert [one.id for one in files_of(session, case.id, "export")] == [row.id]


def test_a_file_of_a_transaction_that_failed_is_an_orphan(store: Store) -> None:
    case = drafted_case(store)
    with pytest.raises(RuntimeError), store.begin() as session:
        put_file(session, store, case.id, new_data_key(), "export", b"x")
        raise RuntimeError("killed")
    assert len(orphans(store, older_than_s=-1)) == 1


def test_a_path_never_leaves_the_data_folder(store: Store) -> None:
    with pytest.raises(KeysMismatch):
        store.path("../../etc/passwd")


def test_keys_are_made_once_and_private(tmp_path: Path) -> None:
    made: list[bytes] = []
    threads = [threading.Thread(target=lambda: made.append(load_keys(tmp_path, {}).master)) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(set(made)) == 1
    for name in ("master", "audit", "index"):
        assert (tmp_path / f"{name}.key").stat().st_mode & 0o077 == 0
    assert "master=" not in repr(load_keys(tmp_path, {}))


def test_a_readable_key_file_is_refused(tmp_path: Path) -> None:
    load_keys(tmp_path, {})
    os.chmod(tmp_path / "master.key", 0o644)
    with pytest.raises(KeysMismatch, match="chmod"):
        load_keys(tmp_path, {})


@pytest.mark.parametrize("text", ["no base64!", "c2hvcnQ="])
def test_a_key_that_is_none_is_refused(tmp_path: Path, text: str) -> None:
    with pytest.raises(KeysMismatch):
        load_keys(tmp_path, {"RADIOLUCENT_MASTER_KEY": text})


def test_other_keys_do_not_open_the_database(settings: Settings, tmp_path: Path) -> None:
    open_store(settings).dispose()
    with pytest.raises(KeysMismatch, match="other keys"):
        open_store(settings.with_(keys=tmp_path / "others"))
