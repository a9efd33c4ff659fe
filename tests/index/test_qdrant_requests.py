"""Every request to a Qdrant server is one that its published OpenAPI document allows.

This proves the shape of requests, and no more: that a server answers them as it should is what the contract test shows
where there is one (CRATON_TEST_QDRANT).
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import httpx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from craton.core.errors import CratonError, Damaged, Internal, StorageFull, Throttled, Unsupported
from craton.core.knowledge import Access, Filter, Metadata
from craton.index.protocol import IndexSpec, Search
from craton.index.qdrant import QdrantIndexes, requests
from tests.index.worlds import DIMENSIONS, TENANT, accesses, filters, metadata, point, unit, users

pytestmark = pytest.mark.anyio

PUBLISHED = json.loads((Path(__file__).parent / "qdrant_requests.json").read_text())
SPEC = IndexSpec(TENANT, "handbook", DIMENSIONS)
VECTOR = unit(1)[0].tobytes()
FOUND = {"points": [{"id": 3, "version": 0, "score": 0.5}]}


def validate(request: str, body: object) -> None:
    schema = {**PUBLISHED["requests"][request], "$defs": PUBLISHED["$defs"]}
    Draft202012Validator(schema).validate(body)


class Recorder:
    """Stands where the server would, and says what the documentation says that it would."""

    def __init__(self) -> None:
        self.requests: list[tuple[str, str, Any]] = []
        self.made = False
        self.status = 200
        self.text = ""

    def __call__(self, request: httpx.Request) -> httpx.Response:
        body = json.loads(request.content) if request.content else None
        path = re.sub(r"^/collections/craton-[0-9a-f]{32}", "/collections/{collection_name}", request.url.path)
        self.requests.append((f"{request.method} {path}", request.url.query.decode(), body))
        if self.status != 200:
            return httpx.Response(self.status, text=self.text)
        if request.method == "GET" and not self.made:
            return httpx.Response(404, json={"status": {"error": "Not found"}})
        self.made = True
        if request.method == "GET":
            size = {"config": {"params": {"vectors": {"dense": {"size": DIMENSIONS}}}}, "status": "green"}
            return httpx.Response(200, json={"result": size})
        if path.endswith("batch"):
            return httpx.Response(200, json={"result": [FOUND] * len(body["searches"])})
        return httpx.Response(200, json={"result": {"count": 7} if path.endswith("count") else True})


@pytest.fixture
def server() -> Recorder:
    return Recorder()


@pytest.fixture
def indexes(server: Recorder) -> QdrantIndexes:
    return QdrantIndexes("http://qdrant:6333/", httpx.AsyncClient(transport=httpx.MockTransport(server)), "secret")


async def test_every_request_is_one_that_is_published(server: Recorder, indexes: QdrantIndexes) -> None:
    index = await indexes.open(SPEC)
    await index.upsert([point(1), point(2, "", {"a": "b", "n": 1.5, "l": ("x",)}, Access(("bob",), ("eve",)))])
    await index.delete([1])
    found = await index.search(Search(TENANT, 1, vector=VECTOR, text="words"))
    assert [(hit.id, hit.score) for hit in found.dense + found.lexical] == [(3, 0.5)] * 2
    assert await index.count() == 7
    await index.optimise()
    await indexes.drop(SPEC)
    bodies = [(request, body) for request, _, body in server.requests if body is not None]
    assert {request for request, _ in bodies} == set(PUBLISHED["requests"])
    for request, body in bodies:
        validate(request, body)
    writes = [query for request, query, _ in server.requests if re.search(r"index$|points$|delete$", request)]
    assert set(writes) == {"wait=true"}


@settings(deadline=None)  # a busy machine may pause
@given(filters, users)
def test_every_filter_is_one_that_is_published(wanted: Filter, user: str) -> None:
    search = Search(TENANT, 5, vector=VECTOR, text="words", filter=wanted, user=user)
    queries = list(requests.legs(search).values())
    validate("POST /collections/{collection_name}/points/query/batch", requests.batch(queries))
    validate(
        "POST /collections/{collection_name}/points/query/batch", requests.batch([requests.everywhere(queries[0])])
    )


@given(metadata, accesses, st.text())
def test_every_point_is_one_that_is_published(fields: Metadata, access: Access, text: str) -> None:
    validate("PUT /collections/{collection_name}/points", requests.upsert([point(1, text, fields, access)], TENANT))


async def test_fewer_hits_than_asked_for_are_looked_for_without_the_graph(
    server: Recorder, indexes: QdrantIndexes
) -> None:
    index = await indexes.open(SPEC)
    await index.search(Search(TENANT, 5, vector=VECTOR))
    assert server.requests[-1][2]["searches"][0]["params"] == {"exact": True}


@pytest.mark.parametrize(
    ("status", "text", "error"),
    [
        (503, "", Throttled),
        (401, "", Unsupported),
        (404, "", Damaged),
        (500, "Service internal error: No space left on device", StorageFull),
        (500, "panic", Internal),
        (299, "", Internal),
    ],
)
async def test_what_goes_wrong_there_is_typed_here(
    server: Recorder, indexes: QdrantIndexes, status: int, text: str, error: type[CratonError]
) -> None:
    index = await indexes.open(SPEC)
    server.status, server.text = status, text
    with pytest.raises(error) as raised:
        await index.count()
    assert "panic" not in str(raised.value)


async def test_a_server_that_is_not_there_is_an_error_that_may_pass() -> None:
    async with httpx.AsyncClient() as client:
        with pytest.raises(Throttled):
            await QdrantIndexes("http://127.0.0.1:9", client).open(SPEC)
