"""Rows as the numbers that estimators take. What is done follows from the signature alone, so it is part of every
artifact without being stored: the same rows become the same matrix while training and while serving."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Literal

from craton.core.predicting import Field

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd

    Matrix = np.ndarray[Any, np.dtype[np.float64]]

Style = Literal["codes", "one-hot"]
"""codes: a category is its place in the field's list (what trees take). one-hot: a column for each category, all zero
for a missing or unknown one (what everything else takes)."""

_MANY = 1000  # values, from which it is quicker to look at different ones alone

TIME_PARTS = ("day", "month", "weekday", "hour")
"""What a point in time becomes. day: days since 1970, with fractions."""


def encode(rows: pd.DataFrame, fields: Sequence[Field], style: Style) -> Matrix:
    """float64, shape (rows, `width(fields, style)`); missing values are NaN."""
    import numpy as np

    if not fields:
        return np.empty((len(rows), 0))
    if all(field.kind in {"number", "integer"} for field in fields):  # the same, without a look at each column
        named = [field.name for field in fields]
        whole: Matrix = (rows if rows.columns.tolist() == named else rows[named]).to_numpy()
        if whole.dtype == np.float64:
            return np.ascontiguousarray(whole)  # a row's numbers side by side: sums come out as the library's do
    return np.hstack([encode_column(rows[field.name], field, style) for field in fields])


def encode_column(column: pd.Series[Any], field: Field, style: Style) -> Matrix:
    """One field's columns of the matrix."""
    if field.kind == "category":
        return _category(column, field, style)
    if field.kind == "time":
        return _time(column)
    if field.kind in {"vector", "image"} or field.embedder:
        return _vectors(column, field)
    if field.kind == "text":
        raise TypeError(f"the text {field.name!r} has no embedder")
    return _numbers(column)[:, None]


def names(fields: Sequence[Field], style: Style) -> list[str]:
    """Of the matrix's columns: for importances and pictures."""
    found: list[str] = []
    for field in fields:
        if field.kind == "category" and style == "one-hot":
            found += [f"{field.name}={category}" for category in field.categories]
        elif field.kind == "time":
            found += [f"{field.name}.{part}" for part in TIME_PARTS]
        elif field.shape:
            found += [f"{field.name}[{number}]" for number in range(size(field))]
        else:
            found.append(field.name)
    return found


def width(fields: Sequence[Field], style: Style) -> int:
    return len(names(fields, style))


def size(field: Field) -> int:
    """Of a vector or an image, flat."""
    found = 1
    for length in field.shape:
        found *= length
    return found


def codes(
    column: Sequence[Any] | np.ndarray[Any, Any] | pd.Series[Any], categories: Sequence[Any]
) -> np.ndarray[Any, np.dtype[np.int64]]:
    """The place of each value in the list; -1 for a missing or unknown one."""
    import numpy as np

    places = {_key(category): place for place, category in enumerate(categories)}
    if len(column) < _MANY or not _may_be_counted(column):
        return np.fromiter((places.get(_key(value), -1) for value in column), np.int64, len(column))
    import pandas as pd

    which, distinct = pd.factorize(column)
    found = np.array([*(places.get(_key(value), -1) for value in distinct), -1], np.int64)
    each: np.ndarray[Any, np.dtype[np.int64]] = found[which]  # a missing one is -1: the last
    return each


def _may_be_counted(column: Any) -> bool:
    """Whether equal values are the same: among any objects True equals 1."""
    import pandas as pd

    if not hasattr(column, "dtype"):
        return False
    return bool(column.dtype != object or pd.api.types.infer_dtype(column) == "string")


def _key(value: Any) -> Any:
    """True and 1 are not the same category; numpy's scalars and Python's are. What has no hash is in no list."""
    value = value.item() if hasattr(value, "item") else value
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    return (isinstance(value, bool), value) if isinstance(value, str | int | bool) else None


def _numbers(column: pd.Series[Any]) -> Matrix:
    """Any column of numbers or booleans, missing ones among them."""
    import numpy as np
    import pandas as pd

    if column.dtype == object:
        column = pd.to_numeric(column.map(lambda value: float(value) if isinstance(value, bool) else value))
    found: Matrix = column.to_numpy(dtype=np.float64, na_value=np.nan)
    return found


def _category(column: pd.Series[Any], field: Field, style: Style) -> Matrix:
    import numpy as np

    found = codes(column, field.categories)
    if style == "codes":
        return np.where(found < 0, np.nan, found.astype(np.float64))[:, None]
    matrix = np.zeros((len(found), len(field.categories)))
    known = np.flatnonzero(found >= 0)
    matrix[known, found[known]] = 1.0
    return matrix


def _time(column: pd.Series[Any]) -> Matrix:
    import numpy as np
    import pandas as pd

    moments = pd.to_datetime(column, utc=True, errors="coerce", format="ISO8601" if column.dtype == object else None)
    days = (moments - pd.Timestamp(0, tz="UTC")) / pd.Timedelta(days=1)
    parts = (days, moments.dt.month, moments.dt.day_of_week, moments.dt.hour)
    return np.column_stack([part.to_numpy(dtype=np.float64, na_value=np.nan) for part in parts])


def _vectors(column: pd.Series[Any], field: Field) -> Matrix:
    import numpy as np

    length = size(field)
    empty = np.full(length, np.nan)
    rows = [empty if value is None else np.asarray(value, np.float64).reshape(length) for value in column]
    return np.stack(rows) if rows else np.empty((0, length))
