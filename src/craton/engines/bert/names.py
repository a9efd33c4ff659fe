"""What tensors are called in files, and what they are called here: BERT's own names, whatever the family."""

from __future__ import annotations

import re

from craton.engines.bert.config import Family

_LAYER = re.compile(r"(?:encoder|transformer)\.layer\.(\d+)\.(.+)\.(weight|bias)")
_OF_DISTILBERT = {
    "attention.q_lin": "attention.self.query",
    "attention.k_lin": "attention.self.key",
    "attention.v_lin": "attention.self.value",
    "attention.out_lin": "attention.output.dense",
    "sa_layer_norm": "attention.output.LayerNorm",
    "ffn.lin1": "intermediate.dense",
    "ffn.lin2": "output.dense",
    "output_layer_norm": "output.LayerNorm",
}
_HEADS: dict[Family, dict[str, str]] = {
    "bert": {
        "pooler.dense": "head.dense",
        "classifier": "head.out",
        "cls.predictions.transform.dense": "fill.dense",
        "cls.predictions.transform.LayerNorm": "fill.norm",
        "cls.predictions.decoder": "fill",
        "cls.predictions": "fill",
    },
    "roberta": {
        "classifier.dense": "head.dense",
        "classifier.out_proj": "head.out",
        "lm_head.dense": "fill.dense",
        "lm_head.layer_norm": "fill.norm",
        "lm_head.decoder": "fill",
        "lm_head": "fill",
    },
    "distilbert": {
        "pre_classifier": "head.dense",
        "classifier": "head.out",
        "vocab_transform": "fill.dense",
        "vocab_layer_norm": "fill.norm",
        "vocab_projector": "fill",
    },
}
"""The parts after the encoder. head: dense, then out; fill: dense, norm, then the word embeddings and a bias."""


def plain(name: str, family: Family) -> str:
    """Task-specific files prefix the family's name; older ones call a norm's weight and bias gamma and beta."""
    name = name.removeprefix(f"{family}.")
    name = name.replace("LayerNorm.gamma", "LayerNorm.weight").replace("LayerNorm.beta", "LayerNorm.bias")
    found = _LAYER.fullmatch(name)
    if found is not None:
        number, part, kind = found.groups()
        return f"encoder.layer.{number}.{_OF_DISTILBERT.get(part, part)}.{kind}"
    place, _, kind = name.rpartition(".")
    return f"{_HEADS[family].get(place, place)}.{kind}"
