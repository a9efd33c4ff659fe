"""A tiny random encoder with a head, in the files of each family, and its logits in numpy."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from tests.engines.bert.conftest import CONFIG, TOKENIZER, WORDS, TinyBert, Weights, random_weights, states

Family = Literal["bert", "roberta", "distilbert"]
FAMILIES: tuple[Family, ...] = ("bert", "roberta", "distilbert")
TYPE = {"bert": "Bert", "roberta": "Roberta", "distilbert": "DistilBert"}
MASK = len(WORDS)
_HEAD = {  # this file's name -> the family's
    "bert": {
        "head.dense": "bert.pooler.dense",
        "head.out": "classifier",
        "fill.dense": "cls.predictions.transform.dense",
        "fill.norm": "cls.predictions.transform.LayerNorm",
        "fill.bias": "cls.predictions.bias",
    },
    "roberta": {
        "head.dense": "classifier.dense",
        "head.out": "classifier.out_proj",
        "fill.dense": "lm_head.dense",
        "fill.norm": "lm_head.layer_norm",
        "fill.bias": "lm_head.bias",
    },
    "distilbert": {
        "head.dense": "pre_classifier",
        "head.out": "classifier",
        "fill.dense": "vocab_transform",
        "fill.norm": "vocab_layer_norm",
        "fill.bias": "vocab_projector.bias",
    },
}
_DISTILLED = (
    ("encoder.layer", "transformer.layer"),
    ("attention.self.query", "attention.q_lin"),
    ("attention.self.key", "attention.k_lin"),
    ("attention.self.value", "attention.v_lin"),
    ("attention.output.dense", "attention.out_lin"),
    ("attention.output.LayerNorm", "sa_layer_norm"),
    ("intermediate.dense", "ffn.lin1"),
    ("output.LayerNorm", "output_layer_norm"),
    ("output.dense", "ffn.lin2"),
)


class TinyHead:
    """labels: of a classifier; none for a masked language model, which knows the word [MASK] as its last."""

    def __init__(self, folder: Path, family: Family, labels: tuple[str, ...] = (), **more: Any) -> None:
        self.family, self.labels = family, labels
        self.files = TinyBert(folder)
        self.weights = self._random()
        self.files.save({self._named(name): values for name, values in self.weights.items() if self._has(name)})
        self.files.write("config.json", self._config() | more)
        if not labels:
            added = {"single_word": False, "lstrip": False, "rstrip": False, "normalized": False, "special": True}
            masked = {**TOKENIZER, "added_tokens": [{"id": MASK, "content": "[MASK]", **added}]}
            masked["model"] = {**masked["model"], "vocab": {**masked["model"]["vocab"], "[MASK]": MASK}}
            self.files.write("tokenizer.json", masked)

    def logits(self, ids: list[int]) -> NDArray[np.float64]:
        """The classifier's, or of every token in the place of the mask."""
        state = states(self.weights, ids, first=2 if self.family == "roberta" else 0)
        if self.labels:
            dense = self._linear("head.dense", state[0])
            return self._linear("head.out", np.maximum(dense, 0) if self.family == "distilbert" else np.tanh(dense))
        dense = self._linear("fill.dense", state[ids.index(MASK)])
        active = np.vectorize(lambda x: 0.5 * x * (1 + math.erf(x / math.sqrt(2))))(dense)
        centred = active - active.mean()
        normal = centred / np.sqrt((centred**2).mean() + CONFIG["layer_norm_eps"])
        normal = normal * self.weights["fill.norm.weight"] + self.weights["fill.norm.bias"]
        found: NDArray[np.float64] = self.weights["embeddings.word_embeddings.weight"] @ normal
        return found + self.weights["fill.bias"]

    def _linear(self, name: str, state: NDArray[np.float64]) -> NDArray[np.float64]:
        product: NDArray[np.float64] = self.weights[f"{name}.weight"] @ state
        return product + self.weights[f"{name}.bias"]

    def _random(self) -> Weights:
        random, hidden, weights = np.random.default_rng(11), CONFIG["hidden_size"], random_weights()
        head = {"head.dense": hidden, "head.out": len(self.labels)} if self.labels else {"fill.dense": hidden}
        for name, out in head.items():
            weights[f"{name}.weight"] = (random.standard_normal((out, hidden)) * 0.5).astype(np.float32)
            weights[f"{name}.bias"] = random.standard_normal(out).astype(np.float32)
        if not self.labels:
            words = weights["embeddings.word_embeddings.weight"]
            mask = random.standard_normal((1, hidden)).astype(np.float32)
            weights["embeddings.word_embeddings.weight"] = np.concatenate([words, mask])
            weights["fill.norm.weight"] = 1 + random.standard_normal(hidden).astype(np.float32) * 0.3
            weights["fill.norm.bias"] = random.standard_normal(hidden).astype(np.float32)
            weights["fill.bias"] = random.standard_normal(len(words) + 1).astype(np.float32)
        if self.family == "distilbert":
            weights["embeddings.token_type_embeddings.weight"][:] = 0
        return weights

    def _has(self, name: str) -> bool:
        return self.family != "distilbert" or "token_type" not in name

    def _named(self, name: str) -> str:
        for ours, theirs in _HEAD[self.family].items():
            if name.startswith(ours):
                return theirs + name.removeprefix(ours)
        if self.family == "distilbert":
            for ours, theirs in _DISTILLED:
                name = name.replace(ours, theirs)
        return f"{self.family}.{name}"

    def _config(self) -> dict[str, Any]:
        config = {**CONFIG, "vocab_size": len(WORDS) if self.labels else len(WORDS) + 1, "model_type": self.family}
        if self.family == "distilbert":
            names = {"hidden_size": "dim", "num_hidden_layers": "n_layers", "num_attention_heads": "n_heads"}
            names |= {"intermediate_size": "hidden_dim", "hidden_act": "activation"}
            config = {names.get(name, name): value for name, value in config.items()}
        head = "ForSequenceClassification" if self.labels else "ForMaskedLM"
        config |= {"architectures": [TYPE[self.family] + head], "pad_token_id": 1 if self.family == "roberta" else 0}
        if self.labels:
            config["id2label"] = {str(index): label for index, label in enumerate(self.labels)}
        return config
