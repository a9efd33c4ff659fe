"""Files and folders of a revision: listed page by page, or asked for by path."""

from __future__ import annotations

import asyncio
import base64
import binascii
from collections.abc import Callable
from typing import Any
from urllib.parse import quote

from craton.core.access import Action
from craton.core.errors import InvalidRequest
from craton.core.repo import TreeEntry
from craton.hub.contents import Contents, Listing
from craton.hub.keeping.scans import SecurityScans
from craton.hub.reaching import Reaching
from craton.wire.http import Reply, Request, Route, json_reply
from craton.wire.huggingface.links import next_link
from craton.wire.huggingface.naming import api_path, api_patterns, hub_route, params_text, repo_of, revision_of
from craton.wire.huggingface.query import Query
from craton.wire.huggingface.values import write_item
from craton.wire.huggingface.write_security import write_security

PAGE, EXPANDED_PAGE = 1000, 50
MAX_PAGE = 1000
MAX_PATHS = 10_000  # of one question
MAX_FORM = 16 * 1024 * 1024
Chunked = Callable[[str, str], str | None]


class TreeRoutes:
    """A second page names the commit that the first one read, so a list is of one moment.

    chunked: (owner, digest) -> Xet's name of a file. It is told to who asks for single paths, as clients do before they
    copy a file from another repository; in a list it would make them fetch every file in chunks.
    """

    def __init__(self, reaching: Reaching, contents: Contents, chunked: Chunked, scans: SecurityScans) -> None:
        self._reaching, self._contents, self._chunked, self._scans = reaching, contents, chunked, scans

    def routes(self) -> list[Route]:
        rests = ("/tree/{revision}", "/tree/{revision}/", "/tree/{revision}/{path+}")
        trees = [pattern for rest in rests for pattern in api_patterns(rest, short=True)]
        paths = api_patterns("/paths-info/{revision}", short=True)
        return [
            *(hub_route("GET", it, "ListRepoTree", self._tree, Action.READ) for it in trees),
            *(hub_route("POST", it, "GetPathsInfo", self._paths, Action.READ, max_body=MAX_FORM) for it in paths),
        ]

    async def _tree(self, request: Request) -> Reply:
        query = Query.of(request)
        expand = query.flag("expand")
        limit = query.number("limit", EXPANDED_PAGE if expand else PAGE, EXPANDED_PAGE if expand else MAX_PAGE)
        folder = params_text(request, "path").strip("/")
        after = _after(query.text("cursor"))

        def read() -> tuple[Listing, list[dict[str, Any]]]:
            reached = self._reaching.reach(request.authenticated.tenant, repo_of(request))
            listing = self._contents.page(
                reached.owner,
                reached.repo,
                revision_of(request),
                folder,
                recursive=query.flag("recursive"),
                after=after,
                limit=limit,
                commits=expand,
            )
            return listing, self._written(listing, expand)

        listing, written = await asyncio.to_thread(read)
        return json_reply(200, written, self._next(request, listing, folder, query))

    def _next(self, request: Request, listing: Listing, folder: str, query: Query) -> dict[str, str]:
        if not listing.more:
            return {}
        cursor = base64.urlsafe_b64encode(listing.items[-1].path.encode()).decode()
        below = f"/{quote(folder, safe='')}" if folder else ""
        path = f"{api_path(repo_of(request))}/tree/{listing.revision}{below}"
        return next_link(request, query.but(cursor=cursor), path)

    def _written(self, listing: Listing, expand: bool) -> list[dict[str, Any]]:
        """expand: with each item's last commit, and what was found in the files."""
        files = [item for item in listing.items if isinstance(item, TreeEntry)]
        found = self._scans.status(files) if expand else {}
        return [
            write_item(item, listing.commits.get(item.path))
            | ({"securityFileStatus": write_security(found[item.path])} if item.path in found else {})
            for item in listing.items
        ]

    async def _paths(self, request: Request) -> Reply:
        try:
            form = Query(request.body.decode("ascii"), MAX_PATHS + 10)
        except UnicodeDecodeError as error:
            raise InvalidRequest("the form is not percent-encoded") from error
        paths = [path.rstrip("/") for path in form.all("paths")]

        def read() -> list[dict[str, Any]]:
            reached = self._reaching.reach(request.authenticated.tenant, repo_of(request))
            revision, expand = revision_of(request), form.flag("expand")
            listing = self._contents.items(reached.owner, reached.repo, revision, paths, commits=expand)
            written = self._written(listing, expand)
            for item, value in zip(listing.items, written, strict=True):
                if isinstance(item, TreeEntry) and item.large:
                    name = self._chunked(reached.owner, item.digest)
                    value.update({"xetHash": name} if name else {})
            return written

        return json_reply(200, await asyncio.to_thread(read))


def _after(cursor: str) -> str:
    """The path behind which to go on."""
    try:
        return base64.b64decode(cursor, altchars=b"-_", validate=True).decode()
    except (binascii.Error, ValueError) as error:
        raise InvalidRequest("it is not one that this server gave out", "cursor") from error
