"""Live sources of a knowledge base: their records become passages, and one that fails takes nothing from the others."""

from __future__ import annotations

import json
from collections.abc import Iterator

import httpx
import pytest

from craton.access.outgoing import outgoing
from craton.core.errors import NotFound
from craton.core.knowledge import Chunking, DataSource, SourceSpec
from craton.knowledge.structured.live import LiveSources, is_live
from tests.data.api.test_live import Api

pytestmark = pytest.mark.anyio


@pytest.fixture
def api() -> Iterator[Api]:
    api = Api()
    yield api
    api.close()


def source(name: str, options: dict[str, object], credential: str = "") -> DataSource:
    spec = SourceSpec("api", options, credential)
    return DataSource(name, "acme", "KB", name, spec, Chunking(), "available", 0.0, 0.0)


async def secret(tenant: str, name: str) -> str:
    if (tenant, name) != ("acme", "key"):
        raise NotFound("credential", name)
    return "s3cret"


async def test_records_become_passages_and_failures_sentences(api: Api) -> None:
    api.answer = lambda: (200, {}, json.dumps([{"name": "Kettle"}, {"name": "Pan"}]).encode())
    live = {"live": True, "url": f"{api.url}/search", "parameters": {"q": "{question}"}, "title": "/name"}
    sources = [
        source("good", live, "key"),
        source("ingested", {"url": f"{api.url}/items"}),
        source("refused", {**live, "url": "http://10.0.0.1/search"}),
        source("locked", live, "absent"),
        source("wrong", {"live": True}),
    ]
    assert [is_live(one) for one in sources] == [True, False, True, True, True]
    async with outgoing([api.url]) as client:
        passages, failures = await LiveSources(lambda: client, secret).ask(sources, "what boils?")
    assert [(p.text, p.title, p.source, p.knowledge_base, p.row) for p in passages] == [
        ("Kettle", "Kettle", "good", "KB", {"name": "Kettle"}),
        ("Pan", "Pan", "good", "KB", {"name": "Pan"}),
    ]
    assert passages[0].score == 1.0 > passages[1].score > 0
    assert passages[0].location.kind == "api"
    assert [failure.source for failure in failures] == ["refused", "locked", "wrong"]
    assert "not allowed" in failures[0].reason
    assert len(api.seen) == 1
    assert api.seen[0][2] == {"q": ["what boils?"]}


async def test_nothing_live_asks_nothing() -> None:
    def never() -> httpx.AsyncClient:
        raise AssertionError("no client is needed")

    assert await LiveSources(never, secret).ask([source("a", {"url": "http://x/y"})], "?") == ((), ())
