"""Checked statements on a real PostgreSQL, and what stands behind the check."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
import sqlalchemy
from msgspec.structs import replace

from craton.core.errors import CratonError, DeadlineExceeded, InvalidRequest, SourceFailed, TooLarge, Unsupported
from craton.data.sql import running
from craton.data.sql.checking import check
from craton.data.sql.connection import reading
from craton.data.sql.running import run
from craton.data.sql.schema import read_schema, with_samples
from craton.data.sql.words import Checked, Registered, Rows
from tests.data.sql.conftest import Shop

pytestmark = pytest.mark.anyio


async def asked(shop: Shop, sql: str, limit: int = 100) -> Rows:
    return await run(shop.registered, check(sql, shop.readable, limit, shop.schema))


async def test_rows_come_as_they_are(shop: Shop) -> None:
    found = await asked(
        shop, "SELECT name, total, placed FROM customers c JOIN orders o ON c.id = customer_id ORDER BY 2"
    )
    assert found.columns == ("name", "total", "placed")
    assert found.rows == (
        {"name": "Ada", "total": 10.5, "placed": "2024-01-05"},
        {"name": "Ada", "total": 20, "placed": "2024-02-05"},
        {"name": "Bo", "total": "12345678901234567890.12", "placed": "2024-02-06"},
    )
    assert not found.truncated
    assert (await asked(shop, "SELECT name FROM customers ORDER BY name", limit=2)).rows == (
        {"name": "Ada"},
        {"name": "Bo"},
    )
    assert (await asked(shop, "SELECT name FROM customers WHERE city = '100%'")).rows == ()


async def test_hidden_columns_do_not_come(shop: Shop) -> None:
    assert (await asked(shop, "SELECT * FROM customers")).columns == ("id", "name", "city")
    assert "4111" not in repr(await asked(shop, "SELECT c FROM customers c"))
    with pytest.raises(InvalidRequest, match="card"):
        await asked(shop, "SELECT card FROM customers")


async def test_what_postgresql_says_of_a_statement_is_told(shop: Shop) -> None:
    with pytest.raises(InvalidRequest, match="division by zero"):
        await asked(shop, "SELECT 1 / (id - id) FROM orders")
    with pytest.raises(InvalidRequest, match="wrong"):
        await asked(shop, "SELECT wrong FROM orders")


async def test_a_role_that_could_write_is_refused(shop: Shop) -> None:
    allowed = check("SELECT 1 FROM orders", shop.readable, 1, shop.schema)
    with pytest.raises(Unsupported, match="role that can write"):
        await run(shop.owner, allowed)
    engine = sqlalchemy.create_engine(shop.url, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        connection.exec_driver_sql(f"GRANT INSERT ON orders TO {shop.registered.role}")
    engine.dispose()
    with pytest.raises(Unsupported, match="role that can write"):
        await run(shop.registered, allowed)
    await asked(shop, "SELECT 1 FROM customers")


@pytest.mark.parametrize(
    "sql",
    [
        "INSERT INTO {0}.orders VALUES (9, 1, 1, NULL)",
        "SELECT 1) AS x; DELETE FROM {0}.orders; SELECT (1",
        "SELECT word FROM {0}.secrets",
        "SELECT * FROM customers",
        "SELECT pg_read_file('/etc/passwd')",
        "WITH d AS (DELETE FROM {0}.orders RETURNING 1) SELECT * FROM d",
        "SELECT lo_create(4711)",
        "SELECT set_config('transaction_read_only', 'off', true) FROM {0}.orders; DELETE FROM {0}.orders",
    ],
)
async def test_if_the_check_failed_postgresql_would_still_refuse(shop: Shop, sql: str) -> None:
    with pytest.raises(CratonError):
        await run(shop.registered, Checked(sql.format(shop.schema), "", ()))
    assert len((await asked(shop, "SELECT id FROM orders")).rows) == 3


async def test_a_query_that_takes_too_long_is_stopped(shop: Shop) -> None:
    hasty = replace(shop.registered, seconds=0.3)
    crossed = ", ".join(
        f"(SELECT 1 FROM {shop.schema}.orders UNION ALL SELECT 1 FROM {shop.schema}.orders) t{n}" for n in range(16)
    )
    with pytest.raises(DeadlineExceeded):
        await run(hasty, Checked(f"SELECT count(*) FROM {crossed}", "", ()))


async def test_rows_are_bounded_on_the_way(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(TooLarge):
        await run(shop.registered, Checked("SELECT repeat('x', 300000) AS x", "", ()))
    monkeypatch.setattr(running, "MAX_ROWS_BYTES", 200)
    found = await run(
        shop.registered, Checked("SELECT n, repeat('x', 50) AS x FROM generate_series(1, 1000) n", "", ())
    )
    assert found.truncated
    assert 1 <= len(found.rows) <= 4


async def test_a_database_that_cannot_be_reached_is_a_typed_error_without_its_address(shop: Shop) -> None:
    gone = Registered("shop", "postgresql://user:hunter2@127.0.0.1:1/db")
    with pytest.raises(SourceFailed) as failed:
        await run(gone, Checked("SELECT 1", "", ()))
    assert "hunter2" not in str(failed.value)
    assert "127.0.0.1" not in str(failed.value)


async def test_the_schema_is_what_the_role_may_read(shop: Shop) -> None:
    tables = await with_samples(shop.registered, await read_schema(shop.registered, [shop.schema]))
    customers, orders = tables
    assert (customers.name, customers.comment, customers.key) == ("customers", "people who bought something", ("id",))
    assert [(column.name, column.type) for column in customers.columns] == [
        ("id", "integer"),
        ("name", "text"),
        ("city", "text"),
        ("card", "text"),
    ]
    assert customers.columns[2].comment == "where they live"
    assert set(customers.columns[2].samples) == {"Oslo", "Rome"}
    assert not customers.columns[1].nullable
    (key,) = orders.foreign_keys
    assert (key.columns, key.table, key.references) == (("customer_id",), "customers", ("id",))
    assert await read_schema(shop.registered, ["absent"]) == ()


async def test_nothing_can_be_written_while_reading(shop: Shop) -> None:
    @asynccontextmanager
    async def opened() -> AsyncIterator[Any]:
        async with reading(shop.owner) as connection:
            yield connection

    with pytest.raises(InvalidRequest, match="read-only"):
        async with opened() as connection:
            await connection.execute(f"DELETE FROM {shop.schema}.orders")
