"""CSV: every field is read as text; what a column holds is known once all of it was seen, as pandas would say it.

So there are two passes, and a column whose millionth value is no number is text, not an error.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from enum import IntEnum

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pc_csv

from craton.core.errors import Damaged, TooLarge
from craton.data.viewing.features import features_of
from craton.data.viewing.frames import Source
from craton.data.viewing.limits import ViewLimits
from craton.data.viewing.streams import Unpacked
from craton.data.viewing.values import Feature

_MISSING = (
    *("", "#N/A", "#N/A N/A", "#NA", "-1.#IND", "-1.#QNAN", "-NaN", "-nan", "1.#IND", "1.#QNAN", "<NA>", "N/A", "NA"),
    *("NULL", "NaN", "None", "n/a", "nan", "null"),
)
_BOOLS = pa.array(["True", "False", "TRUE", "FALSE", "true", "false"])
_HEXADECIMAL = r"^\s*[+-]?0[xX]"  # a number to Arrow, not to pandas
_LONG_INTEGER = r"^[+-]?\d{19,}$"
_HEAD = 1 << 16


class _Kind(IntEnum):
    """What a column may be, from the narrowest."""

    INT = 0
    FLOAT = 1
    BOOL = 2
    TEXT = 3


class _Column:
    """What is known of a column so far."""

    def __init__(self) -> None:
        self.kind = _Kind.INT
        self.missing = self.seen = False

    def see(self, values: pa.Array) -> None:
        self.missing |= values.null_count > 0
        values = values.drop_null()
        if not len(values) or self.kind is _Kind.TEXT:
            return
        while not _fits(values, self.kind):
            wider = _Kind(self.kind + 1)
            self.kind = _Kind.TEXT if wider is _Kind.BOOL and self.seen else wider
        self.seen = True

    def type(self) -> pa.DataType:
        if (not self.seen and self.kind is _Kind.INT) or self.kind is _Kind.FLOAT:
            return pa.float64()  # a column without any value too, as in pandas
        if self.kind is _Kind.INT:
            return pa.float64() if self.missing else pa.int64()
        return pa.bool_() if self.kind is _Kind.BOOL else pa.string()


def _fits(values: pa.Array, kind: _Kind) -> bool:
    if kind is _Kind.TEXT:
        return True
    if kind is not _Kind.BOOL and pc.any(pc.match_substring_regex(values, _HEXADECIMAL)).as_py():
        return False
    if kind is _Kind.BOOL:
        return bool(pc.all(pc.is_in(values, value_set=_BOOLS)).as_py())
    try:
        _numbers(values, pa.int64() if kind is _Kind.INT else pa.float64())
    except pa.ArrowInvalid:
        return False
    if kind is _Kind.FLOAT:  # more digits than a float keeps: an identifier, not a measure
        return not pc.any(pc.match_substring_regex(values, _LONG_INTEGER)).as_py()
    return True


def _numbers(values: pa.Array, kind: pa.DataType) -> pa.Array:
    return pc.cast(pc.utf8_ltrim(pc.utf8_trim_whitespace(values), "+"), kind)


class CsvTable:
    """whole: look at all of the file before saying what its columns hold; else at its first batch."""

    def __init__(self, source: Source, limits: ViewLimits, *, whole: bool) -> None:
        self._source, self._limits = source, limits
        self._cut = False
        self._names = self._header()
        columns = [_Column() for _ in self._names]
        for batch in self._text():
            for column, values in zip(columns, batch.columns, strict=True):
                column.see(values)
            if not whole:
                break
        self.schema = pa.schema([pa.field(name, it.type()) for name, it in zip(self._names, columns, strict=True)])
        self.features: dict[str, Feature] = features_of(self.schema)

    @property
    def cut(self) -> bool:
        return self._cut

    def batches(self) -> Iterator[pa.RecordBatch]:
        for batch in self._text():
            columns = [self._typed(field, batch.column(index)) for index, field in enumerate(self.schema)]
            yield pa.RecordBatch.from_arrays(columns, schema=self.schema)

    def _typed(self, field: pa.Field, values: pa.Array) -> pa.Array:
        if field.type == pa.string():
            return values
        try:
            return pc.cast(values, pa.bool_()) if field.type == pa.bool_() else _numbers(values, field.type)
        except pa.ArrowInvalid:
            raise Damaged(
                repr(self._source.name), f"further down, its column {field.name!r} holds what is no {field.type}"
            ) from None

    def _header(self) -> list[str]:
        """Names as pandas makes them: twice the same becomes "a" and "a.1", none becomes "Unnamed: 3"."""
        with Unpacked(self._source, self._limits) as stream:
            head = b""
            while len(head) < self._limits.line_bytes and not _has_row(head):
                data = stream.read(_HEAD)
                if not data:
                    break
                head += data
        if not head.strip():
            raise Damaged(repr(self._source.name), "it is empty")
        csv.field_size_limit(self._limits.line_bytes)
        try:
            text = head.decode("utf-8-sig", "strict" if len(head) < _HEAD else "ignore")
            rows = csv.reader(io.StringIO(text, newline=""), delimiter=self._source.options.separator)
            names = next(row for row in rows if row)
        except UnicodeDecodeError:
            raise Damaged(repr(self._source.name), "it is not UTF-8; save it as UTF-8") from None
        except (csv.Error, StopIteration):
            raise Damaged(repr(self._source.name), "its first row cannot be read as CSV") from None
        if len(names) > self._limits.columns:
            raise TooLarge(f"The columns of {self._source.name!r}", self._limits.columns, len(names), "columns")
        return _unique([name or f"Unnamed: {index}" for index, name in enumerate(names)])

    def _text(self) -> Iterator[pa.RecordBatch]:
        with Unpacked(self._source, self._limits) as stream:
            waiting: pa.RecordBatch | None = None
            try:
                reader = pc_csv.open_csv(
                    pa.PythonFile(stream, mode="r"),
                    pc_csv.ReadOptions(
                        use_threads=False,
                        block_size=self._limits.line_bytes,
                        column_names=self._names,
                        skip_rows_after_names=1,
                    ),
                    pc_csv.ParseOptions(delimiter=self._source.options.separator, newlines_in_values=True),
                    pc_csv.ConvertOptions(
                        column_types=dict.fromkeys(self._names, pa.string()),
                        null_values=_MISSING,
                        strings_can_be_null=True,
                        quoted_strings_can_be_null=True,
                    ),
                )
                for batch in reader:
                    if waiting is not None:
                        yield waiting
                    waiting = batch
            except pa.ArrowInvalid as error:
                if not stream.cut:
                    raise self._reason(str(error)) from None
            self._cut = stream.cut
            if waiting is not None:  # where reading stopped, a row may have been cut
                yield waiting.slice(0, waiting.num_rows - 1) if stream.cut else waiting

    def _reason(self, said: str) -> Damaged | TooLarge:
        """Arrow's sentence in ours; what is not known is not repeated, for it may hold the file's text."""
        if "straddling" in said:
            return TooLarge(f"A row of {self._source.name!r}", self._limits.line_bytes)
        if "UTF8" in said or "UTF-8" in said:
            return Damaged(repr(self._source.name), "it is not UTF-8; save it as UTF-8")
        start = said.find("Expected ")
        reason = said[start : start + 60].partition(":")[0] if start >= 0 else ""
        return Damaged(
            repr(self._source.name), f"a row does not fit the first one ({reason})" if reason else "it is no CSV"
        )


def _has_row(head: bytes) -> bool:
    return head.strip().count(b'"') % 2 == 0 and b"\n" in head.lstrip()


def _unique(names: list[str]) -> list[str]:
    seen: set[str] = set()
    found = []
    for name in names:
        candidate, number = name, 0
        while candidate in seen:
            number += 1
            candidate = f"{name}.{number}"
        seen.add(candidate)
        found.append(candidate)
    return found
