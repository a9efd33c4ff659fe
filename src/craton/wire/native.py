"""Craton's own few routes: health for machines, and what no borrowed API has a word for (traces, usage, memory)."""

from __future__ import annotations

import asyncio
import math
from typing import Any, Protocol

from craton.core.access import Action, Caller
from craton.core.errors import InvalidRequest
from craton.core.model import ModelInfo
from craton.serve.history import Trace, UsageLine
from craton.wire.http import Handler, Reply, Request, Route, json_reply
from craton.wire.openai.errors import write_error

MAX_RECENT = 1000


class Backstage(Protocol):
    """What these routes need of the server."""

    def ready(self) -> bool:
        """Whether requests can be answered now."""
        ...

    def status(self) -> dict[str, Any]: ...

    def metrics(self) -> bytes: ...

    async def model_details(self, caller: Caller, name: str) -> dict[str, Any]: ...

    async def models(self, caller: Caller) -> list[ModelInfo]: ...

    async def unload(self, caller: Caller, name: str) -> bool: ...

    def trace(self, tenant: str, request_id: str) -> Trace: ...

    def recent(self, tenant: str, limit: int) -> list[dict[str, Any]]: ...

    def usage(self, tenant: str, since: float) -> list[UsageLine]: ...


class NativeDialect:
    """Errors are written as OpenAI's are: the form most people know."""

    name = "craton"

    def __init__(self, backstage: Backstage) -> None:
        self._backstage = backstage

    def routes(self) -> list[Route]:
        def route(method: str, pattern: str, operation: str, handler: Handler, action: Action) -> Route:
            return Route(method, pattern, self.name, operation, handler, write_error, action, max_body=64 * 1024)

        return [
            route("GET", "/healthz", "Health", self._health, Action.PUBLIC),
            route("GET", "/readyz", "Ready", self._ready, Action.PUBLIC),
            route("GET", "/metrics", "Metrics", self._metrics, Action.OPERATE),
            route("GET", "/api/craton/v1/status", "Status", self._status, Action.OPERATE),
            route("GET", "/api/craton/v1/models", "ListModelDetails", self._models, Action.READ),
            route("GET", "/api/craton/v1/models/{name+}", "GetModelDetails", self._model, Action.READ),
            route("DELETE", "/api/craton/v1/loaded/{name+}", "UnloadModel", self._unload, Action.OPERATE),
            route("GET", "/api/craton/v1/requests", "ListRequests", self._recent, Action.READ),
            route("GET", "/api/craton/v1/requests/{id}", "GetTrace", self._trace, Action.READ),
            route("GET", "/api/craton/v1/usage", "GetUsage", self._usage, Action.READ),
        ]

    async def _health(self, _: Request) -> Reply:
        return json_reply(200, {"status": "ok"})

    async def _ready(self, _: Request) -> Reply:
        ready = self._backstage.ready()
        return json_reply(200 if ready else 503, {"status": "ready" if ready else "starting"})

    async def _metrics(self, _: Request) -> Reply:
        return Reply(200, self._backstage.metrics(), {"content-type": "text/plain; version=0.0.4; charset=utf-8"})

    async def _status(self, _: Request) -> Reply:
        return json_reply(200, self._backstage.status())

    async def _models(self, request: Request) -> Reply:
        return json_reply(200, {"models": await self._backstage.models(request.authenticated)})

    async def _model(self, request: Request) -> Reply:
        return json_reply(200, await self._backstage.model_details(request.authenticated, request.params["name"]))

    async def _unload(self, request: Request) -> Reply:
        unloaded = await self._backstage.unload(request.authenticated, request.params["name"])
        return json_reply(200, {"unloaded": unloaded})

    async def _recent(self, request: Request) -> Reply:
        limit = int(_number(request, "limit", 20))
        if not 1 <= limit <= MAX_RECENT:
            raise InvalidRequest(f"must be from 1 to {MAX_RECENT}", "limit")
        rows = await asyncio.to_thread(self._backstage.recent, request.authenticated.tenant, limit)
        return json_reply(200, {"requests": rows})

    async def _trace(self, request: Request) -> Reply:
        tenant = request.authenticated.tenant
        return json_reply(200, await asyncio.to_thread(self._backstage.trace, tenant, request.params["id"]))

    async def _usage(self, request: Request) -> Reply:
        since = _number(request, "since", 0.0)
        lines = await asyncio.to_thread(self._backstage.usage, request.authenticated.tenant, since)
        return json_reply(200, {"since": since, "usage": lines})


def _number(request: Request, name: str, default: float) -> float:
    text = request.query_params().get(name)
    if text is None:
        return default
    try:
        number = float(text)
    except ValueError:
        number = math.nan
    if not math.isfinite(number):
        raise InvalidRequest("must be a number", name)
    return number
