"""What uvicorn writes, in fewer steps.

Files go from the disk into the socket by the kernel alone, by the ASGI extension "zero copy send": the bytes never pass
through this process, so a large file costs it neither memory nor time. The socket is written to beside its transport,
which has nothing to write meanwhile: a reply's body follows its head, and the next reply waits.

A reply's head goes with the first of its body: one write, and one that wakes its client, where uvicorn makes two.
"""

from __future__ import annotations

import asyncio
import os
import select
from typing import Any

from uvicorn.protocols.http.httptools_impl import RequestResponseCycle

from craton.buckets.threads import settled

EXTENSION = "http.response.zerocopysend"
POUR = 16 * 1024 * 1024  # bytes after which a thread looks after somebody else
PATIENCE_MS = 10  # that a thread waits for a socket with no room before the event loop does


class _Holding:
    """Stands for a transport while a head is written, and keeps it."""

    def __init__(self) -> None:
        self.written: list[bytes] = []
        self.write = self.written.append


class _Leading:
    """Stands for a transport while the first of a body is written, after its head."""

    def __init__(self, transport: asyncio.Transport, head: bytes) -> None:
        self._transport, self._head = transport, head

    def write(self, data: bytes) -> None:
        head, self._head = self._head, b""
        self._transport.write(head + data)

    def close(self) -> None:
        self.flush()
        self._transport.close()

    def flush(self) -> None:
        if self._head:
            self.write(b"")


class FileSendingCycle(RequestResponseCycle):
    """uvicorn's, with the extension."""

    _head = b""  # not written yet

    async def send(self, message: Any) -> None:
        if self.flow.write_paused and not self.disconnected:
            await self.flow.drain()  # so that nothing below waits while something stands for the transport
        transport, kind = self.transport, message["type"]
        if kind == "http.response.start":
            holding = _Holding()
            await self._send_over(holding, message)
            self._head = b"".join(holding.written)
            asyncio.get_running_loop().call_soon(self._write_head)  # a stream's first words may be long in coming
        elif kind == EXTENSION:
            self._write_head()
            await self._send_file(message)
        elif self._head:
            leading, self._head = _Leading(transport, self._head), b""
            await self._send_over(leading, message)
            leading.flush()
        else:
            await super().send(message)

    def _write_head(self) -> None:
        head, self._head = self._head, b""
        if head:
            self.transport.write(head)

    async def _send_over(self, other: Any, message: Any) -> None:
        transport, self.transport = self.transport, other
        try:
            await super().send(message)
        finally:
            self.transport = transport

    async def _send_file(self, message: Any) -> None:
        count: int = message["count"]
        if count > self.expected_content_length:
            raise RuntimeError("Response content longer than Content-Length")
        if not await self._drained():
            return
        try:
            await self._pour(message["file"], message["offset"], count)
        except ConnectionError:
            self.disconnected = True  # as the transport will find out, too
            self.transport.abort()
        self.expected_content_length -= count

    async def _drained(self) -> bool:
        """Waits until all that was written before has left. False when the client has."""
        pause = 0.0
        while self.transport.get_write_buffer_size() and not self.disconnected:
            await asyncio.sleep(pause)
            pause = min(pause * 2 + 0.0005, 0.05)
        return not self.disconnected

    async def _pour(self, file: int, offset: int, count: int) -> None:
        loop, end = asyncio.get_running_loop(), offset + count
        out = os.dup(self.transport.get_extra_info("socket").fileno())
        try:
            while offset < end and not self.disconnected:
                offset, full = await settled(_pour, out, file, offset, min(end, offset + POUR))
                if full:
                    await _writable(loop, out)
        finally:
            os.close(out)


def _pour(out: int, file: int, offset: int, end: int) -> tuple[int, bool]:
    """How far it came, and whether it stopped because the socket had no room."""
    room = select.poll()
    room.register(out, select.POLLOUT)
    while offset < end:
        try:
            sent = os.sendfile(out, file, offset, end - offset)
        except BlockingIOError:
            if not room.poll(PATIENCE_MS):
                return offset, True
            continue
        if not sent:
            raise RuntimeError("the file is shorter than what was announced of it")
        offset += sent
    return offset, False


async def _writable(loop: asyncio.AbstractEventLoop, out: int) -> None:
    room = loop.create_future()

    def tell() -> None:
        if not room.done():
            room.set_result(None)

    loop.add_writer(out, tell)
    try:
        await room
    finally:
        loop.remove_writer(out)
