"""Tensors as bytes behind the JSON: the protocol's binary tensor data extension, as KServe and Triton have it.

https://github.com/triton-inference-server/server/blob/main/docs/protocol/extension_binary_data.md

The header Inference-Header-Content-Length says where the JSON ends; a tensor's `binary_data_size` says how many of the
bytes behind it are its own, in the order of the tensors. Numbers are little-endian, row by row; BOOL is a byte; BYTES
are values of four bytes (their length) and their UTF-8 each.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from typing import Any

from craton.core.errors import InvalidRequest
from craton.core.predicting import BlockKind

EXTENSION = "binary_tensor_data"
HEADER = "inference-header-content-length"
SIZE, BINARY_DATA, BINARY_OUTPUT = "binary_data_size", "binary_data", "binary_data_output"

_CODES = {
    "BOOL": "?",
    "FP16": "e",
    "FP32": "f",
    "FP64": "d",
    "INT8": "b",
    "INT16": "h",
    "INT32": "i",
    "INT64": "q",
    "UINT8": "B",
    "UINT16": "H",
    "UINT32": "I",
    "UINT64": "Q",
}
BLOCKS: dict[str, BlockKind] = {"FP64": "<f8", "FP32": "<f4", "INT64": "<i8", "INT32": "<i4"}
"""Types whose numbers are passed on as they are."""

_LENGTH = struct.Struct("<I")


def head_length(said: str | None, size: int) -> int | None:
    """How much of the body is JSON; None for all of it. Raises InvalidRequest."""
    if said is None:
        return None
    if not (said.isascii() and said.isdigit() and len(said) < 12 and 0 < int(said) <= size):
        raise InvalidRequest(f"must be the length of the body's JSON, from 1 to {size}", HEADER)
    return int(said)


def divided(body: bytes, start: int, sizes: Sequence[Any]) -> list[bytes | None]:
    """What is behind the JSON, by tensor: None for those that have their data in it. Raises InvalidRequest."""
    pieces: list[bytes | None] = []
    for place, size in enumerate(sizes):
        if size is None:
            pieces.append(None)
            continue
        if type(size) is not int or not 0 <= size <= len(body) - start:
            left = len(body) - start
            raise InvalidRequest(f"{left:,} bytes are left in the body, not {size!r:.30}", f"inputs[{place}].{SIZE}")
        pieces.append(body[start : start + size])
        start += size
    if start != len(body):
        raise InvalidRequest(f"{len(body) - start:,} bytes are left that no tensor claims", "inputs")
    return pieces


def check_size(name: str, datatype: str, data: bytes, values: int) -> None:
    """Of all types but BYTES. Raises InvalidRequest."""
    expected = values * struct.calcsize(f"<{_CODES[datatype]}")
    if len(data) != expected:
        raise InvalidRequest(
            f"the tensor {name!r} has {len(data):,} bytes; {values:,} values of {datatype} have {expected:,}", "inputs"
        )


def unpacked(name: str, datatype: str, data: bytes, values: int) -> list[Any]:
    """Value by value; a missing number (NaN) is None. Raises InvalidRequest."""
    if datatype == "BYTES":
        return _texts(name, data, values)
    check_size(name, datatype, data, values)
    code = _CODES[datatype]
    found = list(struct.unpack(f"<{values}{code}", data))
    return [None if value != value else value for value in found] if code in "efd" else found  # noqa: PLR0124


def _texts(name: str, data: bytes, values: int) -> list[str]:
    found, place = list[str](), 0
    while place < len(data) and len(found) < values:
        start = place + _LENGTH.size
        place = start + (_LENGTH.unpack_from(data, place)[0] if start <= len(data) else len(data))
        if place > len(data):
            raise InvalidRequest(f"the bytes of {name!r} end in the middle of a value", "inputs")
        try:
            found.append(str(data[start:place], "utf-8"))
        except UnicodeDecodeError as error:
            raise InvalidRequest(f"value {len(found)} of {name!r} is not valid UTF-8", "inputs") from error
    if len(found) != values or place != len(data):
        raise InvalidRequest(f"the bytes of {name!r} are not the {values:,} values of its shape", "inputs")
    return found


def packed(datatype: str, values: Sequence[Any]) -> bytes:
    """The opposite; a number that is not there is NaN."""
    if datatype == "BYTES":
        texts = [("" if value is None else str(value)).encode() for value in values]
        return b"".join(_LENGTH.pack(len(text)) + text for text in texts)
    if datatype == "FP64":
        values = [float("nan") if value is None else value for value in values]
    return struct.pack(f"<{len(values)}{_CODES[datatype]}", *values)
