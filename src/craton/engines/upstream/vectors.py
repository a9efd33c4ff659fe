"""Vectors and token counts as providers send them -> `EmbedAnswer`."""

from __future__ import annotations

import array
import base64
import binascii
import math
import sys
from collections.abc import Sequence

from craton.core.model import EmbedAnswer
from craton.engines.upstream.failures import Malformed

_BYTES_A_TOKEN = 4


def pack(rows: Sequence[Sequence[float] | str], tokens: tuple[int, ...], *, estimated: bool = False) -> EmbedAnswer:
    """rows: numbers, or base64 of float32 little-endian. Vectors are brought to unit length. Raises Malformed."""
    if len(rows) != len(tokens):
        raise Malformed(f"{len(tokens)} vectors were asked for, {len(rows)} came")
    flat = array.array("f")
    width = 0
    for row in rows:
        vector = _read(row)
        length = math.hypot(*vector)
        if not vector or (width and len(vector) != width) or not math.isfinite(length) or length == 0:
            raise Malformed("a vector is empty, of another length than the rest, or not finite")
        width = len(vector)
        flat.extend(vector if abs(length - 1) < 1e-6 else array.array("f", (value / length for value in vector)))
    if sys.byteorder == "big":
        flat.byteswap()
    return EmbedAnswer(flat.tobytes(), width, tokens, estimated)


def share(total: int | None, inputs: Sequence[str | tuple[int, ...]]) -> tuple[tuple[int, ...], bool]:
    """Tokens of each input when only their sum was told (or nothing), and whether that is an estimate.

    The sum is kept: each input gets the part that its length earns, rounded so that nothing is lost.
    """
    sizes = [
        len(text) if isinstance(text, tuple) else max(1, -(-len(text.encode()) // _BYTES_A_TOKEN)) for text in inputs
    ]
    if all(isinstance(text, tuple) for text in inputs):
        return tuple(sizes), False
    if total is None:
        return tuple(sizes), True
    if len(inputs) == 1:
        return (total,), False
    shares, given, seen = [], 0, 0
    for size in sizes:
        seen += size
        upto = total * seen // (sum(sizes) or 1)
        shares.append(upto - given)
        given = upto
    return tuple(shares), True


def _read(row: Sequence[float] | str) -> array.array[float]:
    if not isinstance(row, str):
        return array.array("f", row)
    try:
        vector = array.array("f", base64.b64decode(row, validate=True))
    except (binascii.Error, ValueError):
        raise Malformed("a vector is not base64 of float32 numbers") from None
    if sys.byteorder == "big":
        vector.byteswap()
    return vector
