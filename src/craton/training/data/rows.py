"""Rows of one dataset as they were stored, before anything is known of what their columns mean."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from craton.core.errors import InvalidRequest
from craton.data.viewing.values import Feature
from craton.training.specification.suggesting import unknown

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa

CLASS_LABEL, IMAGE = "ClassLabel", "Image"


@dataclass(frozen=True, slots=True)
class Rows:
    """test: the dataset's own test rows, None when it has none. features: what the dataset says of its columns.
    source: the reference with its revision in full. target: of sets that know their own."""

    train: pd.DataFrame
    test: pd.DataFrame | None
    source: str
    features: dict[str, Feature] = field(default_factory=dict)
    target: str | None = None
    images: dict[str, tuple[int, ...]] = field(default_factory=dict)


def read_parquet(
    files: list[Path], features: dict[str, Feature], columns: list[str] | None, limit: int | None
) -> pd.DataFrame:
    """Only these columns (None: all), only the first so many rows: by row groups, what is not needed is not read.

    Raises InvalidRequest for a column that there is not.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    for name in columns or ():
        if features and name not in features:
            raise InvalidRequest(unknown("column", name, features), "data")
    batches: list[pa.RecordBatch] = []
    left = limit
    schema = None
    for path in files:
        with pq.ParquetFile(path) as file:
            schema = schema or pq.read_schema(path)
            for batch in file.iter_batches(columns=columns):
                if left is not None and left <= 0:
                    break
                taken = batch if left is None else batch.slice(0, left)
                left = None if left is None else left - taken.num_rows
                batches.append(taken)
    if schema is None:
        raise InvalidRequest("has no rows", "data")
    kept = schema if columns is None else pa.schema([schema.field(name) for name in columns])
    table = pa.concat_tables([pa.Table.from_batches([batch]) for batch in batches], promote_options="permissive")
    return to_frame(table if batches else kept.empty_table())


def to_frame(table: pa.Table) -> pd.DataFrame:
    """Texts are Python strings and a missing one is None; whole numbers with gaps become floats with NaN."""
    import pandas as pd

    return pd.DataFrame({name: _series(table.column(name)) for name in table.column_names})


def _series(column: pa.ChunkedArray) -> pd.Series[Any]:
    import pandas as pd
    import pyarrow as pa

    kind = column.type
    if pa.types.is_dictionary(kind):
        column, kind = column.cast(kind.value_type), kind.value_type
    texts = pa.types.is_string(kind) or pa.types.is_large_string(kind)
    if texts or (pa.types.is_boolean(kind) and column.null_count):
        return pd.Series(column.to_pylist(), dtype=object)
    if pa.types.is_decimal(kind):
        column = column.cast(pa.float64())
    if pa.types.is_date(kind):
        column = column.cast(pa.timestamp("us"))
    found: pd.Series[Any] = column.to_pandas()
    return found
