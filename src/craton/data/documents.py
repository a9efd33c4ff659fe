"""Documents on their way in: listed by a source, fetched into a file, parsed to one text, cut into chunks."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Literal, Protocol

from msgspec import Struct

from craton.core.knowledge import Access, Chunking, Location, Metadata


class Item(Struct, frozen=True, omit_defaults=True):
    """A document that a source has. key: its name there, stable over listings. etag: changes when its content does, ""
    when the source cannot tell without fetching. metadata_etag: likewise for what stands beside it (a metadata file).
    deleted: an incremental source says that it is gone."""

    key: str
    etag: str = ""
    metadata_etag: str = ""
    size: int | None = None
    deleted: bool = False


class Fetched(Struct, frozen=True, omit_defaults=True):
    """media_type: as the source says it, "" when it does not. name: a file name, for telling the type and for
    people."""

    path: Path
    location: Location
    name: str
    media_type: str = ""
    title: str = ""
    metadata: Metadata = {}
    access: Access = Access()


class Source(Protocol):
    """List, fetch, cursor. Made for one ingestion by `craton.data.sources.Sources.open`."""

    @property
    def incremental(self) -> bool:
        """Whether a listing holds only what changed since its cursor. Otherwise what it does not hold is gone."""
        ...

    def list(self, cursor: str | None) -> AsyncIterator[Item]:
        """Everything, or what changed since the cursor (None: everything). Raises CratonError when the source as a
        whole cannot be read: then nothing may be deleted on its account."""
        ...

    def cursor(self) -> str | None:
        """Where the next listing may begin; known when `list` has ended."""
        ...

    async def fetch(self, item: Item, folder: Path, limit: int) -> Fetched:
        """Writes the document into a new file in folder. limit: bytes. Raises CratonError for this one document
        (TooLarge, NotFound when it went away meanwhile, OutgoingRefused ...)."""
        ...

    async def close(self) -> None: ...


BlockKind = Literal["heading", "paragraph", "list", "table", "code", "row"]


class Block(Struct, frozen=True, array_like=True, omit_defaults=True):
    """A span of the parsed text. level: of a heading, from 1. page: from 1."""

    start: int
    end: int
    kind: BlockKind
    level: int = 0
    page: int | None = None


class Parsed(Struct, frozen=True, omit_defaults=True):
    """text: everything readable, as plain text with Markdown's tables and headings; NFC, "\n" line ends, no control
    characters. blocks: in order, not overlapping. notes: what was left out and why, for the ledger."""

    text: str
    blocks: tuple[Block, ...]
    media_type: str
    title: str = ""
    notes: tuple[str, ...] = ()


class Parser(Protocol):
    """Bounded: a document that takes too much memory or time, or kills the process that reads it, fails alone."""

    @property
    def version(self) -> str:
        """Changes whenever the same bytes may give another text."""
        ...

    async def parse(self, path: Path, name: str, media_type: str) -> Parsed:
        """Raises CratonError that says in words for its owner what is wrong with this document (Unsupported: no text in
        it, encrypted, no such format; TooLarge; Damaged)."""
        ...

    async def close(self) -> None: ...


class Piece(Struct, frozen=True, array_like=True):
    """A span of the chunk's text, short enough for the embedder."""

    start: int
    end: int


class Chunk(Struct, frozen=True, array_like=True):
    """text == parsed.text[start:end]. heading: the headings above it, joined by " > "."""

    start: int
    end: int
    pieces: tuple[Piece, ...]
    heading: str = ""
    page: int | None = None


class Embeds(Protocol):
    """Vectors for texts: float32, unit length, shape (len(texts), dimensions)."""

    async def __call__(self, texts: Sequence[str]) -> bytes: ...


class Chunker(Protocol):
    @property
    def version(self) -> str: ...

    async def chunk(self, parsed: Parsed, chunking: Chunking) -> tuple[Chunk, ...]:
        """At least one chunk for a text that is not blank; together the pieces cover every readable character."""
        ...
