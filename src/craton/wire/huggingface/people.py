"""How the Hub words what its community routes share: people, times, pages. A person is a tenant, by its name."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any, TypeVar
from urllib.parse import parse_qsl, urlencode

from craton.core.errors import InvalidRequest
from craton.wire.http import Reply, Request, json_reply

T = TypeVar("T")
MAX_PAGE = 100


def write_time(seconds: float) -> str:
    """As clients parse it: 2026-01-31T12:00:00.000Z."""
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S.%f")[:-3] + "Z"


def write_person(name: str) -> dict[str, Any]:
    return {"name": name, "fullname": name, "type": "user", "avatarUrl": "", "isPro": False, "isHf": False}


def own_url(request: Request) -> str:
    """Where the client reached this server."""
    scheme = request.headers.get("x-forwarded-proto", "http")
    return f"{'https' if scheme == 'https' else 'http'}://{request.headers.get('host', 'localhost')}"


def read_number(request: Request, name: str, default: int, largest: int) -> int:
    """A whole number of the query, from 0. Raises InvalidRequest; more than `largest` is `largest`."""
    text = request.query_params().get(name, "")
    if not text:
        return default
    if not (text.isascii() and text.isdecimal() and len(text) < 12):
        raise InvalidRequest("it is not a whole number", name)
    return min(int(text), largest)


def write_page(request: Request, items: Sequence[Any], cursor: str | None) -> Reply:
    """A list; with a link to the next page when there is a cursor."""
    if cursor is None:
        return json_reply(200, items)
    query = [pair for pair in parse_qsl(request.query, keep_blank_values=True) if pair[0] != "cursor"]
    link = f"{own_url(request)}{request.path}?{urlencode([*query, ('cursor', cursor)])}"
    return json_reply(200, items, {"link": f'<{link}>; rel="next"'})


def page_of(items: Sequence[T], limit: int) -> tuple[Sequence[T], bool]:
    """limit + 1 items were asked for: those to show, and whether there are more."""
    return items[:limit], len(items) > limit
