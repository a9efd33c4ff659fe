"""Server-sent events, as the providers use them (WHATWG HTML, "server-sent events"; lines end with LF or CRLF)."""

from __future__ import annotations

from collections.abc import AsyncIterator

from msgspec import Struct

from craton.engines.upstream.failures import Malformed

MAX_EVENT = 4 * 1024 * 1024


class ServerEvent(Struct, frozen=True):
    """name is "" when the event carries none. data: its lines, joined by LF."""

    name: str
    data: bytes


class SseReader:
    """Feed it bytes as they come, take the events that became whole."""

    def __init__(self, limit: int = MAX_EVENT) -> None:
        self._limit = limit
        self._rest = bytearray()
        self._searched = 0
        self._name = ""
        self._data: list[bytes] = []
        self._size = 0

    def feed(self, piece: bytes) -> list[ServerEvent]:
        """Raises Malformed for a line or an event longer than the limit, and for a name that is not UTF-8."""
        self._rest += piece
        events: list[ServerEvent] = []
        start = 0
        while (end := self._rest.find(b"\n", max(start, self._searched))) >= 0:
            if (event := self._line(bytes(self._rest[start:end]).removesuffix(b"\r"))) is not None:
                events.append(event)
            start = end + 1
        del self._rest[:start]
        self._searched = len(self._rest)
        if self._searched + self._size > self._limit:
            raise Malformed(f"an event is longer than {self._limit:,} bytes")
        return events

    def _line(self, line: bytes) -> ServerEvent | None:
        if not line:
            event = ServerEvent(self._name, b"\n".join(self._data)) if self._data else None
            self._name, self._data, self._size = "", [], 0
            return event
        field, _, value = line.partition(b":")
        value = value.removeprefix(b" ")
        self._size += len(line)
        if field == b"data":
            self._data.append(value)
        elif field == b"event":
            try:
                self._name = value.decode()
            except UnicodeDecodeError:
                raise Malformed("an event's name is not UTF-8") from None
        return None


async def read_events(pieces: AsyncIterator[bytes]) -> AsyncIterator[ServerEvent]:
    """The events of a body. One that was not finished by an empty line is dropped, as the standard says."""
    reader = SseReader()
    async for piece in pieces:
        for event in reader.feed(piece):
            yield event
