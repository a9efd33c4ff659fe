"""The ways in which HTTP APIs continue a listing."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qsl, urlencode, urljoin, urlsplit, urlunsplit

from craton.core.errors import SourceFailed
from craton.data.sources.http import Reply, place
from craton.data.sources.options import Pagination
from craton.data.sources.pointers import find

_LINK = re.compile(r"<([^<>]*)>([^,<]*)")
_NEXT = re.compile(r";\s*rel\s*=\s*(?:\"(?:[^\"]*\s)?next(?:\s[^\"]*)?\"|next\b)", re.IGNORECASE)


def first_page(url: str, pagination: Pagination, since: Mapping[str, str]) -> str:
    wanted = dict(since)
    if pagination.size_parameter and pagination.size:
        wanted[pagination.size_parameter] = str(pagination.size)
    if pagination.kind == "page":
        wanted[pagination.parameter] = str(pagination.first)
    return with_parameters(url, wanted)


def next_page(url: str, pagination: Pagination, reply: Reply, body: Any, here: int, number: int, before: int) -> str:
    """The next page's address, "" at the end.

    url: of this page. here: how many items it has. number: pages so far, this one included; before: items so far, those
    of this page included. Raises SourceFailed for one on another host.
    """
    if pagination.kind in {"page", "offset"}:
        if here == 0 or (pagination.size is not None and here < pagination.size):
            return ""
        at = pagination.first + number if pagination.kind == "page" else before
        return with_parameters(url, {pagination.parameter: str(at)})
    if pagination.kind == "cursor":
        cursor = find(body, pagination.pointer)
        plain = isinstance(cursor, str | int) and not isinstance(cursor, bool) and cursor != ""
        return with_parameters(url, {pagination.parameter: str(cursor)}) if plain else ""
    if pagination.kind == "next":
        target = find(body, pagination.pointer)
        return _same_host(url, target) if isinstance(target, str) and target else ""
    if pagination.kind == "link":
        links = _LINK.findall(reply.headers.get("link", "")[:16_384])
        target = next((target for target, parameters in links if _NEXT.search(parameters)), "")
        return _same_host(url, target) if target else ""
    return ""


def with_parameters(url: str, wanted: Mapping[str, str]) -> str:
    """The address with these parameters of its query set."""
    parts = urlsplit(url)
    kept = [(name, value) for name, value in parse_qsl(parts.query, keep_blank_values=True) if name not in wanted]
    return urlunsplit(parts._replace(query=urlencode([*kept, *wanted.items()])))


def _same_host(url: str, target: str) -> str:
    try:
        joined = urljoin(url, target)
        if place(joined) == place(url):
            return joined
    except ValueError:
        pass
    raise SourceFailed(place(url), "its next page lies on another host")
