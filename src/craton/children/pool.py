"""ChildPool: a few askers that read files, each replaced when one was too much for it, or after many."""

from __future__ import annotations

import asyncio
import logging
import signal
from collections.abc import Awaitable, Callable
from typing import Any, Generic, TypeVar

from msgspec import Struct

from craton.children.asker import Asker, Died
from craton.children.process import Process, how_it_ended
from craton.core.errors import CratonError, Damaged, ModelUnavailable, TooLarge

F = TypeVar("F")
V = TypeVar("V")

log = logging.getLogger(__name__)


class PoolWords(Struct, frozen=True):
    """For errors and logs. who: the children are ("the parser"); what: they read ("document"); frames: they say."""

    who: str
    what: str
    frames: Any


class PoolLimits(Struct, frozen=True):
    """Of one task: processor seconds (which the child holds itself to) and seconds of the clock. tasks: until a child
    is replaced. idle_seconds: until one without a task is ended, None for never."""

    cpu_seconds: float
    wall_seconds: float
    tasks: int
    idle_seconds: float | None = None


class ChildPool(Generic[F, V]):
    """Children start when they are first needed."""

    def __init__(
        self, processes: int, spawn: Callable[[], Awaitable[Process]], words: PoolWords, limits: PoolLimits
    ) -> None:
        """processes: tasks at once."""
        self._spawn, self._words, self._limits = spawn, words, limits
        self._places = asyncio.Semaphore(processes)
        self._children: set[Asker[F, V]] = set()
        self._idle: list[Asker[F, V]] = []
        self._ending: set[asyncio.Task[int]] = set()
        self._closed = False

    async def run(self, task: Struct, read: Callable[[F], V | None]) -> V:
        """See `Asker.ask`. Raises TooLarge for too much time, Damaged when the child did not survive the file,
        ModelUnavailable when no process can be started, which says nothing about the file."""
        async with self._places:
            child = await self._take()
            keep = False
            try:
                async with asyncio.timeout(self._limits.wall_seconds):
                    value = await child.ask(task, read)
                keep = True
                return value
            except TimeoutError:
                raise self._too_long("time", self._limits.wall_seconds) from None
            except Died:
                raise await self._reason(child) from None
            except CratonError:
                keep = True
                raise
            finally:
                if keep and child.asked < self._limits.tasks and not self._closed:
                    self._rest(child)
                else:
                    await self._end(child)

    async def close(self) -> None:
        """Ends the children. Tasks under way fail."""
        self._closed = True
        self._idle.clear()
        await asyncio.gather(*self._ending)
        await asyncio.gather(*(self._end(child) for child in list(self._children)))

    async def _take(self) -> Asker[F, V]:
        if self._closed:
            raise ModelUnavailable(self._words.who, "it is closed")
        while self._idle:
            child = self._idle.pop()
            if child.alive:
                return child
            await self._end(child)
        child = await Asker[F, V].start(await self._spawn(), self._words.frames, self._words.who)
        self._children.add(child)
        return child

    def _rest(self, child: Asker[F, V]) -> None:
        """Nothing to do; after a while without any, its memory is given back."""
        self._idle.append(child)
        if self._limits.idle_seconds is not None:
            loop = asyncio.get_running_loop()
            loop.call_later(self._limits.idle_seconds, self._retire, child, child.asked)

    def _retire(self, child: Asker[F, V], asked: int) -> None:
        if child in self._idle and child.asked == asked:
            self._idle.remove(child)
            ending = asyncio.create_task(self._end(child))
            self._ending.add(ending)
            ending.add_done_callback(self._ending.discard)

    async def _end(self, child: Asker[F, V]) -> int:
        self._children.discard(child)
        return await child.end()

    async def _reason(self, child: Asker[F, V]) -> CratonError:
        code = await self._end(child)
        if self._closed:
            return ModelUnavailable(self._words.who, "it was closed")
        log.warning("a %s ended %s: %s\n%s", self._words.what, self._words.who, how_it_ended(code), child.last_words())
        if code == -signal.SIGPROF:
            return self._too_long("processor time", self._limits.cpu_seconds)
        return Damaged(f"The {self._words.what}", "the process that read it did not survive it")

    def _too_long(self, what: str, seconds: float) -> TooLarge:
        return TooLarge(f"The {what} to read the {self._words.what}", int(seconds), unit="seconds")
