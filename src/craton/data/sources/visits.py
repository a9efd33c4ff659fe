"""What a crawl knew of each page, carried to the next one in its cursor: unchanged pages need not be sent again.

A page that answers "not modified" has no links to read, so those that it had are kept too.
"""

from __future__ import annotations

import base64
import zlib
from collections.abc import Mapping

import msgspec
from msgspec import Struct

from craton.core.errors import InvalidRequest

MAX_CURSOR = 4 * 1024 * 1024  # characters
MAX_STATE = 256 * 1024 * 1024  # bytes, unpacked
VERSION = 1


class Visit(Struct, frozen=True, array_like=True, omit_defaults=True):
    """etag: the item's. validator, modified: the page's ETag and Last-Modified. links: within the scope."""

    etag: str
    validator: str = ""
    modified: str = ""
    links: tuple[str, ...] = ()
    canonical: str = ""
    hidden: bool = False


class _State(Struct, array_like=True):
    version: int
    whole: bool
    urls: list[str]
    visits: dict[int, tuple[str, str, str, list[int], str, bool]]


class Visits(Struct, frozen=True):
    """whole: nothing was left out for want of room."""

    by_url: Mapping[str, Visit] = {}
    whole: bool = True


def pack(visits: Mapping[str, Visit], *, whole: bool) -> str:
    """As the cursor of the next crawl. When there is too much of it, it says only that."""
    numbers: dict[str, int] = {}

    def number(url: str) -> int:
        return numbers.setdefault(url, len(numbers))

    rows = {
        number(url): (
            visit.etag,
            visit.validator,
            visit.modified,
            [number(link) for link in visit.links],
            visit.canonical,
            visit.hidden,
        )
        for url, visit in visits.items()
    }
    cursor = _write(_State(VERSION, True, [*numbers], rows))
    return cursor if whole and len(cursor) <= MAX_CURSOR else _write(_State(VERSION, False, [], {}))


def unpack(cursor: str | None) -> Visits:
    """Raises InvalidRequest for what `pack` did not write."""
    if cursor is None:
        return Visits()
    try:
        inflate = zlib.decompressobj()
        data = inflate.decompress(base64.b64decode(cursor, validate=True), MAX_STATE)
        state = msgspec.msgpack.decode(data, type=_State)
        urls, visits = state.urls, {}
        for at, (etag, validator, modified, links, canonical, hidden) in state.visits.items():
            visits[urls[at]] = Visit(etag, validator, modified, tuple(urls[to] for to in links), canonical, hidden)
        return Visits(visits, state.whole)
    except (ValueError, zlib.error, msgspec.MsgspecError, IndexError) as error:
        raise InvalidRequest("is not a cursor of a crawl", "cursor") from error


def _write(state: _State) -> str:
    return base64.b64encode(zlib.compress(msgspec.msgpack.encode(state))).decode()
