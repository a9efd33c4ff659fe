"""Craton's own routes for programs that run elsewhere and tell of themselves: `craton train -- python train.py`.

POST /api/craton/v1/runs                 a run begins, on its owner's machine: `tracking.scripts.Begin`
POST /api/craton/v1/runs/{id}/told       points, parameters, lines of its log: `Told`; {} says that it still runs
POST /api/craton/v1/runs/{id}/metrics    the short form, for a script itself: {"loss": 0.3, "step": 10}
POST /api/craton/v1/runs/{id}/end        `End`

The server runs none of these programs: it keeps what it is told.
"""

from __future__ import annotations

import asyncio
from typing import Protocol

import msgspec

from craton.core.access import Action
from craton.core.job import Job
from craton.training.tracking.telling import Begin, End, Heard, Told, points_of
from craton.wire.body import read_body
from craton.wire.http import Handler, Reply, Request, Route, decode_json, json_reply
from craton.wire.native_training import shown
from craton.wire.openai.errors import write_error

ROOT = "/api/craton/v1/runs"
MAX_BODY = 4 << 20

_BEGIN, _TOLD, _END = msgspec.json.Decoder(Begin), msgspec.json.Decoder(Told), msgspec.json.Decoder(End)


class Scripts(Protocol):
    """What these routes need of `training.tracking.scripts.Scripts`. All calls block."""

    def begin(self, tenant: str, asked: Begin) -> Job: ...

    def hear(self, tenant: str, run: str, told: Told) -> Heard: ...

    def end(self, tenant: str, run: str, ended: End) -> Job: ...


class ScriptsDialect:
    """Errors are written as those of the other own routes."""

    name = "craton"

    def __init__(self, scripts: Scripts) -> None:
        self._scripts = scripts

    def routes(self) -> list[Route]:
        def route(path: str, operation: str, handler: Handler) -> Route:
            return Route(
                "POST", ROOT + path, self.name, operation, handler, write_error, Action.WRITE, max_body=MAX_BODY
            )

        return [
            route("", "BeginRun", self._begin),
            route("/{id}/told", "TellRun", self._tell),
            route("/{id}/metrics", "TellRunMetrics", self._metrics),
            route("/{id}/end", "EndRun", self._end),
        ]

    async def _begin(self, request: Request) -> Reply:
        asked = read_body(_BEGIN, request.body, {})
        return json_reply(201, shown(await asyncio.to_thread(self._scripts.begin, self._tenant(request), asked)))

    async def _tell(self, request: Request) -> Reply:
        return await self._hear(request, read_body(_TOLD, request.body, {}))

    async def _metrics(self, request: Request) -> Reply:
        return await self._hear(request, Told(points=points_of(decode_json(request.body))))

    async def _end(self, request: Request) -> Reply:
        ended = read_body(_END, request.body, {})
        run, tenant = request.params["id"], self._tenant(request)
        return json_reply(200, shown(await asyncio.to_thread(self._scripts.end, tenant, run, ended)))

    async def _hear(self, request: Request, told: Told) -> Reply:
        tenant = self._tenant(request)
        return json_reply(200, await asyncio.to_thread(self._scripts.hear, tenant, request.params["id"], told))

    @staticmethod
    def _tenant(request: Request) -> str:
        return request.authenticated.tenant
