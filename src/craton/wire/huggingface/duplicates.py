"""A repository becomes the beginning of another one."""

from __future__ import annotations

import asyncio

import msgspec
from msgspec import Struct

from craton.core.access import Action
from craton.core.errors import InvalidRequest
from craton.hub.admission import Admission
from craton.hub.reaching import Reaching
from craton.hub.repositories import Hub
from craton.wire.body import read_body
from craton.wire.http import Reply, Request, Route, json_reply
from craton.wire.huggingface.links import repo_url
from craton.wire.huggingface.naming import api_patterns, author_of, hub_route, repo_named, repo_of
from craton.wire.huggingface.repositories import REFUSED, chosen_privacy


class Duplicate(Struct, frozen=True):
    """repository: namespace/name of the new one."""

    repository: str
    private: bool | None = None
    visibility: str | None = None


_ASKED = msgspec.json.Decoder(Duplicate)


class DuplicateRoutes:
    """The files of main, not their history; no byte is copied."""

    def __init__(self, reaching: Reaching, hub: Hub, admission: Admission, private: bool) -> None:
        self._reaching, self._hub, self._admission, self._private = reaching, hub, admission, private

    def routes(self) -> list[Route]:
        patterns = api_patterns("/duplicate")
        return [hub_route("POST", it, "DuplicateRepo", self._duplicate, Action.WRITE) for it in patterns]

    async def _duplicate(self, request: Request) -> Reply:
        tenant = request.authenticated.tenant

        def write() -> tuple[str, str]:
            source = self._reaching.reach(tenant, repo_of(request))
            asked = read_body(_ASKED, request.body, REFUSED)
            if len(asked.repository) > 300:
                raise InvalidRequest("it is too long", "repository")
            to = repo_named(source.repo.kind, asked.repository, tenant, field="repository")
            said = chosen_privacy(asked.private, asked.visibility)
            self._admission.check(tenant, source)
            private = self._private if said is None else said
            made = self._hub.duplicate(source, tenant, to, private=private, author=author_of(request))
            return repo_url(request, to), made.id

        url, found = await asyncio.to_thread(write)
        return json_reply(200, {"url": url, "id": found, "filesCopyPending": False})
