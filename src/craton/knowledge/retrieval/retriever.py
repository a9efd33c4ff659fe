"""`protocol.Retrieving`.

The order of things: the question (or the simpler ones that it was split into) is embedded; both legs of the index are
searched for each; one thread then reads the truth about all hits in one moment's view, fuses, looks at the first ones
again (`ranking.second`: only where both legs found something), and reads texts, best first, until the page is full.
What an index knows is never shown: text, place and metadata come from rows alone, and a hit that the rows do not
confirm (an older generation, a deleted document, one that the user may not see) is dropped. Where such hits, those of
an ingestion that is under way for instance, take the places of what may be seen, both legs are searched deeper. An
index that does not hold all that may be seen, because it was lost and is being filled again, is not asked.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Protocol

from msgspec import Struct
from msgspec.structs import replace

from craton.core.errors import Conflict, Damaged, NotFound, Throttled, Unsupported
from craton.core.knowledge import KnowledgeBase, Passage, Reranking, Retrieved, RetrieveRequest
from craton.core.model import EmbedRequest
from craton.index.protocol import Found, Index, Search
from craton.knowledge.embedders import Embedders, pinned
from craton.knowledge.protocol import Ranking
from craton.knowledge.ranking.copies import Copies
from craton.knowledge.ranking.second import LOOKED
from craton.knowledge.retrieval import cursors, joining
from craton.knowledge.retrieval.asking import check
from craton.knowledge.retrieval.candidates import DEPTH, DEPTHS, is_full, looked, merged, pieces_of, ranked
from craton.serve.inference import Call
from craton.store.database import Database

RERANKED = 50
"""Results that a reranker reads."""

OpenIndex = Callable[[str, str], Awaitable[Index]]
"""(tenant, base's id) -> the index that answers."""

Lost = Callable[[str, str, Index], Awaitable[None]]
"""(tenant, base's id, an index that cannot be read any more): it is replaced, and filled from the rows."""

REBUILDING = 5.0
"""Seconds after which it is worth asking again an index that is being filled: small ones are done by then."""


class Bases(Protocol):
    async def get(self, tenant: str, base: str) -> KnowledgeBase: ...


class Structured(Protocol):
    """Knowledge bases of the kind "sql": asked by a query of their own."""

    async def retrieve(self, call: Call, base: KnowledgeBase, request: RetrieveRequest) -> Retrieved: ...


class Decomposing(Protocol):
    async def split(self, call: Call, question: str) -> tuple[str, ...]:
        """Simpler questions that together ask the same; empty when it is simple already."""
        ...


class _Page(Struct, frozen=True):
    """more: whether something follows. crowded: it is not full, and hits that nobody may see took up places in the
    legs."""

    passages: tuple[Passage, ...]
    more: bool
    crowded: bool = False


class Retriever:
    """structured: None where knowledge bases over SQL are not configured."""

    def __init__(
        self,
        database: Database,
        bases: Bases,
        embedders: Embedders,
        open_index: OpenIndex,
        lost: Lost,
        ranking: Ranking,
        decomposing: Decomposing,
        structured: Structured | None = None,
    ) -> None:
        self._database, self._bases, self._embedders, self._open_index = database, bases, embedders, open_index
        self._lost, self._ranking, self._decomposing, self._structured = lost, ranking, decomposing, structured

    async def retrieve(self, call: Call, request: RetrieveRequest) -> Retrieved:
        """Raises NotFound, InvalidRequest, TooLarge, Conflict (the embedder changed), Unsupported (a reranking model
        that cannot score, a base over SQL where none is configured), Throttled (the index was lost and is being built
        again), and what models and the index raise."""
        check(request)
        base = await self._bases.get(call.caller.tenant, request.knowledge_base)
        if base.status == "deleting":
            raise NotFound("knowledge base", request.knowledge_base[:200])
        if base.kind == "sql":
            if self._structured is None:
                raise Unsupported("A knowledge base over SQL", "None is configured on this server.")
            return await self._structured.retrieve(call, base, request)
        digest = cursors.question(call.caller.tenant, base, request)
        queries = await self._queries(call, request)
        vectors, index = await asyncio.gather(self._embed(call, base, queries), self._whole_index(base))
        shown = min(RERANKED, DEPTH) if request.reranking else 0
        for depth in DEPTHS:
            found = await self._found(index, base, request, queries, vectors, depth)
            page, epoch, offset = await asyncio.to_thread(
                self._read, base, request, digest, queries, found, depth, shown
            )
            if not page.crowded:
                break
        if request.reranking is not None:
            page = await self._reranked(call, request, request.reranking, page, offset)
        end = offset + len(page.passages)
        return Retrieved(page.passages, cursors.encode(digest, epoch, end) if page.more else "", queries)

    async def _queries(self, call: Call, request: RetrieveRequest) -> tuple[str, ...]:
        """The question itself comes first."""
        if not request.decompose:
            return (request.query,)
        parts = await self._decomposing.split(_named(call, "decompose"), request.query)
        return tuple(dict.fromkeys((request.query, *parts)))

    async def _embed(self, call: Call, base: KnowledgeBase, queries: tuple[str, ...]) -> list[bytes]:
        model = await pinned(self._embedders, base)
        asked = EmbedRequest(model.model, queries, model.dimensions, truncate=True)
        answer = await self._embedders.embed(call, asked)
        if answer.dimensions != base.dimensions:
            reason = (
                f"{base.embedder} gives {answer.dimensions} dimensions, its vectors have {base.dimensions}; reindex"
            )
            raise Conflict("knowledge base", base.name, reason)
        width = 4 * answer.dimensions
        return [answer.vectors[start : start + width] for start in range(0, len(answer.vectors), width)]

    async def _found(
        self,
        index: Index,
        base: KnowledgeBase,
        request: RetrieveRequest,
        queries: Sequence[str],
        vectors: Sequence[bytes],
        depth: int,
    ) -> list[Found]:
        """An index that turns out to be lost is given up, and the one in its place asked once."""
        try:
            return await self._search(index, base, request, queries, vectors, depth)
        except Damaged:
            await self._lost(base.tenant, base.id, index)
            return await self._search(await self._whole_index(base), base, request, queries, vectors, depth)

    async def _whole_index(self, base: KnowledgeBase) -> Index:
        """Opened first and looked into second: what is lost in between is found either here or by the search."""
        index = await self._open_index(base.tenant, base.id)
        if await asyncio.to_thread(self._lacks, base):
            raise Throttled("The index of this knowledge base is being built again.", REBUILDING)
        return index

    def _lacks(self, base: KnowledgeBase) -> bool:
        with self._database.read() as connection:
            return joining.beyond(connection, base)

    async def _search(
        self,
        index: Index,
        base: KnowledgeBase,
        request: RetrieveRequest,
        queries: Sequence[str],
        vectors: Sequence[bytes],
        depth: int,
    ) -> list[Found]:
        def search(query: str, vector: bytes) -> Awaitable[Found]:
            text = None if request.mode == "semantic" else query
            return index.search(Search(base.tenant, depth, vector, text, request.filter, request.user))

        return list(await asyncio.gather(*map(search, queries, vectors)))

    def _read(
        self,
        base: KnowledgeBase,
        request: RetrieveRequest,
        digest: bytes,
        queries: Sequence[str],
        found: Sequence[Found],
        depth: int,
        reranked: int,
    ) -> tuple[_Page, int, int]:
        """A page, the index's epoch and the page's offset. reranked: give so many of the first results instead, from
        which a page is taken later. Blocks."""
        viewer = joining.Viewer(base, request.filter, request.user)
        with self._database.read() as connection:
            epoch = joining.epoch_of(connection, base)
            offset = cursors.decode(request.cursor, digest, epoch, 2 * DEPTHS[-1] * len(found))
            hits = sorted(set().union(*map(pieces_of, found)))
            places = joining.current(connection, base, hits)
            crowded = len(places) < len(hits) and any(is_full(one, depth) for one in found)
            chunk_of = {number: place.chunk for number, place in places.items()}
            chunks = joining.Chunks(connection, viewer)
            answers = []
            for query, one in zip(queries, found, strict=True):
                candidates = ranked(one, chunk_of, depth)
                if one.dense and one.lexical:
                    candidates = looked(query, candidates, chunks.texts(candidates[:LOOKED]))
                answers.append(candidates)
            candidates = answers[0] if len(answers) == 1 else merged(answers)
            start, end = (0, reranked) if reranked else (offset, offset + request.top)
            copies = Copies()
            passages: list[Passage] = []
            number = 0
            for _, passage in chunks.passages(places, candidates):
                if copies.seen(passage.text):
                    continue
                if number >= end:
                    return _Page(tuple(passages), True), epoch, offset
                if number >= start:
                    passages.append(passage)
                number += 1
        return _Page(tuple(passages), False, crowded), epoch, offset

    async def _reranked(
        self, call: Call, request: RetrieveRequest, reranking: Reranking, page: _Page, offset: int
    ) -> _Page:
        """The page that begins at the offset, in the order that the model gives to the first RERANKED results."""
        if not page.passages:
            return page
        texts = [passage.text for passage in page.passages]
        scored = await self._ranking.rank(_named(call, "rerank"), reranking.model, request.query, texts, reranking.top)
        order = [replace(page.passages[one.index], score=one.score) for one in scored]
        end = offset + request.top
        return _Page(tuple(order[offset:end]), len(order) > end)


def _named(call: Call, name: str) -> Call:
    """A model's call of its own in the records, beside the one that embeds the question."""
    return replace(call, request_id=f"{call.request_id[: 63 - len(name)]}.{name}")
