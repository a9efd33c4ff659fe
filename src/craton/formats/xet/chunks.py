"""A chunk as a xorb holds it: a header of 8 bytes, then its content, plain or compressed with LZ4.

The header: version 0, the stored length in three bytes, how it is stored, the length of the content in three bytes.
"Grouped" means that every fourth byte was put together before compression, which suits arrays of numbers.
"""

from __future__ import annotations

from enum import IntEnum
from typing import NamedTuple, NoReturn

from lz4 import frame

from craton.core.errors import Damaged

HEADER = 8
MAX_CHUNK = 128 * 1024  # bytes of content
MAX_STORED = 2 * MAX_CHUNK


class Scheme(IntEnum):
    """How a chunk's content is stored."""

    PLAIN = 0
    LZ4 = 1
    GROUPED_LZ4 = 2


class Header(NamedTuple):
    """stored and length: bytes behind the header, and of the content."""

    stored: int
    scheme: int
    length: int


def read_header(content: bytes | bytearray | memoryview, name: str) -> Header:
    """content: at least the 8 bytes. Raises Damaged before anything of that size is read or made."""
    if content[0] != 0:
        _refuse(name, f"a chunk has the version {content[0]}")
    stored = content[1] | content[2] << 8 | content[3] << 16
    length = content[5] | content[6] << 8 | content[7] << 16
    if not 0 < length <= MAX_CHUNK:
        _refuse(name, f"a chunk says that it has {length:,} bytes; from 1 to {MAX_CHUNK:,} are allowed")
    if not 0 < stored <= MAX_STORED:
        _refuse(name, f"a chunk says that it takes {stored:,} bytes; from 1 to {MAX_STORED:,} are allowed")
    if content[4] not in Scheme._value2member_map_:
        _refuse(name, f"a chunk is stored in an unknown way: {content[4]}")
    if content[4] == Scheme.PLAIN and stored != length:
        _refuse(name, "a plain chunk's two lengths differ")
    return Header(stored, content[4], length)


class Unpacker:
    """Gives chunks' contents. Not to be shared by threads."""

    def __init__(self, name: str) -> None:
        """name: what errors call the xorb."""
        self._name = name
        self._context = frame.create_decompression_context()

    def unpack(self, header: Header, stored: memoryview, target: memoryview) -> None:
        """Fills the target, which has the promised length. Never makes more than one byte above that.

        Raises Damaged when the promise is not kept.
        """
        if header.scheme == Scheme.PLAIN:
            target[:] = stored
            return
        frame.reset_decompression_context(self._context)
        try:
            content, read, ended = frame.decompress_chunk(self._context, stored, max_length=header.length + 1)
        except RuntimeError as error:
            raise Damaged(self._name, "a chunk is not proper LZ4") from error
        if len(content) != header.length or not ended or read != len(stored):
            _refuse(self._name, "a chunk does not have the length that its header says")
        if header.scheme == Scheme.GROUPED_LZ4:
            _ungroup(content, target)
        else:
            target[:] = content


def _ungroup(content: bytes, target: memoryview) -> None:
    import numpy as np

    grouped, whole = np.frombuffer(content, np.uint8), np.frombuffer(target, np.uint8)
    start = 0
    for place in range(4):
        end = start + (len(content) - place + 3) // 4
        whole[place::4] = grouped[start:end]
        start = end


def _refuse(name: str, reason: str) -> NoReturn:
    raise Damaged(name, reason)
