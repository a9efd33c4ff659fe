"""Writes a small GGUF file of float tensors, one after the other: no more than one of them is in memory.

Source: ggml's `docs/gguf.md`, version 3, little-endian.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Mapping
from math import prod
from pathlib import Path

_ALIGNMENT = 32
_STRING = 8
_TYPES = {2: 1, 4: 0}  # ggml's F16 and F32, by their bytes


def write_gguf(
    path: Path,
    metadata: Mapping[str, str],
    shapes: Mapping[str, tuple[int, ...]],
    tensors: Iterable[bytes],
    width: int = 4,
) -> None:
    """shapes: by name, the fastest dimension last, as numpy has them. tensors: their bytes, in the same order; width:
    of a number, 4 (float32) or 2 (float16)."""
    header = bytearray(b"GGUF" + struct.pack("<IQQ", 3, len(shapes), len(metadata)))
    for key, value in metadata.items():
        header += _text(key) + struct.pack("<I", _STRING) + _text(value)
    offset = 0
    for name, shape in shapes.items():
        header += _text(name) + struct.pack(f"<I{len(shape)}Q", len(shape), *reversed(shape))
        header += struct.pack("<IQ", _TYPES[width], offset)
        offset += _padded(width * prod(shape))
    with path.open("wb") as file:
        file.write(header + bytes(_padded(len(header)) - len(header)))
        for shape, tensor in zip(shapes.values(), tensors, strict=True):
            if len(tensor) != width * prod(shape):
                raise ValueError(f"a tensor of the shape {shape} has {len(tensor)} bytes")
            file.write(tensor)
            file.write(bytes(_padded(len(tensor)) - len(tensor)))


def _text(value: str) -> bytes:
    raw = value.encode()
    return struct.pack("<Q", len(raw)) + raw


def _padded(size: int) -> int:
    return -(-size // _ALIGNMENT) * _ALIGNMENT
