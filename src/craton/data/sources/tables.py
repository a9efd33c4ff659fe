"""Files of rows, read one row at a time: .jsonl, .csv, .tsv, .parquet. Calls block."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec

from craton.core.errors import Damaged, TooLarge, Unsupported

MAX_ROW = 16 * 1024 * 1024  # bytes
Row = dict[str, Any]
MAX_FIELD = 128 * 1024  # characters of a cell
SUFFIXES = (".jsonl", ".ndjson", ".csv", ".tsv", ".parquet")


def is_table(name: str) -> bool:
    return name.lower().endswith(SUFFIXES)


def read_rows(path: Path, name: str) -> Iterator[Row]:
    """name: tells the format. Raises Damaged (with the line), TooLarge, Unsupported."""
    suffix = name.lower().rpartition(".")[2]
    if suffix == "parquet":
        return _parquet(path, name)
    return _separated(path, name, "\t" if suffix == "tsv" else ",") if suffix in {"csv", "tsv"} else _lines(path, name)


def _lines(path: Path, name: str) -> Iterator[Row]:
    number = 0
    with path.open("rb") as file:
        while line := file.readline(MAX_ROW + 1):
            number += 1
            if len(line) > MAX_ROW:
                raise TooLarge(f"Line {number} of {name!r}", MAX_ROW)
            if line.isspace():
                continue
            try:
                yield msgspec.json.decode(line, type=Row)
            except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
                raise Damaged(f"Line {number} of {name!r}", "it is not a JSON object.") from error


def _separated(path: Path, name: str, separator: str) -> Iterator[Row]:
    """The first row names the columns."""
    with path.open("r", encoding="utf-8-sig", newline="") as file:
        lines = _bounded(iter(lambda: file.readline(MAX_ROW + 1), ""), name)
        csv.field_size_limit(MAX_FIELD)  # of the whole process: whoever reads sets it
        rows = csv.reader(lines, delimiter=separator)
        try:
            columns = next(rows, [])
            for row in rows:
                if len(row) > len(columns):
                    raise Damaged(f"Line {rows.line_num} of {name!r}", "it has more fields than there are columns.")
                if row:
                    yield dict(zip(columns, row, strict=False))
        except (csv.Error, UnicodeDecodeError) as error:
            raise Damaged(f"Line {rows.line_num + 1} of {name!r}", "it is not CSV in UTF-8.") from error


def _bounded(lines: Iterator[str], name: str) -> Iterator[str]:
    for number, line in enumerate(lines, 1):
        if len(line) > MAX_ROW:
            raise TooLarge(f"Line {number} of {name!r}", MAX_ROW)
        yield line


def _parquet(path: Path, name: str) -> Iterator[Row]:
    try:
        from pyarrow import ArrowException  # type: ignore[import-not-found,unused-ignore]
        from pyarrow.parquet import ParquetFile  # type: ignore[import-not-found,unused-ignore]
    except ImportError:
        raise Unsupported("Reading Parquet", "Install craton[data].") from None
    try:
        with ParquetFile(path) as file:
            for batch in file.iter_batches(batch_size=64):
                yield from batch.to_pylist()
    except (ArrowException, OSError, ValueError) as error:
        raise Damaged(repr(name), "it is not a Parquet file.") from error
