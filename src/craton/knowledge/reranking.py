"""`protocol.Ranking`: texts in the order in which they answer a query.

An embedding model scores by late comparison (`ranking.late`): the texts' windows and sentences are embedded and held
against the query, and their words against its words. A classifier of one label reads the query together with each
text, and its number is the score (a cross-encoder: Nogueira and Cho, 2019, arXiv 1901.04085). Models of other kinds
cannot score and are refused.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence

from msgspec import Struct
from msgspec.structs import replace

from craton.core.errors import InvalidRequest, TooLarge, Unsupported
from craton.core.model import ClassifyRequest, EmbedRequest, ModelInfo, ScoreAnswer, ScoreRequest
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
_READ = 128  # texts of one call to a cross-encoder

Score = Callable[[Call, ScoreRequest], Awaitable[ScoreAnswer]]


_ABLE = "An embedding model can score texts, and a classifier of one label that was trained for it."


class _Parts(Struct, frozen=True):
    """Of one text."""

    windows: list[str]
    sentences: list[str]


class Reranker:
    def __init__(self, embedders: Embedders, score: Score | None = None) -> None:
        """score: asks classifiers; None where there are none."""
        self._embedders, self._score = embedders, score

    async def rank(self, call: Call, model: str, query: str, texts: Sequence[str], top: int | None) -> list[Scored]:
        """Best first, equal scores in the order given; scores as `ranking.late` makes them.

        Raises NotFound, Unsupported (a model that cannot score), InvalidRequest, TooLarge.
        """
        _check(query, texts, top)
        info = await self._embedders.model(call.caller, model)
        reads = "classify" in info.verbs and self._score is not None
        if "embed" not in info.verbs and not reads:
            raise Unsupported(f"Reranking with the model {info.id!r}", _ABLE)
        if not texts:
            return []
        scores = await (self._read if reads else self._compared)(call, info, query, texts)
        order = sorted(range(len(texts)), key=lambda index: (-scores[index], index))
        return [Scored(index, scores[index]) for index in order[:top]]

    async def _read(self, call: Call, info: ModelInfo, query: str, texts: Sequence[str]) -> list[float]:
        """A cross-encoder's, from 0 to 1; of an empty text, 0."""
        assert self._score is not None
        scores = [0.0] * len(texts)
        said = [index for index, text in enumerate(texts) if text]
        for number, start in enumerate(range(0, len(said), _READ)):
            batch = said[start : start + _READ]
            request = ClassifyRequest(
                _name(info),
                (query,) * len(batch),
                function="sigmoid",
                truncate=True,
                seconds=tuple(texts[index] for index in batch),
            )
            answer = await self._score(_numbered(call, number), request)
            for index, row in zip(batch, answer.scores, strict=True):
                if len(row) != 1:
                    raise Unsupported(f"Reranking with {info.id!r}, which tells {len(row)} labels apart", _ABLE)
                scores[index] = row[0].score
        return scores

    async def _compared(self, call: Call, info: ModelInfo, query: str, texts: Sequence[str]) -> list[float]:
        most = min(_PARTS, _ALL_PARTS // len(texts))
        parts = await asyncio.to_thread(lambda: [_parts(text, most) for text in texts])
        vectors, width = await self._embed(call, info, query, parts)
        return await asyncio.to_thread(_scores, query, texts, parts, vectors, width)

    async def _embed(self, call: Call, info: ModelInfo, query: str, parts: Sequence[_Parts]) -> tuple[bytes, int]:
        """The query's vector and after it those of all parts, and how many bytes each has."""
        inputs = [query]
        for part in parts:
            inputs += (*part.windows, *part.sentences)
        name = _name(info)
        vectors, width = bytearray(), 0
        for number, start in enumerate(range(0, len(inputs), _BATCH)):
            batch = EmbedRequest(name, tuple(inputs[start : start + _BATCH]), truncate=True)
            answer = await self._embedders.embed(_numbered(call, number), batch)
            vectors += answer.vectors
            width = 4 * answer.dimensions
        return bytes(vectors), width


def _name(info: ModelInfo) -> str:
    return f"{info.id}@{info.revision}" if info.revision else info.id


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
