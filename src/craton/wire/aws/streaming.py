"""Events of an answer as frames of an operation's event stream, one by one as they come."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Protocol

from craton.core.chat import Json
from craton.core.errors import CratonError, Internal
from craton.core.events import Event
from craton.core.streams import closing
from craton.wire.aws.errors import stream_exception
from craton.wire.aws.service import Operation

log = logging.getLogger("craton.wire.aws")


class Writer(Protocol):
    """Writes one answer."""

    def write(self, event: Event, milliseconds: int) -> Iterator[tuple[str, Json]]:
        """The stream's events (name, members) for one of the answer's. milliseconds: since the request came in."""
        ...


async def frames(
    operation: Operation, request_id: str, events: AsyncIterator[Event], writer: Writer, monotonic: Callable[[], float]
) -> AsyncIterator[bytes]:
    """What goes wrong before the first frame raises, and gets a status; after it, it becomes an exception frame.

    monotonic: seconds since the request came in."""
    begun = False
    async with closing(events):
        try:
            async for event in events:
                written = writer.write(event, round(monotonic() * 1000))
                framed = b"".join([operation.event(name, members) for name, members in written])
                if framed:
                    begun = True
                    yield framed
        except CratonError as error:
            if not begun:
                raise
            yield operation.exception(*stream_exception(error, operation))
        except Exception:
            if not begun:
                raise
            log.exception("request %s broke off in mid-stream", request_id)
            yield operation.exception(*stream_exception(Internal(request_id), operation))
