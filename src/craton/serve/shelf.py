"""What is loaded, and the memory that it takes together."""

from __future__ import annotations

import asyncio

from craton.core.errors import ModelUnavailable
from craton.serve.loaded import Loaded
from craton.serve.target import Target


class Shelf:
    """memory: bytes that all of it may take. by_place: one for each place."""

    def __init__(self, memory: int) -> None:
        self._memory = memory
        self.by_place: dict[str, Loaded] = {}
        self._finishing: list[Loaded] = []
        self._closing: set[asyncio.Task[None]] = set()

    def all(self) -> list[Loaded]:
        """With those that only finish what they have begun: they take memory too."""
        return [*self.by_place.values(), *self._finishing]

    def holding(self, target: Target) -> Loaded | None:
        loaded = self.by_place.get(target.place)
        return loaded if loaded is not None and target.key in loaded.members else None

    def put(self, place: str, loaded: Loaded) -> None:
        """Who uses what was there before goes on with that."""
        old = self.by_place.get(place)
        self.by_place[place] = loaded
        if old is not None:
            old.finishing = True
            self._finishing.append(old)
            self.finish(old)

    def finish(self, loaded: Loaded) -> None:
        """Ends one whose place another has taken, once nobody uses it."""
        if loaded in self._finishing and not loaded.users:
            self._finishing.remove(loaded)
            task = asyncio.create_task(loaded.engine.close())
            self._closing.add(task)
            task.add_done_callback(self._closing.discard)

    async def close(self, place: str) -> None:
        loaded = self.by_place.pop(place, None)
        if loaded is not None:
            await loaded.engine.close()

    async def close_all(self) -> None:
        for place in list(self.by_place):
            await self.close(place)
        for loaded in self._finishing:
            await loaded.engine.close()
        await asyncio.gather(*self._closing, return_exceptions=True)

    async def make_room(self, target: Target, needed: int) -> None:
        """Ends what nobody uses, the longest unused first, until there is room for so many bytes. Raises
        ModelUnavailable."""
        if needed > self._memory:
            raise ModelUnavailable(
                target.info.id,
                f"it needs about {_mib(needed)} MiB, and models may use {_mib(self._memory)} MiB together.",
            )
        idle = sorted((item for item in self.by_place.items() if not item[1].users), key=lambda i: i[1].last_used)
        while self._used() + needed > self._memory and idle:
            await self.close(idle.pop(0)[0])
        if self._used() + needed > self._memory:
            raise ModelUnavailable(
                target.info.id,
                f"it needs about {_mib(needed)} MiB, and the models in use leave "
                f"{_mib(self._memory - self._used())} MiB.",
            )

    def _used(self) -> int:
        return sum(loaded.bytes_needed for loaded in self.all())


def _mib(size: int) -> int:
    return size // 2**20
