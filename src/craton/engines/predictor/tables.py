"""Checked rows on their way to a model: arrays by column, or one matrix where they came as a block of numbers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd

    Array = np.ndarray[Any, Any]


class Table(NamedTuple):
    """columns: float64 for numbers, datetime64 for times, objects for the rest. matrix: the same numbers row by row,
    which nobody needs to copy together."""

    columns: list[Array]
    matrix: Array | None = None

    def frame(self, names: pd.Index[str]) -> pd.DataFrame:
        """One block when all columns are numbers: pandas is quickest then."""
        import numpy as np
        import pandas as pd

        if self.matrix is not None:
            return pd.DataFrame(self.matrix, columns=names, copy=False)
        if self.columns and all(column.dtype == np.float64 and column.ndim == 1 for column in self.columns):
            return pd.DataFrame(np.column_stack(self.columns), columns=names)
        series = [list(column) if column.ndim > 1 else column for column in self.columns]
        return pd.DataFrame(dict(zip(names, series, strict=True)), copy=False)


def joined(tables: Sequence[Table]) -> Table:
    """The rows of several requests, one after the other."""
    import numpy as np

    if len(tables) == 1:
        return tables[0]
    matrices = [table.matrix for table in tables if table.matrix is not None]
    if len(matrices) == len(tables):
        matrix = np.concatenate(matrices)
        return Table(list(matrix.T), matrix)
    return Table([np.concatenate(column) for column in zip(*(table.columns for table in tables), strict=True)])
