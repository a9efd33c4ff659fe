"""The truth about what an index found: which hits may be seen, where they stand, what they say."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import msgspec
from msgspec import Struct
from sqlalchemy import Connection, Row, and_, select
from sqlalchemy import func as sql

from craton.core.knowledge import Access, Document, Filter, KnowledgeBase, Metadata, Passage
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
    """Through whose eyes. The index was asked with the same filter and user: here they are held against the truth."""

    base: KnowledgeBase
    filter: Filter | None
    user: str


class _Hit(Struct, frozen=True, array_like=True):
    """A piece, and its document's row."""

    number: int
    start: int
    end: int
    document: str
    value: str


class _Gate(Struct, frozen=True):
    """What of a document says who may see it: hundreds are looked at for each that is shown."""

    access: Access = Access()
    metadata: Metadata = {}


_HITS = msgspec.json.Decoder(list[_Hit])
_GATES = msgspec.json.Decoder(_Gate)


class Visible(Struct, frozen=True):
    """spans: piece number -> where it stands in its chunk, for every piece that may be seen. documents: the rows'
    values, by id."""

    spans: dict[int, tuple[int, int]]
    documents: dict[str, str]


def epoch_of(connection: Connection, base: KnowledgeBase) -> int:
    """Counts the rebuilds of the base's index; 0 when the base was deleted meanwhile."""
    query = select(_bases.epoch).where(_bases.tenant == base.tenant, _bases.id == base.id)
    return connection.scalar(query) or 0


def beyond(connection: Connection, base: KnowledgeBase) -> bool:
    """Whether the index that answers lacks what everybody may see: it was lost, and is filled again. What an ingestion
    has written lies beyond its mark too, but nobody sees it yet."""
    mark = select(_bases.indexed).where(_bases.tenant == base.tenant, _bases.id == base.id).scalar_subquery()
    query = (
        select(_pieces.number)
        .join(tables.documents, _current())
        .where(_pieces.tenant == base.tenant, _pieces.base == base.id, _pieces.number > mark)
        .where(_documents.status != "deleting")
        .limit(1)
    )
    return connection.scalar(query) is not None


def visible(connection: Connection, viewer: Viewer, numbers: Sequence[int]) -> Visible:
    """Of these pieces those of their documents' current generation that the viewer may see."""
    admitted: dict[str, bool] = {}
    documents: dict[str, str] = {}
    spans: dict[int, tuple[int, int]] = {}
    for hit in _hits(connection, viewer.base, numbers):
        if hit.document not in admitted:
            admitted[hit.document] = _admits(viewer, _GATES.decode(hit.value))
        if admitted[hit.document]:
            documents[hit.document] = hit.value
            spans[hit.number] = (hit.start, hit.end)
    return Visible(spans, documents)


def _hits(connection: Connection, base: KnowledgeBase, numbers: Sequence[int]) -> Sequence[_Hit]:
    """SQLite gives them in one row of JSON, asked for with one parameter: its driver gives the interpreter up for each
    row, and with several hundred of them a thread of a busy server stands in line as often to have it back."""
    columns = (_pieces.number, _pieces.start, _pieces.end, _pieces.document, _documents.value)
    theirs = and_(
        _pieces.tenant == base.tenant,
        _pieces.base == base.id,
        _documents.base == base.id,
        _documents.status != "deleting",
    )
    if connection.dialect.name != "sqlite":
        rows = select(*columns).join(tables.documents, _current()).where(_pieces.number.in_(numbers), theirs)
        return [_Hit(*row) for row in connection.execute(rows)]
    asked = sql.json_each(msgspec.json.encode(numbers).decode()).table_valued("value")
    query = (
        select(sql.json_group_array(sql.json_array(*columns)))
        .select_from(tables.pieces)
        .join(tables.documents, _current())
        .where(_pieces.number.in_(select(asked.c.value)), theirs)
    )
    return _HITS.decode(connection.execute(query).scalar_one())


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

    def passages(self, seen: Visible, candidates: Sequence[Candidate]) -> Iterator[tuple[Candidate, Passage]]:
        """The candidates with their texts, in their order, read as far as they are asked for."""
        for part in _batches(candidates):
            self._read(part)
            for candidate in part:
                row = self._rows[candidate.chunk]
                value = None if row is None else seen.documents.get(row.document)
                if row is not None and value is not None:
                    yield candidate, _passage(row, decode(value, Document), candidate, seen)

    def _read(self, candidates: Sequence[Candidate]) -> None:
        missing = [candidate.chunk for candidate in candidates if candidate.chunk not in self._rows]
        if not missing:
            return
        query = select(tables.chunks).where(
            _chunks.number.in_(missing),
            _chunks.tenant == self._viewer.base.tenant,
            _chunks.base == self._viewer.base.id,
        )
        self._rows.update(dict.fromkeys(missing))
        self._rows.update((row.number, row) for row in self._connection.execute(query).all())


def _passage(row: Row[Any], document: Document, candidate: Candidate, seen: Visible) -> Passage:
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
        matched=_spans([seen.spans[piece] for piece in candidate.pieces if piece in seen.spans]),
        metadata=document.metadata,
    )


def _spans(spans: Sequence[tuple[int, int]]) -> tuple[tuple[int, int], ...]:
    """In order, those that overlap or touch joined."""
    joined: list[tuple[int, int]] = []
    for start, end in sorted(spans):
        if joined and start <= joined[-1][1]:
            joined[-1] = (joined[-1][0], max(end, joined[-1][1]))
        else:
            joined.append((start, end))
    return tuple(joined)


def _current() -> Any:
    return and_(
        _documents.tenant == _pieces.tenant,
        _documents.id == _pieces.document,
        _documents.generation == _pieces.generation,
    )


def _admits(viewer: Viewer, gate: _Gate) -> bool:
    return gate.access.admits(viewer.user) and matches(viewer.filter, gate.metadata)


def _batches(candidates: Sequence[Candidate]) -> Iterator[Sequence[Candidate]]:
    for start in range(0, len(candidates), _TEXTS):
        yield candidates[start : start + _TEXTS]
