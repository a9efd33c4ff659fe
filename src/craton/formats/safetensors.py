"""Reads a safetensors header, trusting nothing in it.

Source: the format's README in huggingface/safetensors. As there: the tensors cover the data without holes or overlaps.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from math import prod
from pathlib import Path
from typing import Any, NoReturn

from msgspec import Struct

from craton.core.errors import Damaged
from craton.formats.tensors import TensorInfo

MAX_HEADER = 32 * 1024 * 1024  # bytes; the largest models need a few MB
MAX_VALUES = 2_000_000  # JSON values in the header: bounds what parsing it can allocate
MAX_DIMENSIONS = 8

BITS = {
    "BOOL": 8,
    "U8": 8,
    "I8": 8,
    "F8_E5M2": 8,
    "F8_E4M3": 8,
    "F8_E8M0": 8,
    "F8_E4M3FNUZ": 8,
    "F8_E5M2FNUZ": 8,
    "F4": 4,
    "F6_E2M3": 6,
    "F6_E3M2": 6,
    "I16": 16,
    "U16": 16,
    "F16": 16,
    "BF16": 16,
    "I32": 32,
    "U32": 32,
    "F32": 32,
    "I64": 64,
    "U64": 64,
    "F64": 64,
    "C64": 64,
}
"""dtype -> bits of an element."""


class SafetensorsHeader(Struct, frozen=True):
    """data_offset: where the tensor data begins in the file; the tensors' offsets count from there."""

    metadata: dict[str, str]
    tensors: tuple[TensorInfo, ...]
    data_offset: int


def read_safetensors_file(path: Path, name: str) -> SafetensorsHeader:
    """name: what errors call the file. Raises Damaged."""
    with path.open("rb") as file:
        start = file.read(8)
        size = path.stat().st_size
        length = _header_length(start, size, name)
        return _parse(file.read(length), size - 8 - length, name)


def read_safetensors(content: bytes, name: str) -> SafetensorsHeader:
    """content: the whole file. Raises Damaged."""
    length = _header_length(content[:8], len(content), name)
    return _parse(content[8 : 8 + length], len(content) - 8 - length, name)


def read_safetensors_start(chunks: Iterable[bytes], size: int, name: str, limit: int = MAX_HEADER) -> SafetensorsHeader:
    """chunks: the beginning of a file of `size` bytes; no more is taken than the header needs. limit: bytes of it.

    Raises Damaged, also for a header over the limit."""
    content, wanted = b"", 8
    for chunk in chunks:
        content += chunk
        if wanted == 8 and len(content) >= 8:
            wanted = 8 + _header_length(content[:8], size, name)
            if wanted > limit:
                _refuse(name, f"its header has {wanted:,} bytes; at most {limit:,} are read")
        if wanted > 8 and len(content) >= wanted:
            break
    length = _header_length(content[:8], size, name)
    return _parse(content[8 : 8 + length], size - 8 - length, name)


def _header_length(start: bytes, size: int, name: str) -> int:
    if len(start) < 8:
        _refuse(name, f"it has {size} bytes, fewer than a header")
    length = int.from_bytes(start, "little")
    if length > size - 8:
        _refuse(name, f"it claims a header of {length:,} bytes, more than it can hold")
    if length > MAX_HEADER:
        _refuse(name, f"its header has {length:,} bytes; at most {MAX_HEADER:,} are read")
    return length


def _parse(header: bytes, data_size: int, name: str) -> SafetensorsHeader:
    content = _decode(header, name)
    metadata = content.pop("__metadata__", {})
    if not isinstance(metadata, dict) or not all(isinstance(value, str) for value in metadata.values()):
        _refuse(name, "its __metadata__ is not an object of strings")
    tensors = [_tensor(tensor, value, name) for tensor, value in content.items()]
    end = 0
    for tensor in sorted(tensors, key=lambda tensor: (tensor.offset, tensor.size)):
        if tensor.offset != end:
            _refuse(name, f"the tensor {tensor.name[:64]!r} begins at {tensor.offset:,}, not at {end:,}")
        end += tensor.size
    if end != data_size:
        _refuse(name, f"its tensors have {end:,} bytes, the file holds {data_size:,} for them")
    return SafetensorsHeader(metadata, tuple(tensors), 8 + len(header))


def _decode(header: bytes, name: str) -> dict[str, Any]:
    if not header.startswith(b"{"):
        _refuse(name, "its header does not begin with '{'")
    if sum(header.count(mark) for mark in (b",", b":", b"[", b"{")) > MAX_VALUES:
        _refuse(name, f"its header holds more than {MAX_VALUES:,} values")
    try:
        content = json.loads(header.decode(), object_pairs_hook=_unique)
    except (ValueError, RecursionError) as error:
        raise Damaged(name, f"its header is not proper JSON: {str(error)[:120]}") from error
    return dict(content)


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a name stands there twice")
    return found


def _tensor(tensor: str, value: Any, name: str) -> TensorInfo:
    if not isinstance(value, dict) or value.keys() != {"dtype", "shape", "data_offsets"}:
        _refuse(name, f"the tensor {tensor[:64]!r} does not have exactly a dtype, a shape and data_offsets")
    dtype, shape, offsets = value["dtype"], value["shape"], value["data_offsets"]
    if not isinstance(dtype, str) or dtype not in BITS:
        _refuse(name, f"the tensor {tensor[:64]!r} has the unknown dtype {str(dtype)[:32]!r}")
    if not _naturals(shape) or len(shape) > MAX_DIMENSIONS:
        _refuse(name, f"the tensor {tensor[:64]!r} has a bad shape")
    if not _naturals(offsets) or len(offsets) != 2 or offsets[0] > offsets[1]:
        _refuse(name, f"the tensor {tensor[:64]!r} has bad data_offsets")
    bits = prod(shape) * BITS[dtype]
    if bits != (offsets[1] - offsets[0]) * 8:
        _refuse(name, f"the tensor {tensor[:64]!r} needs {bits // 8:,} bytes and has {offsets[1] - offsets[0]:,}")
    return TensorInfo(tensor, dtype, tuple(shape), offsets[0], offsets[1] - offsets[0])


def _naturals(value: Any) -> bool:
    """A list of whole numbers below 2^64."""
    return isinstance(value, list) and all(type(item) is int and 0 <= item < 1 << 64 for item in value)


def _refuse(name: str, reason: str) -> NoReturn:
    raise Damaged(name, reason)
