"""A file of any format as Parquet, made once, in batches."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.parquet as pq

from craton.core.errors import Damaged, Unsupported
from craton.data.viewing.cells import Cells, PageBuilder, cells_of
from craton.data.viewing.delimited import CsvTable
from craton.data.viewing.features import with_features
from craton.data.viewing.frames import Source
from craton.data.viewing.limits import ViewLimits
from craton.data.viewing.parquet import PARTIAL, describe, open_parquet
from craton.data.viewing.plain import ArrowTable, TextTable
from craton.data.viewing.records import JsonTable
from craton.data.viewing.values import Described, Feature, Page

if TYPE_CHECKING:
    from craton.data.viewing.tabular import Tabular

_GROUP_BYTES = 64 << 20  # of a row group, decoded
_GROUP_ROWS = 25_000  # a page decodes half of them on average


def open_table(source: Source, limits: ViewLimits, *, whole: bool) -> Tabular:
    """whole: what the columns hold is asked of all of the file."""
    if source.format == "csv":
        return CsvTable(source, limits, whole=whole)
    if source.format == "json":
        return JsonTable(source, limits, whole=whole)
    if source.format == "text":
        return TextTable(source, limits)
    if source.format == "arrow":
        return ArrowTable(source, limits)
    raise Unsupported(f"Converting {source.format}")


def convert(source: Source, target: str, limits: ViewLimits) -> Described:
    """Writes target. Raises Damaged, TooLarge, Unsupported."""
    table = open_table(source, limits, whole=True)
    schema = with_features(table.schema, table.features)
    try:
        with pq.ParquetWriter(target, schema, compression="zstd", write_page_index=True) as writer:
            for group in _groups(table.batches(), schema):
                writer.write_table(group)
            if table.cut:
                writer.add_key_value_metadata({PARTIAL: b"1"})
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError):
        raise Damaged(repr(source.name), "its columns cannot be written as Parquet") from None
    return describe(target, source.name, limits)


def _groups(batches: Iterator[pa.RecordBatch], schema: pa.Schema) -> Iterator[pa.Table]:
    """Batches put together, or cut, to row groups."""
    waiting: list[pa.RecordBatch] = []
    rows = size = 0
    for large in batches:
        step = max(1, min(_GROUP_ROWS, large.num_rows * _GROUP_BYTES // max(large.nbytes, 1)))
        for start in range(0, large.num_rows, step):
            batch = large.slice(start, step)
            waiting.append(batch)
            rows, size = rows + batch.num_rows, size + batch.nbytes
            if rows >= _GROUP_ROWS or size >= _GROUP_BYTES:
                yield pa.Table.from_batches(waiting).cast(schema)
                waiting, rows, size = [], 0, 0
    if waiting:
        yield pa.Table.from_batches(waiting).cast(schema)


def head(source: Source, rows: int, features: dict[str, Feature], limits: ViewLimits) -> Page:
    """The first rows, and no more of the file than they take."""
    if source.format == "parquet":
        with open_parquet(source.path, source.name, limits) as file:
            builder = PageBuilder(features or describe(source.path, source.name, limits).features, limits)
            return builder.page(enumerate(_rows(file.iter_batches(batch_size=rows), rows)), file.metadata.num_rows)
    table = open_table(source, limits, whole=False)
    builder = PageBuilder(_fitting(features, table.features), limits)
    return builder.page(enumerate(_rows(table.batches(), rows)), None)


def _fitting(declared: dict[str, Feature], found: dict[str, Feature]) -> dict[str, Feature]:
    return declared if declared.keys() == found.keys() else found


def _rows(batches: Iterator[pa.RecordBatch], count: int) -> Iterator[Cells]:
    """The first of them, each as column -> scalar."""

    def rows() -> Iterator[Cells]:
        for batch in batches:
            yield from cells_of(batch, range(batch.num_rows))

    return islice(rows(), count)
