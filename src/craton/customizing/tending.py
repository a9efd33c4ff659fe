"""The server's background work for what is deployed: a new deployment answers once before it is called active, and
what is provisioned is loaded and stays so.

It looks at the rows, so a server that was ended takes up where it was. Two servers on one database both do it: each has
its own workers to load, and what they write is the same.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterable
from contextlib import suppress

from craton.core.errors import CratonError
from craton.customizing import tables
from craton.customizing.holding import Hold, Holder
from craton.customizing.probing import probe
from craton.customizing.rows import deployments, throughputs
from craton.customizing.settling import Settling
from craton.customizing.values import Deployment, Throughput
from craton.serve.directory import Directory
from craton.serve.pool import Pool
from craton.store.database import Database

LOOK = 1.0  # seconds between two looks at what other processes wrote

log = logging.getLogger("craton.customizing")


class Tending:
    """`start` before it is used, `close` at the end."""

    def __init__(self, database: Database, directory: Directory, pool: Pool, clock: Callable[[], float]) -> None:
        self._database, self._directory, self._pool = database, directory, pool
        self._settling = Settling(database, clock)
        self._holder = Holder(directory, pool, self._name, self._held)
        self._woken = asyncio.Event()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._looking: asyncio.Task[None] | None = None
        self._trying: dict[tuple[str, str, str], asyncio.Task[None]] = {}
        self._holding: dict[Hold, asyncio.Task[None]] = {}

    def start(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._looking = asyncio.create_task(self._look())

    def changed(self) -> None:
        """A row changed: what a name means is asked anew. May be called in any thread, also before `start`."""
        self._directory.forget()
        if self._loop is not None and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._woken.set)

    async def close(self) -> None:
        found = (self._looking, *self._trying.values(), *self._holding.values())
        tasks = [task for task in found if task is not None]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _look(self) -> None:
        while True:
            self._woken.clear()
            try:
                waiting, provisioned = await asyncio.to_thread(self._rows)
                self._try(waiting)
                self._hold(provisioned)
            except Exception:
                log.exception("looking for what is deployed failed; it is tried again")
            with suppress(TimeoutError):
                async with asyncio.timeout(LOOK):
                    await self._woken.wait()

    def _rows(self) -> tuple[list[Deployment], list[Throughput]]:
        waiting = tables.deployments.c.status.in_(("creating", "updating"))
        kept = tables.throughputs.c.status != "failed"
        with self._database.read() as connection:
            return deployments.every(connection, waiting), throughputs.every(connection, kept)

    def _try(self, waiting: Iterable[Deployment]) -> None:
        for one in waiting:
            key = (one.tenant, one.id, one.coming)
            if key not in self._trying:
                self._trying[key] = asyncio.create_task(self._deploy(one))

    async def _deploy(self, one: Deployment) -> None:
        failure = ""
        try:
            name = await asyncio.to_thread(self._settling.name, one.tenant, one.coming)
            target = await self._directory.find(one.tenant, name)
            async with self._pool.use(target) as loaded:
                await probe(loaded, target)
        except CratonError as error:
            failure = str(error)
        except Exception:
            log.exception("deployment %s failed", one.name)
            failure = "An internal error happened. The log has it."
        try:
            await asyncio.to_thread(self._settling.deployed, one, failure)
            self._directory.forget()
        finally:  # the next look tries again what could not be written down
            del self._trying[one.tenant, one.id, one.coming]

    def _hold(self, provisioned: Iterable[Throughput]) -> None:
        wanted: dict[Hold, bool] = {}
        for one in provisioned:
            wanted[Hold.present(one)] = one.status != "creating"
            if one.changing:
                wanted.setdefault(Hold.desired(one), False)
        for hold in self._holding.keys() - wanted.keys():
            self._holding.pop(hold).cancel()
        for hold, answered in wanted.items():
            if hold not in self._holding or self._holding[hold].done():
                self._holding[hold] = asyncio.create_task(self._holder.hold(hold, answered=answered))

    async def _name(self, hold: Hold) -> str:
        return hold.base or await asyncio.to_thread(self._settling.name, hold.tenant, hold.custom)

    async def _held(self, hold: Hold, failure: str) -> None:
        await asyncio.to_thread(self._settling.held, hold, failure)
        self._directory.forget()
