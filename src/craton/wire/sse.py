"""Server-sent events: how OpenAI and Anthropic stream. One event of an answer becomes the bytes that the dialect
writes for it, without waiting for the next."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Protocol

from craton.core.errors import CratonError
from craton.core.events import Event
from craton.core.streams import closing

HEADERS = {"content-type": "text/event-stream; charset=utf-8", "cache-control": "no-cache", "x-accel-buffering": "no"}


class StreamWriter(Protocol):
    """Writes one answer, event by event."""

    def write(self, event: Event) -> bytes:
        """Whole server-sent events, or b"" when there is nothing to say yet."""
        ...

    def write_error(self, error: CratonError) -> bytes:
        """What to say when the answer breaks off."""
        ...


def named(name: bytes, payload: bytes) -> bytes:
    """A server-sent event with a name. payload: JSON on one line."""
    return b"event: " + name + b"\ndata: " + payload + b"\n\n"


async def relay(events: AsyncIterator[Event], writer: StreamWriter) -> AsyncIterator[bytes]:
    """The stream's bytes. An error before the first of them is raised, so that it still gets its own status;
    a later one is written into the stream. Closing this closes `events`, which cancels the work."""
    said = False
    async with closing(events) as source:
        try:
            async for event in source:
                written = writer.write(event)
                if written:
                    said = True
                    yield written
        except CratonError as error:
            if not said:
                raise
            yield writer.write_error(error)
