"""Transactions: the same laws on SQLite and on PostgreSQL."""

from __future__ import annotations

import asyncio
import sqlite3
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from craton.core.errors import InvalidRequest, StorageFull, Throttled
from craton.store.database import Database

Start = Callable[..., "subprocess.Popen[str]"]


@pytest.fixture
def counter(database: Database) -> Database:
    with database.write() as connection:
        connection.execute(text("CREATE TABLE counter (value INTEGER NOT NULL)"))
        connection.execute(text("INSERT INTO counter VALUES (0)"))
        connection.execute(text("CREATE TABLE entries (writer VARCHAR(20), number INTEGER)"))
    return database


def count(database: Database) -> int:
    with database.read() as connection:
        return int(connection.execute(text("SELECT value FROM counter")).scalar_one())


def write_seven_and_then(database: Database, statement: str, error: type[BaseException] | None = None) -> None:
    with database.write() as connection:
        connection.execute(text("UPDATE counter SET value = 7"))
        connection.execute(text(statement))
        if error:
            raise error


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
def test_what_raises_is_rolled_back_and_the_database_goes_on(counter: Database, error: type[BaseException]) -> None:
    with pytest.raises(error):
        write_seven_and_then(counter, "DELETE FROM entries", error)
    assert count(counter) == 0
    write_seven_and_then(counter, "DELETE FROM entries")
    assert count(counter) == 7


def test_a_failed_statement_takes_the_transaction_with_it(counter: Database) -> None:
    with pytest.raises(DBAPIError):
        write_seven_and_then(counter, "UPDATE nowhere SET value = 7")
    assert count(counter) == 0


def test_a_value_that_the_database_cannot_hold_is_the_requests_fault(postgres_url: str) -> None:
    database = Database(postgres_url)
    with database.write() as connection:
        connection.execute(text("CREATE TABLE names (name VARCHAR(10))"))
    for hostile in ("nul \0", "x" * 11):
        with pytest.raises(InvalidRequest), database.write() as connection:
            connection.execute(text("INSERT INTO names VALUES (:name)"), {"name": hostile})
    with pytest.raises(InvalidRequest), database.read() as connection:
        connection.execute(text("SELECT 1 FROM names WHERE name = :name"), {"name": "nul \0"})
    database.close()


def test_a_read_sees_one_moment(counter: Database) -> None:
    with counter.read() as reader:
        assert reader.execute(text("SELECT value FROM counter")).scalar_one() == 0
        with counter.write() as writer:
            writer.execute(text("UPDATE counter SET value = 1"))
        assert reader.execute(text("SELECT value FROM counter")).scalar_one() == 0
    assert count(counter) == 1


def test_a_read_cannot_write_and_a_write_after_it_can(counter: Database) -> None:
    with pytest.raises(DBAPIError), counter.read() as connection:
        connection.execute(text("UPDATE counter SET value = 1"))
    with counter.write() as connection:
        connection.execute(text("UPDATE counter SET value = value + 2"))
    assert count(counter) == 2


def test_five_processes_that_read_and_write_back_lose_nothing(counter: Database, start_script: Start) -> None:
    url = counter.engine.url.render_as_string(hide_password=False)
    writers = [start_script("counting_writer.py", url, f"writer{n}", "20") for n in range(5)]
    assert [writer.wait(timeout=60) for writer in writers] == [0] * 5
    assert count(counter) == 100
    with counter.read() as connection:
        rows = connection.execute(text("SELECT writer, number FROM entries")).all()
    assert {tuple(row) for row in rows} == {(f"writer{w}", n) for w in range(5) for n in range(20)}
    assert len(rows) == 100


@pytest.mark.anyio
async def test_many_threads_of_one_server_lose_nothing_and_still_read(counter: Database) -> None:
    def add() -> None:
        with counter.write() as connection:
            value = connection.execute(text("SELECT value FROM counter")).scalar_one()
            connection.execute(text("UPDATE counter SET value = :value"), {"value": value + 1})

    work = [asyncio.to_thread(add if n % 2 else count, *([] if n % 2 else [counter])) for n in range(80)]
    seen = await asyncio.wait_for(asyncio.gather(*work), timeout=60)
    assert count(counter) == 40
    assert all(value is None or 0 <= value <= 40 for value in seen)


def test_a_writer_does_not_wait_for_ever(counter: Database, database_url: str) -> None:
    impatient = Database(database_url, lock_patience=0.1)
    with counter.write(), pytest.raises(Throttled), impatient.write():
        pass
    with impatient.write() as connection:
        connection.execute(text("UPDATE counter SET value = 1"))
    impatient.close()
    assert count(counter) == 1


def test_a_full_disk_is_told_and_changes_nothing(tmp_path: Path) -> None:
    database = Database.at(tmp_path / "craton.db")
    with database.write() as connection:
        connection.execute(text("CREATE TABLE big (data BLOB)"))
    limit = database.engine.raw_connection()
    limit.execute("PRAGMA max_page_count=10")  # SQLite then says SQLITE_FULL, as it does for ENOSPC
    limit.close()
    with pytest.raises(StorageFull), database.write() as connection:
        connection.execute(text("INSERT INTO big VALUES (:data)"), {"data": bytes(100_000)})
    with database.write() as connection:
        connection.execute(text("INSERT INTO big VALUES (:data)"), {"data": b"small"})
    with database.read() as connection:
        assert connection.execute(text("SELECT count(*) FROM big")).scalar_one() == 1
    database.close()


def test_a_new_sqlite_file_is_private_and_survives_power_loss(tmp_path: Path) -> None:
    path = tmp_path / "home of ? and %" / "craton.db"
    database = Database.at(path)
    with database.write() as connection:
        connection.execute(text("CREATE TABLE kept (value INTEGER)"))
        settings = [
            connection.exec_driver_sql(f"PRAGMA {name}").scalar_one()
            for name in ("journal_mode", "synchronous", "foreign_keys")
        ]
    assert settings == ["wal", 2, 1]
    assert {file.stat().st_mode & 0o777 for file in path.parent.iterdir()} == {0o600}
    assert path.parent.stat().st_mode & 0o777 == 0o700
    database.close()
    assert sqlite3.connect(path).execute("SELECT count(*) FROM kept").fetchone() == (0,)
