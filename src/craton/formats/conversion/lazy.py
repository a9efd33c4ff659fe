"""Tensors that are read block by block when they are written: no more than a block, or one rearranged tensor, is in
memory."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from math import prod
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from craton.core.errors import Unsupported
from craton.formats.tensors import TensorInfo

Array = np.ndarray[Any, np.dtype[Any]]
Shape = tuple[int, ...]

BLOCK = 8 * 1024 * 1024  # elements read at once


class Lazy(NamedTuple):
    """shape: the fastest dimension last. blocks: its values, float32 unless `raw`, one after the other; each block
    holds whole rows. kind: of the file, where the tensor must keep one of its own ("F32", "MXFP4")."""

    shape: Shape
    blocks: Callable[[], Iterator[Array]]
    kind: str | None = None

    def whole(self) -> Array:
        """All of it, in memory."""
        return np.concatenate([block.reshape(-1) for block in self.blocks()]).reshape(self.shape)


Tensors = dict[str, Lazy]


def stored(path: Path, data_offset: int, info: TensorInfo) -> Lazy:
    """A tensor of a safetensors file. Raises Unsupported for number types that hold no weights."""
    if info.dtype not in _READERS:
        raise Unsupported(f"The number type {info.dtype} of the tensor {info.name[:120]!r}")
    raw, decode = _READERS[info.dtype]
    row = info.shape[-1] if info.shape else 1
    rows = prod(info.shape) // max(1, row)
    step = max(1, BLOCK // max(1, row))

    def blocks() -> Iterator[Array]:
        for start in range(0, rows, step):
            count = min(step, rows - start) * row
            at = data_offset + info.offset + start * row * np.dtype(raw).itemsize
            yield decode(np.fromfile(path, dtype=raw, count=count, offset=at)).reshape(-1, row)

    return Lazy(info.shape, blocks)


def derived(shape: Shape, make: Callable[[], Array], kind: str | None = None) -> Lazy:
    """A tensor that is computed in one piece."""
    return Lazy(shape, lambda: iter([make()]), kind)


def mapped(tensor: Lazy, function: Callable[[Array], Array]) -> Lazy:
    """Every value changed for itself."""
    return Lazy(tensor.shape, lambda: map(function, tensor.blocks()), tensor.kind)


def stacked(tensors: Iterable[Lazy]) -> Lazy:
    """Tensors of one shape under a new first dimension."""
    parts = tuple(tensors)
    return Lazy((len(parts), *parts[0].shape), lambda: (block for part in parts for block in part.blocks()))


def _bfloat(raw: Array) -> Array:
    return (raw.astype(np.uint32) << 16).view(np.float32)


def _float(raw: Array) -> Array:
    return raw.astype(np.float32)


def _float8(raw: Array) -> Array:
    return _FLOAT8[raw]


def _float8_values() -> Array:
    """The 256 values of E4M3 (OCP "OFP8" format): no infinities, 0x7f is not a number."""
    code = np.arange(256)
    exponent, fraction = (code >> 3) & 15, code & 7
    size = np.where(exponent == 0, fraction / 8 * 2.0**-6, (1 + fraction / 8) * 2.0 ** (exponent - 7.0))
    size[(exponent == 15) & (fraction == 7)] = np.nan
    return np.where(code & 128, -size, size).astype(np.float32)


_FLOAT8 = _float8_values()
_READERS: dict[str, tuple[str, Callable[[Array], Array]]] = {
    "F64": ("<f8", _float),
    "F32": ("<f4", _float),
    "F16": ("<f2", _float),
    "BF16": ("<u2", _bfloat),
    "F8_E4M3": ("u1", _float8),
    "U8": ("u1", _float),
}
