"""The BERT encoder as an OpenVINO graph.

Devlin et al., "BERT: Pre-training of Deep Bidirectional Transformers", 2018 (arXiv 1810.04805), section 3; post-norm
layers as in Vaswani et al., 2017. Pooling: Reimers and Gurevych, "Sentence-BERT", 2019 (arXiv 1908.10084).
Left out: dropout; token types other than 0 where texts are read alone.
"""

from __future__ import annotations

import math

import numpy as np
import openvino as ov
from openvino import opset13 as ops

from craton.engines.bert.arrays import Array
from craton.engines.bert.config import BertConfig

MASKED = -10_000.0
"""Added to the attention scores of padding: exp() of it is 0 in float32 and in bfloat16."""


def build_graph(config: BertConfig, weights: dict[str, Array], mask: int = -1) -> ov.Model:
    """ids (batch, length) int32 and lengths (batch, 1) int32 -> (batch, config.width) float32: pooled vectors that are
    not normalised, a classifier's logits, or the logits of each token in the place of the one that is `mask`. A
    classifier with token types takes those too: (batch, length) int32.

    Positions at or after a row's length are padding: any valid id may stand there.
    """
    ids = ops.parameter([-1, -1], np.int32, name="ids")
    lengths = ops.parameter([-1, 1], np.int32, name="lengths")
    positions = ops.range(_integer(0), _length(ids), _integer(1), output_type="i32")
    real = ops.convert(ops.less(ops.unsqueeze(positions, _integer(0)), lengths), "f32")  # (batch, length)
    hidden = ops.multiply(ops.subtract(real, _number(1.0)), _number(-MASKED))
    hidden = ops.unsqueeze(hidden, ops.constant([1, 2], dtype=np.int64))  # (batch, 1, 1, length)

    types = ops.parameter([-1, -1], np.int32, name="types") if reads_types(config) else None
    state = _embeddings(config, weights, ids, positions, types)
    for layer in range(config.layers):
        name = f"encoder.layer.{layer}"
        attended = _attention(config, weights, name, state, hidden)
        state = _norm(config, weights, f"{name}.attention.output.LayerNorm", ops.add(state, attended))
        wide = _activation(config, _linear(weights, f"{name}.intermediate.dense", state))
        state = _norm(
            config, weights, f"{name}.output.LayerNorm", ops.add(state, _linear(weights, f"{name}.output.dense", wide))
        )
    first = ops.gather(state, _integer(0), _integer(1))
    if config.task == "classify":
        answer = _classified(config, weights, first)
    elif config.task == "fill":
        here = ops.multiply(ops.convert(ops.equal(ids, _integer(mask)), "f32"), real)
        answer = _filled(config, weights, _summed(here, state))
    elif config.pooling == "cls":
        answer = first
    else:
        answer = _summed(ops.divide(real, ops.convert(lengths, "f32")), state)
    inputs = [ids, lengths] if types is None else [ids, lengths, types]
    return ov.Model([ops.result(ops.convert(answer, "f32"))], inputs, "bert")


def reads_types(config: BertConfig) -> bool:
    """Whether the graph is told which of two texts a token is of."""
    return config.task == "classify" and config.token_types > 1


def _summed(shares: ov.Node, state: ov.Node) -> ov.Node:
    """The sum of a row's states, each with its share."""
    return ops.squeeze(ops.matmul(ops.unsqueeze(shares, _integer(1)), state, False, False), _integer(1))


def _classified(config: BertConfig, weights: dict[str, Array], first: ov.Node) -> ov.Node:
    """The first token's state through one more layer: the pooler of BERT, what the others have in its place."""
    dense = _linear(weights, "head.dense", first)
    active = ops.relu(dense) if config.family == "distilbert" else ops.tanh(dense)
    return _linear(weights, "head.out", active)


def _filled(config: BertConfig, weights: dict[str, Array], state: ov.Node) -> ov.Node:
    """Every token's score at one place: its own embedding times a transformed state."""
    dense = _linear(weights, "fill.dense", state)
    # RoBERTa's head has gelu, whatever the encoder has.
    active = ops.gelu(dense, "erf") if config.family == "roberta" else _activation(config, dense)
    normal = _norm(config, weights, "fill.norm", active)
    words = ops.constant(weights["embeddings.word_embeddings.weight"])
    return ops.add(ops.matmul(normal, words, False, True), ops.constant(weights["fill.bias"]))


def _embeddings(
    config: BertConfig, weights: dict[str, Array], ids: ov.Node, positions: ov.Node, types: ov.Node | None
) -> ov.Node:
    places = weights["embeddings.position_embeddings.weight"][config.first :]
    if config.token_types and types is None:  # 0 everywhere: its row is added to every position once, here
        places = places + weights["embeddings.token_type_embeddings.weight"][0]
    words = ops.gather(ops.constant(weights["embeddings.word_embeddings.weight"]), ids, _integer(0))
    if types is not None:
        kinds = ops.constant(weights["embeddings.token_type_embeddings.weight"])
        words = ops.add(words, ops.gather(kinds, types, _integer(0)))
    return _norm(
        config,
        weights,
        "embeddings.LayerNorm",
        ops.add(words, ops.gather(ops.constant(places), positions, _integer(0))),
    )


def _attention(config: BertConfig, weights: dict[str, Array], name: str, state: ov.Node, mask: ov.Node) -> ov.Node:
    size = config.hidden // config.heads
    split = ops.constant([0, 0, config.heads, size], dtype=np.int64)
    swap = ops.constant([0, 2, 1, 3], dtype=np.int64)
    query, key, value = (
        ops.transpose(ops.reshape(_linear(weights, f"{name}.attention.self.{part}", state), split, True), swap)
        for part in ("query", "key", "value")
    )
    mixed = ops.scaled_dot_product_attention(query, key, value, mask, _number(1 / math.sqrt(size)))
    joined = ops.reshape(ops.transpose(mixed, swap), ops.constant([0, 0, config.hidden], dtype=np.int64), True)
    return _linear(weights, f"{name}.attention.output.dense", joined)


def _linear(weights: dict[str, Array], name: str, state: ov.Node) -> ov.Node:
    product = ops.matmul(state, ops.constant(weights[f"{name}.weight"]), False, True)
    return ops.add(product, ops.constant(weights[f"{name}.bias"]))


def _norm(config: BertConfig, weights: dict[str, Array], name: str, state: ov.Node) -> ov.Node:
    last = ops.constant([-1], dtype=np.int64)
    normal = ops.mvn(state, last, True, config.epsilon, "inside_sqrt")
    scaled = ops.multiply(normal, ops.constant(weights[f"{name}.weight"]))
    return ops.add(scaled, ops.constant(weights[f"{name}.bias"]))


def _activation(config: BertConfig, state: ov.Node) -> ov.Node:
    return ops.relu(state) if config.activation == "relu" else ops.gelu(state, config.activation)


def _length(ids: ov.Node) -> ov.Node:
    return ops.gather(ops.shape_of(ids, "i32"), _integer(1), _integer(0))


def _integer(value: int) -> ov.Node:
    return ops.constant(value, dtype=np.int32)


def _number(value: float) -> ov.Node:
    return ops.constant(value, dtype=np.float32)
