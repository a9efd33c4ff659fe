"""A repository asked for by its name, at main or another revision."""

from __future__ import annotations

import asyncio
from typing import Any

from msgspec.structs import replace

from craton.core.access import Action
from craton.core.errors import NotFound
from craton.core.repo import TreeEntry
from craton.hub.contents import Contents
from craton.hub.keeping.scans import SecurityScans
from craton.hub.reaching import Reached, Reaching
from craton.hub.searching import Found, Searching
from craton.hub.shelf import Shelf
from craton.hub.weights import Weights
from craton.wire.http import Reply, Request, Route, json_reply
from craton.wire.huggingface.describing import (
    HEAVY,
    check_expand,
    used,
    write_expanded,
    write_info,
    write_safetensors,
)
from craton.wire.huggingface.naming import api_patterns, hub_route, kind_of, repo_of, revision_of
from craton.wire.huggingface.query import Query
from craton.wire.huggingface.values import write_sibling
from craton.wire.huggingface.write_security import write_repo_security

MAX_SIBLINGS = 50_001
"""Of a repository with more than 50,000 files clients read the tree, page by page."""
BY_DEFAULT = frozenset({"siblings", "usedStorage", "safetensors"})


class InfoRoutes:
    """Blocking work happens in threads."""

    def __init__(
        self,
        reaching: Reaching,
        contents: Contents,
        searching: Searching,
        shelf: Shelf,
        weights: Weights,
        scans: SecurityScans,
    ) -> None:
        self._reaching, self._contents, self._searching = reaching, contents, searching
        self._shelf, self._weights, self._scans = shelf, weights, scans

    def routes(self) -> list[Route]:
        patterns = [*api_patterns(short=True), *api_patterns("/revision/{revision}", short=True)]
        return [hub_route("GET", pattern, "GetRepoInfo", self._info, Action.READ) for pattern in patterns]

    async def _info(self, request: Request) -> Reply:
        query = Query.of(request)
        names = query.all("expand")
        check_expand(kind_of(request), names)

        def read() -> dict[str, Any]:
            reached = self._reaching.reach(request.authenticated.tenant, repo_of(request))
            found, commit = self._found(reached, revision_of(request), asked="revision" in request.params)
            wanted = HEAVY[reached.repo.kind] & (set(names) if names else BY_DEFAULT)
            written = write_expanded(found, names) if names else write_info(found)
            if wanted and commit is not None:
                written.update(self._heavy(reached, commit, wanted, query.flag("blobs")))
            elif "siblings" in wanted:
                written["siblings"] = []
            if query.flag("securityStatus") and commit is not None:
                written["securityRepoStatus"] = self._security(reached, commit)
            return written

        return json_reply(200, await asyncio.to_thread(read))

    def _found(self, reached: Reached, revision: str, *, asked: bool) -> tuple[Found, str | None]:
        """What is known of it at the revision, and the commit; None for a repository in which nothing is yet."""
        found = self._searching.describe(reached.owner, reached.id)
        if found is None:  # it was deleted in between
            raise NotFound("repository", reached.repo.path)
        if not asked and found.head is None:
            return found, None
        newest = self._contents.history(reached.owner, reached.repo, revision, 1)[0]
        if newest.id == found.head:
            return replace(found, modified=newest.created), newest.id
        card = self._shelf.card(reached.owner, reached.repo, newest.id)
        return replace(found, head=newest.id, modified=newest.created, card=card), newest.id

    def _security(self, reached: Reached, commit: str) -> dict[str, Any]:
        listing = self._contents.files(reached.owner, reached.repo, commit, MAX_SIBLINGS)
        return write_repo_security(self._scans.status(it for it in listing.items if isinstance(it, TreeEntry)))

    def _heavy(self, reached: Reached, commit: str, wanted: frozenset[str], blobs: bool) -> dict[str, Any]:
        listing = self._contents.files(reached.owner, reached.repo, commit, MAX_SIBLINGS)
        files = [item for item in listing.items if isinstance(item, TreeEntry)]
        written: dict[str, Any] = {}
        if "siblings" in wanted:
            written["siblings"] = [write_sibling(file, blobs) for file in files]
        if not listing.more:
            written |= {name: used(files) for name in ("usedStorage", "mainSize") if name in wanted}
        if "safetensors" in wanted:
            counted = write_safetensors(self._weights.parameters(files))
            written |= {"safetensors": counted} if counted else {}
        return written
