"""A model that stays loaded: somebody who uses it as long as its throughput exists."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable

from msgspec import Struct
from msgspec.structs import replace

from craton.core.errors import CratonError
from craton.customizing.probing import probe
from craton.customizing.values import Throughput
from craton.serve.directory import Directory
from craton.serve.loaded import Loaded
from craton.serve.pool import Pool
from craton.serve.target import Target, scaled

LOOK = 0.5  # seconds between two looks whether it is still the one that answers
SHORTEST_PAUSE, LONGEST_PAUSE = 1.0, 30.0  # after failures, doubling

log = logging.getLogger("craton.customizing")


class Hold(Struct, frozen=True):
    """What is held for a throughput. custom: a custom model's id; else base, a foundation model's name."""

    tenant: str
    throughput: str
    custom: str
    base: str
    units: int

    @classmethod
    def present(cls, one: Throughput) -> Hold:
        return cls(one.tenant, one.id, one.model, one.base, one.units)

    @classmethod
    def desired(cls, one: Throughput) -> Hold:
        return cls(one.tenant, one.id, one.desired, one.desired_base, one.units)


Told = Callable[[Hold, str], Awaitable[None]]
"""How the first try ended: the failure, "" when the model answered."""


class Holder:
    """Loads it again when it was unloaded past it, or when another worker has taken the place of its own."""

    def __init__(self, directory: Directory, pool: Pool, name: Callable[[Hold], Awaitable[str]], told: Told) -> None:
        self._directory, self._pool, self._name, self._told = directory, pool, name, told

    async def hold(self, hold: Hold, *, answered: bool) -> None:
        """Until it is cancelled, or its first try failed. answered: whether it did so in an earlier process."""
        pause = SHORTEST_PAUSE
        while True:
            try:
                target = await self._target(hold)
                async with self._pool.use(target) as loaded:
                    if not answered:
                        await probe(loaded, target)
                        await self._told(hold, "")
                        answered = True
                    pause = SHORTEST_PAUSE
                    await self._stay(target, loaded)
                continue
            except CratonError as error:
                failure = str(error)
            except Exception:
                log.exception("the model of throughput %s could not be held", hold.throughput)
                failure = "An internal error happened. The log has it."
            if not answered:
                await self._told(hold, failure)
                return
            log.warning("the model of throughput %s is not loaded: %s", hold.throughput, failure)
            await asyncio.sleep(pause)
            pause = min(LONGEST_PAUSE, 2 * pause)

    async def _stay(self, target: Target, loaded: Loaded) -> None:
        """As long as this is the worker that answers."""
        while self._pool.holds(target) and not loaded.finishing:  # noqa: ASYNC110  # the pool tells nobody
            await asyncio.sleep(LOOK)

    async def _target(self, hold: Hold) -> Target:
        found = await self._directory.find(hold.tenant, await self._name(hold))
        return scaled(replace(found, units=hold.units))
