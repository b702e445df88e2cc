"""The database brought up to date, or taken back, by the migrations inside the package."""

from __future__ import annotations

from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, Engine, text

from radiolucent.errors import MalformedInput

_LOCK = 7_204_100


def upgrade(engine: Engine, revision: str = "head") -> None:
    """Bring the database to ``revision``; of several processes that start at once, one does it.

    Raises
    ------
    MalformedInput
        Where the database is newer than this program.
    """
    with engine.begin() as connection:
        _alone(connection)
        known = ScriptDirectory.from_config(configuration(connection))
        present = current(connection)
        if present is not None and present not in {script.revision for script in known.walk_revisions()}:
            raise MalformedInput(
                f"The database is at revision {present}, which this radiolucent does not know: it was made by a newer "
                "one. Install that version, or restore a backup made before the upgrade."
            )
        if present != known.get_current_head() or revision != "head":
            command.upgrade(configuration(connection), revision)


def downgrade(engine: Engine, revision: str) -> None:
    """Take the database back to ``revision``; ``base`` takes every table away."""
    with engine.begin() as connection:
        _alone(connection)
        command.downgrade(configuration(connection), revision)


def current(connection: Connection) -> str | None:
    """The database's revision; None where it is empty."""
    return MigrationContext.configure(connection).get_current_revision()


def configuration(connection: Connection) -> Config:
    """Alembic's configuration, bound to an open connection."""
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations").replace("%", "%%"))
    config.attributes["connection"] = connection
    return config


def _alone(connection: Connection) -> None:
    if connection.dialect.name == "postgresql":
        connection.execute(text("SELECT pg_advisory_xact_lock(:number)"), {"number": _LOCK})
