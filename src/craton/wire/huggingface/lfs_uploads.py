"""Where large files are sent to: in one piece, or in parts that are joined at the end."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import msgspec
from msgspec import Struct

from craton.core.access import Action
from craton.core.errors import Damaged, InvalidRequest
from craton.hub.files import StoredFile
from craton.hub.repositories import Hub
from craton.hub.uploads import Upload, Uploads
from craton.wire.body import read_body
from craton.wire.feeding import Feeder
from craton.wire.http import Reply, Request, Route, json_reply
from craton.wire.huggingface.lfs import MAX_SIZE
from craton.wire.huggingface.lfs_passes import PREFIX, LfsPasses
from craton.wire.huggingface.naming import hub_route

AT_ONCE = 16  # bodies that are taken in
JOINING = 2  # files that are put together


class Part(Struct, frozen=True):
    partNumber: int
    etag: str


class Completion(Struct, frozen=True):
    parts: list[Part]


_COMPLETIONS = msgspec.json.Decoder(Completion)


class LfsUploads:
    """Nothing is kept of what turns out to be something else than was announced."""

    def __init__(self, hub: Hub, uploads: Uploads, passes: LfsPasses) -> None:
        self._hub, self._uploads, self._passes = hub, uploads, passes
        self._feeder = Feeder(AT_ONCE, "lfs")
        self._joining = asyncio.Semaphore(JOINING)
        self._working: set[asyncio.Task[StoredFile]] = set()

    def routes(self) -> list[Route]:
        place, write = f"{PREFIX}/objects/{{oid}}", Action.WRITE
        return [
            hub_route("PUT", place, "LfsPut", self.put, write, max_body=MAX_SIZE, streams=True),
            hub_route(
                "PUT", f"{place}/parts/{{number}}", "LfsPutPart", self.part, write, max_body=MAX_SIZE, streams=True
            ),
            hub_route("POST", f"{place}/complete", "LfsComplete", self.complete, write),
        ]

    async def put(self, request: Request) -> Reply:
        upload, tenant = self._passes.upload(request), request.authenticated.tenant
        if upload.parts > 1:
            raise InvalidRequest("this file comes in parts")
        _check_length(request, upload.size)

        def store(blocks: Iterator[bytes]) -> StoredFile:
            return self._hub.store(tenant, blocks, upload.size, upload.digest, large=True)

        try:
            await self._feeder.feed(aiter(request.streamed), store)
        except Damaged as error:
            raise InvalidRequest(f"it is not the file that was announced: {error.reason}") from error
        return json_reply(200, {}, {"etag": f'"{upload.digest}"'})

    async def part(self, request: Request) -> Reply:
        upload, tenant = self._passes.upload(request), request.authenticated.tenant
        text = request.params["number"]
        number = int(text) if text.isdecimal() and len(text) < 7 else 0
        _check_length(request, upload.length(number))
        etag = await self._feeder.feed(
            aiter(request.streamed), lambda blocks: self._uploads.put(tenant, upload, number, blocks)
        )
        return json_reply(200, {}, {"etag": f'"{etag}"'})

    async def complete(self, request: Request) -> Reply:
        upload = self._passes.upload(request)
        parts = sorted(read_body(_COMPLETIONS, request.body, {}).parts, key=lambda it: it.partNumber)
        if [it.partNumber for it in parts] != list(range(1, len(parts) + 1)):
            raise InvalidRequest("the parts are not numbered from 1 on", "parts")
        work = asyncio.create_task(
            self._join(request.authenticated.tenant, upload, [it.etag.strip('"') for it in parts])
        )
        self._working.add(work)  # it goes on when the client leaves, who will ask again
        work.add_done_callback(self._working.discard)
        await asyncio.shield(work)
        return json_reply(200, {"success": True})

    async def _join(self, tenant: str, upload: Upload, etags: list[str]) -> StoredFile:
        async with self._joining:
            return await asyncio.to_thread(self._uploads.complete, tenant, upload, etags)


def _check_length(request: Request, size: int) -> None:
    """Before a byte is read. Raises InvalidRequest."""
    announced = request.streamed.length
    if announced is not None and announced != size:
        raise InvalidRequest(f"it has {announced:,} bytes and not the {size:,} that were announced", "size")
