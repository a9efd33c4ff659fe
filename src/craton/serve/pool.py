"""The loaded models: each is loaded once, used by many, unloaded when idle or when another needs its memory."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from craton.core.errors import CratonError, ModelUnavailable
from craton.engines.protocol import Engine
from craton.serve.admission import Admission
from craton.serve.target import Target

LoadEngine = Callable[[Target], Awaitable[Engine]]
LOAD_FAILURE_MEMORY = 5.0  # seconds in which a model that failed to load is not tried again

log = logging.getLogger("craton.pool")


@dataclass(slots=True)
class Loaded:
    """One loaded model. bytes_needed: the estimate it was admitted with."""

    target: Target
    engine: Engine
    admission: Admission
    bytes_needed: int
    loaded_at: float
    users: int = 0
    last_used: float = 0.0


@dataclass(slots=True)
class _Failure:
    error: CratonError
    at: float


@dataclass(slots=True)
class PoolLimits:
    """memory: bytes that loaded models may take together. idle: seconds after which an unused one goes.

    waiting: how many requests may queue for one model.
    """

    memory: int
    idle: float = 900.0
    waiting: int = 256


@dataclass(slots=True)
class _State:
    loaded: dict[str, Loaded] = field(default_factory=dict)
    loading: dict[str, asyncio.Task[Loaded]] = field(default_factory=dict)
    failed: dict[str, _Failure] = field(default_factory=dict)


class Pool:
    """load: makes the engine of a target. needed: bytes it will take."""

    def __init__(
        self,
        load: LoadEngine,
        needed: Callable[[Target], int],
        limits: PoolLimits,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._load = load
        self._needed = needed
        self._limits = limits
        self._monotonic = monotonic
        self._state = _State()
        self._room = asyncio.Lock()  # one at a time makes room, so that two loads cannot both count the same bytes
        self._reaper: asyncio.Task[None] | None = None

    def start(self) -> None:
        self._reaper = asyncio.create_task(self._unload_idle())

    @asynccontextmanager
    async def use(self, target: Target, ends: float | None = None) -> AsyncIterator[Loaded]:
        """The loaded model, loaded for the length of the block. Loads it when needed (once for all that wait).

        ends: the loop's time until which a load is waited for; it goes on without us.
        Raises ModelUnavailable when it cannot be loaded (in time), or the load's own error (Damaged, Unsupported).
        """
        loaded = self._state.loaded.get(target.key)
        if loaded is None:
            try:
                async with asyncio.timeout_at(ends):
                    loaded = await self._get(target)
            except TimeoutError:
                raise ModelUnavailable(target.info.id, "it is still loading; try again.") from None
        loaded.users += 1
        try:
            yield loaded
        finally:
            loaded.users -= 1
            loaded.last_used = self._monotonic()

    def holds(self, target: Target) -> bool:
        """Whether it is loaded now: `use` would not wait."""
        return target.key in self._state.loaded

    async def unload(self, model: str) -> bool:
        """Ends every loaded revision of this model, in use or not. False when none was loaded."""
        keys = [key for key, loaded in self._state.loaded.items() if loaded.target.info.id == model]
        for key in keys:
            await self._close(key)
        return bool(keys)

    def loaded(self) -> list[Loaded]:
        return list(self._state.loaded.values())

    async def close(self) -> None:
        if self._reaper is not None:
            self._reaper.cancel()
        for task in list(self._state.loading.values()):
            task.cancel()
        for key in list(self._state.loaded):
            await self._close(key)

    async def _get(self, target: Target) -> Loaded:
        failure = self._state.failed.get(target.key)
        if failure is not None:
            if self._monotonic() - failure.at < LOAD_FAILURE_MEMORY:
                raise failure.error
            del self._state.failed[target.key]
        task = self._state.loading.get(target.key)
        if task is None:
            task = asyncio.create_task(self._load_into_pool(target))
            task.add_done_callback(_retrieve)
            self._state.loading[target.key] = task
        # Shielded: the client that asked first may leave while others wait for the same load.
        return await asyncio.shield(task)

    async def _load_into_pool(self, target: Target) -> Loaded:
        try:
            async with self._room:
                needed = self._needed(target)
                await self._make_room(target, needed)
                engine = await self._load(target)
            capacity = engine.capabilities.concurrency
            now = self._monotonic()
            loaded = Loaded(target, engine, Admission(capacity, self._limits.waiting), needed, now, last_used=now)
            self._state.loaded[target.key] = loaded
            return loaded
        except CratonError as error:
            self._state.failed[target.key] = _Failure(error, self._monotonic())
            raise
        finally:
            self._state.loading.pop(target.key, None)

    async def _make_room(self, target: Target, needed: int) -> None:
        if needed > self._limits.memory:
            raise ModelUnavailable(
                target.info.id,
                f"it needs about {_mib(needed)} MiB, and models may use {_mib(self._limits.memory)} MiB together.",
            )
        idle = sorted((item for item in self._state.loaded.items() if not item[1].users), key=lambda i: i[1].last_used)
        while self._used() + needed > self._limits.memory and idle:
            await self._close(idle.pop(0)[0])
        if self._used() + needed > self._limits.memory:
            raise ModelUnavailable(
                target.info.id,
                f"it needs about {_mib(needed)} MiB, and the models in use leave "
                f"{_mib(self._limits.memory - self._used())} MiB.",
            )

    def _used(self) -> int:
        return sum(loaded.bytes_needed for loaded in self._state.loaded.values())

    async def _close(self, key: str) -> None:
        loaded = self._state.loaded.pop(key, None)
        if loaded is not None:
            await loaded.engine.close()

    async def _unload_idle(self) -> None:
        while True:
            await asyncio.sleep(min(self._limits.idle / 4, 30))
            now = self._monotonic()
            for key, loaded in list(self._state.loaded.items()):
                if not loaded.users and now - loaded.last_used > self._limits.idle:
                    log.info("unloading %s, idle for %.0f s", loaded.target.info.id, now - loaded.last_used)
                    await self._close(key)


def _retrieve(task: asyncio.Task[Loaded]) -> None:
    """Marks the error of a load that nobody waits for any more as seen; `failed` has kept it."""
    if not task.cancelled():
        task.exception()


def _mib(size: int) -> int:
    return size // 2**20
