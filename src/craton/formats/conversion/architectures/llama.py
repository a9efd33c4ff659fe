"""Llama, Mistral, Code Llama; Qwen2 and Qwen3, which differ in little."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from craton.core.errors import Damaged
from craton.formats.conversion.architectures.base import Architecture
from craton.formats.conversion.lazy import Array, Lazy, Tensors, derived
from craton.formats.conversion.settings import Settings

if TYPE_CHECKING:
    from gguf import GGUFWriter


class Llama(Architecture):
    name = "LLAMA"

    def check(self) -> None:
        self.settings.require("hidden_act", "silu", default="silu")
        if self.settings.rope().get("rope_type") not in {"default", "llama3", "linear", "yarn"}:
            self.settings.require("rope_scaling", None)

    @property
    def window(self) -> int:
        return self.settings.count("sliding_window")

    def describe(self, writer: GGUFWriter) -> None:
        super().describe(writer)
        self.heads_of(writer)
        self.positions(writer)
        writer.add_rope_dimension_count(self.settings.head_width)

    def arrange(self, tensors: Tensors) -> Tensors:
        """llama.cpp rotates neighbours, transformers halves: the rows of queries and keys change places."""
        found = {name: self._interleaved(name, tensor) for name, tensor in tensors.items()}
        rope = Settings(self.settings.rope())
        if rope.get("rope_type") == "llama3":
            found["rope_freqs.weight"] = _long_frequencies(
                rope, self.settings.head_width, self.settings.whole("max_position_embeddings")
            )
        return found

    def _interleaved(self, name: str, tensor: Lazy) -> Lazy:
        part = name.rpartition(".self_attn.")[2].partition(".")[0]
        if part not in {"q_proj", "k_proj"}:
            return tensor
        return interleaved(name, tensor, self.settings.heads if part == "q_proj" else self.settings.kv_heads)


class Qwen2(Architecture):
    name = "QWEN2"

    def check(self) -> None:
        self.settings.require("hidden_act", "silu", default="silu")

    @property
    def window(self) -> int:
        return self.settings.count("sliding_window") if self.settings.flag("use_sliding_window") else 0

    def describe(self, writer: GGUFWriter) -> None:
        super().describe(writer)
        self.positions(writer)


class Qwen3(Qwen2):
    name = "QWEN3"

    def describe(self, writer: GGUFWriter) -> None:
        super().describe(writer)
        self.heads_of(writer)


def interleaved(name: str, tensor: Lazy, heads: int) -> Lazy:
    """The rows of each head: its two halves become neighbours."""
    rows = tensor.shape[0]
    if rows % (2 * heads):
        raise Damaged(name, f"it has {rows} rows, which are not {heads} heads with two halves each")

    def make() -> Array:
        return tensor.whole().reshape(heads, 2, rows // heads // 2, -1).swapaxes(1, 2).reshape(tensor.shape)

    return derived(tensor.shape, make)


def _long_frequencies(rope: Settings, width: int, trained: int) -> Lazy:
    """How much slower each frequency turns (Llama 3.1's scaling: transformers `modeling_rope_utils.py`)."""
    base, factor = rope.number("rope_theta", default=10_000.0), rope.number("factor")
    low, high = rope.number("low_freq_factor"), rope.number("high_freq_factor")
    before = rope.whole("original_max_position_embeddings", default=trained)

    def make() -> Array:
        lengths = 2 * np.pi * base ** (np.arange(0, width, 2) / width)
        smooth = (before / lengths - low) / (high - low)
        between = 1 / ((1 - smooth) / factor + smooth)
        slower = np.where(lengths < before / high, 1.0, np.where(lengths > before / low, factor, between))
        return slower.astype(np.float32)

    return derived((width // 2,), make, kind="F32")
