"""GPT-2."""

from __future__ import annotations

from typing import TYPE_CHECKING

from craton.formats.conversion.architectures.base import Architecture
from craton.formats.conversion.lazy import Lazy, Tensors, derived

if TYPE_CHECKING:
    from gguf import GGUFWriter

_ACROSS = (".c_attn.weight", ".c_proj.weight", ".c_fc.weight")


class Gpt2(Architecture):
    name = "GPT2"

    def check(self) -> None:
        said = self.settings
        said.require("activation_function", "gelu_new", "gelu_pytorch_tanh", default="gelu_new")
        said.require("scale_attn_by_inverse_layer_idx", False, default=False)
        said.require("scale_attn_weights", True, default=True)
        said.require("add_cross_attention", False, default=False)

    @property
    def context(self) -> int:
        return self.settings.whole("n_positions", "n_ctx", default=1024)

    def describe(self, writer: GGUFWriter) -> None:
        said = self.settings
        writer.add_block_count(said.layers)
        writer.add_context_length(self.context)
        writer.add_embedding_length(said.width)
        writer.add_feed_forward_length(said.whole("n_inner", default=4 * said.width))
        writer.add_head_count(said.heads)
        writer.add_layer_norm_eps(said.number("layer_norm_epsilon", default=1e-5))
        writer.add_vocab_size(said.whole("vocab_size"))

    def arrange(self, tensors: Tensors) -> Tensors:
        """Its linear layers keep inputs in rows; the first files had no `transformer.` before each name."""
        found: Tensors = {}
        for name, tensor in tensors.items():
            long = name if name.startswith(("transformer.", "lm_head.")) else f"transformer.{name}"
            found[long] = _transposed(tensor) if name.endswith(_ACROSS) else tensor
        if self.settings.flag("tie_word_embeddings", default=True):
            found.pop("lm_head.weight", None)
        return found


def _transposed(tensor: Lazy) -> Lazy:
    rows, columns = tensor.shape
    return derived((columns, rows), lambda: tensor.whole().T)
