"""TablePool: processes that read tables, each replaced when a file was too much for it, or after many tasks."""

from __future__ import annotations

import asyncio
import logging
import signal
from importlib.util import find_spec
from typing import TypeVar

import msgspec

from craton.children.connection import Connection
from craton.children.errors import from_wire
from craton.children.process import Process, how_it_ended
from craton.core.errors import CratonError, Damaged, ModelUnavailable, Throttled, TooLarge, Unsupported
from craton.data.viewing.frames import Answer, ChildFrame, Failed, Order, Started, Task
from craton.data.viewing.limits import ViewLimits

T = TypeVar("T")
log = logging.getLogger(__name__)

_START_SECONDS = 60.0
_MOST_WAITING = 64
_WHO = "the table reader"


class TablePool:
    """Children start when they are first needed."""

    def __init__(self, processes: int, limits: ViewLimits) -> None:
        """processes: tasks at once."""
        self._limits = limits
        self._places = asyncio.Semaphore(processes)
        self._waiting = 0
        self._children: set[_Child] = set()
        self._idle: list[_Child] = []
        self._ending: set[asyncio.Task[int]] = set()
        self._closed = False

    async def run(self, task: Task, kind: type[T]) -> T:
        """What the task gives. Raises Unsupported, TooLarge (also for too much time or memory), Damaged,
        InvalidRequest; Throttled when too many wait; ModelUnavailable when no process can be started."""
        if find_spec("pyarrow") is None:
            raise Unsupported("Looking into datasets", "Install craton[data].")
        if self._waiting >= _MOST_WAITING:
            raise Throttled("Too many tables are being read; try again soon.", 5.0)
        self._waiting += 1
        try:
            async with self._places:
                return msgspec.msgpack.decode(await self._run(task), type=kind)
        finally:
            self._waiting -= 1

    async def _run(self, task: Task) -> bytes:
        child = await self._take()
        child.tasks += 1
        keep = False
        try:
            value = await asyncio.wait_for(child.ask(Order(task, self._limits)), self._limits.wall_seconds)
            keep = True
            return value
        except TimeoutError:
            raise TooLarge("The time to read the file", int(self._limits.wall_seconds), unit="seconds") from None
        except _Died:
            raise await self._reason(child) from None
        except CratonError:
            keep = True
            raise
        finally:
            if keep and child.tasks < self._limits.tasks_per_child and not self._closed:
                self._rest(child)
            else:
                await self._end(child)

    async def close(self) -> None:
        """Ends the children. Tasks under way fail."""
        self._closed = True
        self._idle.clear()
        await asyncio.gather(*self._ending)
        await asyncio.gather(*(self._end(child) for child in list(self._children)))

    async def _take(self) -> _Child:
        if self._closed:
            raise ModelUnavailable(_WHO, "it is closed")
        while self._idle:
            child = self._idle.pop()
            if child.alive:
                return child
            await self._end(child)
        limits = (str(self._limits.megabytes), str(self._limits.copy_bytes))
        child = await _Child.start(await Process.spawn("craton.data.viewing.child", limits))
        self._children.add(child)
        return child

    def _rest(self, child: _Child) -> None:
        """Nothing to do; after a while without any, its memory is given back."""
        self._idle.append(child)
        asyncio.get_running_loop().call_later(self._limits.idle_seconds, self._retire, child, child.tasks)

    def _retire(self, child: _Child, tasks: int) -> None:
        if child in self._idle and child.tasks == tasks:
            self._idle.remove(child)
            ending = asyncio.create_task(self._end(child))
            self._ending.add(ending)
            ending.add_done_callback(self._ending.discard)

    async def _end(self, child: _Child) -> int:
        self._children.discard(child)
        return await child.end()

    async def _reason(self, child: _Child) -> CratonError:
        code = await self._end(child)
        if self._closed:
            return ModelUnavailable(_WHO, "it was closed")
        log.warning("a file ended its reader: %s\n%s", how_it_ended(code), child.last_words())
        if code == -signal.SIGPROF:
            return TooLarge("The processor time to read the file", int(self._limits.cpu_seconds), unit="seconds")
        return Damaged("The file", "the process that read it did not survive it")


class _Died(Exception):
    """The child went away instead of answering."""


class _Child:
    """One process; one task at a time."""

    def __init__(self, process: Process) -> None:
        self.tasks = 0
        self.alive = True
        self._process = process
        self._connection: Connection[ChildFrame] | None = None
        self._answer: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()

    @classmethod
    async def start(cls, process: Process) -> _Child:
        """Raises ModelUnavailable when it does not start."""
        child = cls(process)
        child._connection = await Connection[ChildFrame].open(process.sock, ChildFrame, child._received, child._closed)
        try:
            await asyncio.wait_for(child._answer, _START_SECONDS)
        except (TimeoutError, _Died):
            await child.end()
            log.error("the process that reads tables did not start:\n%s", process.last_words())
            raise ModelUnavailable(_WHO, "its process did not start") from None
        except BaseException:
            await child.end()
            raise
        return child

    async def ask(self, order: Order) -> bytes:
        if not self.alive or self._connection is None:
            raise _Died
        self._answer = asyncio.get_running_loop().create_future()
        self._connection.send(order)
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
        if isinstance(frame, Answer):
            self._answer.set_result(frame.value)
        elif isinstance(frame, Failed):
            self._answer.set_exception(from_wire(frame.error, _WHO))
        elif isinstance(frame, Started):
            self._answer.set_result(b"")

    def _closed(self, _why: str) -> None:
        self.alive = False
        if not self._answer.done():
            self._answer.set_exception(_Died())
