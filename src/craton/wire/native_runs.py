"""Craton's own routes to training runs: facts, figures, curves, runs side by side, from data to models and back.

GET /api/craton/v1/runs[?limit=&cursor=]
GET /api/craton/v1/runs/{id}                     the beginning of an id will do
GET /api/craton/v1/runs/{id}/curves/{name}[?points=]
GET /api/craton/v1/runs/{id}/live[?after=]       server-sent events: points as they are told, and at last the run's end
GET /api/craton/v1/compare?runs=ID,ID[,...]
GET /api/craton/v1/lineage/{kind}/{namespace}/{name}[?revision=]     kind: models or datasets
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Any, Literal, Protocol

import msgspec

from craton.core.access import Action
from craton.core.errors import NotFound
from craton.wire.http import Handler, Reply, Request, Route, json_reply, whole_number
from craton.wire.openai.errors import write_error
from craton.wire.sse import HEADERS, named

ROOT = "/api/craton/v1"
LOOK_EVERY = 0.5  # seconds
KEEP_ALIVE = 15.0
ENDED = frozenset({"succeeded", "failed", "cancelled"})


class Runs(Protocol):
    """What these routes need of `training.tracking.reading.Runs`. All calls block; NotFound for another tenant's."""

    def get(self, tenant: str, run: str) -> Any: ...

    def recent(self, tenant: str, limit: int, cursor: str) -> tuple[Sequence[Any], str]: ...

    def resolve(self, tenant: str, run: str) -> str: ...

    def curve(self, tenant: str, run: str, name: str, most: int = 500) -> Any: ...

    def after(self, tenant: str, run: str, last: int, limit: int = 1000) -> Sequence[dict[str, Any]]: ...

    def compare(self, tenant: str, names: Sequence[str], most: int = 60) -> dict[str, Any]: ...

    def models_of(self, tenant: str, dataset: str, revision: str = "") -> Sequence[dict[str, Any]]: ...

    def origin_of(self, tenant: str, model: str, revision: str) -> dict[str, Any] | None: ...


class Resolver(Protocol):
    """(tenant, kind, namespace/name, revision) -> the revision in full. Blocks; raises NotFound."""

    def __call__(self, tenant: str, kind: Literal["model", "dataset"], path: str, revision: str, /) -> str: ...


class Stating(Protocol):
    """(tenant, namespace/name of a model, revision in full) -> what its files say it comes from: "run", "dataset" (with
    its revision), "models"; {} when they say nothing. Blocks."""

    def __call__(self, tenant: str, path: str, revision: str, /) -> Mapping[str, str]: ...


class RunsDialect:
    """Errors are written as those of the other own routes."""

    name = "craton"

    def __init__(self, runs: Runs, resolve: Resolver, stating: Stating) -> None:
        self._runs, self._resolve, self._stating = runs, resolve, stating

    def routes(self) -> list[Route]:
        def route(path: str, operation: str, handler: Handler) -> Route:
            return Route("GET", ROOT + path, self.name, operation, handler, write_error, Action.READ, max_body=1024)

        return [
            route("/runs", "ListRuns", self._list),
            route("/runs/{id}", "GetRun", self._get),
            route("/runs/{id}/curves/{name}", "GetRunCurve", self._curve),
            route("/runs/{id}/live", "WatchRun", self._live),
            route("/compare", "CompareRuns", self._compare),
            route("/lineage/{kind}/{namespace}/{name}", "GetLineage", self._lineage),
        ]

    async def _list(self, request: Request) -> Reply:
        given = request.query_params()
        limit = whole_number(given, "limit", 50, 1, 1000)
        runs, cursor = await asyncio.to_thread(
            self._runs.recent, request.authenticated.tenant, limit, given.get("cursor", "")
        )
        return json_reply(200, {"runs": runs, "cursor": cursor})

    async def _get(self, request: Request) -> Reply:
        tenant = request.authenticated.tenant
        return json_reply(200, await asyncio.to_thread(self._runs.get, tenant, request.params["id"]))

    async def _curve(self, request: Request) -> Reply:
        tenant, most = request.authenticated.tenant, whole_number(request.query_params(), "points", 500, 2, 10_000)
        run = await asyncio.to_thread(self._runs.resolve, tenant, request.params["id"])
        return json_reply(200, await asyncio.to_thread(self._runs.curve, tenant, run, request.params["name"], most))

    async def _compare(self, request: Request) -> Reply:
        names = [name for name in request.query_params().get("runs", "").split(",") if name]
        return json_reply(200, await asyncio.to_thread(self._runs.compare, request.authenticated.tenant, names))

    async def _live(self, request: Request) -> Reply:
        tenant, last = request.authenticated.tenant, whole_number(request.query_params(), "after", 0, 0, 2**31 - 1)
        run = await asyncio.to_thread(self._runs.resolve, tenant, request.params["id"])
        return Reply(200, self._points(tenant, run, last), dict(HEADERS))

    async def _points(self, tenant: str, run: str, last: int) -> AsyncIterator[bytes]:
        silent = 0.0
        while True:
            found = await asyncio.to_thread(self._runs.get, tenant, run)
            points = await asyncio.to_thread(self._runs.after, tenant, run, last)  # after the status: none is missed
            for point in points:
                yield named(b"point", msgspec.json.encode(point))
                last = point["number"]
            if points:
                silent = 0.0
                continue
            if found.status in ENDED:
                yield named(b"end", msgspec.json.encode(found))
                return
            if silent >= KEEP_ALIVE:
                yield b": waiting\n\n"
                silent = 0.0
            await asyncio.sleep(LOOK_EVERY)
            silent += LOOK_EVERY

    async def _lineage(self, request: Request) -> Reply:
        return json_reply(200, await asyncio.to_thread(self._traced, request))

    def _traced(self, request: Request) -> dict[str, Any]:
        """Of a dataset: what was trained on it. Of a model: the run that made this revision, its data, what that is;
        for one that no run here made (its card was edited since, it was copied, uploaded), what its own files say."""
        tenant, kind = request.authenticated.tenant, request.params["kind"]
        path = f"{request.params['namespace']}/{request.params['name']}"
        asked = request.query_params().get("revision", "")
        if kind == "datasets":
            revision = self._resolve(tenant, "dataset", path, asked) if asked else ""
            return {"dataset": path, "revision": revision, "models": self._runs.models_of(tenant, path, revision)}
        if kind != "models":
            raise NotFound("kind of lineage", kind[:50], "There are models and datasets.")
        revision = self._resolve(tenant, "model", path, asked or "main")
        stated = self._stating(tenant, path, revision)
        link = self._runs.origin_of(tenant, path, revision)
        name = stated.get("run", "") if link is None else link["run"]
        run = self._run_or_none(tenant, name) if name else None
        return {"model": path, "revision": revision, "origin": link, "stated": stated, "run": run}

    def _run_or_none(self, tenant: str, run: str) -> Any:
        try:
            return self._runs.get(tenant, run)
        except NotFound:
            return None
