"""Where clients get the tokens for Xet: they say what may be done, and where the chunks are."""

from __future__ import annotations

import asyncio

from craton.core.access import Action
from craton.hub.repositories import Hub
from craton.hub.xet.sharing import Sharing
from craton.wire.http import Reply, Request, Route, json_reply
from craton.wire.huggingface.links import base_url
from craton.wire.huggingface.naming import api_patterns, hub_route, repo_of, revision_of
from craton.wire.huggingface.writing import Writing
from craton.wire.huggingface.xet_passes import PREFIX, READ, WRITE, Grant, XetPasses


class XetTokenRoutes:
    """GET .../xet-read-token/REVISION and .../xet-write-token/REVISION."""

    def __init__(self, hub: Hub, writing: Writing, sharing: Sharing, passes: XetPasses) -> None:
        self._hub, self._writing, self._sharing, self._passes = hub, writing, sharing, passes

    def routes(self) -> list[Route]:
        return [
            hub_route("GET", pattern, operation, handler, action)
            for name, operation, handler, action in (
                ("read", "XetReadToken", self.read, Action.READ),
                ("write", "XetWriteToken", self.write, Action.WRITE),
            )
            for pattern in api_patterns(f"/xet-{name}-token/{{revision}}", short=True)
        ]

    async def read(self, request: Request) -> Reply:
        return self._reply(request, READ, await asyncio.to_thread(self._readable, request))

    async def write(self, request: Request) -> Reply:
        """The revision need not be there yet: the first commit makes it."""
        reached = await asyncio.to_thread(self._writing.reach, request, repo_of(request), revision_of(request))
        return self._reply(request, WRITE, Grant(reached.owner, reached.id, reached.repo))

    def _readable(self, request: Request) -> Grant:
        reached = self._sharing.readable(request.authenticated.tenant, repo_of(request))
        commit = self._hub.resolve(reached.owner, reached.repo, revision_of(request))
        return Grant(reached.owner, reached.id, reached.repo, "" if reached.own else commit)

    def _reply(self, request: Request, purpose: str, grant: Grant) -> Reply:
        token, expires = self._passes.issue(request.authenticated, purpose, grant)
        url = base_url(request) + PREFIX
        headers = {
            "x-xet-cas-url": url,
            "x-xet-access-token": token,
            "x-xet-token-expiration": str(expires),
            "cache-control": "no-store",
        }
        return json_reply(200, {"casUrl": url, "accessToken": token, "exp": expires}, headers)
