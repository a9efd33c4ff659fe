"""How a repository keeps the files that come in as chunks: Craton's own route, which no client of the Hub knows.

GET and PUT .../keep: {"keep": "plain"} for a copy of every file, which is read fastest, or {"keep": "chunks"} for none,
so that revisions that are alike share what they share. A change holds for what comes in afterwards.
"""

from __future__ import annotations

import asyncio

import msgspec
from msgspec import Struct

from craton.core.access import Action
from craton.hub.reaching import Reached, Reaching
from craton.hub.xet.keepers import Keep, Policies
from craton.wire.body import read_body
from craton.wire.http import Reply, Request, Route, json_reply
from craton.wire.huggingface.naming import api_patterns, hub_route, repo_of


class Keeping(Struct, frozen=True):
    keep: Keep


_KEEPING = msgspec.json.Decoder(Keeping)


class XetKeepingRoutes:
    """Only the owner is told: it says nothing about what a reader gets."""

    def __init__(self, reaching: Reaching, policies: Policies) -> None:
        self._reaching, self._policies = reaching, policies

    def routes(self) -> list[Route]:
        return [
            hub_route(method, pattern, operation, handler, Action.WRITE)
            for method, operation, handler in (("GET", "GetKeeping", self.get), ("PUT", "SetKeeping", self.set))
            for pattern in api_patterns("/keep")
        ]

    async def get(self, request: Request) -> Reply:
        def look() -> Keep:
            reached = self._own(request)
            return self._policies.get(reached.owner, reached.id)

        return json_reply(200, {"keep": await asyncio.to_thread(look)})

    async def set(self, request: Request) -> Reply:
        wanted = read_body(_KEEPING, request.body, {})

        def change() -> None:
            reached = self._own(request)
            self._policies.set(reached.owner, reached.id, wanted.keep)

        await asyncio.to_thread(change)
        return json_reply(200, {"keep": wanted.keep})

    def _own(self, request: Request) -> Reached:
        return self._reaching.reach(request.authenticated.tenant, repo_of(request), "write")
