"""What both formats say about a tensor."""

from __future__ import annotations

from math import prod

from msgspec import Struct


class TensorInfo(Struct, frozen=True):
    """offset and size: bytes, from the beginning of the tensor data. shape: in the order of the file.

    (GGUF writes the fastest dimension first, safetensors last.)
    """

    name: str
    dtype: str
    shape: tuple[int, ...]
    offset: int
    size: int

    @property
    def elements(self) -> int:
        return prod(self.shape)
