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
from craton.formats.xet.chunks import HEADER, MAX_CHUNK, Header, Unpacker, read_header

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
        scratch = memoryview(bytearray(MAX_CHUNK))  # one for all chunks: it stays in the processor's cache
        for run in _runs(pieces, self._name, footer=True):
            for header, stored in run.chunks():
                total += header.length
                if len(rows) == MAX_CHUNKS * _ROW.size or total > MAX_CONTENT:
                    self._refuse(f"it has more than {MAX_CHUNKS:,} chunks or {MAX_CONTENT:,} bytes of content")
                content = scratch[: header.length]
                unpacker.unpack(header, stored, content)
                end += HEADER + header.stored
                rows += _ROW.pack(hashes.chunk_hash(content), end, header.length)
            yield run.content
        if not rows:
            self._refuse("it has no chunks")
        self.layout = Layout(bytes(rows))

    def _refuse(self, reason: str) -> NoReturn:
        raise Damaged(self._name, reason)


def unpack(pieces: Iterable[bytes], name: str, skip: int = 0) -> Iterator[bytes]:
    """What a run of stored chunks contains: a block of whole chunks for each piece or so. Raises Damaged.

    skip: so many bytes of content are not wanted: chunks that lie in them come as zeros, and are not unpacked.
    """
    unpacker = Unpacker(name)
    for run in _runs(pieces, name):
        block, at = bytearray(sum(header.length for header in run.headers)), 0
        for header, stored in run.chunks():
            if header.length <= skip:
                skip -= header.length
            else:
                skip = 0
                unpacker.unpack(header, stored, memoryview(block)[at : at + header.length])
            at += header.length
        yield bytes(block)


class _Run(NamedTuple):
    """Whole chunks as they are stored, one behind the other."""

    content: bytes
    headers: list[Header]

    def chunks(self) -> Iterator[tuple[Header, memoryview]]:
        content, at = memoryview(self.content), 0
        for header in self.headers:
            end = at + HEADER + header.stored
            yield header, content[at + HEADER : end]
            at = end


def _runs(pieces: Iterable[bytes], name: str, *, footer: bool = False) -> Iterator[_Run]:
    """The chunks in pieces that may end anywhere, a run for each piece. footer: whether one may follow the chunks."""
    rest, behind = b"", 0
    for piece in pieces:
        if behind:
            behind += len(piece)
            continue
        block, at, headers = rest + piece, 0, []
        while len(block) - at >= HEADER:
            if footer and block.startswith(FOOTER, at):
                behind = len(block) - at
                break
            header = read_header(block[at : at + HEADER], name)
            if len(block) - at < HEADER + header.stored:
                break
            headers.append(header)
            at += HEADER + header.stored
        rest = b"" if behind else block[at:]
        if headers:
            yield _Run(block[:at], headers)
    if rest:
        raise Damaged(name, "it ends in the middle of a chunk")
    if behind > MAX_FOOTER:
        raise Damaged(name, "its footer is too long")
