"""`protocol.Ranking`: texts in the order in which they answer a query.

An embedding model scores by late comparison (`ranking.late`): the texts' windows and sentences are embedded and held
against the query, and their words against its words. Models of other kinds cannot score and are refused.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from msgspec import Struct
from msgspec.structs import replace

from craton.core.errors import InvalidRequest, TooLarge, Unsupported
from craton.core.model import EmbedRequest, ModelInfo
from craton.data.chunking.sentences import sentence_spans
from craton.knowledge.embedders import Embedders
from craton.knowledge.protocol import Scored
from craton.knowledge.ranking import late
from craton.serve.inference import Call

MAX_TEXTS = 1_000
MAX_QUERY = 20_000  # characters
MAX_TEXT = 100_000  # characters
MAX_CHARACTERS = 4_000_000  # of all texts together

_WINDOW = 900  # characters of a window: some 200 tokens, which embedders read whole
_SHORT = 20  # characters: a heading or a number alone is no sentence to judge by
_PARTS = 48  # windows, and sentences, of one text that are embedded; of a longer text every so many
_ALL_PARTS = 8_000  # likewise of all texts together
_BATCH = 1_024  # inputs of one call to the model


class _Parts(Struct, frozen=True):
    """Of one text."""

    windows: list[str]
    sentences: list[str]


class Reranker:
    def __init__(self, embedders: Embedders) -> None:
        self._embedders = embedders

    async def rank(self, call: Call, model: str, query: str, texts: Sequence[str], top: int | None) -> list[Scored]:
        """Best first, equal scores in the order given; scores as `ranking.late` makes them.

        Raises NotFound, Unsupported (a model that cannot score), InvalidRequest, TooLarge.
        """
        _check(query, texts, top)
        info = await self._embedders.model(call.caller, model)
        if "embed" not in info.verbs:
            raise Unsupported(f"Reranking with the model {info.id!r}", "An embedding model can score texts.")
        if not texts:
            return []
        most = min(_PARTS, _ALL_PARTS // len(texts))
        parts = await asyncio.to_thread(lambda: [_parts(text, most) for text in texts])
        vectors, width = await self._embed(call, info, query, parts)
        scores = await asyncio.to_thread(_scores, query, texts, parts, vectors, width)
        order = sorted(range(len(texts)), key=lambda index: (-scores[index], index))
        return [Scored(index, scores[index]) for index in order[:top]]

    async def _embed(self, call: Call, info: ModelInfo, query: str, parts: Sequence[_Parts]) -> tuple[bytes, int]:
        """The query's vector and after it those of all parts, and how many bytes each has."""
        inputs = [query]
        for part in parts:
            inputs += (*part.windows, *part.sentences)
        name = f"{info.id}@{info.revision}" if info.revision else info.id
        vectors, width = bytearray(), 0
        for number, start in enumerate(range(0, len(inputs), _BATCH)):
            batch = EmbedRequest(name, tuple(inputs[start : start + _BATCH]), truncate=True)
            answer = await self._embedders.embed(_numbered(call, number), batch)
            vectors += answer.vectors
            width = 4 * answer.dimensions
        return bytes(vectors), width


def _numbered(call: Call, number: int) -> Call:
    """Each call to the model leaves a row of its own."""
    return replace(call, request_id=f"{call.request_id[:58]}.{number}") if number else call


def _check(query: str, texts: Sequence[str], top: int | None) -> None:
    if len(query) > MAX_QUERY:
        raise TooLarge("query", MAX_QUERY, len(query), "characters")
    if not query.strip():
        raise InvalidRequest("it must not be empty", "query")
    if not _is_unicode(query):
        raise InvalidRequest("it is not valid Unicode", "query")
    if len(texts) > MAX_TEXTS:
        raise TooLarge("texts", MAX_TEXTS, len(texts), "texts")
    if top is not None and top < 1:
        raise InvalidRequest("at least one result must be kept", "top")
    for index, text in enumerate(texts):
        if len(text) > MAX_TEXT:
            raise TooLarge(f"texts[{index}]", MAX_TEXT, len(text), "characters")
        if not _is_unicode(text):
            raise InvalidRequest("it is not valid Unicode", f"texts[{index}]")
    if (size := sum(map(len, texts))) > MAX_CHARACTERS:
        raise TooLarge("texts", MAX_CHARACTERS, size, "characters")


def _is_unicode(text: str) -> bool:
    return text.isascii() or not any("\ud800" <= character <= "\udfff" for character in text)


def _parts(text: str, most: int) -> _Parts:
    spans = sentence_spans(text)
    windows: list[tuple[int, int]] = []
    for start, end in spans:
        for cut in range(start, end, _WINDOW):  # of a sentence longer than a window
            stop = min(cut + _WINDOW, end)
            if windows and stop - windows[-1][0] <= _WINDOW:
                windows[-1] = (windows[-1][0], stop)
            else:
                windows.append((cut, stop))
    sentences = [text[start : min(end, start + _WINDOW)] for start, end in spans if end - start >= _SHORT]
    return _Parts(_thinned([text[start:end] for start, end in windows]), _thinned(sentences) if len(spans) > 1 else [])


def _thinned(parts: list[str]) -> list[str]:
    step = -(-len(parts) // _PARTS)
    return parts if step <= 1 else parts[::step]


def _scores(query: str, texts: Sequence[str], parts: Sequence[_Parts], vectors: bytes, width: int) -> list[float]:
    first = memoryview(vectors[:width]).cast("f").tolist()
    words = late.lexical(query, texts)
    scores, at = [], width
    for part, word in zip(parts, words, strict=True):
        middle = at + width * len(part.windows)
        end = middle + width * len(part.sentences)
        dense = late.dense(late.cosines(first, vectors[at:middle]), late.cosines(first, vectors[middle:end]))
        scores.append(late.combined(dense, word))
        at = end
    return scores
