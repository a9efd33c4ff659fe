"""CSV as RFC 4180 has it."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Sequence
from typing import Any

from craton.core.errors import InvalidRequest
from craton.core.predicting import Field


def read_csv(body: bytes, content_type: str, fields: Sequence[Field]) -> tuple[tuple[str, ...], list[list[str]]]:
    """The header's names ("" for none) and the lines; empty lines are none. Raises InvalidRequest."""
    try:
        text = str(body, "utf-8-sig")
    except UnicodeDecodeError as error:
        raise InvalidRequest("the body is not valid UTF-8") from error
    try:
        lines = [line for line in csv.reader(io.StringIO(text, newline=""), strict=True) if line]
    except csv.Error as error:
        raise InvalidRequest(f"the body is not valid CSV: {error}") from error
    if lines and _is_header(lines[0], content_type, {field.name for field in fields}):
        return tuple(name.strip() for name in lines[0]), lines[1:]
    return (), lines


def _is_header(line: list[str], content_type: str, known: set[str]) -> bool:
    said = content_type.replace(" ", "").lower()
    if "header=present" in said or "header=absent" in said:
        return "header=present" in said
    return any(cell.strip() in known for cell in line)


def write_csv(names: Sequence[str] | None, rows: Iterable[Sequence[Any]]) -> bytes:
    """names: None for no header."""
    written = io.StringIO(newline="")
    writer = csv.writer(written, lineterminator="\r\n")
    if names is not None:
        writer.writerow(names)
    writer.writerows(rows)
    return written.getvalue().encode()
