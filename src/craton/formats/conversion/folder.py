"""A Hugging Face folder: its configuration files, and its tensors by name."""

from __future__ import annotations

import json
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from craton.core.errors import Damaged, Unsupported
from craton.formats.conversion.lazy import Array, Lazy, Tensors, stored
from craton.formats.safetensors import read_safetensors_file

MAX_JSON = 64 * 1024 * 1024  # bytes; the tokenizers of large vocabularies have some tens of MB
_ENDINGS_OF_PICKLES = (".bin", ".pt", ".pth", ".pkl", ".ckpt")


def read_json(folder: Path, name: str) -> dict[str, Any]:
    """A JSON object; {} when there is no such file. Raises Damaged."""
    path = folder / name
    if not path.is_file():
        return {}
    if path.stat().st_size > MAX_JSON:
        raise Damaged(name, f"it is larger than {MAX_JSON:,} bytes")
    try:
        value = json.loads(path.read_bytes())
    except (ValueError, RecursionError) as error:
        raise Damaged(name, f"it is not proper JSON: {str(error)[:120]}") from error
    if not isinstance(value, dict):
        raise Damaged(name, "it is not a JSON object")
    return value


def read_tensors(folder: Path, config: dict[str, Any]) -> Tensors:
    """All tensors of all shards; weights in 8-bit floats as the numbers that they stand for.

    Raises Damaged for broken files, Unsupported for weights in pickles and for other quantised ones.
    """
    shards = sorted(folder.glob("*.safetensors"))
    if not shards:
        pickles = sorted(path.name for path in folder.iterdir() if path.suffix in _ENDINGS_OF_PICKLES)
        if pickles:
            raise Unsupported(
                f"Weights in a pickle ({pickles[0][:80]})",
                "Loading one can run anything; save them as safetensors: `model.save_pretrained(folder)`.",
            )
        raise Damaged("the folder", "it holds no safetensors file")
    tensors: Tensors = {}
    for shard in shards:
        header = read_safetensors_file(shard, shard.name)
        for info in header.tensors:
            if info.name in tensors:
                raise Damaged(shard.name, f"the tensor {info.name[:120]!r} stands in two files")
            if info.dtype not in {"I64", "I32", "BOOL"}:  # positions and masks that old versions saved
                tensors[info.name] = stored(shard, header.data_offset, info)
    _check_whole(folder, tensors)
    return _dequantised(tensors, config)


def _check_whole(folder: Path, tensors: Tensors) -> None:
    """Raises Damaged when the index names a tensor that no file holds."""
    named = read_json(folder, "model.safetensors.index.json").get("weight_map", {})
    missing = sorted(set(named) - set(tensors)) if isinstance(named, dict) else []
    if missing:
        raise Damaged("model.safetensors.index.json", f"no file holds {missing[0][:120]!r} ({len(missing)} missing)")


def _dequantised(tensors: Tensors, config: dict[str, Any]) -> Tensors:
    said = config.get("quantization_config") or {}
    method = said.get("quant_method") if isinstance(said, dict) else said
    if not said or method == "mxfp4":  # gpt-oss reads its blocks itself
        return tensors
    if method != "fp8":
        raise Unsupported(
            f"Weights quantised by {str(method)[:40]!r}", "Take the model's unquantised weights and quantise those."
        )
    size = said.get("weight_block_size") or [128, 128]
    if not isinstance(size, list) or len(size) != 2 or not all(type(n) is int and 0 < n <= 4096 for n in size):
        raise Damaged("config.json", "its weight_block_size is not two numbers")
    found: Tensors = {}
    for name, tensor in tensors.items():
        if name.endswith("_scale_inv"):
            continue
        scale = tensors.get(f"{name}_scale_inv")
        found[name] = tensor if scale is None else _scaled(name, tensor, scale, size[0], size[1])
    return found


def _scaled(name: str, tensor: Lazy, scale: Lazy, rows: int, columns: int) -> Lazy:
    """A weight in blocks of `rows` x `columns` with a factor each (DeepSeek-V3 Technical Report, 2024, 3.3)."""
    shape = tensor.shape
    if len(shape) != 2 or scale.shape != (-(-shape[0] // rows), -(-shape[1] // columns)):
        raise Damaged(name, f"its scales have the shape {scale.shape}, which does not fit {shape}")
    return Lazy(shape, partial(_scale_blocks, tensor, scale, rows, columns))


def _scale_blocks(tensor: Lazy, scale: Lazy, rows: int, columns: int) -> Iterator[Array]:
    factors = np.repeat(scale.whole(), columns, axis=1)[:, : tensor.shape[1]]
    at = 0
    for block in tensor.blocks():
        yield block * factors[np.arange(at, at + len(block)) // rows]
        at += len(block)
