"""Lists of repositories: searched, filtered, sorted, page by page."""

from __future__ import annotations

import asyncio
import base64
import binascii
from typing import Any

import msgspec

from craton.core.access import Action
from craton.core.errors import InvalidRequest, Unsupported
from craton.core.repo import RepoKind, TreeEntry
from craton.hub.contents import Contents
from craton.hub.searching import Found, Search, Searching, Sort
from craton.wire.http import Reply, Request, Route, json_reply
from craton.wire.huggingface.describing import check_expand, write_expanded, write_listed
from craton.wire.huggingface.links import next_link
from craton.wire.huggingface.naming import KINDS, hub_route, kind_of
from craton.wire.huggingface.query import Query
from craton.wire.huggingface.values import write_sibling

PAGE, MAX_PAGE = 100, 1000
EXPANDED_PAGE = 100  # with each repository's files
MAX_SIBLINGS = 1000  # of one item of a list
SORTS: dict[str, Sort] = {
    "": "modified",
    "createdAt": "created",
    "created_at": "created",
    "lastModified": "modified",
    "last_modified": "modified",
    "downloads": "downloads",
    "likes": "likes",
    "trendingScore": "trending",
    "trending_score": "trending",
}
REFUSED = ("apps", "inference", "inference_provider", "num_parameters")
"""Filters by what Craton does not know of its repositories."""
_CURSOR = msgspec.json.Decoder(tuple[float, str])


class ListingRoutes:
    """Sorted by trendingScore are the downloads of the last seven days; without `sort`, the newest change is first."""

    def __init__(self, searching: Searching, contents: Contents) -> None:
        self._searching, self._contents = searching, contents

    def routes(self) -> list[Route]:
        note = f"Refuses the filters {', '.join(REFUSED)}."
        return [
            hub_route("GET", f"/api/{plural}", "ListRepos", self._list, Action.READ, note=note, opens=True)
            for plural in KINDS
        ]

    async def _list(self, request: Request) -> Reply:
        query, kind = Query.of(request), kind_of(request)
        names = query.all("expand")
        check_expand(kind, names)
        full = query.flag("full")
        heavy = full or "siblings" in names
        search = _search(query, kind, EXPANDED_PAGE if heavy else MAX_PAGE)
        tenant = request.authenticated.tenant

        def read() -> tuple[list[dict[str, Any]], Found | None]:
            found = self._searching.search(tenant, search)
            written = [self._write(it, query, names, siblings=heavy) for it in found]
            return written, found[-1] if len(found) == search.limit else None

        written, last = await asyncio.to_thread(read)
        return json_reply(200, written, {} if last is None else next_link(request, query.but(cursor=_cursor(last))))

    def _write(self, found: Found, query: Query, names: list[str], *, siblings: bool) -> dict[str, Any]:
        card = query.flag("cardData") or query.flag("card")
        written = (
            write_expanded(found, names)
            if names
            else write_listed(found, full=query.flag("full"), card=card, config=query.flag("config"))
        )
        if siblings and found.head is not None:
            listing = self._contents.files(found.owner, found.repo, found.head, MAX_SIBLINGS)
            files = [item for item in listing.items if isinstance(item, TreeEntry)]
            written["siblings"] = [write_sibling(file, blobs=False) for file in files]
        return written


def _search(query: Query, kind: RepoKind, most: int) -> Search:
    for name in REFUSED:
        if query.text(name):
            raise Unsupported(f"The filter {name!r}")
    sort = SORTS.get(query.text("sort"))
    if sort is None:
        raise InvalidRequest(f"must be one of {', '.join(name for name in SORTS if name)}", "sort")
    gated = query.text("gated").lower()
    return Search(
        kind,
        text=query.text("search"),
        author=query.text("author"),
        tags=tuple(tag for text in query.all("filter") for tag in text.split(",") if tag),
        pipeline=query.text("pipeline_tag"),
        gated=None if not gated else gated == "true",
        sort=sort,
        ascending=query.text("direction") == "1",
        limit=query.number("limit", min(PAGE, most), most),
        after=_after(query.text("cursor")),
    )


def _cursor(last: Found) -> str:
    return base64.urlsafe_b64encode(msgspec.json.encode((last.value, last.id))).decode()


def _after(cursor: str) -> tuple[float, str] | None:
    if not cursor:
        return None
    try:
        return _CURSOR.decode(base64.b64decode(cursor, altchars=b"-_", validate=True))
    except (binascii.Error, ValueError, msgspec.DecodeError) as error:
        raise InvalidRequest("it is not one that this server gave out", "cursor") from error
