"""Values as JSON, within the bytes that one answer may have: the longest cells are cut first, and said to be.

A string that is cut stays a string; anything else becomes the beginning of its JSON, as on the Hub. Bytes are base64;
pictures and sounds that lie in the row are data: URLs.
"""

from __future__ import annotations

import base64
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import msgspec
import pyarrow as pa

from craton.core.errors import TooLarge
from craton.data.viewing.limits import ViewLimits
from craton.data.viewing.values import Feature, Page, Row

_SHORTEST = 100  # bytes: cells are never cut below
_MAGIC = (
    (0, b"\x89PNG", "image/png"),
    (0, b"\xff\xd8\xff", "image/jpeg"),
    (0, b"GIF8", "image/gif"),
    (8, b"WEBP", "image/webp"),
    (8, b"WAVE", "audio/wav"),
    (0, b"fLaC", "audio/flac"),
    (0, b"OggS", "audio/ogg"),
    (0, b"ID3", "audio/mpeg"),
)
_MEDIA = frozenset(("Image", "Audio", "Video", "Pdf", "Nifti", "Mesh"))
Cells = Mapping[str, pa.Scalar]


class PageBuilder:
    """Makes pages with these columns, in their order."""

    def __init__(self, features: dict[str, Feature], limits: ViewLimits) -> None:
        self._features, self._limits = features, limits

    def page(self, rows: Iterable[tuple[int, Cells]], total: int | None, *, partial: bool = False) -> Page:
        """rows: with their indexes."""
        listed = list(rows)
        sizes = [len(_encode(self._value(name, cells))) for _, cells in listed for name in self._features]
        most = _level(sizes, self._limits.page_bytes)
        if most < _SHORTEST and sum(min(size, _SHORTEST) for size in sizes) > self._limits.page_bytes * 4:
            raise TooLarge("The rows asked for at once", self._limits.page_bytes)
        cut = [self._row(index, cells, max(most, _SHORTEST)) for index, cells in listed]
        return Page(self._features, tuple(cut), total, partial)

    def _row(self, index: int, cells: Cells, most: int) -> Row:
        row: dict[str, msgspec.Raw] = {}
        truncated = []
        for name in self._features:
            value = self._value(name, cells)
            encoded = _encode(value)
            if len(encoded) > most:
                truncated.append(name)
                text = value if isinstance(value, str) else encoded.decode()
                encoded = _encode(text.encode()[:most].decode("utf-8", "ignore"))
            row[name] = msgspec.Raw(encoded)
        return Row(index, msgspec.json.encode(row), tuple(truncated))

    def _value(self, name: str, cells: Cells) -> Any:
        scalar = cells.get(name)
        return None if scalar is None else shown(scalar, self._features[name])


def cells_of(batch: pa.RecordBatch, rows: Iterable[int]) -> Iterator[Cells]:
    """These rows of the batch. Times finer than Python tells are cut to microseconds."""
    columns = []
    for name, column in zip(batch.schema.names, batch.columns, strict=True):
        kind = _coarse(column.type)
        columns.append((name, column if kind == column.type else column.cast(kind, safe=False)))
    for row in rows:
        yield {name: column[row] for name, column in columns}


def _coarse(kind: pa.DataType) -> pa.DataType:
    if pa.types.is_timestamp(kind) and kind.unit == "ns":
        return pa.timestamp("us", kind.tz)
    if pa.types.is_duration(kind) and kind.unit == "ns":
        return pa.duration("us")
    if pa.types.is_time64(kind) and kind.unit == "ns":
        return pa.time64("us")
    if pa.types.is_struct(kind):
        fields = [kind.field(index) for index in range(kind.num_fields)]
        return pa.struct([field.with_type(_coarse(field.type)) for field in fields])
    if pa.types.is_list(kind) or pa.types.is_large_list(kind):
        make = pa.list_ if pa.types.is_list(kind) else pa.large_list
        return make(kind.value_field.with_type(_coarse(kind.value_type)))
    return kind


def shown(scalar: pa.Scalar, feature: Feature) -> Any:
    """As JSON can say it."""
    kind = feature.get("_type") if isinstance(feature, dict) else None
    try:
        value = scalar.as_py()
    except (ValueError, OverflowError):  # a time that Python's calendar does not have
        return _named(scalar)
    if kind in _MEDIA and isinstance(value, dict | bytes):
        return _media(value)
    if kind == "Json" and isinstance(value, str):
        try:
            return msgspec.json.decode(value)
        except (msgspec.DecodeError, RecursionError):
            return value
    return value


def _named(scalar: pa.Scalar) -> str | None:
    try:
        text: str | None = scalar.cast(pa.string()).as_py()
    except (ValueError, OverflowError, pa.ArrowNotImplementedError):
        return None
    return text


def _media(value: dict[str, Any] | bytes) -> dict[str, Any]:
    content = value if isinstance(value, bytes) else value.get("bytes")
    if not isinstance(content, bytes):
        return {"path": value.get("path") if isinstance(value, dict) else None}
    media = next((media for at, magic, media in _MAGIC if content[at:].startswith(magic)), "application/octet-stream")
    return {"src": f"data:{media};base64,{base64.b64encode(content).decode()}"}


def _encode(value: Any) -> bytes:
    return msgspec.json.encode(value, enc_hook=str)


def _level(sizes: list[int], budget: int) -> int:
    """How long a cell may be so that all fit: the water level."""
    left, rest = budget, len(sizes)
    for size in sorted(sizes):
        if size * rest > left:
            return left // rest
        left, rest = left - size, rest - 1
    return budget
