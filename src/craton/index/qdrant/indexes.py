"""QdrantIndexes: a collection for each index."""

from __future__ import annotations

import asyncio
import hashlib
import logging
import time
from collections.abc import Sequence
from typing import Any

import httpx
import msgspec

from craton.core.errors import CratonError, Damaged, Internal, StorageFull, Throttled, Unsupported
from craton.index.checks import check_ids, check_points, check_search, check_spec
from craton.index.payload import INDEXED
from craton.index.protocol import Found, Hit, IndexSpec, Point, Search
from craton.index.qdrant import requests
from craton.index.qdrant.requests import DENSE, LEXICAL, Body

BATCH_POINTS = 256
MAX_ANSWER = 64 * 1024 * 1024  # bytes
RETRY_SECONDS = 5.0
POLL_SECONDS = 0.5
SETTLED = 3  # looks in a row that must find nothing left to optimise
OPTIMISE_SECONDS = 3_600.0  # the server goes on by itself after that

log = logging.getLogger(__name__)


class QdrantIndexes:
    """`Indexes` on one server, whose collections' names say nothing of the tenant."""

    def __init__(self, url: str, client: httpx.AsyncClient, key: str = "") -> None:
        """url: of the server ("http://127.0.0.1:6333"). client: stays the caller's. key: the server's API key."""
        self._server = _Server(url.rstrip("/"), client, key)
        self._open: dict[IndexSpec, QdrantIndex] = {}

    async def open(self, spec: IndexSpec) -> QdrantIndex:
        check_spec(spec)
        if spec not in self._open:
            await self._make(spec)
            self._open.setdefault(spec, QdrantIndex(self._server, spec))
        return self._open[spec]

    async def drop(self, spec: IndexSpec) -> None:
        check_spec(spec)
        self._open.pop(spec, None)
        await self._server.ask("DELETE", _path(spec), missing=True)

    async def close(self) -> None:
        """Nothing is held."""

    async def _make(self, spec: IndexSpec) -> None:
        """Each step may be repeated, so one that was interrupted is completed by the next opening."""
        there = await self._server.ask("GET", _path(spec), missing=True)
        if there is None:
            await self._server.ask("PUT", _path(spec), requests.collection(spec.dimensions), exists=True)
        elif _dimensions(there) != spec.dimensions:
            raise Damaged("the index", "it was made for vectors of another kind")
        for field in INDEXED:
            await self._server.ask("PUT", f"{_path(spec)}/index?wait=true", requests.keyword_index(field))


class QdrantIndex:
    """`Index`. Made by `QdrantIndexes.open`."""

    def __init__(self, server: _Server, spec: IndexSpec) -> None:
        self._server, self._spec, self._path = server, spec, _path(spec)

    async def upsert(self, points: Sequence[Point]) -> None:
        check_points(points, self._spec.dimensions)
        for start in range(0, len(points), BATCH_POINTS):
            part = points[start : start + BATCH_POINTS]
            body = await asyncio.to_thread(requests.upsert, part, self._spec.tenant)
            await self._server.ask("PUT", f"{self._path}/points?wait=true", body)

    async def delete(self, ids: Sequence[int]) -> None:
        check_ids(ids)
        if ids:
            await self._server.ask("POST", f"{self._path}/points/delete?wait=true", requests.delete(ids))

    async def search(self, search: Search) -> Found:
        check_search(search, self._spec.dimensions)
        legs = requests.legs(search)
        found = dict(zip(legs, await self._query(list(legs.values())), strict=True))
        if DENSE in found and len(found[DENSE]) < search.limit:  # a narrow filter may hide some from the graph
            found[DENSE] = (await self._query([requests.everywhere(legs[DENSE])]))[0]
        return Found(found.get(DENSE, ()), found.get(LEXICAL, ()))

    async def count(self) -> int:
        result = await self._server.ask("POST", f"{self._path}/points/count", {"exact": True})
        return int(result["count"])

    async def optimise(self) -> None:
        """A server optimises by itself: this waits until it has."""
        give_up = time.monotonic() + OPTIMISE_SECONDS
        settled = 0
        while settled < SETTLED and time.monotonic() < give_up:
            settled = settled + 1 if (await self._server.ask("GET", self._path))["status"] == "green" else 0
            await asyncio.sleep(POLL_SECONDS)

    async def close(self) -> None:
        """Nothing is held."""

    async def _query(self, queries: list[Body]) -> list[tuple[Hit, ...]]:
        if not queries:
            return []
        answers = await self._server.ask("POST", f"{self._path}/points/query/batch", requests.batch(queries))
        return [_hits(answer["points"]) for answer in answers]


class _Server:
    def __init__(self, url: str, client: httpx.AsyncClient, key: str) -> None:
        self._url, self._client = url, client
        self._headers = {"content-type": "application/json", **({"api-key": key} if key else {})}

    async def ask(
        self, method: str, path: str, body: Body | None = None, *, missing: bool = False, exists: bool = False
    ) -> Any:
        """The answer's "result"; None where it is missing (or exists) and that is allowed. Errors: `core.errors`."""
        content = None if body is None else msgspec.json.encode(body)
        try:
            answer = await self._client.request(method, self._url + path, content=content, headers=self._headers)
        except httpx.HTTPError as error:
            log.warning("the index server: %s", type(error).__name__)
            raise Throttled("The index's server cannot be reached.", RETRY_SECONDS) from None
        if (missing and answer.status_code == 404) or (exists and answer.status_code == 409):
            return None
        if answer.status_code != 200:
            raise _error(answer)
        if len(answer.content) > MAX_ANSWER:
            raise Damaged("the index", "its server's answer is too large")
        try:
            return msgspec.json.decode(answer.content)["result"]
        except (msgspec.DecodeError, KeyError, TypeError):
            raise Damaged("the index", "its server's answer cannot be read") from None


def _error(answer: httpx.Response) -> CratonError:
    status, text = answer.status_code, answer.text[:2000]
    log.warning("the index server answered %d: %s", status, text)
    if "No space left" in text or "storage is full" in text.lower():
        return StorageFull("The index's server has no room.")
    if status in {401, 403}:
        return Unsupported("this index server", "It refuses the key that it was registered with.")
    if status == 404:
        return Damaged("the index", "it is gone")
    if status in {408, 429, 502, 503, 504}:
        return Throttled("The index's server is busy.", RETRY_SECONDS)
    return Internal("")


def _path(spec: IndexSpec) -> str:
    digest = hashlib.sha256(f"{len(spec.tenant)}:{spec.tenant}{spec.name}".encode()).hexdigest()
    return f"/collections/craton-{digest[:32]}"


def _dimensions(described: Any) -> int | None:
    try:
        size: int = described["config"]["params"]["vectors"][DENSE]["size"]
    except (KeyError, TypeError):
        return None
    return size


def _hits(points: list[Any]) -> tuple[Hit, ...]:
    hits = (Hit(one["id"], one["score"]) for one in points)
    return tuple(sorted(hits, key=lambda hit: (-hit.score, hit.id)))
