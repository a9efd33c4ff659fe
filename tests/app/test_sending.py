"""A reply's head goes with the first of its body, and never without being sent."""

from __future__ import annotations

import asyncio
import os
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import uvicorn

from craton.app.sending import EXTENSION
from craton.app.server import CappedProtocol

PAUSE = 0.2


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, int]]:
    file = tmp_path_factory.mktemp("sending") / "file"
    file.write_bytes(b"hello")
    with socket.create_server(("127.0.0.1", 0)) as listener:
        config = uvicorn.Config(
            lambda scope, receive, send: _answer(scope, send, file),
            http=CappedProtocol,
            interface="asgi3",
            lifespan="off",
            loop="uvloop",
            log_config=None,
        )
        server = uvicorn.Server(config)
        thread = threading.Thread(target=lambda: server.run(sockets=[listener]), daemon=True)
        thread.start()
        while not server.started:
            time.sleep(0.01)
        yield listener.getsockname()
        server.should_exit = True
        thread.join(10)


async def _answer(scope: Any, send: Any, file: Path) -> None:
    async def start(*headers: tuple[bytes, bytes], status: int = 200) -> None:
        await send({"type": "http.response.start", "status": status, "headers": headers})

    async def body(data: bytes = b"", *, more: bool = False) -> None:
        await send({"type": "http.response.body", "body": data, "more_body": more})

    match scope["path"]:
        case "/stream":
            await start()
            await body(more=True)
            await asyncio.sleep(PAUSE)
            await body(b"hello", more=True)
            await body()
        case "/late":
            await start()
            await asyncio.sleep(PAUSE)
            await body(b"hello")
        case "/nothing":
            await start(status=204)
            await body()
        case "/file":
            await start((b"content-length", b"5"))
            with file.open("rb") as open_file:
                size = os.fstat(open_file.fileno()).st_size
                await send({"type": EXTENSION, "file": open_file.fileno(), "offset": 0, "count": size})
            await body()
        case _:
            await start((b"content-length", b"5"))
            await body(b"hello")


def ask(address: tuple[str, int], line: str) -> list[bytes]:
    """What came, in the pieces in which it came."""
    with socket.create_connection(address) as connection:
        connection.sendall(f"{line} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n".encode())
        pieces = []
        while data := connection.recv(65536):
            pieces.append(data)
    return pieces


def test_a_short_reply_is_one_piece(address: tuple[str, int]) -> None:
    (reply,) = ask(address, "GET /")
    assert reply.startswith(b"HTTP/1.1 200 OK\r\n")
    assert reply.endswith(b"\r\n\r\nhello")


@pytest.mark.parametrize("line", ["HEAD /", "GET /nothing"])
def test_a_head_alone_is_sent(address: tuple[str, int], line: str) -> None:
    assert b"".join(ask(address, line)).endswith(b"\r\n\r\n")


def test_the_head_of_a_stream_does_not_wait_for_it(address: tuple[str, int]) -> None:
    head, *rest = ask(address, "GET /stream")
    assert head.endswith(b"\r\n\r\n")
    assert b"".join(rest) == b"5\r\nhello\r\n0\r\n\r\n"


def test_a_files_head_comes_before_it(address: tuple[str, int]) -> None:
    assert b"".join(ask(address, "GET /file")).endswith(b"content-length: 5\r\nconnection: close\r\n\r\nhello")


def test_a_head_does_not_wait_for_a_body_that_is_late(address: tuple[str, int]) -> None:
    head, *rest = ask(address, "GET /late")
    assert head.startswith(b"HTTP/1.1 200")
    assert head.endswith(b"\r\n\r\n")
    assert b"hello" in b"".join(rest)
