"""A file's segments, packed into a row: 44 bytes each."""

from __future__ import annotations

import struct
from collections.abc import Iterable

from craton.formats.xet.shards import Segment

_ROW = struct.Struct("<32sIII")


def pack(segments: Iterable[Segment]) -> bytes:
    return b"".join(_ROW.pack(*segment) for segment in segments)


def unpack(packed: bytes) -> list[Segment]:
    return [Segment(*row) for row in _ROW.iter_unpack(packed)]
