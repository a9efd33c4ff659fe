"""Rows on their way to another process: plain lists by column, and frames made of them again."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from craton.core.predicting import Field

if TYPE_CHECKING:
    import pandas as pd


def to_lists(rows: pd.DataFrame, fields: Sequence[Field]) -> dict[str, list[Any]]:
    """What JSON and msgpack hold; missing values are None."""
    return {field.name: [_plain(value) for value in rows[field.name]] for field in fields}


def to_rows(columns: dict[str, list[Any]], fields: Sequence[Field]) -> pd.DataFrame:
    import pandas as pd

    return pd.DataFrame({field.name: _column(columns[field.name], field) for field in fields})


def _column(values: list[Any], field: Field) -> pd.Series[Any]:
    import pandas as pd

    if field.kind == "time":
        return pd.to_datetime(pd.Series(values, dtype=object), utc=True, format="ISO8601")
    if field.kind == "number" or (field.kind == "integer" and None in values):
        return pd.Series(values, dtype="float64")
    if field.kind == "integer":
        return pd.Series(values, dtype="int64")
    return pd.Series(values, dtype=object)


def _plain(value: Any) -> Any:
    if hasattr(value, "isoformat"):
        return value.isoformat() if value == value else None  # noqa: PLR0124 (NaT)
    if hasattr(value, "tolist"):
        value = value.tolist()
    return None if isinstance(value, float) and value != value else value  # noqa: PLR0124 (NaN)
