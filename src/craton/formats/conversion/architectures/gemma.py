"""Gemma, Gemma 2, and the text models of Gemma 3."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from craton.core.errors import Unsupported
from craton.formats.conversion.architectures.base import Architecture
from craton.formats.conversion.lazy import Array, Tensors, mapped
from craton.formats.conversion.settings import Settings

if TYPE_CHECKING:
    from gguf import GGUFWriter

_ACTIVATION = "gelu_pytorch_tanh"


class Gemma(Architecture):
    name = "GEMMA"

    def check(self) -> None:
        # the first files said "gelu" in hidden_act and meant this one
        self.settings.require("hidden_activation", _ACTIVATION, default=_ACTIVATION)
        self.settings.require("tie_word_embeddings", True, default=True)

    def describe(self, writer: GGUFWriter) -> None:
        super().describe(writer)
        self.heads_of(writer)
        self.positions(writer)

    def arrange(self, tensors: Tensors) -> Tensors:
        """The norms' weights are kept as differences from 1, and the output layer is the embedding."""
        return {
            name: mapped(tensor, _plus_one) if name.endswith("norm.weight") else tensor
            for name, tensor in tensors.items()
            if name != "lm_head.weight"
        }


class Gemma2(Gemma):
    name = "GEMMA2"
    pattern = 2
    """Each so many-th layer looks at everything, the others through a window."""
    largest = 46
    """Layers of the one model whose queries llama.cpp scales by another width."""

    def check(self) -> None:
        super().check()
        said = self.settings
        every = said.head_width if said.layers != self.largest else said.width // said.heads
        if said.whole("query_pre_attn_scalar", default=256) != every:
            raise Unsupported(f"query_pre_attn_scalar={said.get('query_pre_attn_scalar')} in GGUF")
        kinds = said.get("layer_types")
        expected = [
            "full_attention" if (i + 1) % self.pattern == 0 else "sliding_attention" for i in range(said.layers)
        ]
        if kinds is not None and kinds != expected:
            raise Unsupported("Windows over other layers than Gemma's in GGUF")

    def describe(self, writer: GGUFWriter) -> None:
        super().describe(writer)
        writer.add_sliding_window(self.settings.whole("sliding_window", default=4096))
        if self.settings.get("attn_logit_softcapping") is not None:
            writer.add_attn_logit_softcapping(self.settings.number("attn_logit_softcapping"))
        if self.settings.get("final_logit_softcapping") is not None:
            writer.add_final_logit_softcapping(self.settings.number("final_logit_softcapping"))


class Gemma3(Gemma2):
    name = "GEMMA3"
    pattern = 6
    largest = 62

    def check(self) -> None:
        super().check()
        self.settings.require("attn_logit_softcapping", None)
        self.settings.require("use_bidirectional_attention", None, False)

    def describe(self, writer: GGUFWriter) -> None:
        super().describe(writer)
        local = Settings(self.settings.rope("sliding_attention"))
        fixed = self.settings.get("rope_local_base_freq")  # before transformers 5
        writer.add_rope_freq_base_swa(float(fixed or local.number("rope_theta", default=10_000.0)))


def _plus_one(values: Array) -> Array:
    return values + np.float32(1)
