"""A file's bytes as they are read: unpacked, counted against what packing may hide, cut into pieces of whole lines."""

from __future__ import annotations

import bz2
import gzip
import io
import os
from collections.abc import Iterator
from typing import BinaryIO, cast

from craton.core.errors import Damaged, TooLarge, Unsupported
from craton.data.viewing.frames import Source
from craton.data.viewing.limits import ViewLimits

PIECE = 4 << 20  # bytes
_SMALL = 16 << 20  # bytes: what a packed file may always become


class Unpacked(io.RawIOBase):
    """The bytes of a source. `cut` is set when reading stopped at the limit of what is converted.

    Raises TooLarge for a packed file that becomes too many times its size, Damaged for one that cannot be unpacked.
    """

    def __init__(self, source: Source, limits: ViewLimits) -> None:
        self._name, self._limits = source.name, limits
        self._file = _open(source)
        self._packed = bool(source.packing)
        self._most = max(_SMALL, os.stat(source.path).st_size * limits.ratio)
        self._seen = 0
        self._ahead = b""
        self.cut = False

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: object) -> int:
        view = memoryview(buffer).cast("B")  # type: ignore[arg-type]
        data = self.read(len(view))
        view[: len(data)] = data
        return len(data)

    def peek(self, size: int) -> bytes:
        """At most so many bytes, which the next read gives again."""
        if not self._ahead:
            self._ahead = self.read(size)
        return self._ahead

    def read(self, size: int = -1) -> bytes:
        if self._ahead:
            ahead, self._ahead = self._ahead, b""
            return ahead if size < 0 or len(ahead) <= size else self._split(ahead, size)
        room = self._limits.source_bytes - self._seen
        try:
            if room <= 0:
                self.cut = bool(self._file.read(1)) or self.cut
                return b""
            data = self._file.read(min(PIECE if size < 0 else size, room))
        except (OSError, EOFError, ValueError) as error:
            raise Damaged(repr(self._name), "it cannot be unpacked") from error
        self._seen += len(data)
        if self._packed and self._seen > self._most:
            raise TooLarge(f"What {self._name!r} unpacks to", self._most)
        return data

    def _split(self, ahead: bytes, size: int) -> bytes:
        self._ahead = ahead[size:]
        return ahead[:size]

    def close(self) -> None:
        self._file.close()
        super().close()


def _open(source: Source) -> BinaryIO:
    if source.packing == "gzip":
        return cast("BinaryIO", gzip.open(source.path, "rb"))
    if source.packing == "bz2":
        return cast("BinaryIO", bz2.open(source.path, "rb"))
    if source.packing == "zstd":
        raise Unsupported("Looking into files packed with zstd", "Pack them with gzip.")
    return open(source.path, "rb")  # noqa: SIM115: its owner closes it


def whole_lines(stream: Unpacked, name: str, limits: ViewLimits) -> Iterator[bytes]:
    """Pieces of a few megabytes that end where a line ends. Raises TooLarge for a line over its bound."""
    rest = b""
    while data := stream.read(PIECE):
        end = data.rfind(b"\n") + 1
        if not end:
            rest += data
            if len(rest) > limits.line_bytes:
                raise TooLarge(f"A line of {name!r}", limits.line_bytes)
            continue
        yield rest + data[:end]
        rest = data[end:]
    if rest.strip() and not stream.cut:
        yield rest
