"""Sources that are asked at the time of the question: their answers stand between the passages that were found."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterator, Sequence
from itertools import chain, zip_longest

from msgspec.structs import replace

from craton.core.errors import SourceFailed
from craton.core.knowledge import DataSource, Passage, Retrieved, RetrieveRequest
from craton.index.matching import matches
from craton.knowledge.protocol import Page, Retrieving, Sources
from craton.knowledge.structured.live import LiveSources, is_live
from craton.serve.inference import Call

MAX_SOURCES = 1000

log = logging.getLogger("craton.live")


class LiveRetrieving:
    """`protocol.Retrieving`, with live sources beside the index."""

    def __init__(self, inner: Retrieving, sources: Sources, live: LiveSources) -> None:
        self._inner, self._sources, self._live = inner, sources, live

    async def retrieve(self, call: Call, request: RetrieveRequest) -> Retrieved:
        """What the inner one raises. A live source that fails is left out where others have passages: those still
        stand. Where nobody has any, its SourceFailed is raised: that nothing was found would not be true.

        The first page alone holds live records: an API has no pages that would fit into a ranking of ours. A filter
        that a record without metadata does not pass leaves them out.
        """
        if request.cursor or not matches(request.filter, {}):
            return await self._inner.retrieve(call, request)
        found, (records, failures) = await asyncio.gather(self._inner.retrieve(call, request), self._ask(call, request))
        for failure in failures:
            log.warning("request %s: a live source was left out: %s", call.request_id, failure)
        if failures and not records and not found.passages:
            raise failures[0]
        if not records:
            return found
        return replace(found, passages=tuple(_between(found.passages, records))[: request.top])

    async def _ask(self, call: Call, request: RetrieveRequest) -> tuple[tuple[Passage, ...], tuple[SourceFailed, ...]]:
        sources, _ = await self._sources.list(call.caller.tenant, request.knowledge_base, Page(MAX_SOURCES))
        live: list[DataSource] = [source for source in sources if is_live(source)]
        return await self._live.ask(live, request.query) if live else ((), ())


def _between(found: Sequence[Passage], records: Sequence[Passage]) -> Iterator[Passage]:
    """In turns, best first: the two rankings have no scores that compare."""
    return (passage for passage in chain.from_iterable(zip_longest(found, records)) if passage is not None)
