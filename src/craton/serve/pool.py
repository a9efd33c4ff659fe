"""The loaded models: each is loaded once, used by many, unloaded when idle or when another needs its memory.

llama.cpp takes adapters only when it starts. So one more adapter over a base means that another worker is started with
all that are in use, and takes the place of the first, which finishes what it has begun. Those that are asked for
meanwhile come together with the next.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass

from craton.core.errors import CratonError, Damaged, ModelUnavailable, Unsupported
from craton.engines.protocol import Engine
from craton.serve.admission import Admission
from craton.serve.failures import LOAD_FAILURE_MEMORY, REFUSAL_MEMORY, Failures
from craton.serve.loaded import Loaded, Member
from craton.serve.shelf import Shelf
from craton.serve.target import Target

LoadEngine = Callable[[Target], Awaitable[Engine]]
ShareEngine = Callable[[Sequence[Target], Collection[str]], Awaitable[tuple[Engine, Mapping[str, CratonError]]]]
"""One engine for several targets; the keys of those that have run before. With the errors of those that it refuses."""

_TRIES = 3

log = logging.getLogger("craton.pool")


@dataclass(slots=True)
class PoolLimits:
    """memory: bytes that loaded models may take together. idle: seconds after which an unused one goes.

    waiting: how many requests may queue for one model.
    """

    memory: int
    idle: float = 900.0
    waiting: int = 256


@dataclass(slots=True)
class _Batch:
    """Targets of one place that are loaded together."""

    targets: list[Target]
    task: asyncio.Task[None]


class Pool:
    """load: makes the engine of a target. needed: bytes it will take. share: makes the engine of several."""

    def __init__(
        self,
        load: LoadEngine,
        needed: Callable[[Target], int],
        limits: PoolLimits,
        monotonic: Callable[[], float] = time.monotonic,
        share: ShareEngine | None = None,
    ) -> None:
        self._load, self._needed, self._share = load, needed, share
        self._limits, self._monotonic = limits, monotonic
        self._shelf = Shelf(limits.memory)
        self._failures = Failures(monotonic)
        self._loading: dict[str, _Batch] = {}  # by target
        self._gathering: dict[str, _Batch] = {}  # by place, as long as more may come to it
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
        loaded = self._shelf.holding(target)
        if loaded is None:
            try:
                async with asyncio.timeout_at(ends):
                    loaded = await self._get(target)
            except TimeoutError:
                raise ModelUnavailable(target.info.id, "it is still loading; try again.") from None
        try:
            with loaded.used(target, self._monotonic):
                yield loaded
        finally:
            self._shelf.finish(loaded)

    def holds(self, target: Target) -> bool:
        """Whether it is loaded now: `use` would not wait."""
        return self._shelf.holding(target) is not None

    async def unload(self, model: str) -> bool:
        """Ends every loaded revision of this model, in use or not. False when none was loaded.

        One that shares its worker is taken out of it: what it took alone comes back with the worker's next start.
        """
        found = False
        for place, loaded in list(self._shelf.by_place.items()):
            keys = [key for key, member in loaded.members.items() if member.target.info.id == model]
            found = found or bool(keys)
            if len(keys) == len(loaded.members):
                await self._shelf.close(place)
                continue
            for key in keys:
                del loaded.members[key]
        return found

    def loaded(self) -> list[Loaded]:
        return self._shelf.all()

    async def close(self) -> None:
        if self._reaper is not None:
            self._reaper.cancel()
        for batch in list(self._loading.values()):
            batch.task.cancel()
        await self._shelf.close_all()

    async def _get(self, target: Target) -> Loaded:
        for _ in range(_TRIES):
            self._failures.check(target)
            batch = self._loading.get(target.key) or self._gather(target)
            # Shielded: the client that asked first may leave while others wait for the same load.
            await asyncio.shield(batch.task)
            self._failures.check(target)
            if (loaded := self._shelf.holding(target)) is not None:
                return loaded
        raise ModelUnavailable(target.info.id, "other models took its memory before it was used; try again.")

    def _gather(self, target: Target) -> _Batch:
        batch = self._gathering.get(target.place)
        if batch is None:
            batch = _Batch([], asyncio.create_task(self._load_batch(target.place)))
            batch.task.add_done_callback(_retrieve)
            self._gathering[target.place] = batch
        batch.targets.append(target)
        self._loading[target.key] = batch
        return batch

    async def _load_batch(self, place: str) -> None:
        batch = self._gathering[place]
        try:
            async with self._room:
                del self._gathering[place]
                # Somebody else's load may have brought one along in the meantime.
                wanted = [target for target in batch.targets if self._shelf.holding(target) is None]
                if wanted:
                    await self._load_targets(place, wanted)
        finally:
            if self._gathering.get(place) is batch:
                del self._gathering[place]
            for target in batch.targets:
                self._loading.pop(target.key, None)

    async def _load_targets(self, place: str, targets: list[Target]) -> None:
        """What became of each, the shelf tells afterwards, or its failure."""
        try:
            if targets[0].overlay is None:
                await self._load_alone(targets[0])
            else:
                await self._widen(place, targets)
        except CratonError as error:
            if len(targets) == 1:
                self._failures.add(targets[0], error)
                return
            for target in targets:  # one of them may be to blame, and the others shall not suffer
                await self._load_targets(place, [target])

    async def _load_alone(self, target: Target) -> None:
        needed = self._needed(target)
        await self._shelf.make_room(target, needed)
        self._put(await self._load(target), [Member(target, self._monotonic())], needed)

    async def _widen(self, place: str, targets: list[Target]) -> None:
        """A worker with these targets, and with those that are there already and were used lately."""
        if self._share is None:
            raise Unsupported(f"Running {targets[0].info.id!r}", "No engine here applies adapters.")
        old = self._shelf.by_place.get(place)
        kept = [] if old is None else old.lately(self._monotonic() - self._limits.idle)
        if old is not None and not old.users:
            await self._shelf.close(place)  # nobody notices, and its memory serves the new one
            old = None
        needed = await self._make_room_for(targets, kept)
        members = [Member(target, self._monotonic()) for target in targets] + kept
        engine, refused = await self._share([it.target for it in members], [it.target.key for it in kept])
        for target in targets:
            if target.key in refused:
                error = refused[target.key]
                lasting = isinstance(error, Damaged | Unsupported)
                self._failures.add(target, error, REFUSAL_MEMORY if lasting else LOAD_FAILURE_MEMORY)
        members = [member for member in members if member.target.key not in refused]
        if not members or (old is not None and all(target.key in refused for target in targets)):
            await engine.close()  # nothing was gained
            return
        self._put(engine, members, needed)

    async def _make_room_for(self, targets: list[Target], kept: list[Member]) -> int:
        """For as many as there is room for; the others are taken out of `kept`, the longest unused first."""
        while True:
            beside = [*targets[1:], *(member.target for member in kept)]
            needed = self._needed(targets[0]) + sum(target.overlay.size for target in beside if target.overlay)
            try:
                await self._shelf.make_room(targets[0], needed)
            except ModelUnavailable:
                if not kept:
                    raise
                kept.pop(0)
            else:
                return needed

    def _put(self, engine: Engine, members: Sequence[Member], needed: int) -> None:
        admission = Admission(engine.capabilities.concurrency, self._limits.waiting)
        by_key = {member.target.key: Member(member.target, member.last_used) for member in members}
        place = members[0].target.place
        self._shelf.put(place, Loaded(by_key, engine, admission, needed, last_used=self._monotonic()))

    async def _unload_idle(self) -> None:
        while True:
            await asyncio.sleep(min(self._limits.idle / 4, 30))
            now = self._monotonic()
            for place, loaded in list(self._shelf.by_place.items()):
                if not loaded.users and now - loaded.last_used > self._limits.idle:
                    log.info("unloading %s, idle for %.0f s", loaded.target.info.id, now - loaded.last_used)
                    await self._shelf.close(place)


def _retrieve(task: asyncio.Task[None]) -> None:
    """Marks the error of a load that nobody waits for any more as seen."""
    if not task.cancelled():
        task.exception()
