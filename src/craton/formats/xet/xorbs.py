"""A xorb: chunks one behind the other, at most 64 MiB of content, and perhaps a footer that says what can be computed.

Read as a stream; what is kept is the chunks alone, so that two uploads of the same chunks, with a footer or without,
are the same bytes.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator
from typing import NamedTuple, NoReturn

from craton.core.errors import Damaged
from craton.formats.xet import hashes
from craton.formats.xet.chunks import HEADER, Unpacker, read_header

MAX_CHUNKS = 8 * 1024
MAX_CONTENT = 64 * 1024 * 1024
MAX_FOOTER = 1024 + MAX_CHUNKS * (hashes.SIZE + 8)
MAX_UPLOAD = MAX_CONTENT + MAX_CHUNKS * HEADER + MAX_FOOTER  # what compression saves nothing on is stored plain
FOOTER = b"XETBLOB"

_ROW = struct.Struct("<32sII")


class Chunk(NamedTuple):
    """end: where it ends in the xorb's stored bytes. length: bytes of its content."""

    hash: bytes
    end: int
    length: int


class Layout:
    """Where a xorb's chunks are, packed: 40 bytes a chunk."""

    def __init__(self, packed: bytes = b"") -> None:
        self.packed = packed

    def __len__(self) -> int:
        return len(self.packed) // _ROW.size

    def chunks(self, start: int = 0, end: int = MAX_CHUNKS) -> Iterator[Chunk]:
        part = memoryview(self.packed)[start * _ROW.size : end * _ROW.size]
        return (Chunk(*row) for row in _ROW.iter_unpack(part))

    def length(self, start: int = 0, end: int = MAX_CHUNKS) -> int:
        """Bytes of content of these chunks."""
        return sum(chunk.length for chunk in self.chunks(start, end))

    def span(self, start: int, end: int) -> tuple[int, int]:
        """From and to where these chunks are stored; start < end."""
        return self._end(start - 1) if start else 0, self._end(end - 1)

    def hash(self) -> bytes:
        return hashes.xorb_hash((chunk.hash, chunk.length) for chunk in self.chunks())

    def _end(self, number: int) -> int:
        return Chunk(*_ROW.unpack_from(self.packed, number * _ROW.size)).end


class Xorb:
    """Takes a xorb in, piece by piece. Afterwards `layout` is whole. Raises Damaged."""

    def __init__(self, name: str) -> None:
        """name: what errors call it."""
        self._name = name
        self.layout = Layout()

    def receive(self, pieces: Iterable[bytes]) -> Iterator[bytes]:
        """The bytes that are to be kept: every chunk has been unpacked and hashed by the time it is given."""
        unpacker, rows, end, total = Unpacker(self._name), bytearray(), 0, 0
        reader = _Reader(pieces, self._name)
        while (ahead := reader.peek(HEADER)) and not ahead.startswith(FOOTER):
            header = read_header(ahead, self._name)
            total += header.length
            if len(rows) == MAX_CHUNKS * _ROW.size or total > MAX_CONTENT:
                self._refuse(f"it has more than {MAX_CHUNKS:,} chunks or {MAX_CONTENT:,} bytes of content")
            whole = reader.take(HEADER + header.stored)
            end += len(whole)
            content = unpacker.unpack(header, memoryview(whole)[HEADER:])
            rows += _ROW.pack(hashes.chunk_hash(content), end, header.length)
            yield whole
        if not rows:
            self._refuse("it has no chunks")
        self.layout = Layout(bytes(rows))
        reader.skip(MAX_FOOTER)

    def _refuse(self, reason: str) -> NoReturn:
        raise Damaged(self._name, reason)


def unpack(pieces: Iterable[bytes], name: str, skip: int = 0) -> Iterator[bytes]:
    """The contents of the chunks in a run of stored ones. Raises Damaged.

    skip: so many bytes of content are not wanted: chunks that lie in them come as zeros, and are not unpacked.
    """
    reader, unpacker = _Reader(pieces, name), Unpacker(name)
    while ahead := reader.peek(HEADER):
        header = read_header(ahead, name)
        whole = reader.take(HEADER + header.stored)
        if header.length <= skip:
            skip -= header.length
            yield bytes(header.length)
            continue
        skip = 0
        yield unpacker.unpack(header, memoryview(whole)[HEADER:])


class _Reader:
    """Takes exact numbers of bytes out of pieces of any size."""

    def __init__(self, pieces: Iterable[bytes], name: str) -> None:
        self._pieces, self._name = iter(pieces), name
        self._buffer, self._at = b"", 0

    def peek(self, size: int) -> bytes:
        """The next bytes, which stay; empty at the end."""
        self._fill(size)
        ahead = self._buffer[self._at : self._at + size]
        if ahead and len(ahead) < size:
            self._refuse()
        return ahead

    def take(self, size: int) -> bytes:
        self._fill(size)
        taken = self._buffer[self._at : self._at + size]
        if len(taken) < size:
            self._refuse()
        self._at += size
        return taken

    def skip(self, limit: int) -> None:
        """Reads to the end."""
        size = len(self._buffer) - self._at
        for piece in self._pieces:
            size += len(piece)
        if size > limit:
            raise Damaged(self._name, "its footer is too long")

    def _fill(self, size: int) -> None:
        while len(self._buffer) - self._at < size:
            piece = next(self._pieces, None)
            if piece is None:
                return
            self._buffer, self._at = self._buffer[self._at :] + piece, 0

    def _refuse(self) -> NoReturn:
        raise Damaged(self._name, "it ends in the middle of a chunk")
