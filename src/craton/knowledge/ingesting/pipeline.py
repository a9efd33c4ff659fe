"""The stages of an ingestion side by side, with little between them, so that memory does not grow with the source.

list and compare -> prepare (several at once) -> embed -> write -> settle
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

from craton.core.errors import ModelUnavailable
from craton.core.job import Progress
from craton.core.knowledge import Location
from craton.data.documents import Item, Source
from craton.knowledge.ingesting.comparing import BATCH, Comparing
from craton.knowledge.ingesting.embedding import Embedding
from craton.knowledge.ingesting.ledger import Ledger
from craton.knowledge.ingesting.preparing import Broken, Preparing, Unchanged
from craton.knowledge.ingesting.settling import Settling
from craton.knowledge.ingesting.together import together
from craton.knowledge.ingesting.work import Prepared, Slice, Work, slices
from craton.knowledge.ingesting.writing import Writing

LISTED_AHEAD = 100_000  # items, some hundred bytes each
WINDOW_PIECES = 256  # embedded and written together
WINDOW_CHARACTERS = 1_000_000
PREPARED = 256  # documents between preparing and embedding
PATIENCE = 0.5  # seconds that a window waits for more documents before it goes on as it is
HELD_CHARACTERS = 24_000_000  # of texts between preparing and writing; one longer text may be held alone
POLL = 0.1  # seconds between two looks at how far the index is
STALLED = 600.0  # seconds without any progress of the index, after which waiting has no sense


Window = tuple[list[Slice], asyncio.Task[None]]
"""Some slices in their order, and the task that embeds them."""


class Held:
    """How many characters are under way. A document that is larger than the whole waits until it is alone."""

    def __init__(self, most: int) -> None:
        self._most, self._held = most, 0
        self._changed = asyncio.Condition()

    async def take(self, characters: int) -> None:
        async with self._changed:
            await self._changed.wait_for(lambda: self._held == 0 or self._held + characters <= self._most)
            self._held += characters

    async def give(self, characters: int) -> None:
        async with self._changed:
            self._held -= characters
            self._changed.notify_all()


class Pipeline:
    """One pass over a source."""

    def __init__(
        self,
        ledger: Ledger,
        comparing: Comparing,
        preparing: Preparing,
        embedding: Embedding,
        writing: Writing,
        settling: Settling,
        parallel: int,
    ) -> None:
        """parallel: how many documents are prepared at once."""
        self._ledger, self._comparing, self._preparing = ledger, comparing, preparing
        self._embedding, self._writing, self._settling = embedding, writing, settling
        self._parallel = parallel
        self._items: asyncio.Queue[list[Item] | None] = asyncio.Queue(LISTED_AHEAD // BATCH)
        self._work: asyncio.Queue[Work | None] = asyncio.Queue(2 * parallel)
        self._prepared: asyncio.Queue[Prepared | None] = asyncio.Queue(PREPARED)
        self._windows: asyncio.Queue[Window | None] = asyncio.Queue(1)
        self._filling: set[asyncio.Task[None]] = set()
        self._held = Held(HELD_CHARACTERS)
        self._under_way: set[str] = set()
        self._listed = 0
        self._all_listed = False
        self._written = asyncio.Event()

    async def run(self, source: Source, cursor: str | None) -> None:
        """Raises what stops the ingestion as a whole; then all stages have ended."""
        try:
            await together(
                self._list(source, cursor),
                self._compare(),
                self._prepare_all(),
                self._embed(),
                self._write(),
                self._settle(),
            )
        finally:
            for filling in self._filling:
                filling.cancel()
            await asyncio.gather(*self._filling, return_exceptions=True)

    async def _list(self, source: Source, cursor: str | None) -> None:
        """Runs ahead of the rest, so that the total is soon known."""
        async for items in _batches(source.list(cursor)):
            self._listed += len(items)
            await self._items.put(items)
        self._all_listed = True
        await self._items.put(None)
        self._report()

    async def _compare(self) -> None:
        while (items := await self._items.get()) is not None:
            self._ledger.running.check()
            fresh = {item.key: item for item in items if item.key not in self._under_way}
            for work in await asyncio.to_thread(self._comparing.changed, list(fresh.values())):
                self._under_way.add(work.item.key)
                await self._work.put(work)
            self._report()
        for _ in range(self._parallel):
            await self._work.put(None)

    async def _prepare_all(self) -> None:
        await together(*(self._prepare() for _ in range(self._parallel)))
        await self._prepared.put(None)

    async def _prepare(self) -> None:
        while (work := await self._work.get()) is not None:
            self._ledger.running.check()
            made = await self._preparing.prepare(work)
            if isinstance(made, Prepared):
                await self._held.take(len(made.text))
                await self._prepared.put(made)
                continue
            if isinstance(made, Unchanged):
                await asyncio.to_thread(self._comparing.unchanged, made.known, made.item)
            else:
                await self._fail(made)
            self._under_way.discard(work.item.key)

    async def _fail(self, broken: Broken) -> None:
        await asyncio.to_thread(self._comparing.failed, broken.item, broken.location, broken.reason)

    async def _embed(self) -> None:
        """Three windows are embedded side by side (one that is to be written next, one behind it, one that waits for
        its place), so that the model does not wait while one is gathered or written."""
        window: list[Slice] = []
        pieces = characters = 0
        arriving = asyncio.ensure_future(self._prepared.get())
        try:
            while True:
                if window:
                    await asyncio.wait([arriving], timeout=PATIENCE)
                    if not arriving.done():
                        await self._embed_window(window)
                        window, pieces, characters = [], 0, 0
                prepared = await arriving
                if prepared is None:
                    break
                arriving = asyncio.ensure_future(self._prepared.get())
                for part in slices(prepared, WINDOW_PIECES):
                    window.append(part)
                    pieces += len(part.pieces)
                    characters += sum(end - start for start, end in part.pieces)
                    if pieces >= WINDOW_PIECES or characters >= WINDOW_CHARACTERS:
                        await self._embed_window(window)
                        window, pieces, characters = [], 0, 0
        finally:
            arriving.cancel()
        if window:
            await self._embed_window(window)
        await self._windows.put(None)

    async def _embed_window(self, window: list[Slice]) -> None:
        """Begins to; waits while two others are not written yet."""
        self._ledger.running.check()
        good = [part for part in window if not _is_lost(part.prepared)]
        filling = asyncio.create_task(self._embedding.fill(good))
        self._filling.add(filling)
        await self._windows.put((window, filling))

    async def _write(self) -> None:
        while (found := await self._windows.get()) is not None:
            window, filling = found
            await filling
            self._filling.discard(filling)
            good = [part for part in window if not _is_lost(part.prepared)]
            if good:
                await asyncio.to_thread(self._writing.write, good)
            for part in window:
                if part.ends:
                    await self._let_go(part.prepared)
            self._report()
        self._written.set()

    async def _let_go(self, prepared: Prepared) -> None:
        if prepared.failed:
            location: Location = prepared.document.location
            await self._fail(Broken(prepared.work.item, location, prepared.failed))
        self._under_way.discard(prepared.work.item.key)
        await self._held.give(len(prepared.text))

    async def _settle(self) -> None:
        """Until everything is written and everything written is flipped."""
        loop = asyncio.get_running_loop()
        mark, since = (0, 0), loop.time()
        while True:
            written = self._written.is_set()
            if await asyncio.to_thread(self._settling.flip):
                self._report()
                continue
            waiting = await asyncio.to_thread(self._settling.waiting)
            if written and waiting.documents == 0:
                return
            if waiting.mark != mark or waiting.documents == 0:
                mark, since = waiting.mark, loop.time()
            elif loop.time() - since > STALLED:
                why = " ".join(waiting.failures) or "The server that writes it may not be running."
                raise ModelUnavailable("index", f"it takes no documents. {why}")
            self._ledger.running.check()
            await asyncio.sleep(POLL)

    def _report(self) -> None:
        done = self._ledger.statistics.scanned
        total = max(self._listed, done) if self._all_listed else None
        self._ledger.running.report(Progress(done, total, "documents"))


def _is_lost(prepared: Prepared) -> bool:
    return prepared.overtaken or bool(prepared.failed)


async def _batches(items: AsyncIterator[Item]) -> AsyncIterator[list[Item]]:
    batch: list[Item] = []
    async for item in items:
        batch.append(item)
        if len(batch) == BATCH:
            yield batch
            batch = []
    if batch:
        yield batch
