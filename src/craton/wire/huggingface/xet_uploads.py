"""Xet's own routes: xorbs and shards come in, reconstructions and runs of stored chunks go out.

Source: draft-denis-xet, and the OpenAPI file of the Xet protocol. What is not here (`/v1/telemetry`, `/v1/xorb-grants`)
answers 404, which clients take for "this server does not have it".
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import msgspec

from craton.core.access import Action
from craton.core.errors import CratonError, NotFound
from craton.formats.xet.hashes import from_text
from craton.formats.xet.shards import MAX_SHARD
from craton.formats.xet.xorbs import MAX_UPLOAD
from craton.hub.xet.store import XetStore
from craton.wire.feeding import Feeder
from craton.wire.http import Reply, Request, Route, json_reply
from craton.wire.huggingface.naming import hub_route
from craton.wire.huggingface.xet_passes import PREFIX, Grant, XetPasses

UPLOADS = 16  # xorbs that are taken in at once
SHARDS = 2  # shards that are worked on at once
PULSE = 5.0  # seconds between two signs of life while a shard is worked on
SYNCED = 1  # a shard's result: it was taken in


class XetUploads:
    """What clients send."""

    def __init__(self, store: XetStore, passes: XetPasses) -> None:
        self._store, self._passes = store, passes
        self._feeder = Feeder(UPLOADS, "xet")
        self._shards = asyncio.Semaphore(SHARDS)
        self._working: set[asyncio.Task[None]] = set()

    def routes(self) -> list[Route]:
        return [
            hub_route(
                "POST",
                f"{PREFIX}/v1/xorbs/default/{{hash}}",
                "UploadXorb",
                self.xorb,
                Action.WRITE,
                max_body=MAX_UPLOAD,
                streams=True,
            ),
            hub_route("HEAD", f"{PREFIX}/v1/xorbs/default/{{hash}}", "HeadXorb", self.head, Action.READ),
            hub_route("GET", f"{PREFIX}/v1/chunks/{{prefix}}/{{hash}}", "FindChunk", self.chunk, Action.READ),
            *(
                hub_route("POST", f"{PREFIX}{path}", "UploadShard", handler, Action.WRITE, max_body=MAX_SHARD)
                for path, handler in (
                    ("/shards", self.shard),
                    ("/v1/shards", self.shard),
                    ("/v2/shards", self.shard_in_steps),
                )
            ),
        ]

    async def xorb(self, request: Request) -> Reply:
        self._passes.grant(request, write=True)
        tenant, hash = request.authenticated.tenant, request.params["hash"]
        from_text(hash)
        inserted = await self._feeder.feed(
            aiter(request.streamed), lambda blocks: self._store.xorbs.add(tenant, hash, blocks)
        )
        return json_reply(200, {"was_inserted": inserted})

    async def head(self, request: Request) -> Reply:
        self._passes.grant(request)
        tenant, hash = request.authenticated.tenant, request.params["hash"]
        if not await asyncio.to_thread(self._store.xorbs.has, tenant, hash):
            raise NotFound("xorb", hash)
        return Reply(200, b"")

    async def chunk(self, request: Request) -> Reply:
        """Chunks that this tenant has uploaded from wherever, so that they need not be sent again."""
        self._passes.grant(request, write=True)
        tenant, hash = request.authenticated.tenant, request.params["hash"]
        shard = await asyncio.to_thread(self._store.remembering.around, tenant, hash)
        return Reply(200, shard, {"content-type": "application/octet-stream"})

    async def shard(self, request: Request) -> Reply:
        await asyncio.shield(self._start(request))
        return json_reply(200, {"result": SYNCED})

    async def shard_in_steps(self, request: Request) -> Reply:
        """The same for who wants to see that it goes on: a large file takes longer than proxies wait in silence."""
        work = self._start(request)
        await asyncio.wait([work], timeout=PULSE)
        if work.done():
            work.result()
        return Reply(200, _steps(work), {"content-type": "application/x-ndjson"})

    def _start(self, request: Request) -> asyncio.Task[None]:
        """Goes on when the client leaves: it will ask again, and then it is done."""
        grant = self._passes.grant(request, write=True)
        work = asyncio.create_task(self._register(request.authenticated.tenant, request.body, grant))
        self._working.add(work)
        work.add_done_callback(self._working.discard)
        return work

    async def _register(self, tenant: str, shard: bytes, grant: Grant) -> None:
        async with self._shards:
            keeper = await asyncio.to_thread(self._store.policies.keeper, grant.owner, grant.id)
            await asyncio.to_thread(self._store.files.register, tenant, shard, keeper)


async def _steps(work: asyncio.Task[None]) -> AsyncIterator[bytes]:
    while not work.done():
        yield _frame({"type": "validating", "verified": 0, "total": 1})
        await asyncio.wait([work], timeout=PULSE)
    try:
        work.result()
    except CratonError as error:
        yield _frame({"type": "error", "message": str(error), "retryable": False})
    else:
        yield _frame({"type": "result"})


def _frame(value: dict[str, Any]) -> bytes:
    return msgspec.json.encode(value) + b"\n"
