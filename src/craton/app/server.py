"""Runs the gateway under uvicorn: caps request heads before parsing, says where it listens, stops gracefully."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import socket
import sys
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import Any

import msgspec
import uvicorn
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from craton.app.address import Running, running
from craton.app.sending import EXTENSION, FileSendingCycle
from craton.wire.gateway import MAX_HEADERS, MAX_PATH

GRACE_SECONDS = 10  # for requests in flight when the server is told to stop
_TOO_LARGE = b"HTTP/1.1 431 Request Header Fields Too Large\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"
# Longer than clients and load balancers keep an idle connection (httpx 5 s, AWS's balancers 60 s): whoever closes first
# must be the one who knows that no request is on its way, or that request meets a closed door.
KEEP_ALIVE_SECONDS = 75
_FRAMING_PER_BYTE = 8  # of a chunked body: enough for chunks of one byte each


class CappedProtocol(HttpToolsProtocol):
    """httptools gathers a request's head, its chunk extensions and its trailers without bound, and waits for them for
    ever; this one hangs up when what is not body grows too long, or when a head is not whole in time. Trailers are
    dropped: they come after the head was judged, and belong to nobody."""

    head_seconds = 30.0
    _framing_bytes = 0
    _in_head = True
    _hurry: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn has it
        super().connection_made(transport)
        self._hurry = self.loop.call_later(self.head_seconds, transport.close)

    def connection_lost(self, exc: Exception | None) -> None:
        self._calm()
        super().connection_lost(exc)

    def _calm(self) -> None:
        if self._hurry is not None:
            self._hurry.cancel()
            self._hurry = None

    def on_message_begin(self) -> None:
        self._framing_bytes, self._in_head = 0, True
        super().on_message_begin()

    def on_header(self, name: bytes, value: bytes) -> None:
        if self._in_head:
            super().on_header(name, value)

    def on_headers_complete(self) -> None:
        self._framing_bytes, self._in_head = 0, False
        self._calm()
        super().on_headers_complete()
        if self.cycle is not None and self.transport.get_extra_info("sslcontext") is None:
            self.cycle.__class__ = FileSendingCycle  # uvicorn asks nobody what to make; nothing of it has run yet
            self.scope["extensions"] = {EXTENSION: {}}

    def on_body(self, body: bytes) -> None:
        self._framing_bytes -= len(body) * (1 + _FRAMING_PER_BYTE)
        super().on_body(body)

    def data_received(self, data: bytes) -> None:
        self._framing_bytes += len(data)
        super().data_received(data)
        if self._framing_bytes > MAX_HEADERS + MAX_PATH and not self.transport.is_closing():
            if self._in_head:
                self.transport.write(_TOO_LARGE)
            self.transport.close()
        if self._in_head and self._hurry is None:
            self._hurry = self.loop.call_later(self.head_seconds, self.transport.close)


def bind(host: str, port: int) -> socket.socket:
    """The listening socket, bound before anything else starts so that a taken port is told at once. Raises OSError."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind((host, port))
    return listener


def url_of(listener: socket.socket) -> str:
    host, port = listener.getsockname()[:2]
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def run(application: Any, listener: socket.socket, address_file: Path, on_ready: Callable[[str], None]) -> None:
    """Serves until SIGINT or SIGTERM. on_ready is called with the URL once requests are answered."""
    config = uvicorn.Config(
        application,
        http=CappedProtocol,
        ws="none",
        loop="uvloop" if sys.platform != "win32" else "asyncio",
        lifespan="on",
        access_log=False,
        log_config=None,
        server_header=False,
        timeout_graceful_shutdown=GRACE_SECONDS,
        timeout_keep_alive=KEEP_ALIVE_SECONDS,
        backlog=2048,
    )
    url = url_of(listener)
    server = _Server(config, lambda: _announce(url, address_file, on_ready))
    # uvicorn raises the signal that stopped it once more when it is done; the default answer would skip what follows.
    signal.signal(signal.SIGTERM, _leave)
    try:
        server.run(sockets=[listener])
    finally:
        _withdraw(address_file)
    if not server.started:
        raise SystemExit(3)


def _leave(_signal: int, _frame: FrameType | None) -> None:
    raise SystemExit(0)


class _Server(uvicorn.Server):
    def __init__(self, config: uvicorn.Config, on_started: Callable[[], None]) -> None:
        super().__init__(config)
        self._on_started = on_started

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if self.started:
            self._on_started()


def _announce(url: str, address_file: Path, on_ready: Callable[[str], None]) -> None:
    temporary = address_file.with_suffix(f".{os.getpid()}.tmp")
    temporary.write_bytes(msgspec.json.encode(Running(url, os.getpid())))
    temporary.replace(address_file)
    logging.getLogger("craton").info("listening on %s", url)
    on_ready(url)


def _withdraw(address_file: Path) -> None:
    found = running(address_file)
    if found is not None and found.pid == os.getpid():
        address_file.unlink(missing_ok=True)
