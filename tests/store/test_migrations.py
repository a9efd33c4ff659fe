"""The scripts make exactly the tables that the nouns declare, once, however many processes start."""

from __future__ import annotations

import importlib
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from alembic.autogenerate import produce_migrations, render_python_code
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.operations.ops import UpgradeOps
from alembic.script import ScriptDirectory
from sqlalchemy import inspect, text

import craton
from craton.core.errors import Conflict
from craton.store import migrations
from craton.store.database import Database
from craton.store.schema import metadata

PACKAGE = Path(craton.__file__).parent


@pytest.fixture(scope="module", autouse=True)
def every_table() -> None:
    for path in PACKAGE.rglob("tables.py"):
        importlib.import_module(".".join(["craton", *path.relative_to(PACKAGE).with_suffix("").parts]))


def test_the_migrated_tables_are_the_declared_ones(database: Database) -> None:
    migrations.upgrade(database)
    with database.engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        missing = produce_migrations(context, metadata).upgrade_ops
    assert isinstance(missing, UpgradeOps)
    assert missing.is_empty(), (
        f"put this into a new script in store/revisions/versions/:\n{render_python_code(missing)}"
    )
    assert metadata.tables


def test_head_is_the_newest_script() -> None:
    config = Config()
    config.set_main_option("script_location", str(Path(migrations.__file__).with_name("revisions")))
    assert ScriptDirectory.from_config(config).get_heads() == [migrations.HEAD]


def test_upgrading_again_changes_nothing(database: Database) -> None:
    migrations.upgrade(database)
    with database.write() as connection:
        connection.execute(text("INSERT INTO access_tenants VALUES ('kept', 0)"))
    migrations.upgrade(database)
    with database.read() as connection:
        assert connection.execute(text("SELECT name FROM access_tenants")).scalars().all() == ["kept"]


def test_a_database_of_a_newer_craton_is_left_alone(database: Database) -> None:
    migrations.upgrade(database)
    with database.write() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    with pytest.raises(Conflict, match="newer"):
        migrations.upgrade(database)


def test_an_upgrade_that_fails_leaves_nothing_behind(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    with database.write() as connection:
        connection.execute(text("CREATE TABLE access_keys (in_the_way INTEGER)"))
    with pytest.raises(Exception, match="access_keys"):
        migrations.upgrade(database)
    with database.read() as connection:
        assert inspect(connection).get_table_names() == ["access_keys"]


def test_several_first_starts_at_once_do_not_collide(
    database: Database, start_script: Callable[..., subprocess.Popen[str]]
) -> None:
    url = database.engine.url.render_as_string(hide_password=False)
    starts = [start_script("upgrading_starter.py", url) for _ in range(3)]
    assert [start.communicate(timeout=60)[0].strip() for start in starts] == ["upgraded"] * 3
    with database.read() as connection:
        assert migrations.stored_revision(connection) == migrations.HEAD


def test_a_start_with_nothing_to_do_does_not_import_alembic(
    database: Database, start_script: Callable[..., subprocess.Popen[str]]
) -> None:
    migrations.upgrade(database)
    start = start_script("upgrading_starter.py", database.engine.url.render_as_string(hide_password=False), "lean")
    assert start.communicate(timeout=60)[0].strip() == "upgraded"
    assert "alembic" in sys.modules  # here; there it was not
