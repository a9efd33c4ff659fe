"""ParserPool: a few parsing processes."""

from __future__ import annotations

import os
from collections.abc import Awaitable, Callable
from pathlib import Path

from craton.children.errors import from_wire
from craton.children.pool import ChildPool, PoolLimits, PoolWords
from craton.children.process import Process
from craton.data.documents import Block, Parsed
from craton.data.parsing.frames import ChildFrame, Done, Failed, Part, Read
from craton.data.parsing.limits import ParseLimits
from craton.data.parsing.reading import parser_version

_WORDS = PoolWords("the parser", "document", ChildFrame)


class ParserPool:
    """A `craton.data.documents.Parser`. Children start when they are first needed."""

    def __init__(
        self,
        processes: int = 1,
        limits: ParseLimits | None = None,
        *,
        spawn: Callable[[int], Awaitable[Process]] | None = None,
    ) -> None:
        """processes: documents that are read at once. spawn: starts a parsing process, given its megabytes."""
        self._limits = limits or ParseLimits()
        megabytes, start = self._limits.megabytes, spawn or spawn_child
        bounds = PoolLimits(self._limits.cpu_seconds, self._limits.wall_seconds, self._limits.documents_per_child)
        self._pool = ChildPool[ChildFrame, Parsed](processes, lambda: start(megabytes), _WORDS, bounds)
        self._version = parser_version()

    @property
    def version(self) -> str:
        return self._version

    async def parse(self, path: Path, name: str, media_type: str) -> Parsed:
        """Raises Unsupported, TooLarge (also for too much time or memory), Damaged; ModelUnavailable when no process
        can be started, which says nothing about the document."""
        return await self._pool.run(Read(os.fspath(path), name, media_type, self._limits), _Gathering().read)

    async def close(self) -> None:
        """Ends the children. Documents under way fail."""
        await self._pool.close()


async def spawn_child(megabytes: int) -> Process:
    return await Process.spawn("craton.data.parsing.child", (str(megabytes),))


class _Gathering:
    """A document's text comes in parts."""

    def __init__(self) -> None:
        self._texts: list[str] = []
        self._blocks: list[Block] = []

    def read(self, frame: ChildFrame) -> Parsed | None:
        if isinstance(frame, Failed):
            raise from_wire(frame.error, _WORDS.who)
        if isinstance(frame, Part):
            self._texts.append(frame.text)
            self._blocks += frame.blocks
        if isinstance(frame, Done):
            return Parsed("".join(self._texts), tuple(self._blocks), frame.media_type, frame.title, frame.notes)
        return None
