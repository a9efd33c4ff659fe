"""New files for what is fetched: named by chance, never by what a source says, and bounded."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from secrets import token_hex
from typing import BinaryIO

from craton.core.errors import TooLarge
from craton.core.streams import closing


class Writing:
    """A new file in folder that takes at most `limit` bytes. Leaving the block by an error removes it."""

    def __init__(self, folder: Path, what: str, limit: int) -> None:
        self.path = folder / token_hex(16)
        self._what, self._limit, self._size = what, limit, 0
        self._file: BinaryIO = self.path.open("xb")

    def write(self, data: bytes) -> None:
        """Raises TooLarge."""
        self._size += len(data)
        if self._size > self._limit:
            raise TooLarge(self._what, self._limit)
        self._file.write(data)

    def restart(self) -> None:
        self._file.seek(0)
        self._file.truncate()
        self._size = 0

    def __enter__(self) -> Writing:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        self._file.close()
        if kind is not None:
            self.path.unlink(missing_ok=True)


def save(folder: Path, data: bytes, what: str, limit: int) -> Path:
    """Writes data into a new file. Raises TooLarge."""
    if len(data) > limit:
        raise TooLarge(what, limit, len(data))
    with Writing(folder, what, limit) as file:
        file.write(data)
    return file.path


async def stream(folder: Path, chunks: AsyncIterator[bytes], what: str, limit: int) -> Path:
    """Writes the chunks into a new file. Raises TooLarge, and what chunks raises."""
    with Writing(folder, what, limit) as file:
        async with closing(chunks) as pieces:
            async for piece in pieces:
                file.write(piece)
    return file.path
