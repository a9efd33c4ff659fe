"""What each column of a split holds, summed up. Columns are read one after another, in batches.

Kinds, bins and rounding are those of the Hub's viewer (its documentation: "Explore statistics over split data").
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from craton.data.viewing.frames import Table
from craton.data.viewing.limits import ViewLimits
from craton.data.viewing.numbers import BINS, Batches, Values, summarise
from craton.data.viewing.parquet import batches, common_schema, conform
from craton.data.viewing.values import ColumnStatistics, Feature, Frequencies, Histogram, Numbers, Statistics

_MOST_LABELS = 1000
_LABEL_SHARE = 0.2  # of the rows: more different strings than that are text
_NO_LABEL = -1
_MICROSECONDS = 1_000_000

Arrays = Callable[[], Iterator[pa.Array]]
"""Reads the column anew, in batches."""


def measure(table: Table, limits: ViewLimits) -> Statistics:
    schema = common_schema(table, list(table.features), limits)
    columns = []
    for name, feature in table.features.items():
        if schema.get_field_index(name) < 0:
            continue
        found = _column(name, feature, schema.field(name).type, _reader(table, schema, name, limits), table.rows)
        if found is not None:
            columns.append(found)
    return Statistics(table.rows, tuple(columns))


def _reader(table: Table, schema: pa.Schema, name: str, limits: ViewLimits) -> Arrays:
    one = pa.schema([schema.field(name)])

    def arrays() -> Iterator[pa.Array]:
        for part in table.parts:
            for _, batch in batches(part, [name], limits):
                yield conform(batch, one, part).column(0)

    return arrays


def _column(name: str, feature: Feature, kind: pa.DataType, arrays: Arrays, rows: int) -> ColumnStatistics | None:
    """None for what cannot be summed up."""
    said = feature.get("_type") if isinstance(feature, dict) else "List"
    if said == "ClassLabel" and isinstance(feature, dict) and isinstance(feature.get("names"), list):
        return ColumnStatistics(name, "class_label", _classes(arrays, [str(it) for it in feature["names"]]))
    if said in {"Image", "Audio", "Json"}:  # sizes of pictures and lengths of sounds would need their codecs
        return None
    if pa.types.is_boolean(kind):
        return ColumnStatistics(name, "bool", _bools(arrays))
    if pa.types.is_integer(kind) and not pa.types.is_uint64(kind):
        return ColumnStatistics(name, "int", summarise(_values(arrays, pa.int64()), whole=True))
    if pa.types.is_floating(kind) or pa.types.is_decimal(kind) or pa.types.is_uint64(kind):
        return ColumnStatistics(name, "float", summarise(_values(arrays, pa.float64()), whole=False))
    if pa.types.is_string(kind) or pa.types.is_large_string(kind):
        return _strings(name, arrays, rows)
    if pa.types.is_list(kind) or pa.types.is_large_list(kind):
        return ColumnStatistics(name, "list", summarise(_values(arrays, pa.int64(), pc.list_value_length), whole=True))
    if pa.types.is_timestamp(kind) or pa.types.is_date(kind):
        return ColumnStatistics(name, "datetime", _times(arrays, getattr(kind, "tz", None)))
    return None


def _values(arrays: Arrays, kind: pa.DataType, of: Callable[[pa.Array], pa.Array] | None = None) -> Batches:
    """Numbers of the column; NaN counts as missing."""

    def values() -> Iterator[tuple[Values, int]]:
        for array in arrays():
            numbers = _cast(of(array) if of else array, kind)
            present = numbers.drop_null().to_numpy(zero_copy_only=False)
            if present.dtype == np.float64:
                present = present[~np.isnan(present)]
            yield present, len(array) - len(present)

    return values


def _cast(array: pa.Array, kind: pa.DataType) -> pa.Array:
    return array.cast(kind, safe=not pa.types.is_floating(kind))


def _bools(arrays: Arrays) -> Frequencies:
    counts, missing = Counter[bool](), 0
    for array in arrays():
        missing += array.null_count
        counts[True] += array.true_count
        counts[False] += array.false_count
    return Frequencies(missing, {str(value): counts[value] for value in (False, True) if counts[value]})


def _classes(arrays: Arrays, names: list[str]) -> Frequencies:
    counts, missing = Counter[int](), 0
    for array in arrays():
        missing += array.null_count
        for pair in array.drop_null().value_counts():
            counts[int(pair["values"].as_py())] += pair["counts"].as_py()
    labels = {name: counts[number] for number, name in enumerate(names)}
    return Frequencies(missing, labels, counts[_NO_LABEL])


def _strings(name: str, arrays: Arrays, rows: int) -> ColumnStatistics:
    counts, missing = Counter[str](), 0
    for array in arrays():
        missing += array.null_count
        for pair in array.drop_null().value_counts():
            counts[pair["values"].as_py()] += pair["counts"].as_py()
        if len(counts) > _MOST_LABELS:
            break
    different = len(counts) + (missing > 0)
    if different <= BINS or (different <= _MOST_LABELS and different <= _LABEL_SHARE * rows):
        return ColumnStatistics(name, "string_label", Frequencies(missing, dict(counts.most_common())))
    return ColumnStatistics(name, "string_text", summarise(_values(arrays, pa.int64(), pc.utf8_length), whole=True))


def _times(arrays: Arrays, zone: str | None) -> Numbers:
    """In whole seconds from the first on."""

    def micros(array: pa.Array) -> pa.Array:
        return array.cast(pa.timestamp("us", zone), safe=False).view(pa.int64())

    starts = [first for array in arrays() if (first := pc.min(micros(array)).as_py()) is not None]
    start = min(starts, default=0)

    def seconds(array: pa.Array) -> pa.Array:
        return pc.divide(pc.subtract(micros(array), start), _MICROSECONDS)

    def moment(value: Any) -> str:
        said = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=start + round(value * _MICROSECONDS))
        return said.strftime("%Y-%m-%d %H:%M:%S") + ("" if zone is None else "+0000")

    found = summarise(_values(arrays, pa.int64(), seconds), whole=True)
    if found.histogram is None:
        return found
    try:
        return Numbers(
            missing=found.missing,
            min=moment(found.min),
            max=moment(found.max),
            mean=moment(found.mean),
            median=moment(found.median),
            std=None if found.std is None else str(timedelta(seconds=float(found.std))),
            histogram=Histogram(found.histogram.counts, tuple(map(moment, found.histogram.edges))),
        )
    except OverflowError:  # before the year 1 or after 9999
        return Numbers(found.missing)
