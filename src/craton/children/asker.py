"""Asker: a child process that is asked one thing at a time."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import Any, Generic, TypeVar

from msgspec import Struct

from craton.children.connection import Connection
from craton.children.process import Process
from craton.core.errors import CratonError, ModelUnavailable

F = TypeVar("F")
V = TypeVar("V")

START_SECONDS = 60.0
_GRACE = 0.2  # seconds for a child to leave by itself

log = logging.getLogger(__name__)


class Died(Exception):
    """The child went away instead of answering."""


class Asker(Generic[F, V]):
    """The first frame that comes says that the child is ready; what comes after a question is its answer."""

    def __init__(self, process: Process) -> None:
        self.asked = 0
        self.alive = True
        self._process = process
        self._connection: Connection[F] | None = None
        self._ready: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._read: Callable[[F], V | None] | None = None
        self._answer: asyncio.Future[V] | None = None

    @classmethod
    async def start(cls, process: Process, frames: Any, who: str) -> Asker[F, V]:
        """frames: what the child says, a union of tagged structs. who: it is, for people. Raises ModelUnavailable when
        it does not start."""
        child = cls(process)
        child._connection = await Connection[F].open(process.sock, frames, child._received, child._closed)
        try:
            async with asyncio.timeout(START_SECONDS):
                await child._ready
        except (TimeoutError, Died):
            await child.end()
            log.error("%s did not start:\n%s", who, process.last_words())
            raise ModelUnavailable(who, "its process did not start") from None
        except BaseException:
            await child.end()
            raise
        return child

    async def ask(self, question: Struct, read: Callable[[F], V | None]) -> V:
        """read: of each frame, the answer when it is whole, None until then; its CratonError is this call's.

        Raises Died.
        """
        if not self.alive or self._connection is None:
            raise Died
        self.asked += 1
        self._read, self._answer = read, asyncio.get_running_loop().create_future()
        self._connection.send(question)
        return await self._answer

    async def end(self) -> int:
        """Its exit code. A child that already died of a limit keeps its own."""
        if self._connection is not None:
            self._connection.close()
        return await self._process.end(_GRACE)

    def last_words(self) -> str:
        return self._process.last_words()

    def _received(self, frame: F) -> None:
        if not self._ready.done():
            self._ready.set_result(None)
        elif self._read is not None and self._answer is not None and not self._answer.done():
            try:
                value = self._read(frame)
            except CratonError as error:
                self._answer.set_exception(error)
            else:
                if value is not None:
                    self._answer.set_result(value)

    def _closed(self, _why: str) -> None:
        self.alive = False
        for waiting in (self._ready, self._answer):
            if waiting is not None and not waiting.done():
                waiting.set_exception(Died())
