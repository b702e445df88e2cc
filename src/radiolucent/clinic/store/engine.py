"""The store: one database, the keys beside it, and transactions that carry their own audit entries.

SQLite runs with a write-ahead log, foreign keys and a busy time-out, and every writing transaction takes the write
lock at its beginning (``BEGIN IMMEDIATE``), so that two writers wait for each other and never deadlock. PostgreSQL
runs at READ COMMITTED with row locks.
"""

from __future__ import annotations

import os
import random
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine, create_engine, event, text
from sqlalchemy.engine import make_url
from sqlalchemy.exc import IntegrityError, OperationalError
from sqlalchemy.orm import Session, sessionmaker

from radiolucent.clinic.errors import KeysMismatch
from radiolucent.clinic.settings import Settings
from radiolucent.clinic.store.keys import Keys, load_keys

BUSY_MS = 30_000
BEFORE_COMMIT = "before_commit"
AFTER_COMMIT = "after_commit"


@dataclass(frozen=True, eq=False)
class Store:
    """What every use case is given first.

    Parameters
    ----------
    clock
        Says the time, aware and in UTC; tests pass another.
    """

    engine: Engine
    sessions: sessionmaker[Session]
    settings: Settings
    keys: Keys
    clock: Callable[[], datetime] = field(default=lambda: datetime.now(UTC))

    @property
    def is_sqlite(self) -> bool:
        """Whether the database is SQLite."""
        return self.engine.dialect.name == "sqlite"

    def now(self) -> datetime:
        """The time, aware and in UTC."""
        return self.clock()

    @contextmanager
    def begin(self) -> Iterator[Session]:
        """A writing transaction: all of it, with its audit entries, or nothing.

        Functions in ``session.info["before_commit"]`` run last inside it (the audit trail is written there, so that
        its lock is the last one taken), those in ``session.info["after_commit"]`` once it stands.
        """
        with self.sessions() as session:
            with session.begin():
                yield session
                for step in session.info.get(BEFORE_COMMIT, ()):
                    step(session)
            for step in session.info.get(AFTER_COMMIT, ()):
                step()

    @contextmanager
    def read(self) -> Iterator[Session]:
        """A transaction that writes nothing, not even that it read."""
        reading = self.engine.execution_options(radiolucent_read=True)
        with Session(reading, expire_on_commit=False) as session:
            yield session

    def retrying(self, once: Callable[[], Any], tries: int = 8) -> Any:
        """Run a whole transaction again where PostgreSQL or SQLite refused it for another one's sake."""
        for attempt in range(tries):
            try:
                return once()
            except (OperationalError, IntegrityError):
                if attempt == tries - 1:
                    raise
                time.sleep(random.uniform(0.01, 0.05) * 2**attempt)
        raise AssertionError("unreachable")

    def dispose(self) -> None:
        """Close every connection; needed before a process is forked."""
        self.engine.dispose()

    def path(self, relative: str) -> Path:
        """A stored file's place on disk.

        Raises
        ------
        KeysMismatch
            Where the path would leave the data folder.
        """
        target = (self.settings.data / relative).resolve()
        if not target.is_relative_to(self.settings.data.resolve()):
            raise KeysMismatch("A stored path leads out of the data folder; the database was tampered with.")
        return target


def open_store(settings: Settings, *, keys: Keys | None = None, migrate: bool = True) -> Store:
    """Open the site's database, brought up to date first.

    Parameters
    ----------
    migrate
        False: the database must be up to date already.

    Raises
    ------
    KeysMismatch
        Where the database was made with other keys.
    MalformedInput
        Where it is newer than this program.
    """
    settings.data.mkdir(mode=0o700, parents=True, exist_ok=True)
    held = load_keys(settings.keys) if keys is None else keys
    engine = make_engine(settings.database_url)
    store = Store(engine, sessionmaker(engine, expire_on_commit=False), settings, held)
    if migrate:
        from radiolucent.clinic.store.migrate import upgrade

        upgrade(engine)
    _check_keys(store)
    return store


def make_engine(url: str) -> Engine:
    """An engine with this product's settings of each database."""
    parsed = make_url(url)
    if parsed.get_backend_name() == "sqlite":
        engine = create_engine(parsed, connect_args={"timeout": BUSY_MS / 1000, "check_same_thread": False})
        event.listen(engine, "connect", _prepare_sqlite)
        event.listen(engine, "begin", _begin_sqlite)
        return engine
    return create_engine(parsed, pool_pre_ping=True, pool_size=10, max_overflow=20)


def _prepare_sqlite(connection: Any, _: Any) -> None:
    connection.isolation_level = None  # the driver must not begin transactions on its own
    cursor = connection.cursor()
    cursor.execute(f"PRAGMA busy_timeout = {BUSY_MS}")
    cursor.execute("PRAGMA journal_mode = WAL")
    cursor.execute("PRAGMA synchronous = FULL")  # a signed report survives a power cut
    cursor.execute("PRAGMA foreign_keys = ON")
    cursor.close()


def _begin_sqlite(connection: Connection) -> None:
    reading = connection.get_execution_options().get("radiolucent_read", False)
    connection.exec_driver_sql("BEGIN" if reading else "BEGIN IMMEDIATE")


def _check_keys(store: Store) -> None:
    """The first start writes down which keys the database belongs to; every later one compares."""
    from radiolucent.clinic.store.tables import Switch

    mine = store.keys.fingerprint()

    def once() -> None:
        with store.begin() as session:
            known = session.get(Switch, "keys")
            if known is None:
                session.add(
                    Switch(key="keys", value={"fingerprint": mine}, changed_by="system", changed_at=store.now())
                )
            elif known.value["fingerprint"] != mine:
                raise KeysMismatch(
                    "This database was made with other keys. Put back its own key files (RADIOLUCENT_KEYS), which a "
                    "backup keeps apart from the data."
                )

    store.retrying(once)


def advisory_lock(session: Session, number: int) -> None:
    """PostgreSQL: held to the end of the transaction; SQLite's write lock does the same for everything."""
    if session.get_bind().dialect.name == "postgresql":
        session.execute(text("SELECT pg_advisory_xact_lock(:number)"), {"number": number})


def write_whole(path: Path, content: bytes, prefix: str = ".writing.") -> None:
    """Write a file that is there whole or not at all, and survives a power cut; its folder must be there.

    Parameters
    ----------
    prefix
        Of the name that it has until it is whole.
    """
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=prefix)
    with os.fdopen(handle, "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    os.replace(temporary, path)
    _sync_folder(path.parent)


def _sync_folder(folder: Path) -> None:
    """Make a new name in a folder survive a power cut."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
