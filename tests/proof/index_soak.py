"""The soak of the embedded index: points by the hundred thousand written, deleted, searched, optimised, and its process
killed all the while; afterwards the index must hold exactly what the truth says, and be fast."""

from __future__ import annotations

import asyncio
import os
import random
import signal
import statistics
import time
from pathlib import Path

import numpy as np
import qdrant_edge

from bench.index import texts, vectors
from craton.core.knowledge import Access
from craton.index.edge import EdgeIndexes
from craton.index.edge.files import read_current
from craton.index.edge.indexes import EdgeIndex
from craton.index.protocol import IndexSpec, Point, Search
from tests.proof.processes import MIB, look
from tests.proof.report import Proof

DIMENSIONS = 384
CLUSTERS = 2_000
BATCH = 500
TENANT = "proof"
SPEC = IndexSpec(TENANT, "soak", DIMENSIONS)
SAMPLE = 40  # points that are looked for after every kill
QUERIES = 200
SECONDS_BETWEEN_KILLS = 8.0  # on average
RECALL, MEDIAN_MS = 0.99, 10.0
DISK_PER_POINT = 6 * 1024  # bytes: a vector in float16, a graph, words and payload take about half

ABOUT = (
    "Clustered synthetic vectors and texts with words as frequent as words are, written in batches of "
    f"{BATCH} through the index process, with deletions and repeated writes between, optimised by itself as it grows. "
    f"The process is killed with SIGKILL every {SECONDS_BETWEEN_KILLS:g} seconds on average; no call may fail. "
    f"After every kill {SAMPLE} points are looked for by vector and by word, and the count is compared; at the end "
    "every id in the shard is compared with the truth. Medians are of hybrid searches for 50 hits in each leg."
)


def prove(folder: Path, points: int) -> Proof:
    return asyncio.run(_Soak(folder, points).run())


class _Soak:
    def __init__(self, folder: Path, points: int) -> None:
        self._folder, self._points = folder, points
        self._proof = Proof("index_soak", "Soak of the embedded index", ABOUT)
        self._random = random.Random(11)
        self._alive: set[int] = set()
        self._kills = 0
        self._wrong: list[str] = []
        self._slowest = 0.0
        self._peak = 0

    async def run(self) -> Proof:
        indexes = EdgeIndexes(self._folder)
        index = await indexes.open(SPEC)
        await self._storm(indexes, index)
        await self._measure(indexes, index)
        await indexes.close()
        self._compare()
        return self._proof

    async def _storm(self, indexes: EdgeIndexes, index: EdgeIndex) -> None:
        started, writing = time.monotonic(), 0.0
        killing = asyncio.create_task(self._kill(indexes))
        checked = 0
        for first in range(1, self._points + 1, BATCH):
            made = _points(first, min(BATCH, self._points - first + 1))
            begun = time.monotonic()
            await index.upsert(made)
            self._alive.update(point.id for point in made)
            if self._random.random() < 0.1:
                gone = self._random.sample(range(1, first + BATCH), BATCH // 2)
                await index.delete(gone)
                self._alive.difference_update(gone)
            if self._random.random() < 0.05:
                again = 1 + BATCH * self._random.randrange(1 + first // BATCH)
                await index.upsert(_points(again, min(BATCH, self._points - again + 1)))
                self._alive.update(range(again, min(again + BATCH, self._points + 1)))
            taken = time.monotonic() - begun
            writing, self._slowest = writing + taken, max(self._slowest, taken)
            if indexes.pid is not None:
                self._peak = max(self._peak, look(indexes.pid).rss)
            if self._kills > checked:
                checked = self._kills
                await self._check(index)
        killing.cancel()
        proof = self._proof
        proof.note("points written, left", f"{self._points:,}, {len(self._alive):,}")
        proof.note("kills", str(self._kills))
        proof.note("minutes", f"{(time.monotonic() - started) / 60:.1f}")
        proof.note("points a second, with all that", f"{self._points / writing:,.0f}")
        proof.note("the slowest batch, seconds", f"{self._slowest:.1f}")
        proof.note("memory of the process, most, MiB", f"{self._peak / MIB:,.0f}")

    async def _kill(self, indexes: EdgeIndexes) -> None:
        while True:
            await asyncio.sleep(self._random.uniform(3, 2 * SECONDS_BETWEEN_KILLS - 3))
            if indexes.pid is not None:
                os.kill(indexes.pid, signal.SIGKILL)
                self._kills += 1

    async def _check(self, index: EdgeIndex) -> None:
        if (count := await index.count()) != len(self._alive):
            self._wrong.append(f"{count} points are counted, {len(self._alive)} should be")
        for number in self._random.sample(sorted(self._alive), min(SAMPLE, len(self._alive))):
            point = _points(number, 1)[0]
            found = await index.search(Search(TENANT, 10, vector=point.vector, text=f"only{number}"))
            if number not in {hit.id for hit in found.dense} or [hit.id for hit in found.lexical][:1] != [number]:
                self._wrong.append(f"point {number} is not found")

    async def _measure(self, indexes: EdgeIndexes, index: EdgeIndex) -> None:
        asked, words = vectors(10**9, QUERIES, DIMENSIONS, CLUSTERS), texts(10**9, QUERIES, 8)
        begun = time.monotonic()
        await index.optimise()
        self._proof.note("optimising at the end, seconds", f"{time.monotonic() - begun:.0f}")
        times = []
        for vector, text in zip(asked, words, strict=True):
            begun = time.perf_counter()
            await index.search(Search(TENANT, 50, vector=vector.tobytes(), text=text))
            times.append(1000 * (time.perf_counter() - begun))
        median = statistics.median(times)
        self._proof.bound("median search, ms", f"{median:.1f}", f"at most {MEDIAN_MS:g}", median <= MEDIAN_MS)
        found = [await index.search(Search(TENANT, 10, vector=vector.tobytes())) for vector in asked]
        exact = self._exact(asked)
        recall = statistics.mean(
            len({hit.id for hit in one.dense} & best) / len(best) for one, best in zip(found, exact, strict=True)
        )
        self._proof.bound("recall at 10", f"{recall:.4f}", f"at least {RECALL}", recall >= RECALL)
        await self._check(index)
        wrong = self._wrong
        self._proof.bound("answers that were wrong", str(len(wrong)), "0", not wrong)
        for one in wrong[:5]:
            self._proof.note("...", one)

    def _exact(self, asked: np.ndarray) -> list[set[int]]:
        scores = np.empty((len(asked), 0), "f4")
        numbers = np.empty((len(asked), 0), np.int64)
        for first in range(1, self._points + 1, BATCH):
            ids = np.array(
                [n for n in range(first, min(first + BATCH, self._points + 1)) if n in self._alive], np.int64
            )
            block = _vectors(first)[ids - first]
            scores = np.hstack([scores, asked @ block.T])
            numbers = np.hstack([numbers, np.broadcast_to(ids, (len(asked), len(ids)))])
            best = np.argsort(-scores, axis=1)[:, :10]
            scores, numbers = np.take_along_axis(scores, best, 1), np.take_along_axis(numbers, best, 1)
        return [set(row) for row in numbers.tolist()]

    def _compare(self) -> None:
        """With the files themselves, when nobody has them open."""
        place = next(self._folder.glob("*/soak"))
        disk = sum(path.stat().st_blocks * 512 for path in place.rglob("*"))
        most = DISK_PER_POINT * len(self._alive) / MIB
        self._proof.bound("disk, MiB", f"{disk / MIB:,.0f}", f"at most {most:,.0f}", disk / MIB <= most)
        current = read_current(place)
        assert current is not None
        shard = qdrant_edge.EdgeShard.load(str(place / current.generation))
        there: list[int] = []
        after = None
        while True:
            request = qdrant_edge.ScrollRequest(offset=after, limit=20_000, with_payload=False, with_vector=False)
            records, after = shard.scroll(request)
            there.extend(record.id for record in records)
            if after is None:
                break
        shard.close()
        lost, extra = len(self._alive.difference(there)), len(set(there) - self._alive) + len(there) - len(set(there))
        self._proof.bound("points lost", str(lost), "0", not lost)
        self._proof.bound("points too many", str(extra), "0", not extra)


def _vectors(first: int) -> np.ndarray:
    """Of the whole batch that begins with point `first`."""
    return vectors(first, BATCH, DIMENSIONS, CLUSTERS)


def _points(first: int, count: int) -> list[Point]:
    """The same each time. Not more than there are in the batch of `first`."""
    begin = first - (first - 1) % BATCH
    made, words = _vectors(begin), texts(begin, BATCH, 60)
    return [
        Point(n, made[n - begin].tobytes(), f"{words[n - begin]} only{n}", {}, Access())
        for n in range(first, min(first + count, begin + BATCH))
    ]
