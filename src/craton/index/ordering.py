"""Numbers and strings as bytes that sort as they do, so that a store needs one comparison only."""

from __future__ import annotations

import math
import struct


def sortable(value: str | float) -> bytes | None:
    """A string's UTF-8, which sorts by code point; a number's eight bytes. None for NaN, which compares with nothing.

    -0.0 equals 0.0.
    """
    if isinstance(value, str):
        return value.encode()
    number = float(value)
    if math.isnan(number):
        return None
    (bits,) = struct.unpack(">Q", struct.pack(">d", number + 0.0))
    return struct.pack(">Q", bits ^ (0xFFFFFFFFFFFFFFFF if bits >> 63 else 1 << 63))
