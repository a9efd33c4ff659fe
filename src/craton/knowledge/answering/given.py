"""Documents that come with the question: parsed, cut and ranked in memory, never stored."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Sequence
from pathlib import Path

from msgspec import Struct

from craton.core.errors import Damaged, InvalidRequest, TooLarge
from craton.core.knowledge import Chunking, External, Location, Passage
from craton.data.documents import Chunk, Chunker, Parsed, Parser
from craton.knowledge.answering.models import Embed
from craton.knowledge.answering.ranking import Lexicon, best_first, fuse

MAX_DOCUMENTS = 10
MAX_BYTES = 10 * 2**20  # of all documents together
MAX_PIECES = 20_000  # that are compared by their words
MAX_EMBEDDED = 192  # pieces that are compared by their meaning too: what BM25 likes best when there are more


class _Piece(Struct, frozen=True):
    document: int
    number: int
    chunk: Chunk
    start: int
    end: int
    text: str


class GivenDocuments:
    def __init__(self, parser: Parser, chunker: Chunker) -> None:
        self._parser, self._chunker = parser, chunker

    async def passages(self, documents: Sequence[External], query: str, top: int, embed: Embed) -> tuple[Passage, ...]:
        """The best chunks. Raises TooLarge, InvalidRequest (a broken document), and what the parser raises: every
        document was asked about, so one that cannot be read fails the question."""
        if len(documents) > MAX_DOCUMENTS:
            raise TooLarge("the documents of a question", MAX_DOCUMENTS, len(documents), "documents")
        if (size := sum(len(document.data) for document in documents)) > MAX_BYTES:
            raise TooLarge("the documents of a question", MAX_BYTES, size)
        parsed = [await self._parse(document) for document in documents]
        pieces = await self._pieces(parsed)
        if not pieces:
            return ()
        scores = await asyncio.to_thread(lambda: Lexicon([piece.text for piece in pieces]).scores(query))
        chosen = range(len(pieces)) if len(pieces) <= MAX_EMBEDDED else best_first(scores)[:MAX_EMBEDDED]
        asked, *vectors = await embed([query, *(pieces[index].text for index in chosen)])
        ranked = fuse(asked, dict(zip(chosen, vectors, strict=True)), scores)
        return tuple(_passages(documents, parsed, pieces, ranked, top))

    async def _parse(self, document: External) -> Parsed:
        with tempfile.TemporaryDirectory(prefix="craton-given-") as folder:
            path = Path(folder) / "document"
            await asyncio.to_thread(path.write_bytes, document.data)
            try:
                return await self._parser.parse(path, document.name, document.media_type)
            except Damaged as error:  # the caller's bytes, not ours
                raise InvalidRequest(error.reason, document.name[:200]) from error

    async def _pieces(self, parsed: Sequence[Parsed]) -> list[_Piece]:
        pieces: list[_Piece] = []
        for number, text in enumerate(parsed):
            for index, chunk in enumerate(await self._chunker.chunk(text, Chunking())):
                for piece in chunk.pieces:
                    start, end = chunk.start + piece.start, chunk.start + piece.end
                    pieces.append(_Piece(number, index, chunk, piece.start, piece.end, text.text[start:end]))
                    if len(pieces) > MAX_PIECES:
                        raise TooLarge("the documents of a question", MAX_PIECES, None, "pieces")
        return pieces


def _passages(
    documents: Sequence[External],
    parsed: Sequence[Parsed],
    pieces: Sequence[_Piece],
    ranked: Sequence[tuple[int, float]],
    top: int,
) -> list[Passage]:
    found: dict[tuple[int, int], Passage] = {}
    for index, score in ranked:
        piece = pieces[index]
        key = (piece.document, piece.number)
        if key in found:
            continue
        document, text, chunk = documents[piece.document], parsed[piece.document], piece.chunk
        found[key] = Passage(
            document=f"given-{piece.document + 1}",
            chunk=piece.number,
            text=text.text[chunk.start : chunk.end],
            location=document.location or Location("direct", document.name),
            score=score,
            title=text.title or document.name,
            start=chunk.start,
            end=chunk.end,
            page=chunk.page,
            heading=chunk.heading,
            matched=((piece.start, piece.end),),
        )
        if len(found) == top:
            break
    return list(found.values())
