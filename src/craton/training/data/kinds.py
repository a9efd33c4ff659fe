"""What the columns are: numbers, categories, texts, times, vectors; and which of them can be no feature."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from craton.core.errors import InvalidRequest
from craton.core.predicting import Field
from craton.data.viewing.values import Feature
from craton.training.data.rows import CLASS_LABEL, IMAGE, Rows

if TYPE_CHECKING:
    import pandas as pd

MAX_CATEGORIES = 100  # different texts that are categories without a doubt
MOST_CATEGORIES = 1000  # that one column keeps; rarer ones are unknown
WORDS = 3  # on average, from which texts are prose
IDENTIFIER = 0.9  # of the rows with a text of their own: it names the row and says nothing of it
MAX_CLASSES = 1000


@dataclass(frozen=True, slots=True)
class Columns:
    """left_out: column -> why."""

    fields: tuple[Field, ...]
    left_out: dict[str, str] = field(default_factory=dict)


def decode_labels(frame: pd.DataFrame, features: dict[str, Feature]) -> pd.DataFrame:
    """Class labels as their names, where the dataset says them (-1: none)."""
    import pandas as pd

    decoded = {}
    for name in frame.columns:
        names = _label_names(features.get(name))
        if names and frame[name].dtype.kind in "iuf":
            found = [names[int(code)] if 0 <= code < len(names) else None for code in frame[name]]
            decoded[name] = pd.Series(found, index=frame.index, dtype=object)
    return frame.assign(**decoded)


def understand(
    rows: Rows, frame: pd.DataFrame, names: list[str], *, chosen: bool, texts: list[str], embedder: tuple[str, int]
) -> Columns:
    """The fields of these columns, in their order. chosen: the user named them, so they are kept where they can be.

    embedder: its name and its vectors' length, ("", 0) for methods that read texts themselves.
    """
    fields, left_out = [], {}
    for name in names:
        if name in rows.images:
            fields.append(Field(name, "image", shape=rows.images[name]))
            continue
        feature = rows.features.get(name)
        if isinstance(feature, dict) and feature.get("_type") == IMAGE:
            left_out[name] = "pictures are for a cnn (method deep), or are named in data.features"
            continue
        found = _field(name, frame[name], text=name in texts, chosen=chosen, embedder=embedder)
        if isinstance(found, Field):
            fields.append(found)
        else:
            left_out[name] = found
    return Columns(tuple(fields), left_out)


def target_field(name: str, column: pd.Series[Any], *, classes: bool) -> Field:
    """classes: it is to be told apart, else estimated. Raises InvalidRequest when the column does not allow that."""
    present = column.dropna()
    if not classes:
        if present.dtype.kind not in "iuf":
            raise InvalidRequest(f"the column {name!r} holds no numbers; use classification", "data.target")
        return Field(name, "integer" if present.dtype.kind in "iu" else "number")
    values = {_plain(value) for value in present.unique()}
    if any(isinstance(value, float) for value in values):
        raise InvalidRequest(
            f"the column {name!r} holds fractions, which are no classes; use regression", "data.target"
        )
    if not all(isinstance(value, str | int | bool) for value in values):
        raise InvalidRequest(f"the column {name!r} holds neither texts nor numbers", "data.target")
    if len(values) > MAX_CLASSES:
        raise InvalidRequest(
            f"the column {name!r} has {len(values):,} different values; at most {MAX_CLASSES:,} classes are told apart",
            "data.target",
        )
    return Field(name, "category", categories=ordered(values))


def looks_like_classes(column: pd.Series[Any]) -> bool:
    """For methods that take either: texts and booleans are classes, and so are few different whole numbers."""
    present = column.dropna()
    if present.dtype.kind not in "iuf":
        return True
    values = present.unique()
    return len(values) <= 20 and len(values) < len(present) / 5 and all(float(value).is_integer() for value in values)


def ordered(values: set[Any]) -> tuple[Any, ...]:
    """Numbers by size, texts by their letters."""
    return tuple(sorted(values, key=lambda value: (isinstance(value, str), value)))


def _field(name: str, column: pd.Series[Any], *, text: bool, chosen: bool, embedder: tuple[str, int]) -> Field | str:
    """Or why it is left out."""
    missing = column.isna()
    nullable, present = bool(missing.any()), column[~missing]
    if not len(present):
        return "it is empty"
    kind = column.dtype.kind
    if text:
        if kind != "O":
            raise InvalidRequest(f"the column {name!r} holds no text", "data.text")
        return _text(name, nullable, embedder)
    if kind == "b":
        return Field(name, "boolean")
    if kind in "iuf":
        if not chosen and not nullable and kind in "iu" and _counts_up(present):
            return "it numbers the rows"
        return Field(name, "integer" if kind in "iu" else "number", nullable)
    if kind == "M":
        return Field(name, "time", nullable)
    first = present.iloc[0]
    if isinstance(first, bool):
        return Field(name, "boolean", nullable)
    if isinstance(first, str):
        return _words(name, present, nullable, chosen, embedder)
    if hasattr(first, "__len__") and not isinstance(first, dict | bytes):
        return _vector(name, present, nullable)
    return "it holds neither numbers, nor texts, nor times"


def _words(name: str, present: pd.Series[Any], nullable: bool, chosen: bool, embedder: tuple[str, int]) -> Field | str:
    counts = present.value_counts()
    if len(counts) <= max(MAX_CATEGORIES, len(present) // 20) and not _is_prose(counts.index, len(present)):
        return Field(name, "category", nullable, ordered({*counts.index[:MOST_CATEGORIES]}))
    if present.head(1000).str.split().str.len().mean() >= WORDS:
        return _text(name, nullable, embedder)
    if not chosen and len(counts) > IDENTIFIER * len(present):
        return "it has another text in nearly every row, as a name or number of the row has"
    return Field(name, "category", nullable, ordered({*counts.index[:MOST_CATEGORIES]}))


def _is_prose(values: Any, rows: int) -> bool:
    """Few rows make few different texts: sentences of which nearly every row has its own are no categories."""
    return len(values) > IDENTIFIER * rows and sum(len(value.split()) for value in values) / len(values) >= WORDS


def _text(name: str, nullable: bool, embedder: tuple[str, int]) -> Field:
    model, length = embedder
    return Field(name, "text", nullable, shape=(length,) if length else (), embedder=model)


def _vector(name: str, present: pd.Series[Any], nullable: bool) -> Field | str:
    import numpy as np

    try:
        shapes = {np.asarray(list(value), np.float64).shape for value in present}
    except (TypeError, ValueError):
        return "it holds lists of something other than numbers"
    if len(shapes) > 1:
        return "its lists have different lengths"
    return Field(name, "vector", nullable, shape=shapes.pop())


def _counts_up(present: pd.Series[Any]) -> bool:
    """1, 2, 3, ...: which row it is, which a model must not learn from."""
    steps = present.diff().iloc[1:]
    return len(present) > MAX_CATEGORIES and bool((steps == 1).all())


def _label_names(feature: Feature | None) -> list[str]:
    if not isinstance(feature, dict) or feature.get("_type") != CLASS_LABEL:
        return []
    names = feature.get("names")
    return [str(name) for name in names] if isinstance(names, list) else []


def _plain(value: Any) -> Any:
    """Python's own; a whole float is an int (a column of whole numbers with gaps is read as floats)."""
    value = value.item() if hasattr(value, "item") else value
    return int(value) if isinstance(value, float) and math.isfinite(value) and value.is_integer() else value
