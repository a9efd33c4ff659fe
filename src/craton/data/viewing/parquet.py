"""Parquet files: what their footers say, and batches of some columns from some row on."""

from __future__ import annotations

import os
from bisect import bisect_left
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import pyarrow as pa
import pyarrow.parquet as pq

from craton.core.errors import Damaged, TooLarge
from craton.data.viewing.cells import cells_of
from craton.data.viewing.features import features_of
from craton.data.viewing.frames import Part, Table
from craton.data.viewing.limits import ViewLimits
from craton.data.viewing.values import Described

PARTIAL = b"craton.partial"
"""In the file's metadata when it holds only the beginning of what it was made from."""

_FOOTER_STRINGS = 100 << 20  # bytes
_FOOTER_ITEMS = 10_000_000
_BUFFER = 1 << 20  # bytes of a column that are read at once
_BATCH = 8192  # rows: when all are looked at
_WINDOW = 128  # when some are


@contextmanager
def open_parquet(path: str, name: str, limits: ViewLimits) -> Iterator[pq.ParquetFile]:
    """Raises Damaged for what is no Parquet file, or turns out broken in the block; TooLarge for too many columns."""
    try:
        with pq.ParquetFile(
            path,
            memory_map=False,
            buffer_size=_BUFFER,
            pre_buffer=False,
            thrift_string_size_limit=_FOOTER_STRINGS,
            thrift_container_size_limit=_FOOTER_ITEMS,
        ) as file:
            if len(file.schema_arrow) > limits.columns:
                raise TooLarge(f"The columns of {name!r}", limits.columns, len(file.schema_arrow), "columns")
            yield file
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError, OSError) as error:
        raise Damaged(repr(name), "it is no Parquet file, or broken") from error


def describe(path: str, name: str, limits: ViewLimits) -> Described:
    with open_parquet(path, name, limits) as file:
        footer = file.metadata
        memory = sum(footer.row_group(index).total_byte_size for index in range(footer.num_row_groups))
        partial = PARTIAL in (footer.metadata or {})
        return Described(footer.num_rows, os.stat(path).st_size, memory, features_of(file.schema_arrow), partial)


def batches(part: Part, columns: Sequence[str], limits: ViewLimits) -> Iterator[tuple[int, pa.RecordBatch]]:
    """Batches with the row of the split that each begins at. Other columns are not read."""
    with open_parquet(part.path, part.name, limits) as file:
        at = part.start
        kept = [name for name in file.schema_arrow.names if name in columns]
        for batch in file.iter_batches(_BATCH, columns=kept, use_threads=False):
            yield at, batch
            at += batch.num_rows


def rows(
    part: Part, columns: Sequence[str], wanted: Sequence[int], limits: ViewLimits
) -> Iterator[tuple[int, dict[str, pa.Scalar]]]:
    """The rows of these indexes of the split (ascending, all in this part). Row groups without any are not read."""
    at, first = 0, part.start
    with open_parquet(part.path, part.name, limits) as file:
        kept = [name for name in file.schema_arrow.names if name in columns]
        for group in range(file.num_row_groups):
            end = first + file.metadata.row_group(group).num_rows
            found = bisect_left(wanted, end, at)
            if found > at:
                for start, batch in _group(file, group, first, kept):
                    inside = bisect_left(wanted, start + batch.num_rows, at, found)
                    cells = cells_of(batch, [index - start for index in wanted[at:inside]])
                    yield from zip(wanted[at:inside], cells, strict=True)
                    at = inside
                    if at == found:
                        break
            first = end


def _group(file: pq.ParquetFile, group: int, start: int, columns: list[str]) -> Iterator[tuple[int, pa.RecordBatch]]:
    for batch in file.iter_batches(_WINDOW, row_groups=[group], columns=columns, use_threads=False):
        yield start, batch
        start += batch.num_rows


def common_schema(table: Table, columns: Sequence[str], limits: ViewLimits) -> pa.Schema:
    """The columns' types over all parts: a column of integers here and floats there is one of floats.

    Raises Damaged when the parts cannot be one table.
    """
    schema = pa.schema([])
    for part in table.parts:
        with open_parquet(part.path, part.name, limits) as file:
            fields = [_undictionary(field) for field in file.schema_arrow if field.name in columns]
        try:
            schema = pa.unify_schemas([schema, pa.schema(fields)], promote_options="permissive")
        except (pa.ArrowInvalid, pa.ArrowTypeError):
            raise Damaged(repr(part.name), "its columns have other types than those of the files before it") from None
    return schema


def _undictionary(field: pa.Field) -> pa.Field:
    kind = field.type.value_type if pa.types.is_dictionary(field.type) else field.type
    return pa.field(field.name, kind)


def conform(batch: pa.RecordBatch, schema: pa.Schema, part: Part) -> pa.RecordBatch:
    """With these columns and types; those that the part lacks are null."""
    columns = []
    for field in schema:
        at = batch.schema.get_field_index(field.name)
        try:
            columns.append(pa.nulls(batch.num_rows, field.type) if at < 0 else batch.column(at).cast(field.type))
        except (pa.ArrowInvalid, pa.ArrowNotImplementedError):
            raise Damaged(repr(part.name), f"its column {field.name!r} does not fit the files before it") from None
    return pa.RecordBatch.from_arrays(columns, schema=schema)
