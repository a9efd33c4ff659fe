"""What moves through an ingestion."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from msgspec import Struct

from craton.core.knowledge import DataSource, Document, KnowledgeBase
from craton.data.documents import Chunk, Item


class Order(Struct, frozen=True):
    """The arguments of the job."""

    base: str
    source: str
    ingestion: str
    confirm_shrinking: bool = False


class Task(Struct, frozen=True):
    """What the ledger says at the beginning. ended: an earlier attempt came to the end.

    before: how many documents the source had when the first attempt began. cursor: as `sources.cursor` keeps it.
    """

    base: KnowledgeBase
    source: DataSource
    cursor: str | None
    before: int
    ended: bool


class Known(Struct, frozen=True):
    """A document's row. complete: its pending generation is written and waits to be flipped. settled: it has none.
    seen: the ingestion that settled it last."""

    id: str
    document: Document
    status: str
    etag: str
    metadata_etag: str
    digest: str
    versions: str
    seen: str
    generation: int
    complete: bool
    settled: bool

    def stands(self, versions: str) -> bool:
        """What is indexed is what these versions make of the bytes of `digest`."""
        return self.settled and self.generation > 0 and self.versions == versions and self.status != "failed"


class Work(Struct, frozen=True):
    """A document that has to be looked at."""

    item: Item
    known: Known | None


@dataclass(slots=True, eq=False)
class Prepared:
    """A document on its way into rows: parsed and chunked, its pieces not embedded yet.

    document: what its row will say. same_bytes: only what is said of it has changed. generation, chunk: where its rows
    stand, once they are begun. failed: why it cannot be indexed after all. overtaken: its row was deleted, or taken
    over, in between.
    """

    work: Work
    document: Document
    digest: str
    text: str
    chunks: tuple[Chunk, ...]
    same_bytes: bool
    generation: int = 0
    chunk: int = 0
    failed: str = ""
    overtaken: bool = False


@dataclass(slots=True, eq=False)
class Slice:
    """Some pieces of one chunk. pieces: (start, end) within the chunk's text. digests and vectors (float16) belong to
    them in order, filled by the embedding."""

    prepared: Prepared
    index: int
    pieces: tuple[tuple[int, int], ...]
    begins_chunk: bool
    begins: bool
    ends: bool
    chunk: int = 0
    digests: list[str] = field(default_factory=list)
    vectors: list[bytes] = field(default_factory=list)

    def text(self) -> str:
        chunk = self.prepared.chunks[self.index]
        return self.prepared.text[chunk.start : chunk.end]

    def texts(self) -> list[str]:
        start = self.prepared.chunks[self.index].start
        return [self.prepared.text[start + first : start + last] for first, last in self.pieces]


def slices(prepared: Prepared, pieces: int) -> Iterator[Slice]:
    """The document in slices of at most so many pieces, in order."""
    for index, chunk in enumerate(prepared.chunks):
        for at in range(0, len(chunk.pieces), pieces):
            some = chunk.pieces[at : at + pieces]
            yield Slice(
                prepared,
                index,
                tuple((piece.start, piece.end) for piece in some),
                begins_chunk=at == 0,
                begins=index == 0 and at == 0,
                ends=index == len(prepared.chunks) - 1 and at + pieces >= len(chunk.pieces),
            )
