"""Rows against the signature: the usual case is checked at once, only a broken column is walked value by value."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from craton.core.predicting import Block, Field
from craton.engines.predictor.columns import are_whole, read_numbers, read_packed, read_values, unpacked
from craton.engines.predictor.faults import Fault, faults_in, refusal
from craton.engines.predictor.tables import Table


def checked(fields: Sequence[Field], columns: Sequence[list[Any] | bytes] | Block) -> Table:
    """An array for each column: float64 for numbers, datetime64 for times, objects for the rest (None is missing).

    A block of as many columns as there are fields. Raises InvalidRequest that lists at most ten faults.
    """
    if isinstance(columns, Block):
        return _checked_block(fields, columns)
    arrays, faults = [], list[Fault]()
    for field, column in zip(fields, columns, strict=True):
        array = read_packed(field, column) if isinstance(column, bytes) else read_values(field, column)
        if array is None:
            faults += faults_in(field, unpacked(column) if isinstance(column, bytes) else column)
        else:
            arrays.append(array)
    if faults:
        raise refusal(faults)
    return Table(arrays)


def _checked_block(fields: Sequence[Field], block: Block) -> Table:
    """Looked at whole; column by column only where something is the matter."""
    import numpy as np

    matrix = np.frombuffer(block.numbers, block.kind).reshape(-1, block.width).astype(np.float64)  # writeable, too
    table = Table(list(matrix.T), matrix)
    whole = [place for place, field in enumerate(fields) if field.kind == "integer"]
    if np.isfinite(matrix).all() and (not whole or are_whole(matrix[:, whole])):
        return table
    faults = list[Fault]()
    for field, column in zip(fields, table.columns, strict=True):
        if read_numbers(field, column) is None:
            faults += faults_in(field, unpacked(column.tobytes()))
    if faults:
        raise refusal(faults)
    return table
