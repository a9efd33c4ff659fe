"""A knowledge base written straight into rows and into an exact index in memory; its embedder counts words."""

from __future__ import annotations

import array
import asyncio
import hashlib
import math
from collections.abc import Sequence

from msgspec.structs import replace
from sqlalchemy import insert, update

from craton.core.access import Caller, KeyRole
from craton.core.errors import Damaged, NotFound
from craton.core.knowledge import Access, Document, KnowledgeBase, Location, Metadata, Retrieved, RetrieveRequest
from craton.core.model import EmbedAnswer, EmbedRequest, ModelInfo
from craton.index.analysis import document_terms, query_terms
from craton.index.matching import matches
from craton.index.protocol import Found, Hit, Index, Point, Search
from craton.knowledge import tables
from craton.knowledge.decomposing import by_rules
from craton.knowledge.reranking import Reranker
from craton.knowledge.retrieval.retriever import Retriever
from craton.knowledge.rows import encode, new_row
from craton.serve.inference import Call
from craton.store.database import Database

ACME = Caller("acme", "KEY", KeyRole.DEVELOPER)
OTHER = Caller("other", "KEY2", KeyRole.DEVELOPER)
DIMENSIONS = 128
EVERYONE = Access()
BASE = KnowledgeBase("KB", "acme", "handbook", "vectors", "r1", DIMENSIONS, "active", 1.0, 1.0)


def vector(text: str) -> bytes:
    """Texts that share words point the same way."""
    row = [0.0] * DIMENSIONS
    for term in document_terms(text) or [hash(text) % DIMENSIONS]:
        row[hashlib.sha256(str(term).encode()).digest()[0] % DIMENSIONS] += 1.0
    length = math.sqrt(sum(value * value for value in row))
    return array.array("f", (value / length for value in row)).tobytes()


class WordVectors:
    """`knowledge.embedders.Embedders` with the models "vectors" (embeds) and "writer" (chats)."""

    def __init__(self) -> None:
        self.revision = "r1"
        self.calls: list[Call] = []

    async def embed(self, call: Call, request: EmbedRequest) -> EmbedAnswer:
        self.calls.append(call)
        vectors = b"".join(vector(str(text)) for text in request.inputs)
        return EmbedAnswer(vectors, DIMENSIONS, tuple(1 for _ in request.inputs))

    async def model(self, caller: Caller, name: str) -> ModelInfo:
        if name == "writer":
            return ModelInfo("writer", ("chat",), "echo")
        if name not in {"vectors", f"vectors@{self.revision}"}:
            raise NotFound("model", name)
        return ModelInfo("vectors", ("embed",), "echo", revision=self.revision, dimensions=DIMENSIONS)


class ExactIndex:
    """Both legs, exactly; it forgets nothing that it is not told to forget."""

    def __init__(self) -> None:
        self.points: dict[int, Point] = {}
        self.damaged = False
        self.searches: list[Search] = []

    async def upsert(self, points: Sequence[Point]) -> None:
        self.points |= {point.id: point for point in points}

    async def delete(self, ids: Sequence[int]) -> None:
        for number in ids:
            self.points.pop(number, None)

    async def search(self, search: Search) -> Found:
        self.searches.append(search)
        if self.damaged:
            raise Damaged("the index", "it was broken by a test")
        seen = [
            point
            for point in self.points.values()
            if matches(search.filter, point.metadata) and point.access.admits(search.user)
        ]
        dense = [] if search.vector is None else [(_dot(search.vector, point.vector), point) for point in seen]
        return Found(_hits(dense, search.limit), _hits(self._lexical(search.text, seen), search.limit))

    def _lexical(self, text: str | None, seen: Sequence[Point]) -> list[tuple[float, Point]]:
        weights = {point.id: document_terms(point.text) for point in self.points.values()}
        scores: dict[int, float] = {}
        for term in query_terms(text or ""):
            having = [number for number, terms in weights.items() if term in terms]
            rarity = math.log(1 + (len(weights) - len(having) + 0.5) / (len(having) + 0.5))
            for number in having:
                scores[number] = scores.get(number, 0.0) + rarity * weights[number][term]
        return [(scores[point.id], point) for point in seen if point.id in scores]

    async def count(self) -> int:
        return len(self.points)

    async def optimise(self) -> None:
        pass

    async def close(self) -> None:
        pass


def _dot(one: bytes, other: bytes) -> float:
    return sum(a * b for a, b in zip(memoryview(one).cast("f"), memoryview(other).cast("f"), strict=True))


def _hits(scored: list[tuple[float, Point]], limit: int) -> tuple[Hit, ...]:
    best = sorted(scored, key=lambda pair: (-pair[0], pair[1].id))[:limit]
    return tuple(Hit(point.id, score) for score, point in best)


class Bases:
    def __init__(self) -> None:
        self.all = {("acme", "KB"): BASE, ("acme", "handbook"): BASE}

    async def get(self, tenant: str, base: str) -> KnowledgeBase:
        if (tenant, base) not in self.all:
            raise NotFound("knowledge base", base)
        return self.all[tenant, base]


class Rules:
    async def split(self, call: Call, question: str) -> tuple[str, ...]:
        return by_rules(question)


class Shelf:
    """The database must be empty but for its tables."""

    def __init__(self, database: Database) -> None:
        self.database, self.index, self.embedders, self.bases = database, ExactIndex(), WordVectors(), Bases()
        self.lost: list[ExactIndex] = []
        self.retriever = Retriever(
            database, self.bases, self.embedders, self._open, self._lose, Reranker(self.embedders), Rules()
        )
        with database.write() as connection:
            connection.execute(
                insert(tables.bases).values(
                    tenant="acme", id="KB", name="handbook", status="active", created=1.0, updated=1.0,
                    value=encode(BASE), epoch=1, indexed=0, removed=0, next_epoch=0, next_indexed=0,
                )
            )  # fmt: skip

    async def _open(self, tenant: str, base: str) -> ExactIndex:
        assert (tenant, base) == ("acme", "KB")
        return self.index

    async def _lose(self, tenant: str, base: str, index: Index) -> None:
        """As `Syncing.lost`: an empty index, in a new epoch, takes its place. Nobody fills it here."""
        assert index is self.index
        self.lost.append(self.index)
        self.index = ExactIndex()
        await asyncio.to_thread(self.mark, 0, epoch=2)

    def mark(self, indexed: int, **more: int) -> None:
        """The index holds the pieces up to this one."""
        with self.database.write() as connection:
            connection.execute(update(tables.bases).values(indexed=indexed, **more))

    async def put(
        self,
        name: str,
        *chunks: str,
        metadata: Metadata | None = None,
        access: Access = EVERYONE,
        generation: int = 1,
        current: bool = True,
        tenant: str = "acme",
    ) -> None:
        """A document; a chunk's pieces are its lines. current: it is what its row says that anybody sees."""
        points = await asyncio.to_thread(self._write, name, chunks, metadata or {}, access, generation, current, tenant)
        await self.index.upsert(points)
        await asyncio.to_thread(self.mark, points[-1].id)

    def _write(
        self,
        name: str,
        chunks: Sequence[str],
        metadata: Metadata,
        access: Access,
        generation: int,
        current: bool,
        tenant: str,
    ) -> list[Point]:
        document = Document(
            name, "KB", "S", name, Location("direct", f"{name}.txt"), "indexed", 1.0,
            title=name.title(), metadata=metadata, access=access,
        )  # fmt: skip
        points = []
        with self.database.write() as connection:
            if generation == 1:
                connection.execute(insert(tables.documents).values(new_row(tenant, document)))
            if current:
                mine = (tables.documents.c.tenant == tenant) & (tables.documents.c.id == name)
                connection.execute(
                    update(tables.documents).where(mine).values(generation=generation, value=encode(document))
                )
            for text in chunks:
                key = connection.execute(
                    insert(tables.chunks).values(
                        tenant=tenant, base="KB", document=name, generation=generation, start=0, end=len(text),
                        page=None, heading="", text=text,
                    )
                ).inserted_primary_key  # fmt: skip
                assert key is not None
                at = 0
                for line in text.split("\n"):
                    piece = connection.execute(
                        insert(tables.pieces).values(
                            tenant=tenant, base="KB", chunk=key[0], document=name, generation=generation, start=at,
                            end=at + len(line), embedded="", vector=b"",
                        )
                    ).inserted_primary_key  # fmt: skip
                    assert piece is not None
                    points.append(Point(piece[0], vector(line), line, metadata, access))
                    at += len(line) + 1
        return points

    async def ask(self, query: str, *, caller: Caller = ACME, **more: object) -> Retrieved:
        request = replace(RetrieveRequest("KB", query), **more)
        return await self.retriever.retrieve(Call(caller, "request", "test", "Retrieve"), request)
