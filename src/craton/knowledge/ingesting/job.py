"""The job's code: one ingestion from its beginning to its end, however many attempts that takes."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path

import msgspec
from msgspec import Struct

from craton.core.chat import Json
from craton.core.errors import CratonError
from craton.core.job import JobCancelled, JobLost, Running
from craton.core.knowledge import DataSource, KnowledgeBase
from craton.data.documents import Chunker, Embeds, Parser, Source
from craton.knowledge.embedders import Embedder, Embedders, pinned
from craton.knowledge.ingesting.comparing import Comparing
from craton.knowledge.ingesting.embedding import Embedding
from craton.knowledge.ingesting.ledger import Ledger
from craton.knowledge.ingesting.pipeline import Pipeline
from craton.knowledge.ingesting.preparing import Preparing
from craton.knowledge.ingesting.settling import Settling
from craton.knowledge.ingesting.work import Order, Task
from craton.knowledge.ingesting.writing import Writing
from craton.knowledge.rows import digest, encode
from craton.store.blobs import Blobs
from craton.store.database import Database

MAX_DOCUMENT = 1024 * 1024 * 1024  # bytes; what a parser takes of it is the parser's business

log = logging.getLogger("craton.ingesting")


@dataclass(frozen=True, slots=True)
class IngestParts:
    """open_source: `direct.HandedInSource` for the kind "direct", others as `data.sources` opens them. make_chunker:
    for an embedder, whose texts `Embeds` embeds. limit: bytes of one document. parallel: documents that are fetched
    and parsed at once. folder: for what is fetched, None for the system's temporary one."""

    database: Database
    blobs: Blobs
    open_source: Callable[[DataSource], Awaitable[Source]]
    parser: Parser
    make_chunker: Callable[[KnowledgeBase, Embeds], Awaitable[Chunker]]
    embedders: Embedders
    clock: Callable[[], float]
    limit: int = MAX_DOCUMENT
    parallel: int = 4
    folder: Path | None = None


class _Cursor(Struct, frozen=True):
    """What a source's row keeps. versions: those under which everything up to the cursor was read."""

    versions: str
    cursor: str | None


async def ingest(running: Running, arguments: Json, parts: IngestParts) -> Json:
    """The statistics. Raises CratonError when the ingestion as a whole failed; what it had indexed by then stays."""
    ledger = Ledger(running, parts.database, msgspec.convert(arguments, Order), parts.clock)
    try:
        task = await asyncio.to_thread(ledger.begin)
        if not task.ended:
            await _run(ledger, task, parts)
    except JobCancelled:
        await asyncio.to_thread(ledger.end, "stopped")
        raise
    except JobLost:
        raise
    except CratonError as error:
        await asyncio.to_thread(ledger.end, "failed", str(error))
        raise
    except Exception:
        log.exception("an ingestion failed")
        await asyncio.to_thread(ledger.end, "failed", "An internal error happened. The log has it.")
        raise
    result: Json = msgspec.to_builtins(ledger.statistics)
    return result


async def _run(ledger: Ledger, task: Task, parts: IngestParts) -> None:
    embedder = Embedder(parts.embedders, task.base, await pinned(parts.embedders, task.base))
    chunker = await parts.make_chunker(task.base, embedder)
    versions = digest(
        parts.parser.version,
        chunker.version,
        encode(task.source.chunking),
        *(task.base.embedder, task.base.embedder_revision, str(task.base.dimensions)),
    )
    source = await parts.open_source(task.source)
    try:
        cursor = _cursor(task, versions) if source.incremental else None
        while True:
            comparing, writing = Comparing(ledger, versions), Writing(ledger, versions, parts.blobs)
            preparing = Preparing(
                task.source, source, parts.parser, chunker, parts.blobs, versions, parts.limit, parts.folder
            )
            pipeline = Pipeline(
                ledger,
                comparing,
                preparing,
                Embedding(embedder, task.base, writing),
                writing,
                Settling(ledger),
                parts.parallel,
            )
            await pipeline.run(source, cursor)
            if not source.incremental:
                await asyncio.to_thread(comparing.forget_missing, task)
            kept = _kept(ledger, task, source, versions)
            if await asyncio.to_thread(ledger.finish, source.cursor(), kept):
                return
            cursor = source.cursor()
    finally:
        await source.close()


def _cursor(task: Task, versions: str) -> str | None:
    """None lists everything: also when something would now be made of the documents that is not what was."""
    if task.cursor is None:
        return None
    kept = msgspec.json.decode(task.cursor, type=_Cursor)
    return kept.cursor if kept.versions == versions else None


def _kept(ledger: Ledger, task: Task, source: Source, versions: str) -> str | None:
    """What failed must be listed again, so the cursor stays; only what was handed in is not tried by itself again."""
    if not source.incremental:
        return None
    if ledger.statistics.failed and task.source.spec.kind != "direct":
        return task.cursor
    return encode(_Cursor(versions, source.cursor()))
