"""A store on each database: SQLite in a temporary folder, and a real PostgreSQL started for the session."""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
import sys
import tempfile
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import orthanc_server
import psycopg
import pytest
from sqlalchemy import text

from radiolucent.clinic.settings import Settings
from radiolucent.clinic.store.engine import Store, make_engine, open_store
from radiolucent.clinic.store.migrate import upgrade
from radiolucent.clinic.store.tables import Base

BINARIES = sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda path: int(path.parent.name))


def _missing(reason: str) -> None:
    if os.environ.get("CI"):
        pytest.fail(reason)
    pytest.skip(reason)


class Postgres:
    """A cluster in a temporary folder, reached by a unix socket."""

    def __init__(self, folder: Path, binaries: Path) -> None:
        self.folder, self.binaries = folder, binaries
        self.user = "nobody" if os.getuid() == 0 else pwd.getpwuid(os.getuid()).pw_name

    def start(self) -> None:
        """initdb and start, as somebody else where the tests run as root."""
        if os.getuid() == 0:
            shutil.chown(self.folder, self.user)
        self.folder.chmod(0o700)
        self._run("initdb", "-D", str(self.folder / "data"), "-U", "clinic", "-A", "trust", "-E", "UTF8", "--no-sync")
        options = (
            f"-k {self.folder} -c listen_addresses='' -c fsync=off -c synchronous_commit=off -c full_page_writes=off "
            "-c max_connections=200"
        )
        self._run(
            "pg_ctl", "-D", str(self.folder / "data"), "-l", str(self.folder / "log"), "-w", "-o", options, "start"
        )

    def stop(self) -> None:
        """Stop at once and wait for nothing: nothing of it is kept."""
        self._run("pg_ctl", "-D", str(self.folder / "data"), "-m", "immediate", "-W", "stop")

    def url(self, name: str) -> str:
        """SQLAlchemy URL of a database."""
        return f"postgresql+psycopg://clinic@/{name}?host={self.folder}"

    def create(self) -> str:
        """A fresh database's URL."""
        name = f"t{uuid.uuid4().hex}"
        with psycopg.connect(f"host={self.folder} user=clinic dbname=postgres", autocommit=True) as connection:
            connection.execute(f'CREATE DATABASE "{name}"')
        return self.url(name)

    def _run(self, program: str, *arguments: str) -> None:
        demote = {"user": self.user, "group": "nogroup", "extra_groups": []} if os.getuid() == 0 else {}
        subprocess.run(
            [str(self.binaries / program), *arguments],
            check=True,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            stdin=subprocess.DEVNULL,
            cwd="/",
            **demote,  # type: ignore[call-overload]
        )


@pytest.fixture(scope="session")
def postgres() -> Iterator[Postgres]:
    """A running PostgreSQL; missing, a failure in CI and a skip elsewhere."""
    if not BINARIES:
        _missing("PostgreSQL is not installed (apt-get install postgresql)")
    folder = Path(tempfile.mkdtemp(prefix="rlpg", dir="/tmp"))  # a socket's path holds 107 bytes at most
    cluster = Postgres(folder, BINARIES[-1])
    cluster.start()
    try:
        yield cluster
    finally:
        cluster.stop()
        shutil.rmtree(folder, ignore_errors=True)


def _migrated(url: str) -> str:
    engine = make_engine(url)
    upgrade(engine)
    engine.dispose()
    return url


@pytest.fixture(scope="session")
def shared_postgres(postgres: Postgres) -> str:
    """URL of a database with every table, which tests share one after another: making one takes 300 files."""
    return _migrated(postgres.create())


def _emptied(url: str) -> str:
    engine = make_engine(url)
    with engine.begin() as connection:
        connection.execute(text("SET LOCAL lock_timeout = '20s'"))
        connection.execute(text("SET LOCAL session_replication_role = replica"))  # the trail's triggers rest
        connection.execute(text(f"TRUNCATE {', '.join(Base.metadata.tables)} CASCADE"))
    engine.dispose()
    return url


@pytest.fixture(scope="session")
def migrated_sqlite(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same as a file."""
    path = tmp_path_factory.mktemp("migrated") / "clinic.sqlite"
    _migrated(f"sqlite:///{path}")
    return path


@pytest.fixture(params=["sqlite", "postgresql"])
def settings(request: pytest.FixtureRequest, tmp_path: Path) -> Settings:
    """Settings of a fresh site, on each database, its tables made."""
    url = ""
    if request.param == "postgresql":
        url = _emptied(request.getfixturevalue("shared_postgres"))
    else:
        (tmp_path / "data").mkdir()
        shutil.copy(request.getfixturevalue("migrated_sqlite"), tmp_path / "data" / "clinic.sqlite")
    return Settings(data=tmp_path / "data", database_url=url, keys=tmp_path / "keys")


@pytest.fixture(params=["sqlite", "postgresql"])
def bare_settings(request: pytest.FixtureRequest, tmp_path: Path) -> Settings:
    """Settings of a fresh site whose database holds nothing at all."""
    url = request.getfixturevalue("postgres").create() if request.param == "postgresql" else ""
    return Settings(data=tmp_path / "data", database_url=url, keys=tmp_path / "keys")


@pytest.fixture
def store(settings: Settings) -> Iterator[Store]:
    """An open, empty store, on each database."""
    opened = open_store(settings)
    yield opened
    opened.dispose()


@pytest.fixture
def make_store(tmp_path: Path) -> Iterator[Callable[..., Store]]:
    """Makes SQLite stores with other settings."""
    made: list[Store] = []

    def make(name: str = "made", **changes: object) -> Store:
        settings = Settings(data=tmp_path / name, keys=tmp_path / f"{name}-keys", **changes)  # type: ignore[arg-type]
        made.append(open_store(settings))
        return made[-1]

    yield make
    for one in made:
        one.dispose()


@pytest.fixture
def in_child() -> Callable[..., subprocess.Popen[bytes]]:
    """Starts Python code in a process of its own."""

    def start(code: str, *arguments: str) -> subprocess.Popen[bytes]:
        environment = os.environ | {"OMP_NUM_THREADS": "1", "PYTHONPATH": os.pathsep.join(sys.path)}
        return subprocess.Popen([sys.executable, "-c", code, *arguments], env=environment)

    return start


@pytest.fixture(scope="session")
def orthanc(tmp_path_factory: pytest.TempPathFactory) -> Iterator[orthanc_server.Orthanc]:
    """A running Orthanc; missing, a failure in CI and a skip elsewhere."""
    if not orthanc_server.available():
        reason = "Orthanc and its DICOMweb plugin are not installed (apt-get install orthanc orthanc-dicomweb)"
        pytest.fail(reason) if os.environ.get("CI") else pytest.skip(reason)
    server = orthanc_server.start(tmp_path_factory.mktemp("orthanc"))
    yield server
    server.process.terminate()
    server.process.wait(20)
