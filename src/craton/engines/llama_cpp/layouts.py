"""How a GGUF base holds the weights that a LoRA adapter changes: their names, and the order of their rows.

llama.cpp adds `lora_b lora_a x` to what a weight makes of x. Where its converter puts rows in another order than
transformers', those of B are put in that order too: the Llama family's queries and keys (each head's two halves, which
rotary embedding turns together, are interleaved), and Falcon's queries, keys and values (which stand group by group in
transformers). Source: llama.cpp `conversion/` and `src/models/`. Which weights it adds an adapter to was tried, each by
itself (tests/proof/architectures.py): it passes over the latent ones of DeepSeek in silence.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from craton.core.errors import Damaged, Unsupported
from craton.formats.gguf import GgufHeader
from craton.formats.peft import MERGE, WEIGHTS, Module, Pair

Array = NDArray[np.float32]

_ATTENTION = {
    "self_attn.q_proj": "attn_q",
    "self_attn.k_proj": "attn_k",
    "self_attn.v_proj": "attn_v",
    "self_attn.o_proj": "attn_output",
}
_DENSE = {"mlp.gate_proj": "ffn_gate", "mlp.up_proj": "ffn_up", "mlp.down_proj": "ffn_down"}
_PARTS: dict[str, dict[str, str]] = {
    **dict.fromkeys(("gemma", "gemma2", "gemma3", "llama", "qwen2", "qwen3"), _ATTENTION | _DENSE),
    "deepseek2": {"self_attn.o_proj": "attn_output"},
    "falcon": {
        "self_attention.query_key_value": "attn_qkv",
        "self_attention.dense": "attn_output",
        "mlp.dense_h_to_4h": "ffn_up",
        "mlp.dense_4h_to_h": "ffn_down",
    },
    "gpt-oss": _ATTENTION,
    "gpt2": {
        "attn.c_attn": "attn_qkv",
        "attn.c_proj": "attn_output",
        "mlp.c_fc": "ffn_up",
        "mlp.c_proj": "ffn_down",
    },
}
"""llama.cpp's architecture -> transformers' part of a layer -> the tensor."""
_WHOLE = frozenset({"F64", "F32", "F16", "BF16"})


class Layout:
    """Of one base."""

    def __init__(self, base: GgufHeader) -> None:
        """Raises Unsupported for a base over which no adapter is applied."""
        self.architecture = str(base.metadata.get("general.architecture", ""))
        if self.architecture not in _PARTS:
            raise Unsupported(
                f"An adapter over the architecture {self.architecture[:40]!r}",
                f"Adapters over {', '.join(sorted(_PARTS))} are. {MERGE}",
            )
        self._metadata = base.metadata
        self._tensors = {tensor.name: tensor for tensor in base.tensors}
        self.quantised = any(tensor.dtype not in _WHOLE for tensor in base.tensors if tensor.name.startswith("blk."))
        """Whether its weights are less precise than half precision, in which an adapter takes half the memory then."""

    def check(self, module: Module, pair: Pair) -> str:
        """The name of the base's tensor. Raises Damaged unless A and B have the shapes for it, Unsupported for a part
        to which llama.cpp adds nothing."""
        parts = _PARTS[self.architecture]
        if module.part not in parts:
            usual = ", ".join(part.rpartition(".")[2] for part in parts)
            raise Unsupported(
                f"An adapter over {module.part} of the architecture {self.architecture!r}",
                f"Those over {usual} are applied. {MERGE}",
            )
        name = f"blk.{module.layer}.{parts[module.part]}.weight"
        tensor = self._tensors.get(name)
        if tensor is None:
            raise Damaged(WEIGHTS, f"its base has no {module.part} in layer {module.layer} ({name})")
        inputs, outputs = pair.a.shape[1], pair.b.shape[0]
        if tensor.shape != (inputs, outputs):
            raise Damaged(
                WEIGHTS,
                f"layer {module.layer}'s {module.part} is for a weight of {outputs} x {inputs}, "
                f"the base's has {' x '.join(map(str, reversed(tensor.shape)))}",
            )
        if self._interleaved(module):
            heads = self._heads(of_keys=module.part == "self_attn.k_proj")
            if outputs % (2 * heads):
                raise Damaged(
                    "the base", f"{name} has {outputs} rows, which are not {heads} heads with two halves each"
                )
        elif module.part == "self_attention.query_key_value":
            heads, groups = self._heads(), self._heads(of_keys=True)
            if heads % groups or outputs % (heads + 2 * groups):
                raise Damaged("the base", f"{name} has {outputs} rows, which are not {groups} groups of {heads} heads")
        return name

    def arrange(self, module: Module, b: Array) -> Array:
        """B's rows in the base's order."""
        rows, rank = b.shape
        if self._interleaved(module):
            heads = self._heads(of_keys=module.part == "self_attn.k_proj")
            return b.reshape(heads, 2, rows // heads // 2, rank).swapaxes(1, 2).reshape(rows, rank)
        if module.part == "self_attention.query_key_value":
            heads, groups = self._heads(), self._heads(of_keys=True)
            each = heads // groups
            parts = b.reshape(groups, each + 2, -1, rank)
            kinds = (parts[:, :each], parts[:, each : each + 1], parts[:, each + 1 :])
            return np.concatenate([kind.reshape(-1, rank) for kind in kinds])
        return b

    def _interleaved(self, module: Module) -> bool:
        return self.architecture == "llama" and module.part in {"self_attn.q_proj", "self_attn.k_proj"}

    def _heads(self, *, of_keys: bool = False) -> int:
        key = f"{self.architecture}.attention.head_count"
        value = self._metadata.get(key)
        if of_keys:
            value = self._metadata.get(f"{key}_kv", value)
        if type(value) is not int or value < 1:
            raise Unsupported("An adapter over a base whose layers differ in their heads", MERGE)
        return value
