"""A tiny random Llama or Qwen in transformers' layout: written as GGUF, computed with numpy, with LoRA over it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import gguf
import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import save_file

Weights = dict[str, NDArray[Any]]

HIDDEN, LAYERS, HEADS, KV_HEADS, WIDE, VOCABULARY = 64, 2, 4, 2, 96, 272
SIZE = HIDDEN // HEADS
EPSILON, THETA = 1e-5, 10_000.0
TEMPLATE = "{% for message in messages %}{{ message.content }}{% endfor %}"
PROJECTIONS = {
    "self_attn.q_proj": ("attn_q", HEADS * SIZE, HIDDEN),
    "self_attn.k_proj": ("attn_k", KV_HEADS * SIZE, HIDDEN),
    "self_attn.v_proj": ("attn_v", KV_HEADS * SIZE, HIDDEN),
    "self_attn.o_proj": ("attn_output", HIDDEN, HEADS * SIZE),
    "mlp.gate_proj": ("ffn_gate", WIDE, HIDDEN),
    "mlp.up_proj": ("ffn_up", WIDE, HIDDEN),
    "mlp.down_proj": ("ffn_down", HIDDEN, WIDE),
}


def random_weights(seed: int = 3) -> Weights:
    """By transformers' names, without "model."; far enough from 0 that every part matters."""
    random = np.random.default_rng(seed)

    def values(*shape: int, around: float = 0.0, width: float = 0.25) -> NDArray[np.float32]:
        return (around + random.standard_normal(shape) * width).astype(np.float32)

    weights: Weights = {
        "embed_tokens.weight": values(VOCABULARY, HIDDEN, width=1.0),
        "norm.weight": values(HIDDEN, around=1.0, width=0.1),
        "lm_head.weight": values(VOCABULARY, HIDDEN),
    }
    for layer in range(LAYERS):
        for norm in ("input_layernorm", "post_attention_layernorm"):
            weights[f"layers.{layer}.{norm}.weight"] = values(HIDDEN, around=1.0, width=0.1)
        for part, (_, rows, columns) in PROJECTIONS.items():
            weights[f"layers.{layer}.{part}.weight"] = values(rows, columns)
    return weights


def logits(weights: Weights, tokens: list[int], architecture: str = "llama") -> NDArray[np.float64]:
    """Of the token after these, in float64. Rotary embedding as transformers has it: the halves of a head together.
    Qwen3 brings each head's queries and keys to one length before it."""
    weights = {name: values.astype(np.float64) for name, values in weights.items()}

    def norm(name: str, rows: NDArray[Any]) -> NDArray[Any]:
        return rows / np.sqrt((rows**2).mean(-1, keepdims=True) + EPSILON) * weights[f"{name}.weight"]

    def turned(rows: NDArray[Any]) -> NDArray[Any]:
        """rows: (length, heads, SIZE)."""
        angles = np.outer(np.arange(len(rows)), THETA ** (-np.arange(0, SIZE, 2) / SIZE))
        cosine, sine = np.cos(np.hstack([angles, angles]))[:, None], np.sin(np.hstack([angles, angles]))[:, None]
        halves = np.concatenate([-rows[..., SIZE // 2 :], rows[..., : SIZE // 2]], axis=-1)
        return rows * cosine + halves * sine

    state = weights["embed_tokens.weight"][tokens]
    length = len(tokens)
    future = np.triu(np.full((length, length), -np.inf), 1)
    for layer in range(LAYERS):
        name = f"layers.{layer}"
        seen = norm(f"{name}.input_layernorm", state)
        query, key, value = (
            (seen @ weights[f"{name}.self_attn.{part}_proj.weight"].T).reshape(length, -1, SIZE) for part in "qkv"
        )
        if architecture == "qwen3":
            query, key = (rows / np.sqrt((rows**2).mean(-1, keepdims=True) + EPSILON) for rows in (query, key))
        query, key = turned(query), turned(key)
        mixed = np.zeros_like(query)
        for head in range(HEADS):
            shared = head // (HEADS // KV_HEADS)
            scores = np.exp(query[:, head] @ key[:, shared].T / np.sqrt(SIZE) + future)
            mixed[:, head] = scores / scores.sum(1, keepdims=True) @ value[:, shared]
        state = state + mixed.reshape(length, -1) @ weights[f"{name}.self_attn.o_proj.weight"].T
        seen = norm(f"{name}.post_attention_layernorm", state)
        gate = seen @ weights[f"{name}.mlp.gate_proj.weight"].T
        wide = gate / (1 + np.exp(-gate)) * (seen @ weights[f"{name}.mlp.up_proj.weight"].T)
        state = state + wide @ weights[f"{name}.mlp.down_proj.weight"].T
    last: NDArray[np.float64] = norm("norm", state)[-1] @ weights["lm_head.weight"].T
    return last


def write_gguf(path: Path, weights: Weights, template: str | None = TEMPLATE, architecture: str = "llama") -> None:
    """As llama.cpp's converter writes it: a Llama's rows of a head are put in pairs, one of each half."""
    writer = gguf.GGUFWriter(path, architecture)
    writer.add_context_length(128)
    writer.add_embedding_length(HIDDEN)
    writer.add_block_count(LAYERS)
    writer.add_feed_forward_length(WIDE)
    writer.add_head_count(HEADS)
    writer.add_head_count_kv(KV_HEADS)
    writer.add_rope_dimension_count(SIZE)
    writer.add_key_length(SIZE)
    writer.add_value_length(SIZE)
    writer.add_rope_freq_base(THETA)
    writer.add_layer_norm_rms_eps(EPSILON)
    writer.add_vocab_size(VOCABULARY)
    writer.add_tokenizer_model("llama")
    letters = [f"<0x{byte:02X}>" for byte in range(256)]
    words = [f"\u2581w{number}" for number in range(VOCABULARY - 3 - 256)]
    writer.add_token_list(["<unk>", "<s>", "</s>", *letters, *words])
    writer.add_token_scores([0.0] * VOCABULARY)
    writer.add_token_types([2, 3, 3, *[6] * 256, *[1] * len(words)])
    if template is not None:
        writer.add_chat_template(template)
    tensors = {
        "token_embd.weight": weights["embed_tokens.weight"],
        "output_norm.weight": weights["norm.weight"],
        "output.weight": weights["lm_head.weight"],
    }
    for layer in range(LAYERS):
        ours, theirs = f"layers.{layer}", f"blk.{layer}"
        tensors[f"{theirs}.attn_norm.weight"] = weights[f"{ours}.input_layernorm.weight"]
        tensors[f"{theirs}.ffn_norm.weight"] = weights[f"{ours}.post_attention_layernorm.weight"]
        for part, (name, _, _) in PROJECTIONS.items():
            tensors[f"{theirs}.{name}.weight"] = weights[f"{ours}.{part}.weight"]
        for name, heads in (("attn_q", HEADS), ("attn_k", KV_HEADS)):
            if architecture == "qwen3":
                tensors[f"{theirs}.{name}_norm.weight"] = np.ones(SIZE, dtype=np.float32)
            if architecture != "llama":
                continue
            rows = tensors[f"{theirs}.{name}.weight"]
            order = [
                head * SIZE + half * SIZE // 2 + pair
                for head in range(heads)
                for pair in range(SIZE // 2)
                for half in (0, 1)
            ]
            tensors[f"{theirs}.{name}.weight"] = rows[order]
    if architecture == "qwen2":
        for layer in range(LAYERS):
            for name, heads in (("attn_q", HEADS), ("attn_k", KV_HEADS), ("attn_v", KV_HEADS)):
                tensors[f"blk.{layer}.{name}.bias"] = np.zeros(heads * SIZE, dtype=np.float32)
    for name, values in tensors.items():
        writer.add_tensor(name, np.ascontiguousarray(values))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


class Lora:
    """A random adapter over every projection, as PEFT writes it."""

    def __init__(self, rank: int = 4, alpha: float = 8, seed: int = 5, **config: object) -> None:
        random = np.random.default_rng(seed)
        self.config: dict[str, Any] = {
            "peft_type": "LORA",
            "task_type": "CAUSAL_LM",
            "base_model_name_or_path": "acme/tiny",
            "r": rank,
            "lora_alpha": alpha,
            "target_modules": [part.split(".")[1] for part in PROJECTIONS],
            "bias": "none",
            "init_lora_weights": True,
            "lora_dropout": 0.05,
            "use_dora": False,
            "modules_to_save": None,
            **config,
        }
        self.tensors: Weights = {}
        for layer in range(LAYERS):
            for part, (_, rows, columns) in PROJECTIONS.items():
                name = f"base_model.model.model.layers.{layer}.{part}"
                self.tensors[f"{name}.lora_A.weight"] = random.standard_normal((rank, columns)).astype(np.float32) * 0.2
                self.tensors[f"{name}.lora_B.weight"] = random.standard_normal((rows, rank)).astype(np.float32) * 0.2

    def save(self, folder: Path) -> dict[str, str]:
        """Name in the repository -> local path."""
        folder.mkdir(exist_ok=True)
        (folder / "adapter_config.json").write_text(json.dumps(self.config))
        save_file(self.tensors, folder / "adapter_model.safetensors")
        return {path.name: str(path) for path in folder.iterdir()}

    def merged(self, weights: Weights, scale: float) -> Weights:
        """W + s B A, in float64."""
        changed = {name: values.astype(np.float64) for name, values in weights.items()}
        for name in self.tensors:
            if name.endswith(".lora_A.weight"):
                place = name.removesuffix(".lora_A.weight")
                b = self.tensors[f"{place}.lora_B.weight"].astype(np.float64)
                changed[f"{place.removeprefix('base_model.model.model.')}.weight"] += scale * b @ self.tensors[name]
        return changed
