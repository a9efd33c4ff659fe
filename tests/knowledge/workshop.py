"""Knowledge bases with small real parts around them: a folder as source, a parser and a chunker of plain text, the echo
engine's vectors, an exact index in memory."""

from __future__ import annotations

import asyncio
import hashlib
import secrets
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from sqlalchemy import select

from craton.core.access import Caller
from craton.core.errors import Damaged, InvalidRequest, NotFound, Unsupported
from craton.core.job import Job
from craton.core.knowledge import (
    Access,
    Chunking,
    DataSource,
    Ingestion,
    KnowledgeBase,
    Location,
    Metadata,
    SourceSpec,
)
from craton.core.model import EmbedAnswer, EmbedRequest, ModelInfo
from craton.data.documents import Block, Chunk, Embeds, Fetched, Item, Parsed, Piece, Source
from craton.engines.echo import EchoEngine
from craton.index.protocol import Found, Hit, IndexSpec, Point, Search
from craton.jobs.queue import Jobs
from craton.jobs.running import run
from craton.knowledge import tables
from craton.knowledge.bases import Bases
from craton.knowledge.documents import Documents
from craton.knowledge.ingesting.direct import HandedInSource
from craton.knowledge.ingesting.job import IngestParts, ingest
from craton.knowledge.ingestions import Ingestions
from craton.knowledge.places import place
from craton.knowledge.protocol import NewDataSource, NewKnowledgeBase
from craton.knowledge.reindexing import reindex
from craton.knowledge.sources import Sources
from craton.knowledge.syncing import Syncing
from craton.knowledge.syncing.marks import waiting
from craton.serve.inference import Call
from craton.store.blobs.folder import FolderBlobs
from craton.store.database import Database

TENANT = "acme"


class EchoEmbedders:
    """The model "m", whose vectors are echo's. embedded counts the texts that it was given."""

    def __init__(self) -> None:
        self._engine = EchoEngine("m")
        self.revision = "1"
        self.embedded = 0
        self.refuses = ""

    async def embed(self, call: Call, request: EmbedRequest) -> EmbedAnswer:
        self.embedded += len(request.inputs)
        if self.refuses and any(self.refuses in str(text) for text in request.inputs):
            raise Unsupported("This text")
        return await self._engine.embed(request)

    async def model(self, caller: Caller, name: str) -> ModelInfo:
        if name not in {"m", f"m@{self.revision}"}:
            raise NotFound("model", name)
        return ModelInfo("m", ("embed",), "echo", revision=self.revision, dimensions=64)


class FolderSource:
    """Every file is a document; "x.meta" beside "x" holds its metadata. etags: by size and time, or none."""

    incremental = False

    def __init__(self, folder: Path, *, etags: bool = True) -> None:
        self._folder, self._etags = folder, etags

    async def list(self, cursor: str | None) -> AsyncIterator[Item]:
        for path in sorted(self._folder.rglob("*")):
            if path.is_file() and path.suffix != ".meta":
                beside = path.with_name(f"{path.name}.meta")
                yield Item(
                    str(path.relative_to(self._folder)),
                    f"{path.stat().st_mtime_ns}" if self._etags else "",
                    hashlib.sha256(beside.read_bytes()).hexdigest() if beside.exists() else "",
                )

    def cursor(self) -> str | None:
        return None

    async def fetch(self, item: Item, folder: Path, limit: int) -> Fetched:
        path = self._folder / item.key
        copy = folder / "copy"
        copy.write_bytes(path.read_bytes())
        beside = path.with_name(f"{path.name}.meta")
        metadata: Metadata = msgspec.json.decode(beside.read_bytes()) if beside.exists() else {}
        return Fetched(copy, Location("folder", path.as_uri()), path.name, metadata=metadata, access=Access())

    async def close(self) -> None:
        pass


class PlainParser:
    version = "1"

    async def parse(self, path: Path, name: str, media_type: str) -> Parsed:
        try:
            text = (await asyncio.to_thread(path.read_bytes)).decode()
        except UnicodeDecodeError:
            raise Unsupported("A file that is not text") from None
        return Parsed(text, (Block(0, len(text), "paragraph"),), "text/plain")

    async def close(self) -> None:
        pass


class LineChunker:
    """A chunk for each paragraph, a piece for each of its lines."""

    version = "1"

    async def chunk(self, parsed: Parsed, chunking: Chunking) -> tuple[Chunk, ...]:
        chunks, start = [], 0
        for paragraph in parsed.text.split("\n\n"):
            pieces, at = [], 0
            for line in paragraph.split("\n"):
                if line.strip():
                    pieces.append(Piece(at, at + len(line)))
                at += len(line) + 1
            if pieces:
                chunks.append(Chunk(start, start + len(paragraph), tuple(pieces)))
            start += len(paragraph) + 2
        return tuple(chunks)


class MemoryIndex:
    def __init__(self) -> None:
        self.points: dict[int, Point] = {}
        self.damaged = False
        self.fails: Exception | None = None

    def _check(self) -> None:
        if self.fails is not None:
            raise self.fails
        if self.damaged:
            raise Damaged("The index", "it was broken by a test.")

    async def upsert(self, points: Sequence[Point]) -> None:
        self._check()
        self.points |= {point.id: point for point in points}

    async def delete(self, ids: Sequence[int]) -> None:
        self._check()
        for number in ids:
            self.points.pop(number, None)

    async def search(self, search: Search) -> Found:
        self._check()
        assert search.vector is not None
        query = np.frombuffer(search.vector, np.float32)
        hits = [Hit(point.id, float(np.frombuffer(point.vector, np.float32) @ query)) for point in self.points.values()]
        return Found(dense=tuple(sorted(hits, key=lambda hit: (-hit.score, hit.id))[: search.limit]))

    async def count(self) -> int:
        self._check()
        return len(self.points)

    async def optimise(self) -> None:
        self._check()

    async def close(self) -> None:
        pass


class MemoryIndexes:
    def __init__(self) -> None:
        self.made: dict[str, MemoryIndex] = {}

    async def open(self, spec: IndexSpec) -> MemoryIndex:
        return self.made.setdefault(spec.name, MemoryIndex())

    async def drop(self, spec: IndexSpec) -> None:
        self.made.pop(spec.name, None)

    async def close(self) -> None:
        pass


def edge_alone(base: KnowledgeBase) -> None:
    if place(base) != "edge":
        raise InvalidRequest("there is no such index", "storage")


class Workshop:
    """Everything over one database. `syncing` must be started where a job is to come to its end."""

    def __init__(self, database: Database, blobs: Path, folder: Path, embedders: EchoEmbedders | None = None) -> None:
        self.database, self.blobs, self.folder = database, FolderBlobs(blobs), folder
        self.etags = True
        self.embedders = embedders or EchoEmbedders()
        self.indexes = MemoryIndexes()
        self.jobs = Jobs(database, time.time, lambda: secrets.token_hex(8))
        self.ingestions = Ingestions(database, self.jobs, time.time)
        self.syncing = Syncing(database, {"edge": self.indexes}, time.time)
        wake = self.syncing.wake
        self.bases = Bases(database, self.embedders, edge_alone, self.jobs, self.ingestions, time.time, wake)
        self.sources = Sources(database, lambda tenant, new: None, self.ingestions, time.time, wake)
        self.documents = Documents(database, self.blobs, self.ingestions, time.time, wake)
        self.parts = IngestParts(
            database, self.blobs, self._open_source, PlainParser(), self._make_chunker, self.embedders, time.time
        )

    async def _open_source(self, source: DataSource) -> Source:
        if source.spec.kind == "direct":
            return HandedInSource(self.database, self.blobs, None, source)
        return FolderSource(self.folder, etags=self.etags)

    async def _make_chunker(self, base: KnowledgeBase, embeds: Embeds) -> LineChunker:
        return LineChunker()

    async def make(self, kind: str = "folder", name: str = "handbook") -> tuple[str, str]:
        """A base and a source of it: their ids."""
        base = await self.bases.create(TENANT, NewKnowledgeBase(name, "m"))
        spec = SourceSpec(kind)  # type: ignore[arg-type]
        source = await self.sources.create(TENANT, base.id, NewDataSource("docs", spec))
        return base.id, source.id

    async def work(self, job: str) -> Job:
        """The job, run in this process to its end."""
        await run(
            self.jobs,
            job,
            {
                "ingest": lambda running: ingest(running, running.job.arguments, self.parts),
                "reindex": lambda running: reindex(running, running.job.arguments, self.database),
            },
        )
        return self.jobs.get(TENANT, job)

    async def ingest(self, base: str, source: str, **options: Any) -> Ingestion:
        started = await self.ingestions.start(TENANT, base, source, **options)
        await self.work(started.job)
        return await self.ingestions.get(TENANT, base, source, started.id)

    async def work_queue(self) -> None:
        """Whatever is queued."""
        for job in self.jobs.list(TENANT, ("queued",)).jobs:
            await self.work(job.id)

    async def quiet(self) -> None:
        """Returns when nothing is left to carry or to sweep."""

        async def resting() -> bool:
            return not await asyncio.to_thread(waiting, self.database)

        await eventually(resting)

    def visible(self, base: str) -> list[tuple[str, str]]:
        """(document key, text of a piece), sorted: what retrieval could find, by the rows."""
        pieces, chunks, documents = tables.pieces.c, tables.chunks.c, tables.documents.c
        query = (
            select(documents.key, chunks.text, pieces.start, pieces.end)
            .join(tables.chunks, chunks.number == pieces.chunk)
            .join(tables.documents, (documents.id == chunks.document) & (documents.tenant == chunks.tenant))
            .where(pieces.tenant == TENANT, pieces.base == base, chunks.generation == documents.generation)
        )
        with self.database.read() as connection:
            return sorted((row.key, row.text[row.start : row.end]) for row in connection.execute(query))

    async def indexed(self, base: str) -> list[tuple[str, Metadata, bytes]]:
        """(text, metadata, vector) of every point in the index that answers, sorted."""
        index = await self.syncing.open_index(TENANT, base)
        assert isinstance(index, MemoryIndex)
        return sorted(
            ((point.text.rpartition("\n")[2], point.metadata, point.vector) for point in index.points.values()),
            key=lambda one: one[0],
        )

    def rows(self) -> dict[str, int]:
        """How many rows each table of knowledge bases has."""
        with self.database.read() as connection:
            return {
                name: len(connection.execute(select(table)).all())
                for name, table in tables.metadata.tables.items()
                if name.startswith("knowledge_")
            }


async def eventually(true: Callable[[], Awaitable[bool]]) -> None:
    give_up = time.monotonic() + 60
    while not await true():
        assert time.monotonic() < give_up, "it did not happen in time"
        await asyncio.sleep(0.02)


def write(folder: Path, texts: dict[str, str]) -> None:
    for name, text in texts.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


def lines(texts: dict[str, str]) -> list[tuple[str, str]]:
    """What `Workshop.visible` gives when exactly these texts are indexed."""
    return sorted((name, line) for name, text in texts.items() for line in text.split("\n") if line.strip())
