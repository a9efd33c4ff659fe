"""Knowledge bases, put together: for the server, and for the process of a job."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from urllib.parse import urlsplit

from craton.access.destinations import Destinations
from craton.app.databases import Databases
from craton.app.indexes import check_place, index_places
from craton.app.models import RunningModels
from craton.app.platform import Platform
from craton.app.upstreams import allowed_hosts
from craton.core.errors import Unsupported
from craton.core.knowledge import DataSource, KnowledgeBase
from craton.data.api.options import LiveOptions, check_live
from craton.data.chunking.chunker import TokenizerChunker
from craton.data.documents import Chunker, Embeds, Source
from craton.data.parsing.pool import ParserPool
from craton.data.sources.factory import Sources as OpenSources
from craton.data.sources.options import read_options
from craton.knowledge.answering.answerer import Answerer
from craton.knowledge.answering.given import GivenDocuments
from craton.knowledge.bases import Bases
from craton.knowledge.decomposing import Decomposer
from craton.knowledge.documents import Documents
from craton.knowledge.ingesting.direct import HandedInSource
from craton.knowledge.ingesting.job import IngestParts
from craton.knowledge.ingestions import Ingestions
from craton.knowledge.live import LiveRetrieving
from craton.knowledge.measuring import Measured
from craton.knowledge.proficiency import Proficiencies
from craton.knowledge.protocol import Knowledge, NewDataSource
from craton.knowledge.reranking import Reranker
from craton.knowledge.retrieval.retriever import Retriever
from craton.knowledge.sessions import Sessions
from craton.knowledge.sources import Sources
from craton.knowledge.structured.asking import StructuredKnowledge
from craton.knowledge.structured.live import LiveSources
from craton.knowledge.structured.options import read_structured
from craton.knowledge.structured.proficiency import SqlProficiencies
from craton.knowledge.syncing.loop import Syncing
from craton.serve.sources import HubModels
from craton.serve.telemetry import Fanout

GIVEN_WINDOW = 256
"""Tokens of a piece of a document that comes with the question: what the starter embedder reads."""

TOKENIZER = "tokenizer.json"
SENTENCE_CONFIG = "sentence_bert_config.json"


class RunningKnowledge:
    """`knowledge` is what dialects ask. `start` before it is used, `close` at the end."""

    def __init__(self, platform: Platform, models: RunningModels) -> None:
        database, clock, serving = platform.database, time.time, models.inference
        self._places = index_places(platform, models.outgoing.get)
        self._syncing = Syncing(database, self._places, clock)
        self._parser = ParserPool()
        wake = self._syncing.wake
        sources = open_sources(platform, models)

        databases, destinations = Databases(platform), Destinations(allowed_hosts(platform.settings))

        def check_source(tenant: str, new: NewDataSource) -> None:
            options = new.spec.options
            if new.spec.kind == "api" and options.get("live") is True:
                check_live(read_options(options, LiveOptions))
            else:
                sources.check(new.spec, tenant)
            if new.spec.kind == "api":
                url = urlsplit(options["url"])
                destinations.check(url.scheme, url.hostname or "", url.port)

        def check_base(base: KnowledgeBase) -> None:
            if base.kind == "sql":
                databases.check(base.tenant, read_structured(base)[0])
            else:
                check_place(platform.settings, base)

        async def secret(tenant: str, name: str) -> str:
            return await asyncio.to_thread(platform.vault.get, tenant, name)

        ingestions = Ingestions(database, platform.jobs, clock)
        bases = Bases(database, serving, check_base, platform.jobs, ingestions, clock, wake)
        proficiencies = Proficiencies(database)
        reranker = Reranker(serving, serving.score)
        decomposer = Decomposer(serving, proficiencies)
        structured = StructuredKnowledge(serving, databases.registered, SqlProficiencies(database), clock)
        found = Retriever(
            database, bases, serving, self._syncing.open_index, self._syncing.lost, reranker, decomposer, structured
        )
        data_sources = Sources(database, check_source, ingestions, clock, wake)
        retriever = LiveRetrieving(found, data_sources, LiveSources(models.outgoing.get, secret))
        given = GivenDocuments(self._parser, TokenizerChunker(None, GIVEN_WINDOW))
        self.knowledge = Knowledge(
            bases=bases,
            sources=data_sources,
            ingestions=ingestions,
            documents=Documents(database, platform.blobs, ingestions, clock, wake),
            retrieving=retriever,
            ranking=reranker,
            answering=Answerer(
                serving, retriever, bases, given, Sessions(database, clock), proficiencies, models.meter, clock
            ),
            querying=structured,
            measuring=Measured(serving, proficiencies, structured, clock),
        )

    def start(self) -> None:
        self._syncing.start()

    async def close(self) -> None:
        await self._syncing.close()
        for indexes in set(self._places.values()):
            await indexes.close()
        await self._parser.close()


def open_sources(platform: Platform, models: RunningModels) -> OpenSources:
    return OpenSources(
        client=models.outgoing.get,
        databases=Databases(platform).url,
        secret=platform.vault.get,
        hub=platform.hub,
        buckets=platform.buckets,
        allowed_folders=[Path(folder).expanduser() for folder in platform.settings.sources.folders],
    )


@asynccontextmanager
async def ingest_parts(platform: Platform) -> AsyncIterator[IngestParts]:
    """What the job needs, with models and parsers of its own: it must not hold up those who wait for an answer."""
    models = RunningModels(platform, Fanout([]), keep_content=False)
    parser = ParserPool()
    sources = open_sources(platform, models)
    tokenizers = _Tokenizers(platform)

    async def open_source(source: DataSource) -> Source:
        if source.spec.kind == "direct":
            return HandedInSource(platform.database, platform.blobs, platform.buckets, source)
        return await sources.open(source.spec, source.tenant)

    await models.start(warm=False)
    try:
        yield IngestParts(
            database=platform.database,
            blobs=platform.blobs,
            open_source=open_source,
            parser=parser,
            make_chunker=tokenizers.chunker,
            embedders=models.inference,
            clock=time.time,
        )
    finally:
        await parser.close()
        await models.close()


class _Tokenizers:
    """The tokenizers of embedders whose files are here."""

    def __init__(self, platform: Platform) -> None:
        self._models, self._blobs = HubModels(platform.catalog), platform.blobs

    async def chunker(self, base: KnowledgeBase, embeds: Embeds) -> Chunker:
        return await asyncio.to_thread(self._chunker, base, embeds)

    def _chunker(self, base: KnowledgeBase, embeds: Embeds) -> Chunker:
        target = self._models.find(base.tenant, f"{base.embedder}@{base.embedder_revision}")
        if target is None or TOKENIZER not in target.files:
            return TokenizerChunker(None, GIVEN_WINDOW, embeds)
        if target.info.context_length is None:
            raise Unsupported(f"An embedder ({base.embedder}) that does not say how much it reads")
        path = self._blobs.path(target.files[TOKENIZER])
        lower_case = SENTENCE_CONFIG in target.files and _lower_case(self._blobs.path(target.files[SENTENCE_CONFIG]))
        return TokenizerChunker(path, target.info.context_length, embeds, lower_case=lower_case)


def _lower_case(path: Path) -> bool:
    """Whether the embedder is given its texts in lower case. (The model was described, so the file can be read.)"""
    return bool(json.loads(path.read_bytes()).get("do_lower_case", False))
