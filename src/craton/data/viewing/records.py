"""Lines of JSON, and JSON documents that hold rows. Columns of mixed types become JSON text, as in `datasets`."""

from __future__ import annotations

import io
from collections.abc import Iterator
from typing import Any

import msgspec
import pyarrow as pa
import pyarrow.json as pj

from craton.core.errors import Damaged, TooLarge, Unsupported
from craton.data.viewing.features import features_of
from craton.data.viewing.frames import Source
from craton.data.viewing.limits import ViewLimits
from craton.data.viewing.streams import PIECE, Unpacked, whole_lines
from craton.data.viewing.values import Feature

_MARK = b"\xef\xbb\xbf"  # UTF-8's byte order mark
_ROWS = 5_000  # of a batch that is decoded here


class JsonTable:
    """whole: look at all of the file before saying what its columns hold; else at its first piece."""

    def __init__(self, source: Source, limits: ViewLimits, *, whole: bool) -> None:
        self._source, self._limits = source, limits
        self._cut = False
        self._mixed: set[str] | None = None  # None: Arrow's own reader copes
        try:
            self.schema = self._scan(whole=whole)
            if any(_hollow(field.type) for field in self.schema):
                raise pa.ArrowTypeError("Parquet has no objects without fields")
        except (pa.ArrowInvalid, pa.ArrowTypeError, pa.ArrowNotImplementedError):
            self._mixed = set()
            self.schema = self._scan_mixed(whole=whole)
        if len(self.schema) > limits.columns:
            raise TooLarge(f"The columns of {source.name!r}", limits.columns, len(self.schema), "columns")
        if not len(self.schema):
            raise Damaged(repr(source.name), "it has no rows with columns")
        said: dict[str, Feature] = features_of(self.schema)
        self.features = said | {name: {"decode": True, "_type": "Json"} for name in self._mixed or ()}

    @property
    def cut(self) -> bool:
        return self._cut

    def batches(self) -> Iterator[pa.RecordBatch]:
        for piece in self._pieces():
            try:
                if self._mixed is None:
                    table = _parse(piece, self.schema).select(self.schema.names).cast(self.schema)
                    yield from table.to_batches()
                else:
                    for rows in self._decoded(piece):
                        yield self._batch(rows, self.schema)
            except (pa.ArrowInvalid, pa.ArrowTypeError):
                raise Damaged(
                    repr(self._source.name), "further down, its rows hold other types than the first ones"
                ) from None

    def _scan(self, *, whole: bool) -> pa.Schema:
        schema = pa.schema([])
        for piece in self._pieces():
            schema = pa.unify_schemas([schema, _parse(piece, None).schema], promote_options="permissive")
            if not whole:
                break
        return schema

    def _scan_mixed(self, *, whole: bool) -> pa.Schema:
        known: dict[str, pa.DataType] = {}
        assert self._mixed is not None
        for piece in self._pieces():
            for rows in self._decoded(piece):
                for name in dict.fromkeys(name for row in rows for name in row):
                    self._widen(known, name, rows)
            if not whole:
                break
        return pa.schema([(name, pa.string() if name in self._mixed else kind) for name, kind in known.items()])

    def _widen(self, known: dict[str, pa.DataType], name: str, rows: list[dict[str, Any]]) -> None:
        """What the column is, with these rows. `_mixed` gets those that no type fits."""
        assert self._mixed is not None
        if name in self._mixed:
            return
        try:
            kind = pa.array([row.get(name) for row in rows]).type
            before = known.get(name, pa.null())
            pair = [pa.schema([(name, before)]), pa.schema([(name, kind)])]
            known[name] = pa.unify_schemas(pair, promote_options="permissive").field(0).type
            if _hollow(kind):
                raise pa.ArrowTypeError("Parquet has no objects without fields")
        except (pa.ArrowInvalid, pa.ArrowTypeError, OverflowError):
            known[name] = pa.string()
            self._mixed.add(name)

    def _batch(self, rows: list[dict[str, Any]], schema: pa.Schema) -> pa.RecordBatch:
        columns = []
        for field in schema:
            values = [row.get(field.name) for row in rows]
            if field.name in (self._mixed or ()):
                values = [None if value is None else msgspec.json.encode(value).decode() for value in values]
            columns.append(pa.array(values, field.type))
        return pa.RecordBatch.from_arrays(columns, schema=schema)

    def _decoded(self, piece: bytes) -> Iterator[list[dict[str, Any]]]:
        rows: list[dict[str, Any]] = []
        for line in piece.splitlines():
            if not line.strip():
                continue
            try:
                row = msgspec.json.decode(line)
            except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
                raise self._no_json() from None
            if not isinstance(row, dict):
                raise Damaged(repr(self._source.name), "each of its lines must be an object")
            rows.append(row)
            if len(rows) == _ROWS:
                yield rows
                rows = []
        if rows:
            yield rows

    def _pieces(self) -> Iterator[bytes]:
        """Lines of objects, whatever the file's form."""
        with Unpacked(self._source, self._limits) as stream:
            if stream.peek(3) == _MARK:
                stream.read(3)
            head = stream.peek(PIECE).lstrip()
            if not head:
                raise Damaged(repr(self._source.name), "it is empty")
            first, ends, _ = head.partition(b"\n")
            if head.startswith(b"[") or self._source.options.field or (ends and not _is_json(first)):
                yield from self._document(self._rest(stream))
            else:
                yield from whole_lines(stream, self._source.name, self._limits)
            self._cut = stream.cut

    def _rest(self, stream: Unpacked) -> bytes:
        pieces, size = [], 0
        while data := stream.read():
            pieces.append(data)
            size += len(data)
            if size > self._limits.whole_bytes:
                raise TooLarge(f"{self._source.name!r}, a JSON document that is not lines,", self._limits.whole_bytes)
        return b"".join(pieces)

    def _document(self, content: bytes) -> Iterator[bytes]:
        """A list of rows, or an object of columns."""
        try:
            value = msgspec.json.decode(content)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            raise self._no_json() from None
        field = self._source.options.field
        if field:
            value = value.get(field) if isinstance(value, dict) else None
        if isinstance(value, dict) and value and all(isinstance(column, list) for column in value.values()):
            if len({len(column) for column in value.values()}) > 1:
                raise Damaged(repr(self._source.name), "its columns are not equally long")
            value = [dict(zip(value, row, strict=True)) for row in zip(*value.values(), strict=True)]
        if not isinstance(value, list) or not all(isinstance(row, dict) for row in value):
            raise Damaged(repr(self._source.name), "it is neither a list of rows nor an object of columns")
        for start in range(0, len(value), _ROWS):
            yield b"\n".join(map(msgspec.json.encode, value[start : start + _ROWS])) + b"\n"

    def _no_json(self) -> Damaged | Unsupported:
        return Damaged(repr(self._source.name), "it is no JSON, or not in UTF-8")


def _hollow(kind: pa.DataType) -> bool:
    """Whether an object without any field stands in it."""
    if pa.types.is_struct(kind):
        return kind.num_fields == 0 or any(_hollow(kind.field(index).type) for index in range(kind.num_fields))
    return pa.types.is_list(kind) and _hollow(kind.value_type)


def _is_json(line: bytes) -> bool:
    try:
        msgspec.json.decode(line)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return False
    return True


def _parse(piece: bytes, schema: pa.Schema | None) -> pa.Table:
    """Raises ArrowInvalid, also for types that change within the piece."""
    block = max(len(piece), 1)
    read = pj.ReadOptions(use_threads=False, block_size=block)
    return pj.read_json(io.BytesIO(piece), read, pj.ParseOptions(explicit_schema=schema))
