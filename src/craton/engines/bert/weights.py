"""A BERT encoder's weights, read from safetensors and checked against the configuration before anything is built."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import safetensors

from craton.core.errors import Damaged, Unsupported
from craton.engines.bert.arrays import Array
from craton.engines.bert.config import BertConfig
from craton.engines.bert.names import plain

FILE = "model.safetensors"


def expected_shapes(config: BertConfig) -> Iterator[tuple[str, tuple[int, ...]]]:
    """The tensors that the graph needs, without a "bert." prefix. Linear weights are (out, in)."""
    hidden, wide = config.hidden, config.intermediate
    yield "embeddings.word_embeddings.weight", (config.vocabulary, hidden)
    yield "embeddings.position_embeddings.weight", (config.positions, hidden)
    if config.token_types:
        yield "embeddings.token_type_embeddings.weight", (config.token_types, hidden)
    yield from _norm("embeddings.LayerNorm", hidden)
    for layer in range(config.layers):
        name = f"encoder.layer.{layer}"
        for part in ("query", "key", "value"):
            yield from _linear(f"{name}.attention.self.{part}", hidden, hidden)
        yield from _linear(f"{name}.attention.output.dense", hidden, hidden)
        yield from _norm(f"{name}.attention.output.LayerNorm", hidden)
        yield from _linear(f"{name}.intermediate.dense", wide, hidden)
        yield from _linear(f"{name}.output.dense", hidden, wide)
        yield from _norm(f"{name}.output.LayerNorm", hidden)
    if config.task == "classify":
        yield from _linear("head.dense", hidden, hidden)
        yield from _linear("head.out", config.width, hidden)
    elif config.task == "fill":
        yield from _linear("fill.dense", hidden, hidden)
        yield from _norm("fill.norm", hidden)
        yield "fill.bias", (config.vocabulary,)


def _linear(name: str, rows: int, columns: int) -> Iterator[tuple[str, tuple[int, ...]]]:
    yield f"{name}.weight", (rows, columns)
    yield f"{name}.bias", (rows,)


def _norm(name: str, size: int) -> Iterator[tuple[str, tuple[int, ...]]]:
    yield f"{name}.weight", (size,)
    yield f"{name}.bias", (size,)


def read_weights(files: dict[str, str], config: BertConfig) -> dict[str, Array]:
    """name (without "bert.") -> float32 array, for exactly `expected_shapes`.

    Raises Damaged for a missing tensor, a wrong shape, or values that are not finite; Unsupported for a number
    type that is no floating-point type of BERT files.
    """
    if FILE not in files:
        raise Unsupported(f"A model without {FILE}", "Sharded weights and other formats are not read.")
    try:
        # Not safe_open: its numpy side has no bfloat16. The package types its classes, but not this function.
        read = safetensors.deserialize(Path(files[FILE]).read_bytes())  # type: ignore[no-untyped-call]
    except safetensors.SafetensorError as error:
        raise Damaged(FILE, str(error)) from None
    tensors = {plain(name, config.family): tensor for name, tensor in read}
    weights = {}
    for name, shape in expected_shapes(config):
        tensor = tensors.get(name)
        if tensor is None:
            raise Damaged(FILE, f"it has no tensor {name}")
        if tuple(tensor["shape"]) != shape:
            raise Damaged(FILE, f"{name} has the shape {tuple(tensor['shape'])}, config.json asks for {shape}")
        weights[name] = float32(name, tensor)
    if config.task == "fill":
        _check_tied(weights["embeddings.word_embeddings.weight"], tensors.get("fill.weight"))
    return weights


def _check_tied(words: Array, decoder: dict[str, Any] | None) -> None:
    """A masked model scores tokens by its own word embeddings; a file may hold them a second time."""
    if decoder is None:
        return
    if tuple(decoder["shape"]) != words.shape or not np.array_equal(float32("the decoder", decoder), words):
        raise Unsupported("A masked language model whose output embeddings are not its input embeddings")


def float32(name: str, tensor: dict[str, Any]) -> Array:
    data, dtype = tensor["data"], tensor["dtype"]
    if dtype == "F32":
        values = np.frombuffer(data, dtype="<f4")
    elif dtype == "F16":
        values = np.frombuffer(data, dtype="<f2").astype(np.float32)
    elif dtype == "BF16":  # the upper half of a float32
        values = (np.frombuffer(data, dtype="<u2").astype(np.uint32) << 16).view(np.float32)
    else:
        raise Unsupported(f"The number type {dtype} of {name}", "F32, F16 and BF16 are.")
    if not np.isfinite(values).all():
        raise Damaged(FILE, f"{name} holds values that are not finite")
    return values.reshape(tensor["shape"])
