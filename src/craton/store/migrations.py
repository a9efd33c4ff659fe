"""Brings a database's tables up to date.

The scripts in revisions/versions/ say every change literally; they import no table of today. A start that finds
nothing to do costs one query and does not import Alembic.
"""

from __future__ import annotations

from pathlib import Path

from sqlalchemy import Connection, inspect, text

from craton.core.errors import Conflict
from craton.store.database import Database

HEAD = "0011"  # the newest of these scripts


def upgrade(database: Database) -> None:
    """All scripts that this database has not seen, in one transaction; several processes may call it at once.

    Raises Conflict when the database was made by a newer Craton.
    """
    with database.read() as connection:
        if stored_revision(connection) == HEAD:
            return
    with database.write() as connection:  # alone: whoever comes second finds nothing left to do
        stored = stored_revision(connection)
        if stored != HEAD:
            _run_scripts(connection, stored)


def stored_revision(connection: Connection) -> str | None:
    """The last script that this database has seen; None when it is empty."""
    if not inspect(connection).has_table("alembic_version"):
        return None
    return connection.execute(text("SELECT version_num FROM alembic_version")).scalar_one_or_none()


def _run_scripts(connection: Connection, stored: str | None) -> None:
    from alembic import command
    from alembic.config import Config
    from alembic.util import CommandError

    config = Config(attributes={"connection": connection})
    config.set_main_option("script_location", str(Path(__file__).with_name("revisions")).replace("%", "%%"))
    try:
        command.upgrade(config, HEAD)
    except CommandError as error:
        raise Conflict("database", stored or "", "it was made by a newer Craton; update this one.") from error
