"""What a server and a worker say to each other: length-prefixed msgpack.

A frame is four bytes (its length, big endian) and the msgpack of one struct below; `Frames` cuts a stream of bytes
into them. Both ends are the same Craton: there are no versions. Structs travel as arrays (tag first), which halves
the cost of a frame.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import Any, Generic, TypeVar

import msgspec
from msgspec import Struct

from craton.core.chat import ChatRequest
from craton.core.errors import TooLarge
from craton.core.events import Event
from craton.core.model import Capabilities, EmbedAnswer, EmbedRequest
from craton.engines.protocol import EngineSpec

MAX_FRAME = 64 * 1024 * 1024  # bytes: a request with its images, or the vectors of a batch

_LENGTH = struct.Struct(">I")


class _Frame(Struct, frozen=True, array_like=True):
    pass


# --- from the server to the worker --------------------------------------------------------------------------


class Load(_Frame, frozen=True, tag="load"):
    """The first frame. window: how many events of one chat may be under way before the server gave credit for more."""

    spec: EngineSpec
    window: int


class Chat(_Frame, frozen=True, tag="chat"):
    id: int
    request: ChatRequest


class Embed(_Frame, frozen=True, tag="embed"):
    id: int
    request: EmbedRequest


class Count(_Frame, frozen=True, tag="count"):
    id: int
    request: ChatRequest


class Credit(_Frame, frozen=True, tag="credit"):
    """The caller has taken this many events of chat `id`."""

    id: int
    events: int


class Cancel(_Frame, frozen=True, tag="cancel"):
    """Nobody waits for `id` any more. It is not answered."""

    id: int


class Ping(_Frame, frozen=True, tag="ping"):
    pass


# --- from the worker to the server --------------------------------------------------------------------------


class WireError(_Frame, frozen=True):
    """One of `craton.core.errors`: its class's name and the values of its constructor.

    traceback: for the server's log alone, of what Craton did not raise on purpose.
    """

    name: str
    values: tuple[str | int | float | None, ...]
    traceback: str = ""


class Ready(_Frame, frozen=True, tag="ready"):
    capabilities: Capabilities


class LoadFailed(_Frame, frozen=True, tag="load_failed"):
    error: WireError


class Events(_Frame, frozen=True, tag="events"):
    """More of chat `id`; done: all of it."""

    id: int
    events: tuple[Event, ...]
    done: bool = False


class Embedded(_Frame, frozen=True, tag="embedded"):
    id: int
    answer: EmbedAnswer


class Counted(_Frame, frozen=True, tag="counted"):
    id: int
    tokens: int


class Failed(_Frame, frozen=True, tag="failed"):
    id: int
    error: WireError


class Pong(_Frame, frozen=True, tag="pong"):
    pass


ServerFrame = Load | Chat | Embed | Count | Credit | Cancel | Ping
WorkerFrame = Ready | LoadFailed | Events | Embedded | Counted | Failed | Pong

_encoder = msgspec.msgpack.Encoder()
F = TypeVar("F")


class MalformedFrame(Exception):
    """The other end does not speak this protocol: a length out of bounds, or bytes that are not a frame."""


def encode(frame: Struct) -> bytes:
    """The bytes on the wire. Raises TooLarge over MAX_FRAME."""
    body = _encoder.encode(frame)
    if len(body) > MAX_FRAME:
        raise TooLarge("the request or its answer", MAX_FRAME, len(body))
    return _LENGTH.pack(len(body)) + body


class Frames(Generic[F]):
    """Cuts bytes into frames of one direction. Never holds more than one frame and one read."""

    def __init__(self, kind: Any, limit: int = MAX_FRAME) -> None:
        """kind: ServerFrame or WorkerFrame."""
        self._decoder: msgspec.msgpack.Decoder[F] = msgspec.msgpack.Decoder(kind)
        self._limit = limit
        self._buffer = bytearray()

    def feed(self, data: bytes) -> Iterator[F]:
        """The frames that `data` completes. Raises MalformedFrame; nothing can be read after that."""
        buffer = self._buffer
        buffer += data
        start, end = 0, len(buffer)
        try:
            while end - start >= 4:
                (length,) = _LENGTH.unpack_from(buffer, start)
                if length > self._limit:
                    raise MalformedFrame(f"a frame of {length} bytes")
                if end - start - 4 < length:
                    break
                body = bytes(memoryview(buffer)[start + 4 : start + 4 + length])
                start += 4 + length
                yield self._decoded(body)
        finally:
            del buffer[:start]

    def _decoded(self, body: bytes) -> F:
        try:
            return self._decoder.decode(body)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise MalformedFrame(str(error)) from None
