"""Vectors on their way into stores that take lists of numbers."""

from __future__ import annotations

import struct


def floats(vector: bytes) -> list[float]:
    """Of float32, little-endian."""
    return list(struct.unpack(f"<{len(vector) // 4}f", vector))
