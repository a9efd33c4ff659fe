"""Craton's own route to measuring a model: may it write answers from documents, may it write SQL?"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Literal

import msgspec
from msgspec import Struct

from craton.access.policy import authorize
from craton.core.access import SHARED_TENANT, Action
from craton.core.chat import Json
from craton.core.errors import CratonError, Internal, InvalidRequest
from craton.knowledge.protocol import Measuring
from craton.serve.inference import Call
from craton.wire.body import read_body
from craton.wire.http import Reply, Request, Route, encode_json
from craton.wire.openai.errors import write_error

Progress = Callable[[int, int], None]
DEADLINE = 600.0  # seconds of one question


class Measure(Struct, frozen=True):
    """kind: "documents" or "sql". database: a registered one, for "sql". everybody: keep the figures for all tenants,
    which is the operator's right."""

    model: str
    kind: Literal["documents", "sql"] = "documents"
    database: str = ""
    everybody: bool = False


_DECODER = msgspec.json.Decoder(Measure)


class MeasuringDialect:
    """Errors are written as `wire.native` writes them."""

    name = "craton"

    def __init__(self, measuring: Measuring) -> None:
        self._measuring = measuring

    def routes(self) -> list[Route]:
        path = "/api/craton/v1/proficiency"
        return [Route("POST", path, self.name, "MeasureModel", self._measure, write_error, Action.WRITE)]

    async def _measure(self, request: Request) -> Reply:
        asked = read_body(_DECODER, request.body, {})
        if asked.everybody:
            authorize(request.authenticated, Action.OPERATE)
        if asked.kind == "sql" and not asked.database:
            raise InvalidRequest("names the registered database that the probe may use", "database")
        return Reply(200, self._lines(request, asked), {"content-type": "application/x-ndjson"})

    async def _lines(self, request: Request, asked: Measure) -> AsyncIterator[bytes]:
        """One JSON object a line: how far it is, then the figures, or the error that ended it."""
        news: asyncio.Queue[Json | None] = asyncio.Queue()

        def progress(done: int, total: int) -> None:
            news.put_nowait({"done": done, "total": total})

        measuring = asyncio.ensure_future(self._run(request, asked, progress))
        measuring.add_done_callback(lambda _: news.put_nowait(None))
        try:
            while (line := await news.get()) is not None:
                yield encode_json(line) + b"\n"
            yield encode_json({"figures": measuring.result()}) + b"\n"
        except CratonError as error:
            yield _error_line(error, request)
        except Exception:
            yield _error_line(Internal(request.request_id), request)
            raise
        finally:
            measuring.cancel()

    async def _run(self, request: Request, asked: Measure, progress: Progress) -> Json:
        caller = request.authenticated
        call = Call(caller, request.request_id, self.name, "MeasureModel", DEADLINE)
        tenant = SHARED_TENANT if asked.everybody else caller.tenant
        if asked.kind == "sql":
            return await self._measuring.queries(call, asked.model, asked.database, tenant, progress)
        return await self._measuring.documents(call, asked.model, tenant, progress)


def _error_line(error: CratonError, request: Request) -> bytes:
    body = write_error(error, request).body
    return (body if isinstance(body, bytes) else b"{}") + b"\n"
