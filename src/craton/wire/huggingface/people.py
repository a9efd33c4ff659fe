"""How the Hub words what its community routes share: people and pages of lists. A person is a tenant, by its name."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeVar

from craton.wire.http import Reply, Request, json_reply
from craton.wire.huggingface.links import next_link
from craton.wire.huggingface.query import Query

T = TypeVar("T")
MAX_PAGE = 100
MAX_OFFSET = 10**9


def write_person(name: str) -> dict[str, Any]:
    return {"name": name, "fullname": name, "type": "user", "avatarUrl": "", "isPro": False, "isHf": False}


def limit_of(request: Request) -> int:
    return Query.of(request).number("limit", MAX_PAGE, MAX_PAGE)


def offset_of(request: Request) -> int:
    """Where a page begins whose cursor is a number."""
    return Query.of(request).number("cursor", 0, MAX_OFFSET)


def cursor_of(request: Request) -> str:
    return Query.of(request).text("cursor")[:200]


def page_of(items: Sequence[T], limit: int) -> tuple[Sequence[T], bool]:
    """limit + 1 items were asked for: those to show, and whether there are more."""
    return items[:limit], len(items) > limit


def write_page(request: Request, items: Sequence[Any], cursor: str | None) -> Reply:
    """A list; with a link to the next page when there is a cursor."""
    link = {} if cursor is None else next_link(request, Query.of(request).but(cursor=cursor))
    return json_reply(200, items, link)
