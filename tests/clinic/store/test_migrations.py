"""Migrations lead where the tables are, back again, and wait for each other."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from sqlalchemy import inspect, text
from sqlalchemy.exc import DBAPIError

from radiolucent.clinic.outbox.destination import CALLING_AET
from radiolucent.clinic.service.exporting import as_destination
from radiolucent.clinic.settings import Settings
from radiolucent.clinic.store.engine import Store, make_engine, open_store
from radiolucent.clinic.store.migrate import current, downgrade, upgrade
from radiolucent.clinic.store.tables import Base, Destination
from radiolucent.errors import MalformedInput

HEAD = "0002"


@pytest.fixture
def store(bare_settings: Settings) -> Iterator[Store]:
    """A database of its own: these tests take it apart."""
    opened = open_store(bare_settings)
    yield opened
    opened.dispose()


def test_the_migrations_end_at_the_tables(store: Store) -> None:
    with store.engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        assert compare_metadata(context, Base.metadata) == []


def test_back_and_forth(store: Store) -> None:
    downgrade(store.engine, "base")
    assert set(inspect(store.engine).get_table_names()) <= {"alembic_version"}
    upgrade(store.engine)
    upgrade(store.engine)
    assert set(Base.metadata.tables) <= set(inspect(store.engine).get_table_names())


def test_several_start_at_once(bare_settings: Settings) -> None:
    with ThreadPoolExecutor(4) as pool:
        stores = list(pool.map(lambda _: open_store(bare_settings), range(4)))
    with stores[0].engine.connect() as connection:
        assert current(connection) == HEAD
    assert len({one.keys for one in stores}) == 1
    for one in stores:
        one.dispose()


def test_destinations_of_an_older_database_stay_as_they_were(store: Store) -> None:
    downgrade(store.engine, "0001")
    with store.engine.begin() as connection:
        connection.execute(
            text(
                "INSERT INTO destinations (name, kind, url, verify_tls, enabled, created_at) "
                "VALUES ('pacs', 'stow', 'https://pacs.example.org/dicom-web', TRUE, TRUE, '2026-11-24 08:00:00')"
            )
        )
    upgrade(store.engine)
    with store.read() as session:
        row = session.get_one(Destination, "pacs")
        target = as_destination(store.keys, row)
    assert (target.url, target.verify_tls, target.enabled) == ("https://pacs.example.org/dicom-web", True, True)
    assert (target.token, target.ca_pem, target.tls, target.calling_aet) == ("", "", False, CALLING_AET)


def test_a_newer_database_is_left_alone(store: Store) -> None:
    with store.engine.begin() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    engine = make_engine(store.settings.database_url)
    with pytest.raises(MalformedInput, match="newer"):
        upgrade(engine)
    engine.dispose()


@pytest.mark.parametrize("statement", ["UPDATE audit SET actor = 'x'", "DELETE FROM audit", "TRUNCATE audit"])
def test_the_trail_is_only_added_to(store: Store, statement: str) -> None:
    if store.is_sqlite and statement.startswith("TRUNCATE"):
        statement = "DELETE FROM audit WHERE seq = 1"
    with store.begin() as session:
        session.execute(
            text(
                "INSERT INTO audit (seq, at, actor, action, object_kind, object_id, detail, previous, digest) "
                "VALUES (1, 'a', 'b', 'c', 'd', 'e', '{}', 'f', 'g')"
            )
        )
    with pytest.raises(DBAPIError, match="only ever added to"), store.begin() as session:
        session.execute(text(statement))
