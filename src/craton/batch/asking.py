"""Asks the model for the records that have no answer yet, as many at once as its engine runs."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable

from msgspec.structs import replace

from craton.batch.answering import Answered, Answering, Asked, Record, TimedOut
from craton.batch.ledger import Ledger
from craton.batch.lines import Line
from craton.batch.planning import Inputs, Plan
from craton.batch.tally import Tally
from craton.core.errors import CratonError, ModelFailed, ModelUnavailable, Throttled
from craton.core.streams import closing

TRIES = 3  # of a record whose worker died, or that found no place
HELD = 256 * 1024 * 1024  # bytes of records that are in memory at once, beside the one that is read
_TRANSIENT = (Throttled, ModelUnavailable, ModelFailed)


class Asking:
    """Of one process that works on a batch."""

    def __init__(self, ledger: Ledger, inputs: Inputs, plan: Plan, tally: Tally, answering: Answering) -> None:
        self._ledger, self._inputs, self._plan, self._tally = ledger, inputs, plan, tally
        self._answering = answering
        self._room = asyncio.Condition()
        self._held = 0

    async def run(self, at_once: int) -> None:
        """Until all are answered. Raises ChangedInput and what `Ledger.check` raises."""
        queue: asyncio.Queue[Record | None] = asyncio.Queue(1)
        reading = asyncio.create_task(self._read(queue, at_once))
        working = [asyncio.create_task(self._work(queue)) for _ in range(at_once)]
        tasks = [reading, *working]
        try:
            await asyncio.wait(tasks, return_when=asyncio.FIRST_EXCEPTION)
            for task in tasks:
                if task.done():
                    task.result()
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def give_up(self) -> None:
        """What is not answered is told to have come too late."""
        async with closing(self._missing(self._ledger.heed)) as missing:
            async for record in missing:
                self._tally.add(record.number, self._answering.refuse(record, TimedOut()))

    async def _read(self, queue: asyncio.Queue[Record | None], readers: int) -> None:
        async with closing(self._missing(self._ledger.check)) as missing:
            async for record in missing:
                async with self._room:
                    await self._room.wait_for(lambda: self._held < HELD)
                    self._held += len(record.data or b"")
                await queue.put(record)
        for _ in range(readers):
            await queue.put(None)

    async def _missing(self, check: Callable[[], None]) -> AsyncIterator[Record]:
        number = 0
        for one in self._plan.inputs:
            async with closing(self._inputs.read(one, check)) as found:
                async for line in found:
                    if not self._tally.has(number):
                        yield self._record(number, line)
                    number += 1

    def _record(self, number: int, line: Line) -> Record:
        return Record(self._ledger.batch.id, number, line.number, line.data, tries_before(self._ledger.attempt))

    async def _work(self, queue: asyncio.Queue[Record | None]) -> None:
        while (record := await queue.get()) is not None:
            self._ledger.check()
            answered = await self._answer(record)
            self._tally.add(record.number, answered)
            async with self._room:
                self._held -= len(record.data or b"")
                self._room.notify()

    async def _answer(self, record: Record) -> Answered:
        try:
            return await persist(self._answering, record)
        except CratonError as error:
            return self._answering.refuse(record, error)


def tries_before(attempt: int) -> int:
    """The most that a record can have been asked by the processes before this one."""
    return (attempt - 1) * TRIES


async def persist(asked: Asked, record: Record) -> Answered:
    """Asks again, a few times, when it was not the record's fault. Raises CratonError."""
    for more in range(1, TRIES):
        try:
            return await asked.answer(record)
        except _TRANSIENT as error:
            await asyncio.sleep(max(more * 0.5, error.retry_after if isinstance(error, Throttled) else 0.0))
            record = replace(record, tries=record.tries + 1)
    return await asked.answer(record)
