"""A tiny random BERT on disk, and the same computed with numpy alone."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from safetensors.numpy import save_file

from craton.core.model import ModelInfo, Verb
from craton.engines.bert import BertEngine
from craton.engines.protocol import EngineSpec

WORDS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "a", "red", "blue", "cat", "dog", "sleeps", "runs", "##s", "."]
CONFIG: dict[str, Any] = {
    "model_type": "bert",
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "intermediate_size": 48,
    "vocab_size": len(WORDS),
    "max_position_embeddings": 24,
    "type_vocab_size": 2,
    "hidden_act": "gelu",
    "layer_norm_eps": 1e-12,
}
TOKENIZER = {
    "version": "1.0",
    "truncation": {"direction": "Right", "max_length": 4, "strategy": "LongestFirst", "stride": 0},
    "padding": None,
    "added_tokens": [],
    "normalizer": {"type": "BertNormalizer", "clean_text": True, "handle_chinese_chars": True, "lowercase": True},
    "pre_tokenizer": {"type": "BertPreTokenizer"},
    "post_processor": {
        "type": "TemplateProcessing",
        "single": [
            {"SpecialToken": {"id": "[CLS]", "type_id": 0}},
            {"Sequence": {"id": "A", "type_id": 0}},
            {"SpecialToken": {"id": "[SEP]", "type_id": 0}},
        ],
        "pair": [{"Sequence": {"id": "A", "type_id": 0}}, {"Sequence": {"id": "B", "type_id": 1}}],
        "special_tokens": {
            "[CLS]": {"id": "[CLS]", "ids": [2], "tokens": ["[CLS]"]},
            "[SEP]": {"id": "[SEP]", "ids": [3], "tokens": ["[SEP]"]},
        },
    },
    "decoder": None,
    "model": {
        "type": "WordPiece",
        "unk_token": "[UNK]",
        "continuing_subword_prefix": "##",
        "max_input_chars_per_word": 100,
        "vocab": {word: index for index, word in enumerate(WORDS)},
    },
}
Weights = dict[str, NDArray[Any]]


def random_weights(seed: int = 7) -> Weights:
    """Transformers' names for CONFIG, with values far enough from 0 that every part matters."""
    random = np.random.default_rng(seed)
    hidden, wide = CONFIG["hidden_size"], CONFIG["intermediate_size"]

    def values(*shape: int) -> NDArray[np.float32]:
        return (random.standard_normal(shape) * 0.3).astype(np.float32)

    weights: Weights = {
        "embeddings.word_embeddings.weight": values(CONFIG["vocab_size"], hidden),
        "embeddings.position_embeddings.weight": values(CONFIG["max_position_embeddings"], hidden),
        "embeddings.token_type_embeddings.weight": values(2, hidden),
    }
    norms = ["embeddings.LayerNorm"]
    linear = {}
    for layer in range(CONFIG["num_hidden_layers"]):
        name = f"encoder.layer.{layer}"
        norms += [f"{name}.attention.output.LayerNorm", f"{name}.output.LayerNorm"]
        linear |= {f"{name}.attention.self.{part}": (hidden, hidden) for part in ("query", "key", "value")}
        linear[f"{name}.attention.output.dense"] = (hidden, hidden)
        linear[f"{name}.intermediate.dense"] = (wide, hidden)
        linear[f"{name}.output.dense"] = (hidden, wide)
    for name in norms:
        weights[f"{name}.weight"], weights[f"{name}.bias"] = 1 + values(hidden), values(hidden)
    for name, shape in linear.items():
        weights[f"{name}.weight"], weights[f"{name}.bias"] = values(*shape), values(shape[0])
    return weights


def reference(weights: Weights, ids: list[int], activation: str = "gelu", pooling: str = "mean") -> NDArray[np.float64]:
    """The unit vector of one sequence."""
    state = states(weights, ids, activation)
    pooled = state[0] if pooling == "cls" else state.mean(0)
    vector: NDArray[np.float64] = pooled / np.linalg.norm(pooled)
    return vector


def states(weights: Weights, ids: list[int], activation: str = "gelu", first: int = 0) -> NDArray[np.float64]:
    """The last layer's states in float64, one position and one head at a time where it matters. first: the row of the
    position embeddings that the first token has."""
    weights = {name: values.astype(np.float64) for name, values in weights.items()}
    heads = CONFIG["num_attention_heads"]
    size = CONFIG["hidden_size"] // heads

    def linear(name: str, rows: NDArray[Any]) -> NDArray[Any]:
        return rows @ weights[f"{name}.weight"].T + weights[f"{name}.bias"]

    def norm(name: str, rows: NDArray[Any]) -> NDArray[Any]:
        centred = rows - rows.mean(-1, keepdims=True)
        scale = np.sqrt((centred**2).mean(-1, keepdims=True) + CONFIG["layer_norm_eps"])
        return centred / scale * weights[f"{name}.weight"] + weights[f"{name}.bias"]

    def act(x: float) -> float:
        if activation == "relu":
            return max(x, 0.0)
        if activation == "gelu_new":
            return 0.5 * x * (1 + math.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3)))
        return 0.5 * x * (1 + math.erf(x / math.sqrt(2)))

    state = norm(
        "embeddings.LayerNorm",
        weights["embeddings.word_embeddings.weight"][ids]
        + weights["embeddings.position_embeddings.weight"][first : first + len(ids)]
        + weights["embeddings.token_type_embeddings.weight"][0],
    )
    for layer in range(CONFIG["num_hidden_layers"]):
        name = f"encoder.layer.{layer}"
        query, key, value = (linear(f"{name}.attention.self.{part}", state) for part in ("query", "key", "value"))
        mixed = np.zeros_like(state)
        for head in range(heads):
            part = slice(head * size, (head + 1) * size)
            scores = np.exp(query[:, part] @ key[:, part].T / math.sqrt(size))
            mixed[:, part] = scores / scores.sum(1, keepdims=True) @ value[:, part]
        attended = linear(f"{name}.attention.output.dense", mixed)
        state = norm(f"{name}.attention.output.LayerNorm", state + attended)
        wide = np.vectorize(act)(linear(f"{name}.intermediate.dense", state))
        state = norm(f"{name}.output.LayerNorm", state + linear(f"{name}.output.dense", wide))
    return state


class TinyBert:
    """Writes the files of a model; `spec` is what a worker would be given."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.weights = random_weights()
        self.write("config.json", CONFIG)
        self.write("tokenizer.json", TOKENIZER)
        self.save(self.weights)

    def write(self, name: str, value: object) -> None:
        path = self.folder / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(json.dumps(value))

    def save(self, weights: Weights) -> None:
        save_file(weights, self.folder / "model.safetensors")

    def spec(self, verb: Verb = "embed", **options: object) -> EngineSpec:
        return folder_spec(self.folder, "tiny", {"threads": 1, "precision": "f32", **options}, verb)


def folder_spec(folder: Path, model: str, options: dict[str, object], verb: Verb = "embed") -> EngineSpec:
    files = {str(path.relative_to(folder)): str(path) for path in folder.rglob("*") if path.is_file()}
    return EngineSpec("bert", model, ModelInfo(id=model, verbs=(verb,), engine="bert"), files, options)


@pytest.fixture
def tiny(tmp_path: Path) -> TinyBert:
    return TinyBert(tmp_path)


@pytest.fixture
def numpy_bert() -> Callable[..., NDArray[np.float64]]:
    return reference


@pytest.fixture
def starter(starter_files: Path) -> BertEngine:
    """all-MiniLM-L6-v2 with the default options."""
    return BertEngine.load(folder_spec(starter_files / "all-MiniLM-L6-v2", "all-minilm-l6-v2", {}))
