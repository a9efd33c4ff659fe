"""Lines of a stream of bytes, numbered from 1, one in memory at a time."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import NamedTuple

MAX_LINE = 32 * 1024 * 1024
"""Bytes of one line: what a request that is sent alone may have, too."""

_BOM = b"\xef\xbb\xbf"


class Line(NamedTuple):
    """data: None for one that is longer than MAX_LINE, of which nothing is kept."""

    number: int
    data: bytes | None


async def lines(blocks: AsyncIterator[bytes], limit: int = MAX_LINE) -> AsyncIterator[Line]:
    """Those that are not blank."""
    number, rest, dropping = 1, b"", False
    async for block in blocks:
        *whole, tail = block.split(b"\n")
        for piece in whole:
            if dropping or len(rest) + len(piece) > limit:
                yield Line(number, None)
            elif (line := _plain(rest + piece, number)) is not None:
                yield line
            number, rest, dropping = number + 1, b"", False
        if dropping or len(rest) + len(tail) > limit:
            rest, dropping = b"", True
        else:
            rest += tail
    if dropping:
        yield Line(number, None)
    elif (line := _plain(rest, number)) is not None:
        yield line


def _plain(data: bytes, number: int) -> Line | None:
    if number == 1:
        data = data.removeprefix(_BOM)
    stripped = data.strip()
    return Line(number, stripped) if stripped else None
