"""gpt-oss: experts in blocks of 4-bit floats (MXFP4), or in plain numbers once somebody has tuned them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np

from craton.core.errors import Damaged
from craton.formats.conversion.architectures.base import Architecture
from craton.formats.conversion.lazy import Array, Lazy, Tensors, derived

if TYPE_CHECKING:
    from gguf import GGUFWriter

_FLOAT4 = np.array([0, 0.5, 1, 1.5, 2, 3, 4, 6, 0, -0.5, -1, -1.5, -2, -3, -4, -6], np.float32)
"""OCP Microscaling Formats 1.0, E2M1."""


class GptOss(Architecture):
    name = "GPT_OSS"
    rounded_yarn = True  # the published models have it; llama.cpp's own converter takes them so, too

    def describe(self, writer: GGUFWriter) -> None:
        super().describe(writer)
        said = self.settings
        self.heads_of(writer)
        self.positions(writer, default=150_000.0)
        writer.add_sliding_window(said.whole("sliding_window", default=128))
        writer.add_expert_feed_forward_length(said.whole("intermediate_size"))
        writer.add_expert_count(said.whole("num_local_experts"))
        writer.add_expert_used_count(said.whole("num_experts_per_tok", "experts_per_token", default=4))

    def arrange(self, tensors: Tensors) -> Tensors:
        found: Tensors = {}
        for name, tensor in _unpacked(tensors).items():
            stem, _, last = name.rpartition(".")
            if last == "sinks":
                found[f"{name}.weight"] = tensor
            elif last in {"gate_up_proj", "gate_up_proj_bias"}:
                ending = "bias" if last.endswith("bias") else "weight"
                turned = tensor if ending == "bias" else _turned(tensor)
                found[f"{stem}.gate_proj.{ending}"] = _every_second(turned, 0)
                found[f"{stem}.up_proj.{ending}"] = _every_second(turned, 1)
            elif last == "down_proj":
                found[f"{stem}.down_proj.weight"] = _turned(tensor)
            elif last == "down_proj_bias":
                found[f"{stem}.down_proj.bias"] = tensor
            else:
                found[name] = tensor
        return found


def _unpacked(tensors: Tensors) -> Tensors:
    """Blocks and their scales as the weights that they stand for: as wide as transformers keeps them, so turned."""
    found: Tensors = {}
    for name, tensor in tensors.items():
        if name.endswith("_scales"):
            continue
        stem = name.removesuffix("_blocks")
        if stem == name:
            found[name] = tensor
            continue
        scales = tensors.get(f"{stem}_scales")
        if scales is None or tensor.shape[:-1] != scales.shape or tensor.shape[-1] != 16:
            raise Damaged(name, "its blocks and scales do not go together")
        experts, rows, blocks, _ = tensor.shape
        found[stem] = _packed((experts, blocks * 32, rows), tensor, scales)
    return found


def _packed(shape: tuple[int, ...], blocks: Lazy, scales: Lazy) -> Lazy:
    """It stays in this kind of block, which holds the very same values."""
    experts, _, rows = shape

    def expert_by_expert() -> Iterator[Array]:
        factors = scales.whole().reshape(experts, rows, -1, 1).astype(np.int32) - 127
        for number, codes in enumerate(_by_expert(blocks)):
            pairs = codes.astype(np.uint8)
            values = np.stack([_FLOAT4[pairs & 15], _FLOAT4[pairs >> 4]], axis=-1).reshape(rows, -1, 32)
            yield np.ldexp(values, factors[number]).reshape(rows, -1).T

    return Lazy(shape, expert_by_expert, "MXFP4")


def _by_expert(tensor: Lazy) -> Iterator[Array]:
    """One expert's values at a time."""
    each = int(np.prod(tensor.shape[1:]))
    held: list[Array] = []
    size = 0
    for block in tensor.blocks():
        held.append(block.reshape(-1))
        size += block.size
        while size >= each:
            joined = np.concatenate(held)
            yield joined[:each].reshape(tensor.shape[1:])
            held, size = [joined[each:]], size - each


def _turned(tensor: Lazy) -> Lazy:
    """Each expert's matrix with outputs in rows."""
    experts, rows, columns = tensor.shape
    return Lazy((experts, columns, rows), lambda: (one.T for one in _by_expert(tensor)), tensor.kind)


def _every_second(tensor: Lazy, first: int) -> Lazy:
    """Gate and up stand row by row in turn."""
    if len(tensor.shape) == 2:
        return derived((tensor.shape[0], tensor.shape[1] // 2), lambda: tensor.whole()[:, first::2])
    shape = (tensor.shape[0], tensor.shape[1] // 2, tensor.shape[2])
    return Lazy(shape, lambda: (one[first::2] for one in _by_expert(tensor)), tensor.kind)
