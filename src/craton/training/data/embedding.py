"""Texts as vectors, for methods that take numbers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from craton.core.errors import InvalidRequest
from craton.core.predicting import Field
from craton.training.protocol import Run, Tables

if TYPE_CHECKING:
    import pandas as pd

BATCH = 256


def embedded(tables: Tables, run: Run, fields: Sequence[Field] | None = None) -> Tables:
    """The same tables with vectors in the place of texts whose field names an embedder. Equal texts are embedded once.

    fields: of a predictor that may read other texts as they are. Without, all of the tables' texts are meant, and one
    that names no embedder raises InvalidRequest.
    """
    texts = [field for field in tables.fields if field.kind == "text"]
    if fields is not None:
        wanted = {field.name for field in fields if field.embedder}
        texts = [field for field in texts if field.name in wanted]
    if not texts:
        return tables
    for field in texts:
        if not field.embedder or tables.embed is None:
            raise InvalidRequest(f"the column {field.name!r} is text, and nothing here embeds it", "data.features")
    frames = {name: getattr(tables, name).copy() for name in ("train", "validation", "test")}
    names = [field.name for field in texts]
    distinct = sorted({_text(value) for frame in frames.values() for name in names for value in frame[name]})
    vectors = _vectors(tables, run, distinct)
    for frame in frames.values():
        for name in names:
            frame[name] = _looked_up(frame[name], vectors)
    return replace(tables, **frames)


def _vectors(tables: Tables, run: Run, texts: list[str]) -> dict[str, Any]:
    assert tables.embed is not None
    found: dict[str, Any] = {}
    for start in range(0, len(texts), BATCH):
        run.check()
        run.progress(start, len(texts), "texts embedded")
        batch = texts[start : start + BATCH]
        found.update(zip(batch, tables.embed(batch), strict=True))
    return found


def _looked_up(column: pd.Series[Any], vectors: dict[str, Any]) -> pd.Series[Any]:
    import pandas as pd

    return pd.Series([vectors[_text(value)] for value in column], index=column.index, dtype=object)


def _text(value: Any) -> str:
    """A missing text is an empty one."""
    return value if isinstance(value, str) else ""
