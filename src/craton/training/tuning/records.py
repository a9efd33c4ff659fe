"""Records: lines of JSON, read as a stream; what is wrong with some is said once, with the numbers of the lines.

A record's place ("line 12", "part-2.jsonl line 3", "row 7") goes with it, for errors alone.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

from craton.core.chat import Json
from craton.core.errors import InvalidRequest

MAX_LINE = 4 << 20  # bytes
BLOCK = 1 << 20
TEXT_BLOCK = 64 << 10  # characters of plain text that make a record
SHOWN = 5  # faults that are told one by one

T = TypeVar("T")


class Record(NamedTuple):
    """value: None where the line is no JSON object; fault says why."""

    place: str
    value: Json | None
    fault: str = ""


def read_lines(blocks: Iterable[bytes], name: str = "") -> Iterator[Record]:
    """One record a line; empty lines are passed over. name: of the file, where there are several."""
    prefix = f"{name} line" if name else "line"
    for number, line in enumerate(_lines(blocks), 1):
        if line is None:
            yield Record(f"{prefix} {number}", None, f"it is longer than {MAX_LINE:,} bytes")
        elif line.strip():
            yield _record(f"{prefix} {number}", line)


def read_text(blocks: Iterable[bytes], name: str = "") -> Iterator[Record]:
    """A file of plain text, as records {"text"} of some pages each, cut at the ends of lines."""
    held: list[str] = []
    size = 0
    for number, line in enumerate(_lines(blocks), 1):
        try:
            text = "" if line is None else line.decode()
        except UnicodeDecodeError:
            yield Record(f"{name} line {number}".strip(), None, "it is not UTF-8")
            continue
        if line is None:
            yield Record(f"{name} line {number}".strip(), None, f"it is longer than {MAX_LINE:,} bytes")
            continue
        held.append(text)
        size += len(text)
        if size >= TEXT_BLOCK:
            yield Record(f"{name} up to line {number}".strip(), {"text": "".join(held)})
            held, size = [], 0
    if "".join(held).strip():
        yield Record(f"{name} end".strip(), {"text": "".join(held)})


def read_rows(files: Iterable[Path]) -> Iterator[Record]:
    """The rows of Parquet files. Fields without a value are left out."""
    import pyarrow.parquet as pq

    number = 0
    for file in files:
        with pq.ParquetFile(file) as table:
            for batch in table.iter_batches(batch_size=256):
                for row in batch.to_pylist():
                    number += 1
                    yield Record(f"row {number}", _without_nothing(row))


def blocks_of(path: Path) -> Iterator[bytes]:
    with path.open("rb") as file:
        while block := file.read(BLOCK):
            yield block


def good(records: Iterable[Record], read: Callable[[Json], T], field: str = "data.ref") -> Iterator[T]:
    """What `read` makes of each. At the end raises one InvalidRequest when there were records that it refused (by
    InvalidRequest) or that are no JSON, with the first places and how many were good; also when there were none."""
    faults: list[str] = []
    bad = fine = 0
    for record in records:
        try:
            if record.value is None:
                raise InvalidRequest(record.fault)
            made = read(record.value)
        except InvalidRequest as error:
            bad += 1
            if len(faults) < SHOWN:
                faults.append(f"{record.place}: {error}")
            continue
        fine += 1
        yield made
    if bad:
        more = f" ... and {bad - len(faults):,} more" if bad > len(faults) else ""
        raise InvalidRequest(f"{'; '.join(faults)}{more}. {fine:,} of {fine + bad:,} records are good", field)
    if not fine:
        raise InvalidRequest("holds no records", field)


def _record(place: str, line: bytes) -> Record:
    try:
        value = json.loads(line)
    except (ValueError, RecursionError) as error:
        said = str(error).partition(":")[0] if not isinstance(error, json.JSONDecodeError) else error.msg
        return Record(place, None, f"it is not JSON ({said})"[:200])
    if not isinstance(value, dict):
        return Record(place, None, "it is not a JSON object")
    return Record(place, value)


def _lines(blocks: Iterable[bytes]) -> Iterator[bytes | None]:
    """None for a line that is too long, of which no more than the bound is held."""
    held, dropping = bytearray(), False
    for block in blocks:
        start = 0
        while (end := block.find(b"\n", start)) >= 0:
            if dropping or len(held) + end - start > MAX_LINE:
                yield None
            else:
                yield bytes(held) + block[start : end + 1]
            held, dropping, start = bytearray(), False, end + 1
        if not dropping:
            held += block[start:]
            if len(held) > MAX_LINE:
                held, dropping = bytearray(), True
    if dropping:
        yield None
    elif held:
        yield bytes(held)


def _without_nothing(value: Any) -> Any:
    """Parquet gives every row all fields; those that a record did not have are None in it."""
    if isinstance(value, dict):
        return {name: _without_nothing(inner) for name, inner in value.items() if inner is not None}
    return [_without_nothing(inner) for inner in value] if isinstance(value, list) else value
