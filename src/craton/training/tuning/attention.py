"""Attention over samples that lie one after the other in one row, each by itself: no padding and no mask.

Entered by transformers' own door (`AttentionInterface`). Models whose attention does more than scale (a sliding window,
soft caps, sinks) keep their own, where transformers makes a mask of the positions: the same result, more work.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from torch import Tensor

NAME = "craton_segments"
_UNAWARE = frozenset({"falcon", "gpt_oss"})
"""Families of transformers 5.23 that make their masks without looking at positions: samples in a row would see each
other (`modeling_falcon.py`, `modeling_gpt_oss.py`)."""


class Segments:
    """lengths: of the samples in the row that is computed now. apart: whether the model has to be given each sample by
    itself."""

    def __init__(self) -> None:
        self.lengths: list[int] = []
        self.apart = False

    def attach(self, model: Any) -> bool:
        """False for a model that keeps its own attention."""
        from transformers import AttentionInterface

        text = model.config.get_text_config()
        self.apart = text.model_type in _UNAWARE
        more = ("attn_logit_softcapping", "sliding_window", "layer_types", "attention_chunk_size", "alibi")
        if any(getattr(text, name, None) for name in more) or not model._supports_attention_backend:
            return False
        AttentionInterface.register(NAME, self)
        model.set_attn_implementation(NAME)
        return True

    def __call__(
        self,
        module: Any,
        query: Tensor,
        key: Tensor,
        value: Tensor,
        attention_mask: Tensor | None,
        dropout: float = 0.0,
        scaling: float | None = None,
        **more: Any,
    ) -> tuple[Tensor, None]:
        """All of shape (1, heads, tokens, size)."""
        import torch
        from torch.nn.functional import scaled_dot_product_attention

        del module, attention_mask, more
        shared = query.shape[1] != key.shape[1]
        parts = [torch.split(part, self.lengths, dim=2) for part in (query, key, value)]
        found = [
            scaled_dot_product_attention(q, k, v, is_causal=True, scale=scaling, dropout_p=dropout, enable_gqa=shared)
            for q, k, v in zip(*parts, strict=True)
        ]
        return torch.cat(found, dim=2).transpose(1, 2).contiguous(), None
