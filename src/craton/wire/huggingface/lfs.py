"""Git LFS: which large files are to be sent, and where to; and whether they have come.

Source: git-lfs, docs/api/batch.md; the transfer "multipart" is the Hub's own (huggingface_hub `lfs.py`).
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

import msgspec
from msgspec import Struct

from craton.core.access import Action, Caller
from craton.core.errors import InvalidRequest, NotFound, TooLarge, Unsupported
from craton.hub.files import StoredFile
from craton.hub.names import is_digest
from craton.hub.uploads import Upload, Uploads
from craton.wire.body import read_body
from craton.wire.http import Reply, Request, Route, encode_json
from craton.wire.huggingface.lfs_passes import PREFIX, LfsPasses
from craton.wire.huggingface.links import base_url
from craton.wire.huggingface.naming import file_patterns, hub_route, repo_of
from craton.wire.huggingface.writing import Writing

MAX_OBJECTS = 1000
MAX_SIZE = 1024**4  # bytes of one file
WHOLE = 1024**3  # bytes up to which a file comes in one piece
PART = 16 * 1024**2  # bytes of a part, at least
MAX_ADDRESSES = 4000  # of parts, in one answer
JSON = {"content-type": "application/vnd.git-lfs+json"}


class Object(Struct, frozen=True):
    oid: str
    size: int


class Batch(Struct, frozen=True):
    objects: list[Object]
    operation: str = "upload"
    transfers: tuple[str, ...] = ("basic",)
    hash_algo: str = "sha256"


_BATCHES = msgspec.json.Decoder(Batch)
_OBJECTS = msgspec.json.Decoder(Object)


class LfsRoutes:
    """Files come in for a tenant, not for a repository; only a commit puts one there."""

    def __init__(self, writing: Writing, uploads: Uploads, passes: LfsPasses) -> None:
        self._writing, self._uploads, self._passes = writing, uploads, passes

    def routes(self) -> list[Route]:
        return [
            hub_route("POST", pattern, operation, handler, Action.WRITE)
            for name, operation, handler in (
                ("batch", "LfsBatch", self.batch),
                ("verify", "LfsVerify", self.verify),
            )
            for pattern in file_patterns(f".git/info/lfs/objects/{name}", short=True)
        ]

    async def batch(self, request: Request) -> Reply:
        batch = read_body(_BATCHES, request.body, {})
        if batch.operation != "upload":
            raise Unsupported(f"The LFS operation {batch.operation[:40]!r}", "Read files at /resolve/.")
        if batch.hash_algo != "sha256":
            raise Unsupported(f"The hash {batch.hash_algo[:40]!r}", "Use sha256.")
        if len(batch.objects) > MAX_OBJECTS:
            raise TooLarge("The batch", MAX_OBJECTS, len(batch.objects), "objects")
        tenant, repo = request.authenticated.tenant, repo_of(request)
        await asyncio.to_thread(self._writing.contribute, tenant, repo)
        known = await asyncio.to_thread(self._uploads.stored_of, tenant, [it.oid for it in batch.objects])
        more = sum(max(it.size, 0) for it in batch.objects if it.oid not in known)
        await asyncio.to_thread(self._uploads.check_room, tenant, more)
        offering = _Offering(self._passes, request, batch)
        objects = [offering.answer(it, known.get(it.oid)) for it in batch.objects]
        told = {"transfer": offering.transfer, "objects": objects, "hash_algo": "sha256"}
        return Reply(200, encode_json(told), dict(JSON))

    async def verify(self, request: Request) -> Reply:
        asked = read_body(_OBJECTS, request.body, {})
        tenant = request.authenticated.tenant
        await asyncio.to_thread(self._writing.contribute, tenant, repo_of(request))
        found = await asyncio.to_thread(self._uploads.stored, tenant, asked.oid)
        if found is None:
            raise NotFound("object", asked.oid[:64])
        if found.size != asked.size:
            raise InvalidRequest(f"the object has {found.size:,} bytes", "size")
        return Reply(200, encode_json({}), dict(JSON))


class _Offering:
    """What one batch is told."""

    def __init__(self, passes: LfsPasses, request: Request, batch: Batch) -> None:
        self._passes, self._base = passes, base_url(request)
        self._caller: Caller = request.authenticated
        self._verify = self._base + request.path.removesuffix("batch") + "verify"
        self._offered: Sequence[str] = batch.transfers
        self._most = max(MAX_ADDRESSES // max(sum(self._in_parts(it.size) for it in batch.objects), 1), 1)
        self.transfer = "multipart" if any(self._in_parts(it.size) for it in batch.objects) else "basic"

    def _in_parts(self, size: int) -> bool:
        return "multipart" in self._offered and (size > WHOLE or "basic" not in self._offered)

    def answer(self, asked: Object, known: StoredFile | None) -> dict[str, Any]:
        """No actions: the tenant has the file."""
        told: dict[str, Any] = {"oid": asked.oid, "size": asked.size}
        fault = _fault(asked, known)
        if fault:
            return told | {"error": fault}
        return told if known else told | {"actions": self._actions(asked)}

    def _actions(self, asked: Object) -> dict[str, Any]:
        whole = not self._in_parts(asked.size)
        part = max(asked.size, 1) if whole else max(PART, -(-asked.size // self._most))
        upload = Upload(asked.oid, asked.size, part)
        place = f"{self._base}{PREFIX}/objects/{asked.oid}"
        ticket = f"?ticket={self._passes.issue(self._caller, upload)}"
        verify = {"href": self._verify}
        if whole:
            return {"upload": {"href": place + ticket}, "verify": verify}
        header = {str(number): f"{place}/parts/{number}{ticket}" for number in range(1, upload.parts + 1)}
        header["chunk_size"] = str(part)
        return {"upload": {"href": f"{place}/complete{ticket}", "header": header}, "verify": verify}


def _fault(asked: Object, known: StoredFile | None) -> dict[str, Any] | None:
    if not is_digest(asked.oid):
        return {"code": 422, "message": "The oid is not a SHA-256 in hex."}
    if not 0 <= asked.size <= MAX_SIZE:
        return {"code": 422, "message": f"A file may have at most {MAX_SIZE:,} bytes."}
    if known is not None and known.size != asked.size:
        return {"code": 422, "message": f"The object has {known.size:,} bytes, not {asked.size:,}."}
    return None
