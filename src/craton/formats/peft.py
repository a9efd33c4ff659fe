"""Reads a LoRA adapter as PEFT writes it: what it changes in its base, and whether that is all it does.

Hu et al., "LoRA: Low-Rank Adaptation of Large Language Models", 2021 (arXiv 2106.09685): y = Wx + s B A x. The scale s
is alpha / rank; with `use_rslora` (Kalajdzievski, 2023, arXiv 2312.03732) alpha / sqrt(rank).

PEFT writes every option that it has, so one that is not known here and is set may change what is computed: it is
refused by its name. Source: peft `tuners/lora/config.py` and `utils/save_and_load.py`.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from typing import Any, Literal, NamedTuple

import msgspec
from msgspec import Struct

from craton.core.errors import Damaged, Unsupported
from craton.formats.safetensors import SafetensorsHeader
from craton.formats.tensors import TensorInfo

CONFIG = "adapter_config.json"
WEIGHTS = "adapter_model.safetensors"
FLOATS = frozenset({"F32", "F16", "BF16"})
MAX_RANK = 4096
MAX_NAME = 300  # characters of the base's name

PARTS = (
    *("self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj", "self_attn.o_proj"),
    *("mlp.gate_proj", "mlp.up_proj", "mlp.down_proj"),
    *("attn.c_attn", "attn.c_proj", "mlp.c_fc", "mlp.c_proj"),  # GPT-2
    *("self_attention.query_key_value", "self_attention.dense", "mlp.dense_h_to_4h", "mlp.dense_4h_to_h"),  # Falcon
)
"""Of the layers of transformers' models; which of them a base has is its architecture's affair."""
OF_ENCODERS = (
    *("attention.self.query", "attention.self.key", "attention.self.value", "attention.output.dense"),
    *("intermediate.dense", "output.dense"),
    *("attention.q_lin", "attention.k_lin", "attention.v_lin", "attention.out_lin", "ffn.lin1", "ffn.lin2"),
)
"""BERT's and RoBERTa's, and DistilBERT's."""
_NAME = re.compile(
    r"base_model\.model\.(?:model\.layers|transformer\.h)\.(\d{1,4})\."
    rf"({'|'.join(map(re.escape, PARTS))})\.lora_([AB])\.weight"
)
_OF_ENCODER = re.compile(
    r"base_model\.model\.(?:(?:bert|roberta|distilbert)\.)?(?:encoder|transformer)\.layer\.(\d{1,4})\."
    rf"({'|'.join(map(re.escape, OF_ENCODERS))})\.lora_([AB])\.weight"
)
_HEAD = re.compile(r"base_model\.model\.((?:classifier|pre_classifier)(?:\.(?:dense|out_proj))?\.(?:weight|bias))")
"""Layers of a classifier that were trained whole, beside the adapter (PEFT's modules_to_save)."""
MERGE = "Put it into its base: `craton models export NAME FOLDER --merged --gguf`, and import that."
"""What is left to do with an adapter that nothing applies while it answers."""
_HARMLESS = frozenset(
    {"alpha_pattern", "auto_mapping", "base_model_name_or_path", "bias", "corda_config", "ensure_weight_tying"}
    | {
        "eva_config",
        "exclude_modules",
        "fan_in_fan_out",
        "inference_mode",
        "init_lora_weights",
        "layers_pattern",
        "layers_to_transform",
    }
    | {"loftq_config", "lora_alpha", "lora_dropout", "megatron_core", "modules_to_save", "peft_type", "peft_version"}
    | {"qalora_group_size", "r", "rank_pattern", "revision", "target_modules", "task_type", "use_rslora"}
)
"""Options that are looked at below, or that only matter while training, or while merging (fan_in_fan_out: how the base
keeps its weights). Which modules are changed, and how high their rank is, the tensors themselves say."""
_HEADS = frozenset({"classifier", "pre_classifier", "score"})
_VERBS: dict[str | None, Literal["chat", "embed", "classify"]] = {
    None: "chat",
    "CAUSAL_LM": "chat",
    "FEATURE_EXTRACTION": "embed",
    "SEQ_CLS": "classify",
}
_BEGINNINGS = (None, True, False, "gaussian", "eva", "orthogonal")
"""`init_lora_weights` that leave the base as it was; others (PiSSA, OLoRA, LoftQ ...) train over a changed one."""


class Module(NamedTuple):
    """One weight of the base: of a layer, by PEFT's name of the part."""

    layer: int
    part: str


class Pair(NamedTuple):
    """A of shape (rank, in), B of shape (out, rank)."""

    a: TensorInfo
    b: TensorInfo

    @property
    def rank(self) -> int:
        return self.a.shape[0]


class Adapter(Struct, frozen=True):
    """base: its model's name, with @revision where the adapter names one. verb: what its base is asked to do. heads:
    what stands in the place of a classifier's layers, by their names in the base."""

    base: str
    alpha: float
    rank_stabilised: bool
    pairs: dict[Module, Pair]
    verb: Literal["chat", "embed", "classify"] = "chat"
    heads: dict[str, TensorInfo] = {}

    def scale(self, pair: Pair) -> float:
        return self.alpha / (math.sqrt(pair.rank) if self.rank_stabilised else pair.rank)


class _Config(Struct):
    base_model_name_or_path: str | None = None
    revision: str | None = None
    peft_type: str = ""
    task_type: str | None = None
    lora_alpha: float = 8
    use_rslora: bool = False
    bias: str = "none"
    init_lora_weights: bool | str | None = True
    alpha_pattern: dict[str, Any] = {}
    modules_to_save: list[str] | None = None


def read_adapter(config: bytes, weights: SafetensorsHeader) -> Adapter:
    """Raises Unsupported, with the name of what is not done here, and Damaged for files that make no sense."""
    read = _read_config(config)
    verb = _VERBS[read.task_type]
    heads = {} if verb == "chat" else _heads(weights)
    pairs = _pairs([tensor for tensor in weights.tensors if _head_name(tensor) not in heads], encodes=verb != "chat")
    return Adapter(base_of(config), read.lora_alpha, read.use_rslora, pairs, verb, heads)


def base_of(config: bytes) -> str:
    """The name of the model that it is for, with @revision where it says one. Raises Damaged."""
    read = _decoded(config)[0]
    base, revision = read.base_model_name_or_path or "", read.revision or ""
    if not base or len(base) + len(revision) > MAX_NAME:
        raise Damaged(CONFIG, "it does not say of which model this is an adapter (base_model_name_or_path)")
    return f"{base}@{revision}" if revision else base


def _decoded(content: bytes) -> tuple[_Config, dict[str, Any]]:
    try:
        return msgspec.json.decode(content, type=_Config), msgspec.json.decode(content, type=dict[str, Any])
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError) as error:
        raise Damaged(CONFIG, str(error)[:200]) from None


def _read_config(content: bytes) -> _Config:
    read, options = _decoded(content)
    if read.peft_type != "LORA":
        raise Unsupported(f"An adapter of the type {read.peft_type[:40]!r}", "LoRA adapters are.")
    if read.task_type not in _VERBS:
        able = ", ".join(task for task in _VERBS if task)
        raise Unsupported(f"An adapter for the task {str(read.task_type)[:40]!r}", f"Those for {able} are.")
    if read.modules_to_save and not (_VERBS[read.task_type] == "classify" and set(read.modules_to_save) <= _HEADS):
        raise Unsupported("An adapter with modules_to_save", MERGE)
    if read.bias != "none":
        raise Unsupported(f"An adapter that changes biases (bias={read.bias[:40]!r})")
    if read.init_lora_weights not in _BEGINNINGS:
        raise Unsupported(
            f"An adapter that was begun with {str(read.init_lora_weights)[:40]!r}",
            "It was trained over a changed base: save it with `path_initial_model_for_weight_conversion`.",
        )
    if read.alpha_pattern:
        raise Unsupported("An adapter with an alpha of its own for some modules (alpha_pattern)")
    unknown = sorted(name for name, value in options.items() if name not in _HARMLESS and value)
    if unknown:
        raise Unsupported(f"An adapter with {unknown[0][:40]}")
    if not math.isfinite(read.lora_alpha) or not read.lora_alpha:
        raise Damaged(CONFIG, f"lora_alpha is {read.lora_alpha}")
    return read


def _head_name(tensor: TensorInfo) -> str:
    found = _HEAD.fullmatch(tensor.name)
    return found[1] if found else ""


def _heads(weights: SafetensorsHeader) -> dict[str, TensorInfo]:
    return {name: tensor for tensor in weights.tensors if (name := _head_name(tensor))}


def _pairs(tensors: Sequence[TensorInfo], *, encodes: bool) -> dict[Module, Pair]:
    halves: dict[Module, dict[str, TensorInfo]] = {}
    names, parts = (_OF_ENCODER, OF_ENCODERS) if encodes else (_NAME, PARTS)
    for tensor in tensors:
        # Some training loops leave the adapter's own name in.
        found = names.fullmatch(tensor.name.replace(".default.weight", ".weight"))
        if found is None:
            raise Unsupported(
                f"An adapter that changes {tensor.name[:120]!r}",
                f"LoRA of {', '.join(dict.fromkeys(part.rpartition('.')[2] for part in parts))} is. {MERGE}",
            )
        if tensor.dtype not in FLOATS:
            raise Unsupported(f"The number type {tensor.dtype} in an adapter", "F32, F16 and BF16 are.")
        halves.setdefault(Module(int(found[1]), found[2]), {})[found[3]] = tensor
    if not halves:
        raise Damaged(WEIGHTS, "it holds no tensors")
    return {module: _pair(module, found) for module, found in sorted(halves.items())}


def _pair(module: Module, found: Mapping[str, TensorInfo]) -> Pair:
    what = f"layer {module.layer}'s {module.part}"
    if len(found) != 2:
        raise Damaged(WEIGHTS, f"{what} has only one of lora_A and lora_B")
    pair = Pair(found["A"], found["B"])
    if len(pair.a.shape) != 2 or len(pair.b.shape) != 2 or pair.a.shape[0] != pair.b.shape[1]:
        raise Damaged(WEIGHTS, f"{what} has lora_A {pair.a.shape} and lora_B {pair.b.shape}, which do not go together")
    if not 0 < pair.rank <= MAX_RANK or not pair.a.elements or not pair.b.elements:
        raise Damaged(WEIGHTS, f"{what} has the rank {pair.rank}")
    return pair
