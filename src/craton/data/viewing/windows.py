"""Rows of a split by where they are: some in a row, or named ones."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator, Sequence

import pyarrow as pa

from craton.data.viewing.cells import PageBuilder
from craton.data.viewing.frames import Table
from craton.data.viewing.limits import ViewLimits
from craton.data.viewing.parquet import rows
from craton.data.viewing.values import Page


def window(table: Table, offset: int, length: int, limits: ViewLimits) -> Page:
    wanted = range(offset, min(offset + length, table.rows))
    return PageBuilder(table.features, limits).page(_rows(table, wanted, limits), table.rows)


def gather(table: Table, wanted: Sequence[int], total: int, limits: ViewLimits) -> Page:
    """The rows of these indexes, in this order."""
    found = dict(_rows(table, sorted(wanted), limits))
    return PageBuilder(table.features, limits).page(((index, found[index]) for index in wanted), total)


def _rows(table: Table, wanted: Sequence[int], limits: ViewLimits) -> Iterator[tuple[int, dict[str, pa.Scalar]]]:
    """wanted: ascending."""
    for part in table.parts:
        inside = wanted[bisect_left(wanted, part.start) : bisect_left(wanted, part.start + part.rows)]
        if inside:
            yield from rows(part, list(table.features), inside, limits)
