"""Backup and restore: database, sealed files and the audit checkpoint in one encrypted file; never the keys.

The file is a tar stream cut into pieces, each sealed with AES-256-GCM under a key that follows from the master key;
every piece is bound to its backup and place and the last one says so, so that nothing can be cut off, swapped or
mixed. Rows are JSON Lines a table, read in one snapshot: a backup of SQLite can be restored into PostgreSQL and back.
"""

from __future__ import annotations

import base64
import io
import json
import os
import secrets
import shutil
import tarfile
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import IO, Any

from sqlalchemy import Column, Connection, MetaData, Row, Table, func, insert, inspect, select

from radiolucent.clinic.audit.chain import check
from radiolucent.clinic.audit.checkpoint import checkpoint_path
from radiolucent.clinic.audit.trail import note
from radiolucent.clinic.audit.verify import confirm_restored, entries, verify
from radiolucent.clinic.errors import KeysMismatch
from radiolucent.clinic.settings import Settings
from radiolucent.clinic.store.actor import SYSTEM, Actor
from radiolucent.clinic.store.engine import Store, make_engine, open_store
from radiolucent.clinic.store.files import FOLDER
from radiolucent.clinic.store.keys import load_keys
from radiolucent.clinic.store.migrate import current, upgrade
from radiolucent.clinic.store.sealed import seal, unseal
from radiolucent.clinic.store.tables import Base, StoredFile
from radiolucent.errors import MalformedInput

MAGIC = b"RLBACKUP1\n"
PIECE = 1024 * 1024
ROWS = 500
PURPOSE = b"backup"
PASSING = ("sessions",)
"""Tables that are made but left empty: nobody is logged in after a restore."""
KEYS_APART = (
    "The keys are not in it, on purpose: whoever finds the backup must not be able to open it. Keep the folder {keys} "
    "(master.key, audit.key, index.key) on another medium; without it this backup cannot be restored. / "
    "备份不含密钥：请将密钥文件夹另行保存，否则无法恢复。"
)


@dataclass(frozen=True)
class Summary:
    """What a backup holds.

    Parameters
    ----------
    rows
        A table.
    missing
        Files that rows speak of but which were not on disk, as after an erasure.
    """

    path: str
    made_at: datetime
    revision: str
    rows: dict[str, int]
    files: int
    missing: int
    audit_entries: int
    size: int


def backup(store: Store, target: Path, actor: Actor = SYSTEM) -> Summary:
    """Write a backup to ``target``, whole or not at all.

    Raises
    ------
    MalformedInput
        Where the target exists already.
    """
    if target.exists():
        raise MalformedInput(f"{target.name} exists already; give another name, backups are not written over.")
    with store.begin() as session:
        note(store, session, actor, "backup.made", "site", "backup")
    target.parent.mkdir(parents=True, exist_ok=True)
    handle, temporary = tempfile.mkstemp(dir=target.parent, prefix=".backup.")
    try:
        with os.fdopen(handle, "wb") as file:
            summary = _write(store, file)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, target)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise
    return Summary(**{**summary.__dict__, "path": str(target), "size": target.stat().st_size})


def restore(source: Path, settings: Settings, *, reason: str, actor: Actor = SYSTEM) -> Summary:
    """Put a backup into an empty database and data folder.

    Where the checkpoint beside the keys is newer than the backup's trail, the entries in between are given up: the
    trail and the checkpoint both say so for good, with the ``reason``.

    Raises
    ------
    MalformedInput
        Where the file is no whole backup, or something is there already.
    KeysMismatch
        Where these are not the keys of the site that was backed up.
    """
    keys = load_keys(settings.keys)
    settings.data.mkdir(mode=0o700, parents=True, exist_ok=True)
    if (settings.data / FOLDER).exists() and any((settings.data / FOLDER).rglob("*")):
        raise MalformedInput("The data folder holds files already; restore into an empty one.")
    engine = make_engine(settings.database_url)
    try:
        with (
            source.open("rb") as file,
            tarfile.open(fileobj=_Opened(file, keys.derived(PURPOSE)), mode="r|") as archive,
        ):
            summary = _read(archive, engine_of=engine, settings=settings)
    except (tarfile.TarError, EOFError) as error:
        raise MalformedInput("The backup is damaged or cut off; use another one.") from error
    finally:
        engine.dispose()
    store = open_store(settings, keys=keys)
    try:
        if broken := check(entries(store), keys.audit):
            raise KeysMismatch(f"The restored audit trail does not verify: {broken[0].en}")
        if not verify(store).intact:  # the checkpoint knows entries that the backup does not
            confirm_restored(store, actor, reason)
        if not verify(store).intact:
            raise KeysMismatch("The restored audit trail does not verify; run radiolucent verify-audit.")
    finally:
        store.dispose()
    return Summary(**{**summary.__dict__, "path": str(source), "size": source.stat().st_size})


def _write(store: Store, file: IO[bytes]) -> Summary:
    counts: dict[str, int] = {}
    missing = written = 0
    with _Sealed(file, store.keys.derived(PURPOSE)) as sink, tarfile.open(fileobj=sink, mode="w|") as archive:
        with store.engine.execution_options(radiolucent_read=True).connect() as connection:
            if not store.is_sqlite:
                connection = connection.execution_options(isolation_level="REPEATABLE READ")
            with connection.begin():
                revision = current(connection) or ""
                about = {
                    "made_at": store.now().isoformat(),
                    "revision": revision,
                    "keys": store.keys.fingerprint(),
                    "tables": [table.name for table in Base.metadata.sorted_tables],
                }
                _add(archive, "about.json", json.dumps(about).encode())
                for table in Base.metadata.sorted_tables:
                    if table.name not in PASSING:
                        counts[table.name] = _add_table(archive, connection, table, store.settings.data)
                paths = list(connection.scalars(select(StoredFile.path).order_by(StoredFile.path)))
        for relative in paths:
            try:
                content = store.path(relative).read_bytes()
            except FileNotFoundError:
                missing += 1
                continue
            _add(archive, f"data/{relative}", content)
            written += 1
        if checkpoint_path(store).exists():
            _add(archive, "audit.checkpoint", checkpoint_path(store).read_bytes())
    at = datetime.fromisoformat(str(about["made_at"]))
    return Summary("", at, revision, counts, written, missing, counts.get("audit", 0), 0)


def _add(archive: tarfile.TarFile, name: str, content: bytes) -> None:
    member = tarfile.TarInfo(name)
    member.size, member.mode = len(content), 0o600
    archive.addfile(member, io.BytesIO(content))


def _add_table(archive: tarfile.TarFile, connection: Connection, table: Table, folder: Path) -> int:
    """Through a nameless file in the data folder: a tar header gives the size before the content."""
    count = 0
    with tempfile.TemporaryFile(dir=folder) as passing:
        result = connection.execution_options(stream_results=True).execute(
            select(table).order_by(*table.primary_key.columns)
        )
        for row in result:
            passing.write(_line(row).encode("utf-8") + b"\n")
            count += 1
        member = tarfile.TarInfo(f"rows/{table.name}.jsonl")
        member.size, member.mode = passing.tell(), 0o600
        passing.seek(0)
        archive.addfile(member, passing)
    return count


def _line(row: Row[Any]) -> str:
    def plain(value: Any) -> Any:
        if isinstance(value, bytes):
            return {"$bytes": base64.b64encode(value).decode("ascii")}
        return {"$time": value.isoformat()} if isinstance(value, datetime) else value

    return json.dumps({name: plain(value) for name, value in row._mapping.items()}, ensure_ascii=False)


def _value(value: Any) -> Any:
    if isinstance(value, dict) and set(value) == {"$bytes"}:
        return base64.b64decode(value["$bytes"])
    if isinstance(value, dict) and set(value) == {"$time"}:
        return datetime.fromisoformat(value["$time"])
    return value


def _read(archive: tarfile.TarFile, *, engine_of: Any, settings: Settings) -> Summary:
    tables = {table.name: table for table in Base.metadata.sorted_tables}
    counts: dict[str, int] = {}
    about: dict[str, Any] = {}
    files = 0
    for member in archive:
        content = archive.extractfile(member)
        if content is None:
            raise MalformedInput("The backup holds something that is no file.")
        if member.name == "about.json":
            about = json.load(content)
            _prepare(engine_of, about)
        elif member.name.startswith("rows/"):
            table = tables[member.name.removeprefix("rows/").removesuffix(".jsonl")]
            counts[table.name] = _insert(engine_of, table, content)
        elif member.name.startswith("data/"):
            _put(settings.data, member.name.removeprefix("data/"), content)
            files += 1
        elif member.name == "audit.checkpoint" and not (settings.keys / "audit.checkpoint").exists():
            (settings.keys / "audit.checkpoint").write_bytes(content.read())
    if not about:
        raise MalformedInput("This is no backup: it does not say what it is.")
    at = datetime.fromisoformat(about["made_at"])
    return Summary("", at, about["revision"], counts, files, 0, counts.get("audit", 0), 0)


def _prepare(engine: Any, about: dict[str, Any]) -> None:
    upgrade(engine, about["revision"])
    with engine.connect() as connection:
        for table in Base.metadata.sorted_tables:
            if table.name in about["tables"] and connection.scalar(select(func.count()).select_from(table)):
                raise MalformedInput("The database holds rows already; restore into an empty one.")


def _insert(engine: Any, table: Table, content: IO[bytes]) -> int:
    """Foreign keys that point within a table (a case's prior) are set once all its rows stand. The database is at the
    backup's revision, which may lack columns that the tables have by now."""
    own = [column.name for column in table.columns for key in column.foreign_keys if key.column.table is table]
    there = {column["name"] for column in inspect(engine).get_columns(table.name)}
    kept = (Column(column.name, column.type) for column in table.columns if column.name in there)
    table = Table(table.name, MetaData(), *kept)
    count = 0
    later: list[tuple[Any, dict[str, Any]]] = []
    with engine.begin() as connection:
        for batch in _batches(content):
            for row in batch:
                pending = {name: row[name] for name in own if row.get(name) is not None}
                if pending:
                    later.append((row["id"], pending))
                    row.update(dict.fromkeys(pending))
            connection.execute(insert(table), batch)
            count += len(batch)
        for row_id, pending in later:
            connection.execute(table.update().where(table.c.id == row_id).values(**pending))
    return count


def _batches(content: IO[bytes]) -> Iterator[list[dict[str, Any]]]:
    batch: list[dict[str, Any]] = []
    for line in content:
        batch.append({name: _value(value) for name, value in json.loads(line).items()})
        if len(batch) == ROWS:
            yield batch
            batch = []
    if batch:
        yield batch


def _put(data: Path, relative: str, content: IO[bytes]) -> None:
    target = (data / relative).resolve()
    if not target.is_relative_to((data / FOLDER).resolve()):
        raise MalformedInput("The backup names a file outside of the data folder; it was tampered with.")
    target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    with target.open("xb") as file:
        shutil.copyfileobj(content, file)
    target.chmod(0o600)


class _Sealed(io.RawIOBase):
    """What is written to it goes out sealed, a piece at a time: 4 bytes of length, then the piece."""

    def __init__(self, file: IO[bytes], key: bytes) -> None:
        self._file, self._key, self._name = file, key, secrets.token_hex(16)
        self._held, self._number = bytearray(), 0
        file.write(MAGIC + self._name.encode("ascii") + b"\n")

    def writable(self) -> bool:
        return True

    def write(self, content: Any) -> int:
        self._held += content
        while len(self._held) >= PIECE:
            self._send(bytes(self._held[:PIECE]), last=False)
            del self._held[:PIECE]
        return len(content)

    def close(self) -> None:
        if not self.closed:
            self._send(bytes(self._held), last=True)
            super().close()

    def _send(self, piece: bytes, *, last: bool) -> None:
        sealed = seal(self._key, piece, _place(self._name, self._number, last))
        self._file.write(len(sealed).to_bytes(4, "big") + sealed)
        self._number += 1


class _Opened(io.RawIOBase):
    """Reads what :class:`_Sealed` wrote."""

    def __init__(self, file: IO[bytes], key: bytes) -> None:
        if file.read(len(MAGIC)) != MAGIC:
            raise MalformedInput("This file is no radiolucent backup.")
        self._file, self._key = file, key
        self._name = file.read(33).decode("ascii", "replace").strip()
        self._held, self._number, self._ended = b"", 0, False
        self._next = file.read(4)

    def readable(self) -> bool:
        return True

    def read(self, size: int = -1) -> bytes:
        out = bytearray()
        while size < 0 or len(out) < size:
            if not self._held:
                if self._ended:
                    break
                self._held = self._piece()
                continue
            taken = self._held if size < 0 else self._held[: size - len(out)]
            out += taken
            self._held = self._held[len(taken) :]
        return bytes(out)

    def _piece(self) -> bytes:
        sealed = self._file.read(int.from_bytes(self._next, "big"))
        self._next = self._file.read(4)
        self._ended = len(self._next) < 4
        try:
            piece = unseal(self._key, sealed, _place(self._name, self._number, self._ended))
        except KeysMismatch as error:
            raise KeysMismatch(
                "The backup does not open: it was made with other keys, was changed, or ends too early. Put back the "
                "keys of the site that it was made on."
            ) from error
        self._number += 1
        return piece


def _place(name: str, number: int, last: bool) -> str:
    return f"backup {name} {number} {'last' if last else 'more'}"
