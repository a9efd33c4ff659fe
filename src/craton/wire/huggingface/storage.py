"""What a tenant has here, repository by repository, and how much room each takes (`hf repos ls`)."""

from __future__ import annotations

import asyncio
from typing import Any

from craton.core.access import Action
from craton.core.errors import NotFound
from craton.core.repo import TreeEntry
from craton.hub.contents import Contents
from craton.hub.reading import Repository
from craton.hub.repositories import Hub
from craton.wire.http import Reply, Request, Route, json_reply
from craton.wire.huggingface.describing import used
from craton.wire.huggingface.links import next_link
from craton.wire.huggingface.naming import hub_route, params_text
from craton.wire.huggingface.query import Query
from craton.wire.huggingface.values import write_time

PAGE = 50  # repositories whose files are counted at once
MAX_FILES = 100_000  # of one repository that are counted


class StorageRoutes:
    """An organization is a namespace here: that of the caller's own repositories, and no other."""

    def __init__(self, hub: Hub, contents: Contents) -> None:
        self._hub, self._contents = hub, contents

    def routes(self) -> list[Route]:
        own, organization = "/api/settings/repositories", "/api/organizations/{namespace}/settings/repositories"
        note = "storage is that of the files on main."
        return [hub_route("GET", it, "ListUserRepos", self._list, Action.READ, note=note) for it in (own, organization)]

    async def _list(self, request: Request) -> Reply:
        query, namespace = Query.of(request), params_text(request, "namespace")
        skipped = query.number("skip", 0, 10**9)

        def read() -> tuple[list[dict[str, Any]], bool]:
            tenant = request.authenticated.tenant
            every = self._hub.repositories(tenant)
            if namespace:
                every = [found for found in every if found.repo.namespace == namespace]
            page = every[skipped : skipped + PAGE]
            return [self._written(tenant, found) for found in page], len(every) > skipped + PAGE

        page, more = await asyncio.to_thread(read)
        return json_reply(200, page, next_link(request, query.but(skip=str(skipped + PAGE))) if more else {})

    def _written(self, tenant: str, found: Repository) -> dict[str, Any]:
        try:
            items = self._contents.files(tenant, found.repo, "main", MAX_FILES).items
        except NotFound:  # nothing was committed yet
            items = []
        return {
            "id": found.repo.path,
            "type": found.repo.kind,
            "updatedAt": write_time(found.modified or found.created),
            "visibility": "private" if found.private else "public",
            "storage": used([it for it in items if isinstance(it, TreeEntry)]),
        }
