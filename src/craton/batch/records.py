"""All records of a batch: counted, asked, written out.

What it leaves for the next attempt lies in its folder: the plan (which inputs there are) and the answers so far. A
batch that goes on where that folder is not (another machine) counts and asks anew; its outputs are then as they would
have been.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from contextlib import suppress
from typing import Any

from craton.batch.answering import Answering, TimedOut
from craton.batch.asking import Asking
from craton.batch.keeping import Keeping
from craton.batch.ledger import Ledger
from craton.batch.planning import Inputs, Plan
from craton.batch.publishing import PUBLISHED, Publishing
from craton.batch.tally import Tally
from craton.batch.values import Counts, Status
from craton.buckets.buckets import Buckets
from craton.core.errors import CratonError
from craton.core.job import JobCancelled

TICK = 0.5  # seconds between two looks at how far it is


class Records:
    """One attempt."""

    def __init__(
        self, ledger: Ledger, answering: Answering, buckets: Buckets, inputs: Inputs, keeping: Keeping
    ) -> None:
        self._ledger, self._answering, self._buckets = ledger, answering, buckets
        self._inputs, self._keeping = inputs, keeping

    async def run(self) -> Counts:
        """Raises JobCancelled and CratonError when what was answered by then is written, JobLost at once."""
        plan, published = await self._planned()
        spool = await asyncio.to_thread(self._keeping.spool)
        try:
            tally = await asyncio.to_thread(Tally, plan, spool)
            publishing = Publishing(self._ledger, self._buckets, plan, tally, self._answering, published)
            if PUBLISHED not in self._ledger.state:
                await publishing.refuse_others()
                await self._ledger.save({PUBLISHED: 0})
            asking = Asking(self._ledger, self._inputs, plan, tally, self._answering)
            phase = await self._answered(asking, tally, publishing)
            await self._ledger.tell(phase, tally.counts)
            return tally.counts
        finally:
            spool.close()

    async def _planned(self) -> tuple[Plan, int]:
        """The plan, and how many outputs of it are written."""
        kept = await asyncio.to_thread(self._keeping.plan)
        if kept is not None:
            return kept, self._ledger.state.get(PUBLISHED, 0)
        await self._ledger.tell("validating", Counts())
        plan = await self._inputs.plan(self._ledger.heed)
        await asyncio.to_thread(self._keeping.keep, plan)
        return plan, 0

    async def _answered(self, asking: Asking, tally: Tally, publishing: Publishing) -> Status:
        """How it ended, when all is written."""
        try:
            phase = await self._asked(asking, tally, publishing)
        except JobCancelled:
            await _to_its_end(publishing.finish())
            await self._ledger.tell("stopped", tally.counts)
            raise
        except CratonError:
            with suppress(CratonError):
                await publishing.finish()
                await self._ledger.tell("failed", tally.counts)
            raise
        await publishing.finish()
        return phase

    async def _asked(self, asking: Asking, tally: Tally, publishing: Publishing) -> Status:
        try:
            self._ledger.check()
            at_once = await self._answering.start()
            await _first(asking.run(at_once), self._watch(tally), publishing.follow())
        except TimedOut:
            answered = bool(tally.counts.succeeded)
            await asking.give_up()
            return "partial" if answered else "expired"
        return "completed"

    async def _watch(self, tally: Tally) -> None:
        """Says how far it is, until something is to end it."""
        while True:
            self._ledger.check()
            await asyncio.to_thread(tally.spool.sync)
            await self._ledger.tell("running", tally.counts)
            await asyncio.sleep(TICK)


async def _first(work: Coroutine[Any, Any, None], *beside: Coroutine[Any, Any, None]) -> None:
    """Until the work is done, or something beside it raised."""
    tasks = [asyncio.create_task(one) for one in (work, *beside)]
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        for task in tasks:
            if task.done():
                task.result()
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def _to_its_end(work: Coroutine[Any, Any, None]) -> None:
    """Goes on while this task is told to end: what was answered is to be written. (Whoever waits for the process ends
    it when that takes too long.)"""
    task = asyncio.create_task(work)
    while not task.done():
        with suppress(asyncio.CancelledError):
            await asyncio.wait([task])
    task.result()
