"""Answers become objects of the bucket: one for each input, whole or not at all, and a summary at the end."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator

from craton.batch.answering import Answering
from craton.batch.ledger import Ledger
from craton.batch.planning import Plan
from craton.batch.tally import Tally
from craton.batch.values import Objects
from craton.buckets.buckets import Buckets
from craton.core.errors import Conflict

LINES, JSON = "application/jsonl", "application/json"
LOOK = 0.2  # seconds between two looks for what can be written
PUBLISHED = "published"
"""Of what is saved for the next attempt: how many outputs are written."""


class Publishing:
    """Into the folder of this batch alone. published: how many outputs are there, of an earlier attempt."""

    def __init__(
        self, ledger: Ledger, buckets: Buckets, plan: Plan, tally: Tally, answering: Answering, published: int
    ) -> None:
        self._ledger, self._buckets, self._place = ledger, buckets, ledger.batch.outputs
        self._plan, self._tally, self._answering = plan, tally, answering
        self._published = published

    async def refuse_others(self) -> None:
        """Raises Conflict when something lies where the outputs go: it is nobody's to write over."""
        async for info in self._buckets.list(self._ledger.tenant, self._place.bucket, f"{self._place.key}/"):
            raise Conflict("object", f"s3://{self._place.bucket}/{info.key}", "it lies where the outputs would go.")

    async def follow(self) -> None:
        """Writes each output as soon as all its records, and those before it, are answered. Does not end."""
        while True:
            while self._published < len(self._plan.inputs) and self._tally.whole(self._published):
                await self._next()
                await self._ledger.save({PUBLISHED: self._published})
            await asyncio.sleep(LOOK)

    async def finish(self) -> None:
        """All that is answered, and the summary."""
        while self._published < len(self._plan.inputs):
            await self._next()
        name, data = self._answering.summary(self._tally.counts)
        await write(self._buckets, self._ledger.tenant, self._place, name, data, JSON)

    async def _next(self) -> None:
        """Durable when this returns. An input none of whose records is answered has no output."""
        one = self._plan.inputs[self._published]
        blocks = self._tally.spool.output(*self._tally.span(self._published))
        first = await asyncio.to_thread(next, blocks, None)
        if first is not None or not one.records:
            key = f"{self._place.key}/{self._answering.output(one.name)}"
            await self._buckets.write(self._ledger.tenant, self._place.bucket, key, _blocks(first, blocks), LINES)
        self._published += 1


async def write(buckets: Buckets, tenant: str, place: Objects, name: str, data: bytes, content_type: str) -> None:
    await buckets.write(tenant, place.bucket, f"{place.key}/{name}", _one(data), content_type)


async def _blocks(first: bytes | None, rest: Iterator[bytes]) -> AsyncIterator[bytes]:
    block = first
    while block is not None:
        yield block
        block = await asyncio.to_thread(next, rest, None)


async def _one(data: bytes) -> AsyncIterator[bytes]:
    yield data
