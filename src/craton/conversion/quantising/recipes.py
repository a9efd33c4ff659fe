"""Which kind of numbers each tensor gets.

The mixtures are llama.cpp's (`src/llama-quant.cpp`): the output layer, and some of the layers' value and down
projections, are worth more bits than the rest.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from craton.core.errors import InvalidRequest
from craton.formats.tensors import TensorInfo

FLOATS = frozenset({"F32", "F16", "BF16", "F64"})
_LAYER = re.compile(r"blk\.(\d+)\.(\w+)\.weight")
_KEPT = ("_norm", "_norm_2", "ffn_gate_inp", "position_embd", "attn_sinks", "rope_freqs")
_NARROWER = {"Q4_K": "Q5_0", "Q5_K": "Q5_1", "Q6_K": "Q8_0"}
"""Where a row does not fall into blocks of 256."""


class Recipe(NamedTuple):
    """kind: of most tensors. better: of those that are worth more, qkv: of attention in one tensor. file_type:
    llama.cpp's number. mixed: whether some layers get the better kind too."""

    kind: str
    better: str
    qkv: str
    file_type: int
    mixed: bool = False


RECIPES = {
    "q8_0": Recipe("Q8_0", "Q8_0", "Q8_0", 7),
    "q6_k": Recipe("Q6_K", "Q6_K", "Q6_K", 18),
    "q5_k_m": Recipe("Q5_K", "Q6_K", "Q6_K", 17, mixed=True),
    "q5_1": Recipe("Q5_1", "Q6_K", "Q5_1", 9),
    "q5_0": Recipe("Q5_0", "Q6_K", "Q5_0", 8),
    "q4_k_m": Recipe("Q4_K", "Q6_K", "Q5_K", 15, mixed=True),
    "q4_1": Recipe("Q4_1", "Q6_K", "Q4_1", 3),
    "q4_0": Recipe("Q4_0", "Q6_K", "Q4_0", 2),
}


def recipe(name: str) -> Recipe:
    """Raises InvalidRequest."""
    found = RECIPES.get(name.lower())
    if found is None:
        raise InvalidRequest(f"one of {', '.join(RECIPES)}", "to")
    return found


def kind_of(tensor: TensorInfo, recipe: Recipe, layers: int, *, tied: bool) -> str:
    """tied: whether the embedding is the output layer as well."""
    if len(tensor.shape) < 2 or not tensor.name.endswith(".weight"):
        return tensor.dtype
    part = tensor.name.removesuffix(".weight")
    if part.endswith(_KEPT) or tensor.dtype == "MXFP4":
        return tensor.dtype
    if part == "output" or (part == "token_embd" and tied):
        return _fitting(recipe.better, tensor)
    layer = _LAYER.fullmatch(tensor.name)
    if layer is not None and layer[2] == "attn_qkv":
        return _fitting(recipe.qkv, tensor)
    if layer is not None and recipe.mixed and layer[2] in {"attn_v", "ffn_down"} and _worth_more(int(layer[1]), layers):
        return _fitting(recipe.better, tensor)
    return _fitting(recipe.kind, tensor)


def _worth_more(layer: int, layers: int) -> bool:
    """The first and last eighth, and each third between them."""
    eighth = layers // 8
    return layer < eighth or layer >= 7 * layers // 8 or (layer - eighth) % 3 == 2


def _fitting(kind: str, tensor: TensorInfo) -> str:
    row = tensor.shape[0]  # GGUF's fastest dimension
    if kind in _NARROWER and row % 256:
        kind = _NARROWER[kind]
    return kind if row % 32 == 0 else "F16"
