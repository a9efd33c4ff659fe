"""A shard: which files are made of which chunks, and which chunks xorbs hold.

Records of 48 bytes: a header, the files (each with its segments, the hashes that prove its ranges, and the sha256), a
record of ones, the xorbs (each with its chunks), a record of ones. What may follow is an index over all this.
Source: draft-denis-xet and the documents of the Xet protocol, "Shard format".
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator
from typing import NamedTuple, NoReturn

from msgspec import Struct

from craton.core.errors import Damaged
from craton.formats.xet.hashes import NOTHING
from craton.formats.xet.xorbs import MAX_CHUNKS, Layout

RECORD = 48
MAX_SHARD = 64 * 1024 * 1024
TAG = b"HFRepoMetaData\0" + bytes.fromhex("556967456a7b815783a5bdd95ccdd14aa9")
VERSION, FOOTER_VERSION, FOOTER_SIZE = 2, 1, 200
END = b"\xff" * 32 + bytes(16)
WITH_RANGES, WITH_SHA256 = 1 << 31, 1 << 30

_HEADER = struct.Struct("<32sQQ")
_RECORD = struct.Struct("<32sIIII")
_FOOTER = struct.Struct("<9Q32sQQ48sQQQQ")


class Segment(NamedTuple):
    """The chunks from start to end of a xorb, with so many bytes of content."""

    xorb: bytes
    length: int
    start: int
    end: int


class File(Struct, frozen=True):
    """ranges: one hash for each segment. sha256: as it stands there (`hashes.to_text` gives its hex), or None."""

    hash: bytes
    segments: list[Segment]
    ranges: list[bytes]
    sha256: bytes | None

    @property
    def size(self) -> int:
        return sum(segment.length for segment in self.segments)


def read_files(content: bytes, name: str) -> Iterator[File]:
    """The files, one after another; the xorbs are walked over. Raises Damaged, perhaps after some were given."""
    records = _Records(content, name)
    tag, version, _ = _HEADER.unpack(records.take(1))
    if tag != TAG or version != VERSION:
        records.refuse("it does not begin like a shard of version 2")
    while (record := records.take(1)) != END:
        hash, flags, count, _, _ = _RECORD.unpack(record)
        segments = [_segment(records, row) for row in _RECORD.iter_unpack(records.take(count))]
        ranges = [row[0] for row in _RECORD.iter_unpack(records.take(count if flags & WITH_RANGES else 0))]
        sha256 = records.take(1)[:32] if flags & WITH_SHA256 else None
        yield File(hash, segments, ranges, sha256)
    while (record := records.take(1)) != END:
        count = _RECORD.unpack(record)[2]
        if count > MAX_CHUNKS:
            records.refuse(f"a xorb in it has {count:,} chunks")
        records.take(count)


def _segment(records: _Records, row: tuple[bytes, int, int, int, int]) -> Segment:
    xorb, _, length, start, end = row
    if not start < end <= MAX_CHUNKS:
        records.refuse("a file takes chunks that no xorb can have")
    return Segment(xorb, length, start, end)


class _Records:
    """Checks before it takes."""

    def __init__(self, content: bytes, name: str) -> None:
        self._content, self._name, self._at = memoryview(content), name, 0

    def take(self, count: int) -> bytes:
        size = count * RECORD
        if size > len(self._content) - self._at:
            self.refuse("it ends before the records that it speaks of")
        taken = self._content[self._at : self._at + size]
        self._at += size
        return bytes(taken)

    def refuse(self, reason: str) -> NoReturn:
        raise Damaged(self._name, reason)


def write_shard(
    files: Iterable[File],
    xorbs: Iterable[tuple[bytes, Layout]],
    created: int,
    expires: int,
    key: bytes = NOTHING,
) -> bytes:
    """A whole shard with its footer. Times are seconds since the epoch; key: what the chunks' hashes are keyed with.

    The footer's lookup tables are left empty: readers of such answers build their own.
    """
    file_part = b"".join(_written_file(file) for file in files) + END
    xorb_part = b"".join(_written_xorb(hash, layout) for hash, layout in xorbs) + END
    xorbs_at = RECORD + len(file_part)
    end = xorbs_at + len(xorb_part)
    offsets = (FOOTER_VERSION, RECORD, xorbs_at, end, 0, end, 0, end, 0)
    footer = _FOOTER.pack(*offsets, key, created, expires, bytes(48), 0, 0, 0, end)
    return _HEADER.pack(TAG, VERSION, FOOTER_SIZE) + file_part + xorb_part + footer


def _written_file(file: File) -> bytes:
    flags = (WITH_RANGES if file.ranges else 0) | (WITH_SHA256 if file.sha256 else 0)
    rows = [_RECORD.pack(file.hash, flags, len(file.segments), 0, 0)]
    rows += [_RECORD.pack(it.xorb, 0, it.length, it.start, it.end) for it in file.segments]
    rows += [_RECORD.pack(value, 0, 0, 0, 0) for value in (*file.ranges, *([file.sha256] if file.sha256 else []))]
    return b"".join(rows)


def _written_xorb(hash: bytes, layout: Layout) -> bytes:
    chunks = list(layout.chunks())
    rows = [_RECORD.pack(hash, 0, len(chunks), layout.length(), chunks[-1].end)]
    start = 0
    for chunk in chunks:
        rows.append(_RECORD.pack(chunk.hash, start, chunk.length, 0, 0))
        start += chunk.length
    return b"".join(rows)
