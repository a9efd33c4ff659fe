"""The server's background work for knowledge bases: it looks for what is to be done, and does it base by base.

One server does this. If two did, nothing would be wrong: what is carried twice is the same, and marks only move
forward.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping
from contextlib import suppress

from craton.core.errors import CratonError
from craton.index.protocol import Index, Indexes
from craton.knowledge.syncing import marks as rows
from craton.knowledge.syncing.carrying import Carrying
from craton.knowledge.syncing.opened import OpenIndexes
from craton.store.database import Database

BUSY, IDLE = 0.2, 1.0  # seconds between two looks: shortly after there was something, and else
STAYS_BUSY = 10.0  # seconds
SHORTEST_PAUSE, LONGEST_PAUSE = 1.0, 30.0  # after failures of one base's index, doubling

Key = tuple[str, str]
"""tenant, base"""

log = logging.getLogger("craton.syncing")


class Syncing:
    """Owns the open indexes of this process."""

    def __init__(self, database: Database, places: Mapping[str, Indexes], clock: Callable[[], float]) -> None:
        """places: "edge", "qdrant", "postgres" or "qdrant:NAME" -> where such indexes live (`knowledge.places`)."""
        self._database, self._places = database, places
        self._indexes = OpenIndexes(database, places)
        self._carrying = Carrying(database, self._indexes, clock)
        self._woken = asyncio.Event()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._looking: asyncio.Task[None] | None = None
        self._working: dict[Key, asyncio.Task[None]] = {}
        self._pauses: dict[Key, tuple[float, float]] = {}

    def start(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._looking = asyncio.create_task(self._look())

    def wake(self) -> None:
        """There is something to do. May be called in any thread, also before `start`."""
        if self._loop is not None and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._woken.set)

    async def open_index(self, tenant: str, base: str) -> Index:
        """The index that answers for this base (its id). Ask again for each search: it may be replaced.

        Raises NotFound, InvalidRequest, and what its place raises.
        """
        return await self._indexes.open(tenant, base)

    async def lost(self, tenant: str, base: str, index: Index) -> None:
        """For who found this index Damaged while searching: another one is filled from the rows."""
        await self._indexes.lost(tenant, base, index)
        self.wake()

    async def close(self) -> None:
        """Ends the work and closes the indexes; their places stay open."""
        tasks = [task for task in (self._looking, *self._working.values()) if task is not None]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await self._carrying.close()
        await self._indexes.close_all()

    async def _look(self) -> None:
        loop = asyncio.get_running_loop()
        busy_until = loop.time() + STAYS_BUSY
        while True:
            self._woken.clear()
            try:
                found = await asyncio.to_thread(rows.waiting, self._database)
            except Exception:
                log.exception("looking for work failed; it is tried again")
                found = []
            now = loop.time()
            for key in found:
                if key not in self._working and self._pauses.get(key, (0.0, 0.0))[0] <= now:
                    self._working[key] = asyncio.create_task(self._work(key))
            if found:
                busy_until = now + STAYS_BUSY
            with suppress(TimeoutError):
                async with asyncio.timeout(BUSY if now < busy_until else IDLE):
                    await self._woken.wait()

    async def _work(self, key: Key) -> None:
        try:
            while await self._carrying.step(*key):
                pass
            if self._pauses.pop(key, None) is not None:
                await asyncio.to_thread(rows.tell_failure, self._database, *key, "")
        except CratonError as error:
            await self._pause(key, str(error))
        except Exception:
            log.exception("the index of knowledge base %s does not follow", key[1])
            await self._pause(key, "An internal error happened while its index was written. The log has it.")
        finally:
            self._working.pop(key, None)

    async def _pause(self, key: Key, failure: str) -> None:
        _, last = self._pauses.get(key, (0.0, 0.0))
        pause = min(LONGEST_PAUSE, max(SHORTEST_PAUSE, 2 * last))
        self._pauses[key] = (asyncio.get_running_loop().time() + pause, pause)
        if last == 0.0:
            log.warning("the index of knowledge base %s does not follow: %s", key[1], failure)
            with suppress(CratonError):
                await asyncio.to_thread(rows.tell_failure, self._database, *key, failure)
