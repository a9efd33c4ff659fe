"""ParserPool: a few parsing processes, each replaced when a document was too much for it, or after many."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
from collections.abc import Awaitable, Callable
from pathlib import Path

from craton.children.connection import Connection
from craton.children.errors import from_wire
from craton.children.process import Process, how_it_ended
from craton.core.errors import CratonError, Damaged, ModelUnavailable, TooLarge
from craton.data.documents import Block, Parsed
from craton.data.parsing.frames import ChildFrame, Done, Failed, Part, Read, Started
from craton.data.parsing.limits import ParseLimits
from craton.data.parsing.reading import parser_version

log = logging.getLogger(__name__)

_START_SECONDS = 60.0


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
        self._spawn = spawn or spawn_child
        self._places = asyncio.Semaphore(processes)
        self._children: set[_Child] = set()
        self._idle: list[_Child] = []
        self._version = parser_version()
        self._closed = False

    @property
    def version(self) -> str:
        return self._version

    async def parse(self, path: Path, name: str, media_type: str) -> Parsed:
        """Raises Unsupported, TooLarge (also for too much time or memory), Damaged; ModelUnavailable when no process
        can be started, which says nothing about the document."""
        async with self._places:
            child = await self._take()
            child.documents += 1
            keep = False
            try:
                parsed = await asyncio.wait_for(
                    child.ask(Read(os.fspath(path), name, media_type, self._limits)),
                    self._limits.wall_seconds,
                )
                keep = True
                return parsed
            except TimeoutError:
                raise TooLarge(
                    "The time to read the document", int(self._limits.wall_seconds), unit="seconds"
                ) from None
            except _Died:
                raise await self._reason(child) from None
            except CratonError:
                keep = True
                raise
            finally:
                if keep and child.documents < self._limits.documents_per_child and not self._closed:
                    self._idle.append(child)
                else:
                    await self._end(child)

    async def close(self) -> None:
        """Ends the children. Documents under way fail."""
        self._closed = True
        self._idle.clear()
        await asyncio.gather(*(self._end(child) for child in list(self._children)))

    async def _take(self) -> _Child:
        if self._closed:
            raise ModelUnavailable("the parser", "it is closed")
        while self._idle:
            child = self._idle.pop()
            if child.alive:
                return child
            await self._end(child)
        child = await _Child.start(await self._spawn(self._limits.megabytes))
        self._children.add(child)
        return child

    async def _end(self, child: _Child) -> int:
        self._children.discard(child)
        return await child.end()

    async def _reason(self, child: _Child) -> CratonError:
        code = await self._end(child)
        if self._closed:
            return ModelUnavailable("the parser", "it was closed")
        log.warning("a document ended its parser: %s\n%s", how_it_ended(code), child.last_words())
        if code == -signal.SIGPROF:
            return TooLarge("The processor time to read the document", int(self._limits.cpu_seconds), unit="seconds")
        return Damaged("The document", "the process that read it did not survive it")


async def spawn_child(megabytes: int) -> Process:
    return await Process.spawn("craton.data.parsing.child", (str(megabytes),))


class _Died(Exception):
    """The child went away instead of answering."""


class _Child:
    """One parsing process; one document at a time."""

    def __init__(self, process: Process) -> None:
        self.documents = 0
        self.alive = True
        self._process = process
        self._connection: Connection[ChildFrame] | None = None
        self._texts: list[str] = []
        self._blocks: list[Block] = []
        self._answer: asyncio.Future[Parsed] = asyncio.get_running_loop().create_future()

    @classmethod
    async def start(cls, process: Process) -> _Child:
        """Raises ModelUnavailable when it does not start."""
        child = cls(process)
        child._connection = await Connection[ChildFrame].open(process.sock, ChildFrame, child._received, child._closed)
        try:
            await asyncio.wait_for(child._answer, _START_SECONDS)
        except (TimeoutError, _Died):
            await child.end()
            log.error("the parsing process did not start:\n%s", process.last_words())
            raise ModelUnavailable("the parser", "its process did not start") from None
        except BaseException:
            await child.end()
            raise
        return child

    async def ask(self, document: Read) -> Parsed:
        if not self.alive or self._connection is None:
            raise _Died
        self._texts, self._blocks = [], []
        self._answer = asyncio.get_running_loop().create_future()
        self._connection.send(document)
        return await self._answer

    async def end(self) -> int:
        """Its exit code. A child that already died of a limit keeps its own."""
        if self._connection is not None:
            self._connection.close()
        return await self._process.end(0.2)

    def last_words(self) -> str:
        return self._process.last_words()

    def _received(self, frame: ChildFrame) -> None:
        if self._answer.done():
            return
        if isinstance(frame, Part):
            self._texts.append(frame.text)
            self._blocks += frame.blocks
        elif isinstance(frame, Failed):
            self._answer.set_exception(from_wire(frame.error, "the parser"))
        elif isinstance(frame, Done):
            text, blocks = "".join(self._texts), tuple(self._blocks)
            self._texts, self._blocks = [], []
            self._answer.set_result(Parsed(text, blocks, frame.media_type, frame.title, frame.notes))
        elif isinstance(frame, Started):
            self._answer.set_result(Parsed("", (), ""))

    def _closed(self, _why: str) -> None:
        self.alive = False
        if not self._answer.done():
            self._answer.set_exception(_Died())
