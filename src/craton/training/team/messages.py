"""What the leader of a run and its helpers say to each other, over one connection for each helper."""

from __future__ import annotations

import socket
from collections import deque
from collections.abc import Callable
from typing import Any, Generic, TypeVar

from craton.children.frames import Frame, Frames, MalformedFrame, encode

LARGEST = 1 << 20  # bytes of a frame: parameters, never rows
LOOK = 0.5  # seconds between two looks whether to go on waiting
READ = 1 << 16
QUIET, BETWEEN, PROBES = 30, 10, 3  # seconds until a silent machine is asked for, between two tries; tries


class Hello(Frame, frozen=True, tag=1):
    """The first word of a helper."""

    token: str


class Asked(Frame, frozen=True, tag=2):
    """A combination of parameters that is to be measured on one fold."""

    params: dict[str, Any]
    fold: int


class Meet(Frame, frozen=True, tag=3):
    """Where tensors are exchanged."""

    host: str
    port: int
    rank: int
    size: int


class Measured(Frame, frozen=True, tag=4):
    """value: None when these parameters do not work, with the reason."""

    value: float | None
    reason: str = ""


FromLeader = Asked | Meet
FromHelper = Hello | Measured
F = TypeVar("F")


class Gone(ConnectionError):
    """The other end left."""


class Channel(Generic[F]):
    """One end. kind: what comes in."""

    def __init__(self, connection: socket.socket, kind: Any) -> None:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        for option, value in (("TCP_KEEPIDLE", QUIET), ("TCP_KEEPINTVL", BETWEEN), ("TCP_KEEPCNT", PROBES)):
            if hasattr(socket, option):
                connection.setsockopt(socket.IPPROTO_TCP, getattr(socket, option), value)
        connection.settimeout(LOOK)
        self._connection, self._frames = connection, Frames[F](kind, LARGEST)
        self._waiting: deque[F] = deque()

    @property
    def here(self) -> str:
        """This machine's address, as the other one reaches it."""
        return str(self._connection.getsockname()[0])

    def send(self, frame: Frame) -> None:
        """Raises Gone."""
        try:
            self._connection.sendall(encode(frame))
        except OSError as error:
            raise Gone() from error

    def receive(self, check: Callable[[], None]) -> F:
        """Blocks. check: called every now and then; what it raises ends the waiting. Raises Gone."""
        while not self._waiting:
            check()
            try:
                data = self._connection.recv(READ)
            except TimeoutError:
                continue
            except OSError as error:
                raise Gone() from error
            try:
                self._waiting.extend(self._frames.feed(data))
            except MalformedFrame as error:
                raise Gone() from error
            if not data:
                raise Gone()
        return self._waiting.popleft()

    def close(self) -> None:
        self._connection.close()
