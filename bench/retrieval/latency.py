"""How long a whole Retrieve takes, and what it finds: SciFact in rows and in the embedded index, the embedder in its
worker, as in a server, but without HTTP."""

from __future__ import annotations

import asyncio
import statistics
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from msgspec.structs import replace
from sqlalchemy import insert

from bench import inprocess
from bench.retrieval.legs import Legs
from bench.retrieval.measures import ndcg
from craton.core.knowledge import Document, KnowledgeBase, Location, Reranking, RetrieveRequest
from craton.core.model import ModelInfo
from craton.index.edge import EdgeIndexes
from craton.index.protocol import Index, Point
from craton.knowledge import tables
from craton.knowledge.decomposing import by_rules
from craton.knowledge.places import index_spec
from craton.knowledge.reranking import Reranker
from craton.knowledge.retrieval.retriever import Retriever
from craton.knowledge.rows import encode, new_row
from craton.knowledge.vectors import from_rows, to_rows
from craton.serve.inference import Call
from craton.store.database import Database

TENANT, BASE = inprocess.CALLER.tenant, "BENCH"


class _OneBase:
    def __init__(self, base: KnowledgeBase) -> None:
        self.base = base

    async def get(self, tenant: str, base: str) -> KnowledgeBase:
        return self.base


class _Rules:
    async def split(self, call: Call, question: str) -> tuple[str, ...]:
        return by_rules(question)


def measure(legs: Legs, starters: Path, count: int) -> list[str]:
    """Lines for people: p50 and p95 of `count` test questions asked one after the other, after a round that warms."""
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder) / "home"
        inprocess.prepare(home, starters)
        return asyncio.run(_measure(legs, home, count))


async def _measure(legs: Legs, home: Path, count: int) -> list[str]:
    async with inprocess.inference(home) as (platform, serving):
        info: ModelInfo = await serving.model(inprocess.CALLER, inprocess.EMBEDDING)
        dimensions = legs.pieces.shape[1]
        base = KnowledgeBase(BASE, TENANT, "bench", info.id, info.revision, dimensions, "active", 0.0, 0.0)
        indexes = EdgeIndexes(home / "index")
        try:
            index = await indexes.open(index_spec(base, 1))
            points = await asyncio.to_thread(write, platform.database, base, legs)
            for start in range(0, len(points), 512):
                await index.upsert(points[start : start + 512])
            await index.optimise()

            async def opened(tenant: str, name: str) -> Index:
                return index

            async def lost(tenant: str, name: str, index: Index) -> None:
                """Nothing breaks here."""

            retriever = Retriever(platform.database, _OneBase(base), serving, opened, lost, Reranker(serving), _Rules())
            lines = []
            for name, request, asked in (
                ("hybrid, 5 results", RetrieveRequest(BASE, "", 5), count),
                ("hybrid, 100 results", RetrieveRequest(BASE, "", 100), len(legs.collection.test)),
                ("semantic, 5 results", RetrieveRequest(BASE, "", 5, "semantic"), count),
                ("reranked, 10 results", RetrieveRequest(BASE, "", 10, reranking=Reranking(info.id)), min(count, 30)),
            ):
                lines.append(f"{name:24s} {await _timed(retriever, legs, request, asked)}")
            return lines
        finally:
            await indexes.close()


async def _timed(retriever: Retriever, legs: Legs, request: RetrieveRequest, count: int) -> str:
    rows = legs.collection.test[:count]
    for row in rows[:20]:
        await retriever.retrieve(inprocess.call(), replace(request, query=legs.collection.questions[row]))
    seconds, gains = [], []
    for row in rows:
        begin = time.perf_counter()
        found = await retriever.retrieve(inprocess.call(), replace(request, query=legs.collection.questions[row]))
        seconds.append(time.perf_counter() - begin)
        order = list(dict.fromkeys(int(passage.document[1:]) for passage in found.passages))
        gains.append(ndcg(order, legs.collection.grades[row]))
    quick = 1000 * statistics.median(seconds)
    slow = 1000 * statistics.quantiles(seconds, n=20)[-1]
    told = f"nDCG@10 {statistics.mean(gains):.4f}" if request.top >= 10 else ""
    return f"p50 {quick:6.1f} ms  p95 {slow:6.1f} ms  {told}"


def write(database: Database, base: KnowledgeBase, legs: Legs) -> Sequence[Point]:
    """Documents, chunks and pieces as ingestion leaves them, in one transaction; their points."""
    halves = to_rows(legs.pieces.astype("<f4").tobytes(), base.dimensions)
    documents: list[dict[str, object]] = []
    chunks: list[dict[str, object]] = []
    pieces: list[dict[str, object]] = []
    points: list[Point] = []
    for number, (text, title, cut) in enumerate(
        zip(legs.collection.texts, legs.collection.titles, legs.cut, strict=True)
    ):
        name = f"d{number}"
        uri = f"s3://bench/{name}.txt"
        document = Document(name, base.id, "S", uri, Location("bucket", uri), "indexed", 0.0, title=title)
        documents.append({**new_row(base.tenant, document), "generation": 1})
        shared = {"tenant": base.tenant, "base": base.id, "document": name, "generation": 1}
        for chunk in cut:
            content = text[chunk.start : chunk.end]
            chunks.append(
                {**shared, "number": len(chunks) + 1, "start": chunk.start, "end": chunk.end, "page": None,
                 "heading": chunk.heading, "text": content}
            )  # fmt: skip
            for piece in chunk.pieces:
                half = halves[len(pieces)]
                pieces.append(
                    {**shared, "number": len(pieces) + 1, "chunk": len(chunks), "start": piece.start, "end": piece.end,
                     "embedded": "", "vector": half}
                )  # fmt: skip
                (vector,) = from_rows([half])
                points.append(Point(len(pieces), vector, legs.worded[len(points)], {}, document.access))
    with database.write() as connection:
        connection.execute(
            insert(tables.bases).values(
                tenant=base.tenant, id=base.id, name=base.name, status=base.status, created=0.0, updated=0.0,
                value=encode(base), epoch=1, indexed=len(pieces), removed=0, next_epoch=0, next_indexed=0,
            )
        )  # fmt: skip
        for table, rows in ((tables.documents, documents), (tables.chunks, chunks), (tables.pieces, pieces)):
            connection.execute(insert(table), rows)
    return points
