"""Records of an HTTP API: page after page is read; each record is a document and waits in the spool for its fetch.

A page that cannot be had ends the listing with an error: what was not seen is not taken for gone.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

import httpx
import msgspec

from craton.core.errors import InvalidRequest, NotFound, SourceFailed, TooLarge
from craton.core.knowledge import Location
from craton.data.documents import Fetched, Item
from craton.data.sources.files import save
from craton.data.sources.http import Http, Reply, place, refuse_status
from craton.data.sources.options import ApiOptions
from craton.data.sources.pages import first_page, next_page
from craton.data.sources.pointers import find, last
from craton.data.sources.records import Record, as_metadata, as_text, render
from craton.data.sources.spool import Spool

MAX_PAGE = 32 * 1024 * 1024  # bytes
MAX_PAGES = 100_000
MAX_KEY = 1024
CAPACITY = 16 * 1024**3  # bytes of all records


class ApiSource:
    """Keys are what `key` leads to. etag: what `etag` leads to, or of the record."""

    def __init__(
        self,
        http: Http,
        options: ApiOptions,
        secret: str = "",
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """secret: sent as the options say, and to the address's own host only."""
        self._http, self._options, self._clock = http, options, clock
        self._secret = secret
        self._spool = Spool(CAPACITY)
        self._latest: Any = None

    @property
    def incremental(self) -> bool:
        return self._options.since_parameter != ""

    # --- listing ------------------------------------------------------------------------------------------------

    async def list(self, cursor: str | None) -> AsyncIterator[Item]:
        options = self._options
        self._spool.clear()
        self._latest = msgspec.json.decode(cursor) if cursor and self.incremental else None
        since = {} if self._latest is None else {options.since_parameter: as_text(self._latest)}
        url = first_page(options.url, options.pagination, since)
        seen, pages = 0, 0
        while url:
            began = self._clock()
            reply, body = await self._page(url)
            records = find(body, options.items)
            if not isinstance(records, list_type):
                raise SourceFailed(place(url), f"there is no list of items at {options.items!r}")
            for record in records:
                item = self._item(record)
                seen += 1
                if seen > options.max_items:
                    raise TooLarge("A listing", options.max_items, unit="items")
                if item is not None:
                    yield item
            pages += 1
            following = next_page(url, options.pagination, reply, body, len(records), pages, seen)
            if following == url or pages == MAX_PAGES:
                raise SourceFailed(place(url), "its pages do not come to an end")
            url = following
            if url:
                await asyncio.sleep(max(0.0, 60.0 / options.rate - (self._clock() - began)))

    async def _page(self, url: str) -> tuple[Reply, Any]:
        options = self._options
        headers = {"accept": "application/json", **options.headers}
        if self._secret:
            headers[options.auth_header] = f"{options.auth_prefix}{self._secret}"
        try:
            reply = await self._http.get(url, limit=MAX_PAGE, headers=headers)
        except httpx.LocalProtocolError as error:  # a header that cannot be sent
            raise InvalidRequest("a header's value is malformed", "options.headers") from error
        if reply.status != 200:
            raise refuse_status(reply)
        try:
            return reply, msgspec.json.decode(reply.body)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
            raise SourceFailed(place(url), "its answer is not JSON") from error

    def _item(self, record: Any) -> Item | None:
        """None when it appeared before, unchanged: pages shift while they are read."""
        options = self._options
        key = as_text(find(record, options.key))
        if not key or len(key) > MAX_KEY:
            raise SourceFailed(place(options.url), f"an item has no key, or too long a one, at {options.key!r}")
        self._note(find(record, options.updated) if options.updated else None)
        if options.deleted and find(record, options.deleted) not in (None, False, ""):
            return Item(key, deleted=True) if self.incremental else None
        kept = self._record(record, key)
        value = msgspec.msgpack.encode(kept)
        known = self._spool.get(key)
        if known == value:
            return None
        if not self._spool.put(key, value):
            raise TooLarge("A listing", CAPACITY)
        stated = as_text(find(record, options.etag)) if options.etag else ""
        return Item(key, stated or kept.etag, size=len(kept.text.encode()))

    def _record(self, record: Any, key: str) -> Record:
        options = self._options
        values = {last(pointer): find(record, pointer) for pointer in options.text}
        metadata = {name: as_metadata(find(record, pointer)) for name, pointer in options.metadata.items()}
        return Record(
            render(values, ()) if values else as_text(record),
            as_text(find(record, options.link)) if options.link else self._address(key),
            as_text(find(record, options.title)) if options.title else "",
            {name: value for name, value in metadata.items() if value is not None},
        )

    def _address(self, key: str) -> str:
        """Without the query: it may hold a secret."""
        return f"{place(self._options.url)}{urlsplit(self._options.url).path}#{quote(key, safe='')}"

    def _note(self, updated: Any) -> None:
        """The latest: numbers compare as numbers, texts (ISO dates) by code point."""
        if isinstance(updated, bool) or not isinstance(updated, str | int | float):
            return
        latest = self._latest
        alike = isinstance(latest, str | int | float) and isinstance(updated, str) == isinstance(latest, str)
        if not alike or updated > latest:
            self._latest = updated

    def cursor(self) -> str | None:
        if not self.incremental or self._latest is None:
            return None
        return msgspec.json.encode(self._latest).decode()

    # --- fetching -----------------------------------------------------------------------------------------------

    async def fetch(self, item: Item, folder: Path, limit: int) -> Fetched:
        kept = self._spool.get(item.key)
        if kept is None:
            raise NotFound("record", item.key[:200])
        record = msgspec.msgpack.decode(kept, type=Record)
        path = save(folder, record.text.encode("utf-8", "replace"), f"The record {item.key!r}", limit)
        location = Location("api", record.uri)
        return Fetched(path, location, "record.txt", "text/plain", record.title, record.metadata)

    async def close(self) -> None:
        self._spool.close()


list_type = list
"""`list`, which is a method's name inside the class."""
