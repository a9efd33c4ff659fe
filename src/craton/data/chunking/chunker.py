"""The four strategies, over units whose tokens are counted once."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path

from craton.core.errors import InvalidRequest, Unsupported
from craton.core.knowledge import Chunking
from craton.data.chunking.counting import Counter, EstimatingCounter, TokenCounter
from craton.data.chunking.packing import Run, fitting, levelled, pack, reaching_back
from craton.data.chunking.semantic import turns
from craton.data.chunking.units import Unit, units
from craton.data.documents import Chunk, Embeds, Parsed, Piece

DEFAULT_TOKENS = 300
"""Of a chunk whose size nobody has said, where the embedder reads that much."""

_CODE = "2"  # of this package: raise it when the same text may be cut elsewhere


class TokenizerChunker:
    """A `craton.data.documents.Chunker`. Deterministic, but for what `embeds` says.

    A chunk's heading is that of its first sentence: the headings above it, and the first row of the table that it is
    in. Sizes are upper bounds of whole sentences; a sentence longer than the embedder reads is cut between words.
    """

    def __init__(
        self, tokenizer: Path | None, window: int, embeds: Embeds | None = None, *, lower_case: bool = False
    ) -> None:
        """tokenizer: the embedder's tokenizer.json; None: it has none here, and tokens are estimated (see
        `EstimatingCounter`). window: the tokens that it reads. embeds: for "semantic". Raises Damaged, InvalidRequest.
        """
        self._counter: Counter = (
            EstimatingCounter(window) if tokenizer is None else TokenCounter(tokenizer, window, lower_case=lower_case)
        )
        self._embeds = embeds

    @property
    def version(self) -> str:
        return f"{_CODE}/{self._counter.version}"

    @property
    def room(self) -> int:
        """Tokens that a piece may have."""
        return self._counter.room

    async def chunk(self, parsed: Parsed, chunking: Chunking) -> tuple[Chunk, ...]:
        """Raises InvalidRequest for sizes that make no sense, Unsupported for "semantic" without embeddings."""
        _check(chunking)
        room = self._counter.room
        size = self._size(chunking)
        grain = min(room, size) if chunking.strategy != "none" else room
        parts = await asyncio.to_thread(units, parsed, self._counter, grain)
        if chunking.strategy == "semantic":
            if self._embeds is None:
                raise Unsupported("Semantic chunking with this embedder")
            buffer, percentile = chunking.buffer, chunking.percentile
            groups = await turns(parsed.text, parts, self._embeds, room, buffer, percentile)
        else:
            groups = [(0, len(parts))] if parts else []
        return await asyncio.to_thread(self._chunks, parsed.text, parts, groups, chunking, size)

    def _size(self, chunking: Chunking) -> int:
        """Chunks longer than the embedder reads are matched by parts of themselves, and worse (measured): who does not
        say how long they are to be gets such as are one piece each."""
        if chunking.max_tokens is not None:
            return chunking.max_tokens
        size = min(DEFAULT_TOKENS, self._counter.usual)
        return min(size, chunking.parent_tokens) if chunking.strategy == "hierarchical" else size

    def _chunks(
        self, text: str, parts: Sequence[Unit], groups: Sequence[Run], chunking: Chunking, size: int
    ) -> tuple[Chunk, ...]:
        room, shared = self._counter.room, 0
        limit, overlap, inner = size, 0, room
        if chunking.strategy == "fixed":
            overlap = size * chunking.overlap_percent // 100
        elif chunking.strategy == "hierarchical":
            limit, inner = chunking.parent_tokens, min(room, size)
            shared = min(chunking.overlap_tokens, inner - 1)
        runs: Sequence[Run] = groups
        if chunking.strategy != "none":
            packed = (levelled(parts, list(pack(parts, group, limit, overlap)), limit, overlap) for group in groups)
            runs = fitting(text, parts, [run for group in packed for run in group], self._counter, limit)
        return tuple(self._chunk(text, parts, run, inner, shared) for run in runs)

    def _chunk(self, text: str, parts: Sequence[Unit], run: Run, limit: int, shared: int) -> Chunk:
        first, last = run
        packed = reaching_back(parts, list(pack(parts, run, limit, shared)), limit)
        pieces = fitting(text, parts, packed, self._counter, limit)
        start, end = parts[first].start, parts[last - 1].end
        body = next((index for index in range(first, last) if not parts[index].level), first)
        return Chunk(
            start,
            end,
            tuple(Piece(parts[a].start - start, parts[b - 1].end - start) for a, b in pieces),
            parts[body].heading,
            parts[first].page,
        )


def _check(chunking: Chunking) -> None:
    said = chunking.max_tokens
    if said is not None and said < 1:
        raise InvalidRequest("it must be at least 1", "max_tokens")
    if chunking.strategy == "fixed" and not 0 <= chunking.overlap_percent < 100:
        raise InvalidRequest("it must lie between 0 and 99", "overlap_percent")
    if chunking.strategy == "hierarchical":
        if chunking.parent_tokens < (said or 1):
            raise InvalidRequest("parents cannot be smaller than their children", "parent_tokens")
        if chunking.overlap_tokens < 0 or (said is not None and chunking.overlap_tokens >= said):
            raise InvalidRequest("it must be smaller than the children", "overlap_tokens")
    if chunking.strategy == "semantic" and not (0 <= chunking.buffer <= 10 and 0 < chunking.percentile <= 100):
        raise InvalidRequest("buffer is 0 to 10, percentile 1 to 100", "semantic")
