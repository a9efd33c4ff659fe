"""A GGUF file with other kinds of numbers, written block by block: memory does not grow with the model."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from math import prod
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from craton.conversion.quantising.kernels import Array, quantised
from craton.conversion.quantising.recipes import FLOATS, Recipe, kind_of
from craton.core.errors import Damaged
from craton.formats.gguf import GgufHeader, read_gguf_file
from craton.formats.tensors import TensorInfo

if TYPE_CHECKING:
    from gguf import GGUFReader, GGUFWriter

BLOCK = 4 * 1024 * 1024  # elements at once
Progress = Callable[[int, int], None]
"""(bytes read, bytes in all)."""


class Rewritten(NamedTuple):
    """kinds: tensors by the kind of their numbers, now. requantised: the kind that weights had already, "" for none."""

    kinds: dict[str, int]
    requantised: str


def rewrite(source: Path, target: Path, recipe: Recipe, progress: Progress = lambda _done, _all: None) -> Rewritten:
    """Raises Damaged for a broken file. The target appears when it is whole."""
    from gguf import GGMLQuantizationType, GGUFReader, GGUFWriter

    header = read_gguf_file(source, source.name)  # before the library, which trusts what it reads
    planned = _plan(header, recipe)
    architecture = str(header.metadata.get("general.architecture", ""))
    partial = target.with_name(f"{target.name}.partial")
    writer = GGUFWriter(None, architecture)
    try:
        _copy_metadata(GGUFReader(source), writer, recipe)
        for tensor, kind in planned:
            number, shape = GGMLQuantizationType[kind], tuple(reversed(tensor.shape))
            writer.add_tensor_info(tensor.name, shape, np.dtype(np.float32), _size(shape, kind), number)
        writer.write_header_to_file(partial)
        writer.write_kv_data_to_file()
        writer.write_ti_data_to_file()
        _write(writer, source, header, planned, progress)
        writer.close()
        os.replace(partial, target)
    finally:
        writer.close()
        partial.unlink(missing_ok=True)
    kinds: dict[str, int] = {}
    for _, kind in planned:
        kinds[kind] = kinds.get(kind, 0) + 1
    before = {tensor.dtype for tensor, kind in planned if tensor.dtype not in FLOATS and kind != tensor.dtype}
    return Rewritten(kinds, ", ".join(sorted(before)))


def _plan(header: GgufHeader, recipe: Recipe) -> list[tuple[TensorInfo, str]]:
    architecture = header.metadata.get("general.architecture")
    layers = header.metadata.get(f"{architecture}.block_count")
    if type(layers) is not int:
        raise Damaged("the GGUF file", "it does not say how many layers it has")
    tied = not any(tensor.name == "output.weight" for tensor in header.tensors)
    return [(tensor, kind_of(tensor, recipe, layers, tied=tied)) for tensor in header.tensors]


def _copy_metadata(reader: GGUFReader, writer: GGUFWriter, recipe: Recipe) -> None:
    """All of it but what the writer says itself."""
    from gguf import GGUFValueType

    for name, field in reader.fields.items():
        if name.startswith("GGUF.") or name in {"general.architecture", "general.file_type"}:
            continue
        kind = field.types[0]
        inner = field.types[-1] if kind == GGUFValueType.ARRAY else None
        writer.add_key_value(name, field.contents(), kind, sub_type=inner)
    writer.add_file_type(recipe.file_type)
    if "general.quantization_version" not in reader.fields:
        writer.add_quantization_version(2)


def _write(
    writer: GGUFWriter, source: Path, header: GgufHeader, planned: list[tuple[TensorInfo, str]], progress: Progress
) -> None:
    assert writer.fout is not None  # opened with the header
    file = writer.fout[0]
    writer.write_padding(file, file.tell())
    total, done = sum(tensor.size for tensor, _ in planned), 0
    for tensor, kind in planned:
        written = 0
        for raw in _blocks(source, header.data_offset, tensor):
            made = raw if kind == tensor.dtype else quantised(_numbers(raw, tensor), kind)
            made.tofile(file)
            written += made.nbytes
            done += raw.nbytes
            progress(done, total)
        writer.write_padding(file, written)
    file.flush()
    os.fsync(file.fileno())


def _blocks(source: Path, offset: int, tensor: TensorInfo) -> Iterator[Array]:
    """The bytes of whole rows."""
    rows = prod(tensor.shape[1:])
    each = tensor.size // rows
    step = max(1, BLOCK // tensor.shape[0])
    for start in range(0, rows, step):
        count = min(step, rows - start)
        at = offset + tensor.offset + start * each
        yield np.fromfile(source, np.uint8, count * each, offset=at).reshape(count, each)


def _numbers(raw: Array, tensor: TensorInfo) -> Array:
    from gguf import GGMLQuantizationType, quants

    numbers: Any = quants.dequantize(raw, GGMLQuantizationType[tensor.dtype])
    if not np.isfinite(numbers).all():
        raise Damaged(tensor.name, "it holds values that are not finite")
    return np.asarray(numbers, np.float32).reshape(len(raw), -1)


def _size(shape: tuple[int, ...], kind: str) -> int:
    from gguf import GGML_QUANT_SIZES, GGMLQuantizationType

    block, size = GGML_QUANT_SIZES[GGMLQuantizationType[kind]]
    return prod(shape) // block * size
