"""Rows of a real PostgreSQL: incremental borders, read-only, and a database that dies."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest

from craton.core.errors import InvalidRequest, NotFound, TooLarge
from craton.core.knowledge import SourceSpec
from craton.data.documents import Source
from craton.data.sources import SourceFailed, Sources
from craton.data.sources.sql import connection_arguments
from tests.data.sources.conftest import Databases, keys, listed

pytestmark = pytest.mark.anyio

Open = Callable[[SourceSpec], Awaitable[Source]]


@pytest.fixture
def shop(postgres_url: str, databases: Databases) -> Iterator[psycopg.Connection[Any]]:
    databases["shop"] = postgres_url
    with psycopg.connect(autocommit=True, **connection_arguments(postgres_url)) as connection:
        connection.execute(
            "CREATE TABLE goods (id int PRIMARY KEY, name text, body text, price numeric, tags text[], sold boolean,"
            " changed timestamptz, data bytea, made date)"
        )
        yield connection


def add(shop: psycopg.Connection[Any], number: int, changed: str = "2026-01-01", sold: bool = False) -> None:
    shop.execute(
        "INSERT INTO goods VALUES (%s, %s, %s, 9.90, '{a,b}', %s, %s, '\\x00', '2026-02-03')"
        " ON CONFLICT (id) DO UPDATE SET changed = excluded.changed, sold = excluded.sold",
        (number, f"Good {number}", f"About {number}.", sold, changed),
    )


def goods(**options: object) -> SourceSpec:
    return SourceSpec("sql", {"database": "shop", "table": "goods", "key": ["id"], **options})


async def test_rows_become_documents(shop: psycopg.Connection[Any], opened: Open, tmp_path: Path) -> None:
    add(shop, 1)
    source = await opened(
        goods(title="name", text=["name", "body"], metadata=["price", "tags", "sold", "made", "changed"])
    )
    fetched = await source.fetch((await listed(source))["1"], tmp_path, 1000)
    assert fetched.path.read_text() == "name: Good 1\nbody: About 1."
    assert (fetched.title, fetched.media_type) == ("Good 1", "text/plain")
    assert fetched.location.uri == "postgresql://shop/goods?id=1"
    assert fetched.metadata == {
        "price": 9.9,
        "tags": ("a", "b"),
        "sold": False,
        "made": "2026-02-03",
        "changed": "2026-01-01T00:00:00+00:00",
    }
    templated = await opened(goods(template="# {name}\n\n{body} costs {price}; {id}"))
    text = (await templated.fetch((await listed(templated))["1"], tmp_path, 1000)).path.read_text()
    assert text == "# Good 1\n\nAbout 1. costs 9.90; 1"
    whole = await opened(goods())
    assert "body: About 1." in (await whole.fetch((await listed(whole))["1"], tmp_path, 1000)).path.read_text()


async def test_a_table_names_its_rows_by_its_primary_key(
    shop: psycopg.Connection[Any], opened: Open, tmp_path: Path
) -> None:
    shop.execute("""CREATE TABLE "odd %s name" (body text, "b%" int, a text, PRIMARY KEY (a, "b%") INCLUDE (body))""")
    shop.execute("""INSERT INTO "odd %s name" VALUES ('It is there.', 7, 'x')""")
    source = await opened(SourceSpec("sql", {"database": "shop", "table": "odd %s name", "text": ["body"]}))
    item = (await listed(source))['["x","7"]']
    fetched = await source.fetch(item, tmp_path, 1000)
    assert fetched.path.read_text() == "It is there."
    assert fetched.location.uri == "postgresql://shop/odd%20%25s%20name?a=x&b%25=7"
    shop.execute("CREATE TABLE loose (body text)")
    loose = await opened(SourceSpec("sql", {"database": "shop", "table": "loose"}))
    with pytest.raises(InvalidRequest, match="no primary key"):
        await listed(loose)


async def test_a_query_with_several_keys(shop: psycopg.Connection[Any], opened: Open, tmp_path: Path) -> None:
    add(shop, 1)
    add(shop, 2)
    query = "SELECT id, name AS \"a%s b\", body FROM goods WHERE name LIKE 'Good%' -- a comment"
    options = {"database": "shop", "query": query, "key": ["id", "a%s b"], "text": ["body"]}
    source = await opened(SourceSpec("sql", options))
    found = await listed(source)
    assert sorted(found) == ['["1","Good 1"]', '["2","Good 2"]']
    assert (await source.fetch(found['["2","Good 2"]'], tmp_path, 100)).path.read_text() == "About 2."
    shop.execute("DELETE FROM goods WHERE id = 2")
    with pytest.raises(NotFound):
        await source.fetch(found['["2","Good 2"]'], tmp_path, 100)


async def test_nothing_can_be_written(shop: psycopg.Connection[Any], opened: Open) -> None:
    add(shop, 1)
    for query in (
        "SELECT 1 AS id; DELETE FROM goods",
        "SELECT 1 AS id) AS source; DELETE FROM goods; --",
        "DELETE FROM goods RETURNING id",
        "WITH gone AS (DELETE FROM goods RETURNING id) SELECT id FROM gone",
        "SELECT set_config('transaction_read_only', 'off', false) AS id",
        "SELECT id FROM goods FOR UPDATE",
        "SELECT nextval('nothing') AS id",
        "SELECT absent AS id FROM goods",
        "not sql",
    ):
        source = await opened(SourceSpec("sql", {"database": "shop", "query": query, "key": ["id"]}))
        with pytest.raises(InvalidRequest):
            await listed(source)
    assert shop.execute("SELECT count(*) FROM goods").fetchone() == (1,)


async def test_a_query_that_takes_too_long_is_stopped(shop: psycopg.Connection[Any], opened: Open) -> None:
    options = {"database": "shop", "query": "SELECT 1 AS id FROM pg_sleep(60)", "key": ["id"], "timeout": 0.3}
    with pytest.raises(SourceFailed):
        await listed(await opened(SourceSpec("sql", options)))


async def test_changes_are_followed_without_loss_at_the_border(shop: psycopg.Connection[Any], opened: Open) -> None:
    for number in range(5):
        add(shop, number, f"2026-01-0{number + 1}")
    source = await opened(goods(updated="changed", page_size=2))
    assert source.incremental
    assert len(await listed(source)) == 5
    cursor = source.cursor()
    assert await keys(source, cursor) == []
    assert source.cursor() == cursor
    add(shop, 5, "2026-01-05")  # the same moment as the last one that was seen
    assert await keys(source, cursor) == ["5"]
    cursor = source.cursor()
    assert await keys(source, cursor) == []
    add(shop, 0, "2026-01-05")
    add(shop, 7, "2026-02-01")
    add(shop, 8, "2026-02-01")
    later = await opened(goods(updated="changed"))
    assert await keys(later, cursor) == ["0", "7", "8"]
    assert await keys(later, later.cursor()) == []
    shop.execute("UPDATE goods SET body = 'new' WHERE id = 8")  # changed within the moment of the border
    assert await keys(later, later.cursor()) == ["8"]


async def test_marked_rows_are_told_as_deleted(shop: psycopg.Connection[Any], opened: Open, tmp_path: Path) -> None:
    for number in range(3):
        add(shop, number)
    source = await opened(goods(updated="changed", deleted="sold"))
    first = await listed(source)
    assert not any(item.deleted for item in first.values())
    add(shop, 1, "2026-03-01", sold=True)
    second = await listed(source, source.cursor())
    assert [(key, item.deleted) for key, item in second.items()] == [("1", True)]
    with pytest.raises(NotFound):
        await source.fetch(first["1"], tmp_path, 1000)
    assert await keys(await opened(goods(deleted="sold"))) == ["0", "2"]
    assert await keys(await opened(goods(deleted="made"))) == []


async def test_keys_have_to_name_rows(shop: psycopg.Connection[Any], opened: Open) -> None:
    add(shop, 1)
    add(shop, 2)
    shop.execute("UPDATE goods SET name = NULL WHERE id = 2")
    wrong: list[dict[str, object]] = [{"key": ["made"]}, {"key": ["name"]}, {"key": ["absent"]}, {"table": "absent"}]
    wrong += [{"text": ["absent"]}, {"metadata": ["absent"]}, {"updated": "absent"}, {"template": "{absent}"}]
    for options in wrong:
        with pytest.raises(InvalidRequest):
            await listed(await opened(goods(**options)))


async def test_a_row_over_the_limit_does_not_come_here(
    shop: psycopg.Connection[Any], opened: Open, tmp_path: Path
) -> None:
    shop.execute("INSERT INTO goods (id, body) VALUES (1, repeat('x', 20000000))")
    source = await opened(goods())
    with pytest.raises(TooLarge):
        await source.fetch((await listed(source))["1"], tmp_path, 1_000_000)


async def test_a_dead_database_says_nothing_of_the_machine(sources: Sources, databases: Databases) -> None:
    databases["dead"] = "postgresql+psycopg://zoe:hunter2@127.0.0.1:1/shop"
    source = await sources.open(SourceSpec("sql", {"database": "dead", "table": "goods", "key": ["id"]}), "acme")
    with pytest.raises(SourceFailed) as caught:
        await listed(source)
    assert not any(word in str(caught.value) for word in ("hunter2", "127.0.0.1", "zoe"))
    with pytest.raises(NotFound):
        sources.check(SourceSpec("sql", {"database": "unknown", "table": "goods", "key": ["id"]}), "acme")


async def test_a_connection_that_dies_is_made_again(
    shop: psycopg.Connection[Any], opened: Open, tmp_path: Path
) -> None:
    add(shop, 1)
    source = await opened(goods(text=["body"]))
    item = (await listed(source))["1"]
    await source.fetch(item, tmp_path, 1000)
    shop.execute(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid()"
        " AND backend_type = 'client backend' AND state = 'idle' AND query LIKE '%COMMIT%'"
    )
    with pytest.raises(SourceFailed):
        await source.fetch(item, tmp_path, 1000)
    assert (await source.fetch(item, tmp_path, 1000)).path.read_text() == "About 1."
