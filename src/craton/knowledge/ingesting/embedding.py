"""Vectors for the pieces of a window: known ones from the rows, the others in batches of about the same length."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence

from craton.core.errors import ContextExceeded, InvalidRequest, ModelFailed, TooLarge, Unsupported
from craton.core.knowledge import KnowledgeBase
from craton.data.documents import Embeds
from craton.knowledge.ingesting.together import together
from craton.knowledge.ingesting.work import Slice
from craton.knowledge.ingesting.writing import Writing
from craton.knowledge.rows import digest
from craton.knowledge.vectors import to_rows

BATCH_TEXTS = 128
BATCH_CHARACTERS = 48 * 1024  # of a batch, padding included: about 12,000 tokens
AT_ONCE = 3  # batches under way, of all windows: the model's worker never waits for the next one
MAX_FAILURES = 8  # texts in a row at which the model failed: then it is not the texts
_OF_THE_TEXT = (InvalidRequest, TooLarge, ContextExceeded, Unsupported, ModelFailed)


class Embedding:
    """One ingestion's. Batches grow until they are full; a text that breaks its batch is found by halving it."""

    def __init__(self, embeds: Embeds, base: KnowledgeBase, writing: Writing) -> None:
        self._embeds, self._base, self._writing = embeds, base, writing
        self._failures = 0
        self._places = asyncio.Semaphore(AT_ONCE)

    async def fill(self, slices: Sequence[Slice]) -> None:
        """Sets digests and vectors of the slices, and `failed` of the documents that hold a text that cannot be
        embedded. Raises what is not any text's fault."""
        texts: dict[str, str] = {}
        for part in slices:
            part.digests = []
            for text in part.texts():
                name = digest(self._base.embedder, self._base.embedder_revision, str(self._base.dimensions), text)
                part.digests.append(name)
                texts[name] = text
        vectors = await asyncio.to_thread(self._writing.cached, list(texts))
        missing = sorted((name for name in texts if name not in vectors), key=lambda name: (len(texts[name]), name))
        reasons: dict[str, str] = {}

        async def embed(names: list[str]) -> None:
            async with self._places:
                await self._embed(names, texts, vectors, reasons)

        await together(*(embed(names) for names in _batches(missing, texts)))
        for part in slices:
            broken = next((reasons[name] for name in part.digests if name in reasons), None)
            if broken is not None:
                part.prepared.failed = broken
            else:
                part.vectors = [vectors[name] for name in part.digests]

    async def _embed(
        self, names: list[str], texts: dict[str, str], vectors: dict[str, bytes], reasons: dict[str, str]
    ) -> None:
        try:
            answer = await self._embeds([texts[name] for name in names])
        except _OF_THE_TEXT as error:
            if len(names) > 1:
                await self._embed(names[: len(names) // 2], texts, vectors, reasons)
                await self._embed(names[len(names) // 2 :], texts, vectors, reasons)
                return
            self._failures += isinstance(error, ModelFailed)
            if self._failures > MAX_FAILURES:
                raise
            reasons[names[0]] = f"A part of it cannot be embedded. {error}"
            return
        self._failures = 0
        vectors.update(zip(names, to_rows(answer, self._base.dimensions), strict=True))


def _batches(names: Sequence[str], texts: dict[str, str]) -> Iterator[list[str]]:
    """names: sorted by their texts' lengths."""
    batch: list[str] = []
    for name in names:
        if batch and (len(batch) >= BATCH_TEXTS or (len(batch) + 1) * len(texts[name]) > BATCH_CHARACTERS):
            yield batch
            batch = []
        batch.append(name)
    if batch:
        yield batch
