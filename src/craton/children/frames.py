"""What a server and its child processes say to each other: length-prefixed msgpack.

A frame is four bytes (its length, big endian) and the msgpack of one struct; `Frames` cuts a stream of bytes into them.
Both ends are the same Craton: there are no versions. Structs that travel often are arrays (tag first), which halves the
cost of a frame.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import Any, Generic, TypeVar

import msgspec
from msgspec import Struct

from craton.core.errors import TooLarge

MAX_FRAME = 64 * 1024 * 1024  # bytes: a request with its images, or the vectors of a batch

_LENGTH = struct.Struct(">I")


class Frame(Struct, frozen=True, array_like=True):
    """Base of what travels often: an array, the tag first."""


class WireError(Frame, frozen=True):
    """One of `craton.core.errors`: its class's name and the values of its constructor.

    traceback: for the server's log alone, of what Craton did not raise on purpose.
    """

    name: str
    values: tuple[str | int | float | None, ...]
    traceback: str = ""


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
        """kind: the frames that come in, a union of tagged structs."""
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
