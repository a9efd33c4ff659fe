"""A LoRA adapter put into an encoder's weights before the graph is built: W + s B A (Hu et al., 2021, arXiv
2106.09685). The graph is the base's own, so that answering costs nothing more.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import safetensors

from craton.core.errors import Damaged
from craton.engines.bert.arrays import Array
from craton.engines.bert.config import Family
from craton.engines.bert.names import plain
from craton.engines.bert.weights import float32
from craton.formats.peft import CONFIG, WEIGHTS, read_adapter
from craton.formats.safetensors import read_safetensors_file
from craton.formats.tensors import TensorInfo

_LAYERS = {"distilbert": "transformer.layer"}
_USUAL = "encoder.layer"


def adapted(weights: dict[str, Array], files: Mapping[str, str], family: Family) -> dict[str, Array]:
    """The weights, by our names; as they are where no adapter is among the files.

    Raises Unsupported for what an adapter needs beyond this, Damaged for one that does not fit.
    """
    if CONFIG not in files:
        return weights
    if WEIGHTS not in files:
        raise Damaged("the adapter", f"it has no {WEIGHTS}")
    path = Path(files[WEIGHTS])
    adapter = read_adapter(Path(files[CONFIG]).read_bytes(), read_safetensors_file(path, WEIGHTS))
    try:
        tensors = dict(safetensors.deserialize(path.read_bytes()))  # type: ignore[no-untyped-call]
    except safetensors.SafetensorError as error:
        raise Damaged(WEIGHTS, str(error)) from None
    changed = dict(weights)
    for module, pair in adapter.pairs.items():
        name = plain(f"{_LAYERS.get(family, _USUAL)}.{module.layer}.{module.part}.weight", family)
        a, b = _values(tensors, pair.a), _values(tensors, pair.b)
        changed[name] = _fitting(weights, name, (b.shape[0], a.shape[1])) + np.float32(adapter.scale(pair)) * (b @ a)
    for name, tensor in adapter.heads.items():
        ours = plain(name, family)
        _fitting(weights, ours, tensor.shape)
        changed[ours] = _values(tensors, tensor)
    return changed


def _fitting(weights: Mapping[str, Array], name: str, shape: tuple[int, ...]) -> Array:
    found = weights.get(name)
    if found is None or found.shape != shape:
        there = "none" if found is None else found.shape
        raise Damaged(WEIGHTS, f"{name} is for a weight of the shape {shape}, the base has {there}")
    return found


def _values(tensors: Mapping[str, dict[str, Any]], tensor: TensorInfo) -> Array:
    return float32(tensor.name[:120], tensors[tensor.name])
