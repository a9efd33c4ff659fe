"""Writes the GGUF file: metadata first, then one tensor after the other.

The file appears under its name when it is whole. Sources: ggml's `docs/gguf.md`; llama.cpp's converter, for which
tensors stay in 32-bit floats.
"""

from __future__ import annotations

import os
from math import prod
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from craton.core.errors import Damaged, InvalidRequest, Unsupported
from craton.formats.conversion.architectures import ARCHITECTURES, Architecture
from craton.formats.conversion.folder import read_json, read_tensors
from craton.formats.conversion.lazy import Array, Lazy, Tensors
from craton.formats.conversion.settings import Settings
from craton.formats.conversion.vocabulary import write_vocabulary

if TYPE_CHECKING:
    from gguf import GGUFWriter

KINDS = ("f16", "bf16", "f32", "q8_0")
"""What weights are written in. Fewer bits are quantisation's work, of a file that exists."""
_FILE_TYPES = {"f32": 0, "f16": 1, "q8_0": 7, "bf16": 32}
_KEPT = ("_norm.weight", "_norm_2.weight", "ffn_gate_inp.weight", "position_embd.weight", "attn_sinks.weight")
"""Tensors that stay in 32-bit floats, besides vectors: small, and dear to get wrong."""


class _Planned(NamedTuple):
    name: str
    tensor: Lazy
    kind: str


def why_not(config: dict[str, Any]) -> str:
    """Why a model with this config.json has no way to GGUF here; "" when it may have one."""
    kind = str(config.get("model_type", ""))[:80]
    if kind in ARCHITECTURES:
        return ""
    return f"models of the type {kind!r} are not converted to GGUF (those of {', '.join(sorted(ARCHITECTURES))} are)"


def to_gguf(folder: Path, target: Path, kind: str = "f16") -> None:
    """One GGUF file of a Hugging Face folder: config.json, safetensors shards, tokenizer.json, chat template.

    Raises InvalidRequest for an unknown kind, Unsupported with the reason for what llama.cpp would compute in another
    way (such a model runs on the transformers engine), Damaged for files that contradict themselves.
    """
    if kind not in KINDS:
        raise InvalidRequest(f"one of {', '.join(KINDS)}", "kind")
    config = read_json(folder, "config.json")
    if not config:
        raise Damaged("the folder", "it has no config.json")
    refused = why_not(config)
    if refused:
        raise Unsupported("Converting this model", f"{refused[0].upper()}{refused[1:]}.")
    architecture = ARCHITECTURES[str(config["model_type"])](Settings(config))
    planned = _plan(architecture, read_tensors(folder, config), kind)
    partial = target.with_name(f"{target.name}.partial")
    try:
        _write(partial, folder, config, architecture, planned, kind)
        os.replace(partial, target)
    finally:
        partial.unlink(missing_ok=True)


def _plan(architecture: Architecture, tensors: Tensors, kind: str) -> list[_Planned]:
    from gguf import MODEL_ARCH, get_tensor_name_map

    names = get_tensor_name_map(MODEL_ARCH[architecture.name], architecture.settings.layers)
    planned: dict[str, _Planned] = {}
    weights = {name: tensor for name, tensor in tensors.items() if not name.endswith(architecture.unused)}
    for name, tensor in architecture.arrange(weights).items():
        new = name if name == "rope_freqs.weight" else names.get_name(name, try_suffixes=(".weight", ".bias"))
        if new is None:
            raise Unsupported(
                f"The tensor {name[:120]!r} in GGUF", f"llama.cpp's {architecture.name} has none like it."
            )
        if not tensor.shape or not prod(tensor.shape) or len(tensor.shape) > 4 or new in planned:
            raise Damaged(name[:120], f"it has the shape {tensor.shape}, or stands there twice")
        planned[new] = _Planned(new, tensor, _kind(new, tensor, kind))
    _check_embedding(architecture, planned)
    return list(planned.values())


def _check_embedding(architecture: Architecture, planned: dict[str, _Planned]) -> None:
    found = planned.get("token_embd.weight")
    expected = (architecture.settings.whole("vocab_size"), architecture.settings.width)
    if found is None or found.tensor.shape != expected:
        shape = found.tensor.shape if found else "missing"
        raise Damaged("the embedding", f"its shape is {shape}, config.json says {expected}")


def _kind(name: str, tensor: Lazy, kind: str) -> str:
    if tensor.kind is not None:
        return tensor.kind
    if len(tensor.shape) == 1 or name.endswith(_KEPT) or not name.endswith(".weight"):
        return "F32"
    if kind == "q8_0" and tensor.shape[-1] % 32:
        return "F16"
    return kind.upper()


def _write(
    path: Path, folder: Path, config: dict[str, Any], architecture: Architecture, planned: list[_Planned], kind: str
) -> None:
    from gguf import MODEL_ARCH, MODEL_ARCH_NAMES, GGMLQuantizationType, GGUFWriter

    writer = GGUFWriter(None, MODEL_ARCH_NAMES[MODEL_ARCH[architecture.name]])
    try:
        writer.add_type("model")
        writer.add_file_type(_FILE_TYPES[kind])
        writer.add_quantization_version(2)
        architecture.describe(writer)
        write_vocabulary(folder, config, architecture.settings.whole("vocab_size"), writer)
        for one in planned:
            writer.add_tensor_info(
                one.name, one.tensor.shape, np.dtype(np.float32), _size(one), GGMLQuantizationType[one.kind]
            )
        writer.write_header_to_file(path)
        writer.write_kv_data_to_file()
        writer.write_ti_data_to_file()
        _write_tensors(writer, planned)
    finally:
        writer.close()


def _write_tensors(writer: GGUFWriter, planned: list[_Planned]) -> None:
    assert writer.fout is not None  # opened with the header
    file = writer.fout[0]
    writer.write_padding(file, file.tell())
    for one in planned:
        written = 0
        for block in one.tensor.blocks():
            encoded = _encode(np.ascontiguousarray(block, np.float32).reshape(-1, one.tensor.shape[-1]), one)
            encoded.tofile(file)
            written += encoded.nbytes
        if written != _size(one):
            raise Damaged(one.name, f"{written:,} bytes were read of it, not {_size(one):,}")
        writer.write_padding(file, written)
    file.flush()
    os.fsync(file.fileno())


def _encode(rows: Array, one: _Planned) -> Array:
    from gguf import GGMLQuantizationType, quants

    if not np.isfinite(rows).all():
        raise Damaged(one.name, "it holds values that are not finite")
    if one.kind == "F32":
        return rows
    if one.kind == "F16":
        halves = rows.astype(np.float16)
        if not np.isfinite(halves).all():
            raise Unsupported(f"16-bit floats for {one.name}", "Its values are too large for them: take kind bf16.")
        return halves
    return quants.quantize(rows, GGMLQuantizationType[one.kind])


def _size(one: _Planned) -> int:
    from gguf import GGML_QUANT_SIZES, GGMLQuantizationType

    block, size = GGML_QUANT_SIZES[GGMLQuantizationType[one.kind]]
    if one.tensor.shape[-1] % block:
        raise Damaged(one.name, f"its rows of {one.tensor.shape[-1]} values do not fall into blocks of {block}")
    return prod(one.tensor.shape) // block * size
