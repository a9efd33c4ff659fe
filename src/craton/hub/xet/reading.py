"""What a client that puts a file together itself has to fetch: runs of chunks, and where they lie in stored xorbs."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from msgspec import Struct
from sqlalchemy import select

from craton.core.errors import Damaged, InvalidRequest, NotFound
from craton.formats.xet.hashes import from_text, to_text
from craton.formats.xet.shards import Segment
from craton.hub.xet import segments
from craton.hub.xet.tables import files
from craton.hub.xet.xorbs import StoredXorb, find_xorbs
from craton.store.database import Database


class XetFile(Struct, frozen=True):
    """hash: Xet's name of the file; digest: its sha256."""

    hash: str
    digest: str
    size: int
    segments: list[Segment]


class Term(NamedTuple):
    """The chunks from start to end of a xorb; length: bytes of their content."""

    xorb: str
    start: int
    end: int
    length: int


class Fetch(NamedTuple):
    """The chunks from start to end of a xorb, stored in a blob from first to last, both included."""

    start: int
    end: int
    blob: str
    first: int
    last: int


class Plan(Struct, frozen=True):
    """offset: how many bytes of the first term's content come before what was asked for."""

    offset: int
    terms: list[Term]
    fetches: dict[str, list[Fetch]]


class Reading:
    """Blocking, safe in threads. tenant: whose file it is; whether somebody else may read it is not asked here."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def find(self, tenant: str, hash: str) -> XetFile:
        """Raises NotFound."""
        from_text(hash)
        query = select(files).where(files.c.tenant == tenant, files.c.hash == hash)
        with self._database.read() as connection:
            row = connection.execute(query).one_or_none()
        if row is None:
            raise NotFound("file", hash)
        return XetFile(row.hash, row.digest, row.size, segments.unpack(row.segments))

    def hash_of(self, tenant: str, digest: str) -> str | None:
        """Xet's name of a file that the tenant brought in as chunks, so that it can be read as chunks, too."""
        query = select(files.c.hash).where(files.c.tenant == tenant, files.c.digest == digest)
        with self._database.read() as connection:
            return connection.scalar(query.order_by(files.c.hash).limit(1))

    def plan(self, tenant: str, file: XetFile, start: int, end: int) -> Plan:
        """How to get the bytes from start to end, of which there must be some.

        Raises InvalidRequest, and Damaged when a xorb is gone.
        """
        if not 0 <= start < end <= file.size:
            raise InvalidRequest("the range is empty or begins behind the file's end", "range")
        wanted = list(_overlapping(file.segments, start, end))
        with self._database.read() as connection:
            xorbs = find_xorbs(connection, tenant, {segment.xorb for _, segment in wanted})
        offset, terms = None, []
        for at, segment in wanted:
            xorb = xorbs.get(segment.xorb)
            if xorb is None:
                raise Damaged("The file", "some of its chunks are gone")
            before, term = _trimmed(segment, xorb, start - at, end - at)
            offset = before if offset is None else offset
            terms.append(term)
        return Plan(offset or 0, terms, _fetches(terms, xorbs))


def _overlapping(found: list[Segment], start: int, end: int) -> Iterator[tuple[int, Segment]]:
    at = 0
    for segment in found:
        if at < end and at + segment.length > start:
            yield at, segment
        at += segment.length


def _trimmed(segment: Segment, xorb: StoredXorb, start: int, end: int) -> tuple[int, Term]:
    """Without the chunks that lie outside; also how many bytes of the first that is left lie outside."""
    at, first, last, length, before = 0, segment.end, segment.start, 0, 0
    for number, chunk in enumerate(xorb.layout.chunks(segment.start, segment.end), segment.start):
        if at < end and at + chunk.length > start:
            if number < first:
                first, before = number, max(0, start - at)
            last = number + 1
            length += chunk.length
        at += chunk.length
    return before, Term(to_text(segment.xorb), first, last, length)


def _fetches(terms: list[Term], xorbs: dict[bytes, StoredXorb]) -> dict[str, list[Fetch]]:
    """For each xorb the runs that its terms need: those that touch are one."""
    runs: dict[str, list[tuple[int, int]]] = {}
    for term in sorted(terms, key=lambda it: it[1:3]):
        known = runs.setdefault(term.xorb, [])
        if known and term.start <= known[-1][1]:
            known[-1] = (known[-1][0], max(known[-1][1], term.end))
        else:
            known.append((term.start, term.end))
    return {name: [_fetch(xorbs[from_text(name)], *run) for run in found] for name, found in runs.items()}


def _fetch(xorb: StoredXorb, start: int, end: int) -> Fetch:
    first, behind = xorb.layout.span(start, end)
    return Fetch(start, end, xorb.digest, first, behind - 1)
