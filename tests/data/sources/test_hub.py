"""The local hub as a source: rows of tables, pinned revisions, other tenants."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from importlib.util import find_spec
from pathlib import Path

import pytest

from craton.core.errors import Conflict, CratonError, Damaged, InvalidRequest, NotFound, Unsupported
from craton.core.knowledge import SourceSpec
from craton.core.repo import Add, RepoId
from craton.data.documents import Source
from craton.data.sources import Sources
from craton.hub.repositories import Hub
from tests.data.sources.conftest import TENANT, keys, listed

pytestmark = pytest.mark.anyio

Open = Callable[[SourceSpec], Awaitable[Source]]
REPO = RepoId("dataset", "acme", "data")


def commit(hub: Hub, files: dict[str, bytes], tenant: str = TENANT) -> str:
    hub.create(tenant, REPO)
    adds = []
    for path, data in files.items():
        stored = hub.store(tenant, [data], len(data))
        adds.append(Add(path, stored.digest, stored.size))
    return hub.commit(tenant, REPO, "main", None, adds, "add", "ann").id


def spec(**options: object) -> SourceSpec:
    return SourceSpec("hub", {"repo": "acme/data", **options})


async def test_rows_of_every_format_become_documents(hub: Hub, opened: Open, tmp_path: Path) -> None:
    files = {
        "a.jsonl": b'{"id": 1, "t": "one", "year": 2024}\n\n{"id": 2, "t": "two", "year": 2025}\n',
        "b.csv": '\ufeffid,t,year\r\n3,"thr""ee\nlines",2026\r\n'.encode(),
        "c.tsv": b"id\tt\tyear\n4\tfour\t2027\n",
        "README.md": b"not a table",
    }
    revision = commit(hub, files)
    source = await opened(spec(rows=True, key=["id"], text=["t"], metadata=["year"], title="id"))
    found = await listed(source)
    assert sorted(found) == ["a.jsonl#1", "a.jsonl#2", "b.csv#3", "c.tsv#4"]
    three = await source.fetch(found["b.csv#3"], tmp_path, 100)
    assert (three.path.read_text(), three.title, three.metadata) == ('thr"ee\nlines', "3", {"year": "2026"})
    assert three.location.uri == f"hub://dataset/acme/data@{revision}/b.csv#3"
    assert (await source.fetch(found["a.jsonl#1"], tmp_path, 100)).metadata == {"year": 2024.0}
    assert await keys(await opened(spec(rows=True, include=["a.*"]))) == ["a.jsonl#0", "a.jsonl#1"]


@pytest.mark.parametrize(
    ("name", "data", "error"),
    [
        ("a.jsonl", b'{"id": 1}\n{broken\n', Damaged),
        ("a.jsonl", b"[1]\n", Damaged),
        ("a.jsonl", b'{"id": "\xff"}\n', Damaged),
        ("a.jsonl", b'{"id": 1}\n{"id": 1}\n', Conflict),
        ("a.jsonl", b'{"x": 1}\n', InvalidRequest),
        ("a.csv", b"id\n1,2\n", Damaged),
        ("a.csv", b"id\n\xff\n", Damaged),
        ("a.csv", b'id\n"' + b"x" * 200_000, Damaged),
        ("a.parquet", b"PAR1", Damaged if find_spec("pyarrow") else Unsupported),
    ],
)
async def test_a_table_that_cannot_be_read_ends_the_listing(
    hub: Hub, opened: Open, name: str, data: bytes, error: type[CratonError]
) -> None:
    commit(hub, {name: data})
    with pytest.raises(error):
        await listed(await opened(spec(rows=True, key=["id"])))


async def test_a_revision_stands_still(hub: Hub, opened: Open, tmp_path: Path) -> None:
    revision = commit(hub, {"a.txt": b"old"})
    stored = hub.store(TENANT, [b"new"], 3)
    hub.commit(TENANT, REPO, "main", revision, [Add("a.txt", stored.digest, 3)], "change", "ann")
    source = await opened(spec(revision=revision))
    assert (await source.fetch((await listed(source))["a.txt"], tmp_path, 10)).path.read_bytes() == b"old"


async def test_another_tenants_repository_is_not_found(hub: Hub, opened: Open) -> None:
    commit(hub, {"a.txt": b"x"}, "other")
    with pytest.raises(NotFound):
        await listed(await opened(spec()))


@pytest.mark.parametrize(
    ("given", "field"),
    [
        (SourceSpec("hub", {"repo": "a"}), "options.repo"),
        (SourceSpec("hub", {"repo": "a/..b"}), "options.repo"),
        (SourceSpec("hub", {"repo": "a/b", "text": ["x"]}), "options.rows"),
        (SourceSpec("direct", {"x": 1}), "options.x"),
        (SourceSpec("bucket", {}), "options"),
        (SourceSpec("bucket", {"bucket": "papers"}, "key"), "credential"),
        (SourceSpec("sql", {"database": "d", "key": ["id"]}), "options.table"),
        (SourceSpec("sql", {"database": "d", "query": "SELECT 1"}), "options.key"),
        (SourceSpec("sql", {"database": "d", "key": ["id"], "table": "a.b.c"}), "options.table"),
        (SourceSpec("sql", {"database": "d", "key": ["id"], "table": "t", "template": "x"}), "options.template"),
        (SourceSpec("web", {"seeds": []}), "options.seeds"),
        (SourceSpec("web", {"seeds": ["http://a.test/"], "max_pages": 0}), "options.max_pages"),
        (SourceSpec("web", {"seeds": ["http://a.test/"], "user_agent": "a\r\nb"}), "options.user_agent"),
        (SourceSpec("ftp"), "kind"),  # type: ignore[arg-type]  # what a stranger may send
    ],
)
async def test_options_that_cannot_be_are_named(sources: Sources, given: SourceSpec, field: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        sources.check(given, "acme")
    assert caught.value.field == field
