"""`craton models show --weights`: a model's tensors, from its files' headers alone."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from craton.cli.home import caller, opened
from craton.cli.output import human_bytes, print_json, print_table
from craton.core.errors import NotFound, Unsupported

if TYPE_CHECKING:
    from pathlib import Path

    from craton.formats.tensors import TensorInfo

COLUMNS = ("TENSOR", "SHAPE", "FORMAT", "PARAMETERS", "SIZE")


def show_weights(name: str, url: str | None, key: str | None, as_json: bool) -> None:
    """Prints every tensor. Raises NotFound, Damaged, Unsupported (a server elsewhere: its files are not here)."""
    if url is not None:
        raise Unsupported("--weights with --url", "It reads files: run it where CRATON_HOME is.")
    with opened() as platform:
        found = platform.catalog.resolve(caller(platform, key).tenant, name)
        tensors = [
            tensor
            for path, digest in sorted(found.files.items())
            if path.endswith((".gguf", ".safetensors"))
            for tensor in _read(platform.blobs.path(digest), path)
        ]
    if not tensors:
        raise NotFound("file of weights in the model", name)
    total = sum(tensor.elements for tensor in tensors)
    if as_json:
        print_json({"model": found.info.id, "parameters": total, "tensors": [_as_json(item) for item in tensors]})
        return
    rows = [
        (item.name, " x ".join(map(str, item.shape)), item.dtype, f"{item.elements:,}", human_bytes(item.size))
        for item in tensors
    ]
    print_table(COLUMNS, rows, "", right=("PARAMETERS", "SIZE"))
    size = human_bytes(sum(tensor.size for tensor in tensors))
    click.echo(f"\n{len(tensors)} tensors, {total:,} parameters, {size}")


def _as_json(tensor: TensorInfo) -> dict[str, Any]:
    return {
        "name": tensor.name,
        "shape": tensor.shape,
        "format": tensor.dtype,
        "parameters": tensor.elements,
        "bytes": tensor.size,
    }


def _read(file: Path, path: str) -> tuple[TensorInfo, ...]:
    if path.endswith(".gguf"):
        from craton.formats.gguf import read_gguf_file

        return read_gguf_file(file, path).tensors
    from craton.formats.safetensors import read_safetensors_file

    return read_safetensors_file(file, path).tensors
