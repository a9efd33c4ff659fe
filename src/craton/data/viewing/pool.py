"""TablePool: processes that read tables."""

from __future__ import annotations

from importlib.util import find_spec
from typing import TypeVar

import msgspec

from craton.children.errors import from_wire
from craton.children.pool import ChildPool, PoolLimits, PoolWords
from craton.children.process import Process
from craton.core.errors import Throttled, Unsupported
from craton.data.viewing.frames import Answer, ChildFrame, Failed, Order, Task
from craton.data.viewing.limits import ViewLimits

T = TypeVar("T")

_MOST_WAITING = 64
_WORDS = PoolWords("the table reader", "file", ChildFrame)


class TablePool:
    """Children start when they are first needed."""

    def __init__(self, processes: int, limits: ViewLimits) -> None:
        """processes: tasks at once."""
        self._limits = limits
        self._waiting = 0
        bounds = PoolLimits(limits.cpu_seconds, limits.wall_seconds, limits.tasks_per_child, limits.idle_seconds)
        self._pool = ChildPool[ChildFrame, bytes](processes, self._spawn, _WORDS, bounds)

    async def run(self, task: Task, kind: type[T]) -> T:
        """What the task gives. Raises Unsupported, TooLarge (also for too much time or memory), Damaged,
        InvalidRequest; Throttled when too many wait; ModelUnavailable when no process can be started."""
        if find_spec("pyarrow") is None:
            raise Unsupported("Looking into datasets", "Install craton[data].")
        if self._waiting >= _MOST_WAITING:
            raise Throttled("Too many tables are being read; try again soon.", 5.0)
        self._waiting += 1
        try:
            return msgspec.msgpack.decode(await self._pool.run(Order(task, self._limits), _answer), type=kind)
        finally:
            self._waiting -= 1

    async def close(self) -> None:
        """Ends the children. Tasks under way fail."""
        await self._pool.close()

    async def _spawn(self) -> Process:
        limits = (str(self._limits.megabytes), str(self._limits.copy_bytes))
        return await Process.spawn("craton.data.viewing.child", limits)


def _answer(frame: ChildFrame) -> bytes | None:
    if isinstance(frame, Failed):
        raise from_wire(frame.error, _WORDS.who)
    return frame.value if isinstance(frame, Answer) else None
