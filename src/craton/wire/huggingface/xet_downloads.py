"""Xet's reads: how a file is put together, and the stored chunks for it."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator
from io import FileIO
from typing import Any

from craton.core.access import Action
from craton.core.errors import NotFound
from craton.hub.xet.reading import Fetch, Plan
from craton.hub.xet.sharing import Sharing
from craton.hub.xet.store import XetStore
from craton.wire.file_body import FileBody, pulled
from craton.wire.http import Reply, Request, Route, json_reply
from craton.wire.huggingface.links import base_url
from craton.wire.huggingface.naming import hub_route
from craton.wire.huggingface.xet_passes import PREFIX, RANGE, RangeGrant, XetPasses

_RANGE = re.compile(r"bytes=(\d{1,18})-(\d{0,20})")


class XetDownloads:
    """What clients fetch."""

    def __init__(self, store: XetStore, sharing: Sharing, passes: XetPasses) -> None:
        self._store, self._sharing, self._passes = store, sharing, passes

    def routes(self) -> list[Route]:
        return [
            hub_route("GET", f"{PREFIX}/v1/reconstructions/{{hash}}", "Reconstruct", self.reconstruct, Action.READ),
            hub_route("GET", f"{PREFIX}/v2/reconstructions/{{hash}}", "Reconstruct", self.reconstruct_v2, Action.READ),
            hub_route("GET", f"{PREFIX}/v1/ranges/{{hash}}", "GetXorbRange", self.range, Action.READ),
        ]

    async def reconstruct(self, request: Request) -> Reply:
        plan = await self._plan(request)
        if plan is None:
            return _unsatisfiable()
        found = {
            xorb: [
                {
                    "range": {"start": fetch.start, "end": fetch.end},
                    "url": self._url(request, xorb, fetch),
                    "url_range": {"start": fetch.first, "end": fetch.last},
                }
                for fetch in fetches
            ]
            for xorb, fetches in plan.fetches.items()
        }
        return json_reply(200, {**_terms(plan), "fetch_info": found})

    async def reconstruct_v2(self, request: Request) -> Reply:
        """An address for every run: one for several would answer in several parts."""
        plan = await self._plan(request)
        if plan is None:
            return _unsatisfiable()
        found = {
            xorb: [
                {
                    "url": self._url(request, xorb, fetch),
                    "ranges": [
                        {
                            "chunks": {"start": fetch.start, "end": fetch.end},
                            "bytes": {"start": fetch.first, "end": fetch.last},
                        }
                    ],
                }
                for fetch in fetches
            ]
            for xorb, fetches in plan.fetches.items()
        }
        return json_reply(200, {**_terms(plan), "xorbs": found})

    async def range(self, request: Request) -> Reply:
        """Only what its address was made for, or a part of it."""
        grant = self._passes.range(request)
        first, last = grant.first, grant.last
        match = _RANGE.fullmatch(request.headers.get("range", ""))
        if match:
            first, last = int(match[1]), min(last, int(match[2] or last))
            if not grant.first <= first <= last:
                return _unsatisfiable()
        body = await asyncio.to_thread(self._open, grant.blob, first, last + 1)
        headers = {
            "content-type": "application/octet-stream",
            "content-length": str(last + 1 - first),
            "content-range": f"bytes {first}-{last}/*",
        }
        return Reply(206 if match else 200, body, headers)

    def _open(self, blob: str, start: int, end: int) -> FileBody | AsyncIterator[bytes]:
        """The stored bytes as they stand there: the chunks in them have hashes of their own, which clients check."""
        place = self._store.blobs.at_hand(blob)
        if place is not None:
            return FileBody(FileIO(place), start, end - start)
        return pulled(self._store.blobs.span(blob, start, end))

    async def _plan(self, request: Request) -> Plan | None:
        """None: the range lies behind the end."""
        grant, hash = self._passes.grant(request), request.params["hash"]
        tenant = request.authenticated.tenant
        match = _RANGE.fullmatch(request.headers.get("range", ""))

        def make() -> Plan | None:
            file = self._store.reading.find(grant.owner, hash)
            if grant.commit and not self._sharing.holds(tenant, grant.repo, grant.commit, file.digest):
                raise NotFound("file", hash)
            start = int(match[1]) if match else 0
            end = min(file.size, int(match[2]) + 1) if match and match[2] else file.size
            return self._store.reading.plan(grant.owner, file, start, end) if start < end else None

        return await asyncio.to_thread(make)

    def _url(self, request: Request, xorb: str, fetch: Fetch) -> str:
        grant = RangeGrant(fetch.blob, fetch.first, fetch.last)
        ticket, _ = self._passes.issue(request.authenticated, RANGE, grant)
        return f"{base_url(request)}{PREFIX}/v1/ranges/{xorb}?ticket={ticket}"


def _terms(plan: Plan) -> dict[str, Any]:
    return {
        "offset_into_first_range": plan.offset,
        "terms": [
            {"hash": term.xorb, "unpacked_length": term.length, "range": {"start": term.start, "end": term.end}}
            for term in plan.terms
        ],
    }


def _unsatisfiable() -> Reply:
    return json_reply(416, {"error": "The range lies behind the end."})
