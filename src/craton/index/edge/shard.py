"""One index on the disk and open: a Qdrant shard and what was written to it. Runs in the index process alone.

Nothing here waits: each call holds the interpreter (Qdrant Edge never gives it up) for about a millisecond for a search
and less than ten for a slice of points.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, TypeVar

import qdrant_edge as edge
from msgspec.structs import replace

from craton.core.errors import CratonError, Damaged, StorageFull
from craton.index.analysis import document_terms, query_terms
from craton.index.edge.conditions import edge_filter
from craton.index.edge.files import (
    UNFLUSHED,
    Current,
    lost_writes,
    read_current,
    sweep_generations,
    this_boot,
    write_current,
    write_durably,
)
from craton.index.edge.settings import EdgeSettings
from craton.index.payload import INDEXED, conditions, payload
from craton.index.protocol import Found, Hit, IndexSpec, Point, Search
from craton.index.vectors import floats

DENSE, LEXICAL = "dense", "lexical"

T = TypeVar("T")


class Shard:
    """touched: while a copy is being optimised, the ids that were written since it was taken, else None.

    unoptimised: how many points were written since the last optimising.
    """

    def __init__(self, folder: Path, spec: IndexSpec, settings: EdgeSettings, current: Current, shard: Any) -> None:
        self.folder, self.spec, self.current = folder, spec, current
        self.touched: set[int] | None = None
        self.written = 0.0  # when, by the monotonic clock
        self._settings, self._shard = settings, shard
        self._unflushed = 0
        self.unoptimised = max(0, self.count() - current.built)

    @classmethod
    def open(cls, folder: Path, spec: IndexSpec, settings: EdgeSettings) -> Shard:
        """Makes it when it is not there. Raises Damaged."""
        current = read_current(folder)
        if current is None:
            return cls._make(folder, spec, settings)
        if (current.tenant, current.dimensions) != (spec.tenant, spec.dimensions):
            raise Damaged("the index", "it was made for vectors of another kind")
        if lost_writes(folder):
            raise Damaged("the index", "the machine went down before all of it was on the disk")
        sweep_generations(folder, current.generation)
        shard = guarded(lambda: edge.EdgeShard.load(str(folder / current.generation)))
        opened = cls(folder, spec, settings, current, shard)
        opened._unflushed = int((folder / UNFLUSHED).exists())
        return opened

    @classmethod
    def _make(cls, folder: Path, spec: IndexSpec, settings: EdgeSettings) -> Shard:
        """What an interrupted making left is removed: nothing was promised about it."""
        shutil.rmtree(folder, ignore_errors=True)
        current = Current("g1", spec.dimensions, spec.tenant)
        (folder / current.generation).mkdir(parents=True)
        shard = guarded(lambda: edge.EdgeShard.create(str(folder / current.generation), _config(spec, settings)))
        for field in INDEXED:
            guarded(
                lambda name=field: shard.update(  # type: ignore[misc]
                    edge.UpdateOperation.create_field_index(name, edge.PayloadSchemaType.Keyword)
                )
            )
        guarded(shard.flush)
        write_current(folder, current)
        return cls(folder, spec, settings, current, shard)

    @property
    def path(self) -> Path:
        return self.folder / self.current.generation

    @property
    def unflushed(self) -> bool:
        return self._unflushed > 0

    # --- writes -------------------------------------------------------------------------------------------------

    def upsert(self, points: Sequence[Point]) -> None:
        """In the log of the shard, and so safe from a kill, when this returns."""
        if not self.current.restricted and any(point.access.allow or point.access.deny for point in points):
            self.current = replace(self.current, restricted=True)
            write_current(self.folder, self.current)  # before the first such point is there
        made = [_point(point, self.spec.tenant) for point in points]
        self._write(edge.UpdateOperation.upsert_points(made), [point.id for point in points])

    def delete(self, ids: Sequence[int]) -> None:
        self._write(edge.UpdateOperation.delete_points(list(ids)), ids)

    def _write(self, operation: Any, ids: Sequence[int]) -> None:
        try:
            if shutil.disk_usage(self.folder).free < self._settings.free_bytes:
                raise StorageFull
            if not self._unflushed:
                write_durably(self.folder / UNFLUSHED, this_boot().encode())
        except FileNotFoundError:
            raise Damaged("the index", "its files are gone") from None
        self._unflushed += len(ids)
        guarded(lambda: self._shard.update(operation))
        self.unoptimised += len(ids)
        self.written = time.monotonic()
        if self.touched is not None:
            self.touched.update(ids)
        if self._unflushed >= self._settings.flush_after:
            self.flush()

    def flush(self) -> None:
        """Everything is on the disk when this returns."""
        guarded(self._shard.flush)
        (self.folder / UNFLUSHED).unlink(missing_ok=True)
        self._unflushed = 0

    # --- reads --------------------------------------------------------------------------------------------------

    def search(self, search: Search) -> Found:
        if search.tenant != self.spec.tenant:
            return Found()
        wanted = edge_filter(conditions(search, tenant=False, access=self.current.restricted))
        dense: tuple[Hit, ...] = ()
        lexical: tuple[Hit, ...] = ()
        if search.vector is not None:
            vector = floats(search.vector)
            dense = self._nearest(edge.Query.Nearest(vector, using=DENSE), wanted, search)
        if search.text is not None and (terms := query_terms(search.text)):
            sparse = edge.SparseVector(terms, [1.0] * len(terms))
            lexical = self._nearest(edge.Query.Nearest(sparse, using=LEXICAL), wanted, search, exact=True)
        return Found(dense, lexical)

    def _nearest(self, query: Any, wanted: Any, search: Search, exact: bool = False) -> tuple[Hit, ...]:
        """A graph that is searched through a narrow filter may miss what it holds: fewer hits than were asked for are
        looked for again, everywhere."""
        ef = max(self._settings.ef, search.limit)
        acorn = edge.AcornSearchParams(enable=True) if search.filter is not None else None
        for everywhere in (False, True):
            request = edge.QueryRequest(
                limit=search.limit,
                query=query,
                filter=wanted,
                params=edge.SearchParams(hnsw_ef=ef, exact=everywhere, acorn=None if everywhere else acorn),
            )
            found = guarded(lambda asked=request: self._shard.query(asked))  # type: ignore[misc]
            if exact or len(found) == search.limit:
                break
        hits = (Hit(hit.id, hit.score) for hit in found)
        return tuple(sorted(hits, key=lambda hit: (-hit.score, hit.id)))

    def count(self) -> int:
        return int(guarded(lambda: self._shard.count(edge.CountRequest(exact=True))))

    # --- optimising ---------------------------------------------------------------------------------------------

    def bring_up_to_date(self, copy: Any, ids: Sequence[int]) -> None:
        """Makes these points in the copy (an open shard) what they are here."""
        records = guarded(lambda: self._shard.retrieve(list(ids), True, True))
        points = [edge.Point(record.id, record.vector, record.payload) for record in records]
        gone = set(ids) - {record.id for record in records}
        if points:
            guarded(lambda: copy.update(edge.UpdateOperation.upsert_points(points)))
        if gone:
            guarded(lambda: copy.update(edge.UpdateOperation.delete_points(list(gone))))

    def flip(self, generation: str, copy: Any, late: int) -> None:
        """The copy becomes the index. late: the points that were written after the copy was taken."""
        guarded(copy.flush)
        old, old_path = self._shard, self.path
        held = int(guarded(lambda: copy.count(edge.CountRequest(exact=True))))
        current = replace(self.current, generation=generation, built=max(0, held - late))
        write_current(self.folder, current)
        self._shard, self.current, self.unoptimised = copy, current, late
        (self.folder / UNFLUSHED).unlink(missing_ok=True)
        self._unflushed = 0
        with suppress(Damaged):
            guarded(old.close)
        shutil.rmtree(old_path, ignore_errors=True)

    def close(self) -> None:
        if self._unflushed:
            self.flush()
        guarded(self._shard.close)


def guarded(call: Callable[[], T]) -> T:
    """Whatever goes wrong in the shard becomes Damaged, or StorageFull. Its panics are no Exceptions."""
    try:
        return call()
    except (CratonError, KeyboardInterrupt, SystemExit, GeneratorExit):
        raise
    except BaseException as error:
        if "No space left" in str(error):
            raise StorageFull from None
        raise Damaged("the index", f"its shard failed ({type(error).__name__})") from error


def _config(spec: IndexSpec, settings: EdgeSettings) -> Any:
    """Vectors in float16: the truth keeps no more, and it halves the bytes that a search reads."""
    graph = edge.HnswIndexConfig(m=16, ef_construct=settings.ef_construct, full_scan_threshold=10_000)
    half = edge.VectorStorageDatatype.Float16
    return edge.EdgeConfig(
        vectors={
            DENSE: edge.EdgeVectorParams(
                size=spec.dimensions, distance=edge.Distance.Cosine, datatype=half, hnsw_config=graph
            )
        },
        sparse_vectors={LEXICAL: edge.EdgeSparseVectorParams(modifier=edge.Modifier.Idf)},
    )


def _point(point: Point, tenant: str) -> Any:
    vectors: dict[str, Any] = {DENSE: floats(point.vector)}
    if terms := document_terms(point.text):
        vectors[LEXICAL] = edge.SparseVector(list(terms), list(terms.values()))
    return edge.Point(point.id, vectors, payload(point, tenant))
