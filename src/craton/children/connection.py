"""One end of the socket between server and worker, as an asyncio protocol: frames in by callback, frames out."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable
from typing import Any, Generic, TypeVar, cast

from msgspec import Struct

from craton.children.frames import Frames, MalformedFrame, encode

F = TypeVar("F")


class Connection(asyncio.Protocol, Generic[F]):
    """Calls `received` for each frame and `closed` once, with why: "" when the other end went away.

    Writes never wait: how much may be under way is bounded by the credit of each chat, not by the socket.
    """

    def __init__(self, frames: Frames[F], received: Callable[[F], None], closed: Callable[[str], None]) -> None:
        self._frames, self._received, self._closed = frames, received, closed
        self._transport: asyncio.WriteTransport | None = None
        self._why = ""

    @classmethod
    async def open(
        cls, sock: socket.socket, kind: Any, received: Callable[[F], None], closed: Callable[[str], None]
    ) -> Connection[F]:
        """kind: the frames that come in, a union of tagged structs."""
        connection = cls(Frames(kind), received, closed)
        await asyncio.get_running_loop().create_unix_connection(lambda: connection, sock=sock)
        return connection

    def send(self, frame: Struct) -> None:
        """Raises TooLarge. A closed connection swallows the frame: `closed` tells."""
        self.send_bytes(encode(frame))

    def send_bytes(self, data: bytes) -> None:
        if self._transport is not None and not self._transport.is_closing():
            self._transport.write(data)

    def close(self) -> None:
        if self._transport is not None:
            self._transport.close()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.WriteTransport", transport)  # uvloop's do not inherit from it

    def data_received(self, data: bytes) -> None:
        if self._why:
            return
        try:
            for frame in self._frames.feed(data):
                self._received(frame)
        except MalformedFrame as error:
            self._why = f"malformed frame: {error}"
            if self._transport is not None:
                self._transport.abort()

    def connection_lost(self, exc: Exception | None) -> None:
        self._transport = None
        self._closed(self._why)
