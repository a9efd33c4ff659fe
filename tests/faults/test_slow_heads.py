"""A head that comes too slowly is hung up on: a connection costs a file descriptor, and there are few of them."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
import uvicorn
from uvicorn.server import ServerState

from craton.app.server import CappedProtocol

pytestmark = pytest.mark.anyio


class Impatient(CappedProtocol):
    head_seconds = 0.3


async def answer(scope: Any, receive: Any, send: Any) -> None:
    await asyncio.sleep(0.6)  # longer than a head may take: an answer has its own deadline
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"2")]})
    await send({"type": "http.response.body", "body": b"ok"})


@pytest.mark.parametrize(
    ("pieces", "answers"),
    [
        ([], 0),
        ([b"GET / HT"], 0),
        ([b"GET / HTTP/1.1\r\nhost: x\r\nx: "], 0),
        ([b"GET / HTTP/1.1\r\nhost: x\r\n\r\n", b"GET / HTTP/1.1\r\nhost: "], 1),
        ([b"GET / HTTP/1.1\r\n", b"host: x\r\n\r\n"], 1),
    ],
    ids=["nothing", "a line", "a header", "the second one", "in two pieces"],
)
async def test_a_head_that_is_not_whole_in_time_is_hung_up_on(pieces: list[bytes], answers: int) -> None:
    config = uvicorn.Config(answer, http=Impatient, lifespan="off", log_config=None)
    config.load()
    state = ServerState()
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: Impatient(config, state, {}), "127.0.0.1", 0)
    try:
        reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
        told = b""
        for index, piece in enumerate(pieces):
            writer.write(piece)
            if piece.endswith(b"\r\n\r\n") and index < len(pieces) - 1:
                told += await reader.readuntil(b"ok")
        told += await asyncio.wait_for(reader.read(), 20)
        writer.close()
        assert told.count(b"200 OK") == answers
    finally:
        server.close()
