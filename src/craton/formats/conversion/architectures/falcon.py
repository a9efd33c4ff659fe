"""Falcon: the models with parallel attention and rotary positions (7B, 11B, 40B, 180B)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from craton.core.errors import Damaged
from craton.formats.conversion.architectures.base import Architecture
from craton.formats.conversion.lazy import Array, Lazy, Tensors, derived

if TYPE_CHECKING:
    from gguf import GGUFWriter


class Falcon(Architecture):
    name = "FALCON"

    def check(self) -> None:
        said = self.settings
        said.require("alibi", False, default=False)
        said.require("bias", False, default=False)
        said.require("activation", "gelu", default="gelu")
        said.require("parallel_attn", True, default=True)
        if said.flag("new_decoder_architecture"):
            said.require("num_ln_in_parallel_attn", 2, default=2)

    @property
    def key_heads(self) -> int:
        said = self.settings
        if said.flag("new_decoder_architecture"):
            return said.whole("num_kv_heads", "n_head_kv", default=said.heads)
        return 1 if said.flag("multi_query", default=True) else said.heads

    def describe(self, writer: GGUFWriter) -> None:
        said = self.settings
        writer.add_context_length(self.context)
        writer.add_tensor_data_layout("jploski")
        writer.add_embedding_length(said.width)
        writer.add_feed_forward_length(said.whole("ffn_hidden_size", default=4 * said.width))
        writer.add_block_count(said.layers)
        writer.add_head_count(said.heads)
        writer.add_head_count_kv(self.key_heads)
        writer.add_layer_norm_eps(said.number("layer_norm_epsilon", default=1e-5))
        writer.add_vocab_size(said.whole("vocab_size"))
        self.positions(writer)

    def arrange(self, tensors: Tensors) -> Tensors:
        """Queries, keys and values stand group by group; GGUF wants all queries, all keys, all values."""
        found = {
            name: self._grouped(name, tensor) if "query_key_value" in name else tensor
            for name, tensor in tensors.items()
        }
        if self.settings.flag("tie_word_embeddings", default=True):
            found.pop("lm_head.weight", None)
        return found

    def _grouped(self, name: str, tensor: Lazy) -> Lazy:
        groups, heads = self.key_heads, self.settings.heads
        each = heads // groups
        width = self.settings.width // heads
        if tensor.shape[0] != groups * (each + 2) * width:
            raise Damaged(name, f"it has {tensor.shape[0]} rows, which are not {groups} groups of {each + 2} heads")

        def make() -> Array:
            parts = tensor.whole().reshape(groups, each + 2, width, -1)
            chosen = (parts[:, :each], parts[:, each : each + 1], parts[:, each + 1 :])
            return np.concatenate([part.reshape(-1, parts.shape[-1]) for part in chosen]).reshape(tensor.shape)

        return derived(tensor.shape, make)
