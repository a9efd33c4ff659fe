"""The truth about what an index found: which hits may be seen, where they stand, what they say."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import msgspec
from msgspec import Struct
from sqlalchemy import Connection, Row, and_, bindparam, select
from sqlalchemy import func as sql
from sqlalchemy.sql.elements import BindParameter

from craton.core.knowledge import Document, Filter, KnowledgeBase, Passage
from craton.index.matching import matches
from craton.knowledge import tables
from craton.knowledge.retrieval.candidates import Candidate
from craton.knowledge.rows import decode

_pieces, _chunks, _documents, _bases = (
    tables.pieces.c,
    tables.chunks.c,
    tables.documents.c,
    tables.bases.c,
)
_TEXTS = 16  # chunks whose texts are read at a time


class Viewer(Struct, frozen=True):
    """Through whose eyes. The index was asked with the same filter and user: here what is shown is held against the
    truth."""

    base: KnowledgeBase
    filter: Filter | None
    user: str


class Place(Struct, frozen=True, array_like=True):
    """A piece, and where it stands in which chunk."""

    number: int
    chunk: int
    start: int
    end: int


_DECODER = msgspec.json.Decoder(list[Place])

Places = dict[int, Place]
"""By the number of the piece."""


# --- the queries of every question: made once, for making one costs as much as asking it -----------------------

_TENANT: BindParameter[str] = bindparam("tenant")
_BASE: BindParameter[str] = bindparam("base")
_NUMBERS: BindParameter[str] = bindparam("numbers")
_CURRENT = and_(
    _documents.tenant == _pieces.tenant,
    _documents.id == _pieces.document,
    _documents.generation == _pieces.generation,
)
_EPOCH = select(_bases.epoch).where(_bases.tenant == _TENANT, _bases.id == _BASE)
_BEYOND = (
    select(_pieces.number)
    .join(tables.documents, _CURRENT)
    .where(
        _pieces.tenant == _TENANT,
        _pieces.base == _BASE,
        _pieces.number > select(_bases.indexed).where(_bases.tenant == _TENANT, _bases.id == _BASE).scalar_subquery(),
        _documents.status != "deleting",
    )
    .limit(1)
)
_PLACE = (_pieces.number, _pieces.chunk, _pieces.start, _pieces.end)
_THEIRS = and_(
    _pieces.tenant == _TENANT, _pieces.base == _BASE, _documents.base == _BASE, _documents.status != "deleting"
)
_PLACES = (
    select(*_PLACE)
    .join(tables.documents, _CURRENT)
    .where(_pieces.number.in_(bindparam("numbers", expanding=True)), _THEIRS)
)
_PLACES_AS_JSON = (  # for SQLite: see `_places`
    select(sql.json_group_array(sql.json_array(*_PLACE)))
    .select_from(tables.pieces)
    .join(tables.documents, _CURRENT)
    .where(_pieces.number.in_(select(sql.json_each(_NUMBERS).table_valued("value").c.value)), _THEIRS)
)
_CHUNKS = (
    select(tables.chunks, _documents.value)
    .join(
        tables.documents,
        and_(
            _documents.tenant == _chunks.tenant,
            _documents.id == _chunks.document,
            _documents.generation == _chunks.generation,
            _documents.base == _chunks.base,
            _documents.status != "deleting",
        ),
    )
    .where(
        _chunks.number.in_(bindparam("numbers", expanding=True)),
        _chunks.tenant.concat("") == _TENANT,  # with the bare column SQLite reads through all chunks of the tenant
        _chunks.base == _BASE,
    )
)


def epoch_of(connection: Connection, base: KnowledgeBase) -> int:
    """Counts the rebuilds of the base's index; 0 when the base was deleted meanwhile."""
    return connection.scalar(_EPOCH, _named(base)) or 0


def beyond(connection: Connection, base: KnowledgeBase) -> bool:
    """Whether the index that answers lacks what everybody may see: it was lost, and is filled again. What an ingestion
    has written lies beyond its mark too, but nobody sees it yet."""
    return connection.scalar(_BEYOND, _named(base)) is not None


def current(connection: Connection, base: KnowledgeBase, numbers: Sequence[int]) -> Places:
    """Of these pieces those of their documents' current generation. Who may see them is asked for each that is about
    to be shown (`Chunks.passages`): the index has asked already, for all of them."""
    return {place.number: place for place in _places(connection, base, numbers)}


def _places(connection: Connection, base: KnowledgeBase, numbers: Sequence[int]) -> Sequence[Place]:
    """SQLite gives them in one row of JSON, asked for with one parameter: its driver gives the interpreter up for each
    row, and with several hundred of them a thread of a busy server stands in line as often to have it back."""
    if connection.dialect.name != "sqlite":
        return [Place(*row) for row in connection.execute(_PLACES, {**_named(base), "numbers": numbers})]
    asked = {**_named(base), "numbers": msgspec.json.encode(numbers).decode()}
    return _DECODER.decode(connection.execute(_PLACES_AS_JSON, asked).scalar_one())


def _named(base: KnowledgeBase) -> dict[str, str]:
    return {"tenant": base.tenant, "base": base.id}


class Chunks:
    """The chunks of one question's candidates, each read once, in one moment's view."""

    def __init__(self, connection: Connection, viewer: Viewer) -> None:
        self._connection, self._viewer = connection, viewer
        self._rows: dict[int, Row[Any] | None] = {}

    def texts(self, candidates: Sequence[Candidate]) -> list[str]:
        """ "" for a chunk that is gone."""
        self._read(candidates)
        rows = [self._rows[candidate.chunk] for candidate in candidates]
        return ["" if row is None else row.text for row in rows]

    def passages(self, places: Places, candidates: Sequence[Candidate]) -> Iterator[tuple[Candidate, Passage]]:
        """The candidates with their texts, in their order, read as far as they are asked for; without those that the
        viewer may not see, whatever the index thought."""
        for part in _batches(candidates):
            self._read(part)
            for candidate in part:
                row = self._rows[candidate.chunk]
                if row is None:
                    continue
                document = decode(row.value, Document)
                if _admits(self._viewer, document):
                    yield candidate, _passage(row, document, candidate, places)

    def _read(self, candidates: Sequence[Candidate]) -> None:
        missing = [candidate.chunk for candidate in candidates if candidate.chunk not in self._rows]
        if not missing:
            return
        asked = {**_named(self._viewer.base), "numbers": missing}
        self._rows.update(dict.fromkeys(missing))
        self._rows.update((row.number, row) for row in self._connection.execute(_CHUNKS, asked).all())


def _passage(row: Row[Any], document: Document, candidate: Candidate, places: Places) -> Passage:
    return Passage(
        document=document.id,
        chunk=row.number,
        text=row.text,
        location=document.location,
        score=candidate.score,
        knowledge_base=document.knowledge_base,
        source=document.source,
        title=document.title,
        start=row.start,
        end=row.end,
        page=row.page,
        heading=row.heading,
        matched=_spans([places[piece] for piece in candidate.pieces if piece in places]),
        metadata=document.metadata,
    )


def _spans(places: Sequence[Place]) -> tuple[tuple[int, int], ...]:
    """In order, those that overlap or touch joined."""
    joined: list[tuple[int, int]] = []
    for start, end in sorted((place.start, place.end) for place in places):
        if joined and start <= joined[-1][1]:
            joined[-1] = (joined[-1][0], max(end, joined[-1][1]))
        else:
            joined.append((start, end))
    return tuple(joined)


def _admits(viewer: Viewer, document: Document) -> bool:
    return document.access.admits(viewer.user) and matches(viewer.filter, document.metadata)


def _batches(candidates: Sequence[Candidate]) -> Iterator[Sequence[Candidate]]:
    for start in range(0, len(candidates), _TEXTS):
        yield candidates[start : start + _TEXTS]
