"""`craton models show --weights`: the numbers that a model is."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import click

from craton.cli.home import caller, opened
from craton.cli.output import human_bytes, print_json, print_table
from craton.core.errors import NotFound, Unsupported
from craton.engines.predictor.manifest import NAME, read_manifest

if TYPE_CHECKING:
    from pathlib import Path

    from craton.core.predicting import Field
    from craton.engines.predictor.inside import Inside, Learned, Linear
    from craton.formats.tensors import TensorInfo

LONGEST = 60  # lines of rules on a screen; --json has all


def show_weights(name: str, url: str | None, key: str | None, as_json: bool) -> None:
    """Prints every tensor, from the files' headers alone; of a table's model the arrays, coefficients and rules.

    Raises NotFound, Damaged, Unsupported (a server elsewhere: its files are not here; a model whose numbers are not
    known).
    """
    if url is not None:
        raise Unsupported("--weights with --url", "It reads files: run it where CRATON_HOME is.")
    with opened() as platform:
        found = platform.catalog.resolve(caller(platform, key).tenant, name)
        files = {path: platform.blobs.path(digest) for path, digest in sorted(found.files.items())}
        tensors = [
            tensor
            for path, place in files.items()
            if path.endswith((".gguf", ".safetensors"))
            for tensor in _read(place, path)
        ]
        if not tensors and NAME in files:
            _show_inside(found.info.id, files, as_json)
            return
    if not tensors:
        raise NotFound("file of weights in the model", name)
    if as_json:
        print_json({"model": found.info.id, **_as_json(tensors)})
    else:
        _print_arrays(tensors)


def _show_inside(model: str, files: dict[str, Path], as_json: bool) -> None:
    from craton.engines.predictor.inside import look_inside, rules
    from craton.engines.predictor.loaders import load_stored

    predictor = load_stored(files, read_manifest(files[NAME]))
    inside = look_inside(predictor)
    lines = list(rules(inside.first)) if inside.first is not None else []
    if as_json:
        print_json({"model": model, **_inside_as_json(inside, lines)})
        return
    _print_arrays(inside.learned)
    if inside.linear is not None:
        _print_linear(inside.linear)
    if lines:
        _print_rules(lines, inside.trees, predictor.signature.inputs)


def _print_arrays(arrays: Sequence[TensorInfo | Learned]) -> None:
    rows = [
        (item.name, " x ".join(map(str, item.shape)), item.dtype, f"{item.elements:,}", human_bytes(item.size))
        for item in arrays
    ]
    print_table(("TENSOR", "SHAPE", "FORMAT", "PARAMETERS", "SIZE"), rows, "", right=("PARAMETERS", "SIZE"))
    total, size = sum(item.elements for item in arrays), human_bytes(sum(item.size for item in arrays))
    click.echo(f"\n{len(arrays)} tensors, {total:,} parameters, {size}")


def _print_linear(linear: Linear) -> None:
    scaled = ", each brought to mean 0 and standard deviation 1 first" if linear.scaled else ""
    click.echo(f"\nThe score is the intercept and the sum of coefficient times column{scaled}.\n")
    heads = ("COLUMN", *(output.upper() for output in linear.outputs))
    rows = [
        (column, *(f"{one[place]:+.6g}" for one in linear.coefficients)) for place, column in enumerate(linear.columns)
    ]
    print_table(heads, [*rows, ("(intercept)", *(f"{one:+.6g}" for one in linear.intercepts))], "", right=heads[1:])


def _print_rules(lines: list[str], trees: int, fields: Sequence[Field]) -> None:
    click.echo("\nIts rules:\n" if trees == 1 else f"\nThe rules of the first of {trees:,} trees:\n")
    for line in lines[:LONGEST]:
        click.echo(line)
    if len(lines) > LONGEST:
        click.echo(f"({len(lines) - LONGEST:,} more lines: --json has them)")
    for field in fields:
        if field.categories and any(f" {field.name} " in line for line in lines):
            named = ", ".join(f"{place} is {category}" for place, category in enumerate(field.categories))
            click.echo(f"\nIn {field.name} {named}.")


def _inside_as_json(inside: Inside, lines: list[str]) -> dict[str, Any]:
    linear, found = inside.linear, _as_json(inside.learned)
    if linear is not None:
        found |= {
            "coefficients": {
                output: dict(zip(linear.columns, one, strict=True))
                for output, one in zip(linear.outputs, linear.coefficients, strict=True)
            },
            "intercepts": dict(zip(linear.outputs, linear.intercepts, strict=True)),
            "scaled": linear.scaled,
        }
    return found | ({"trees": inside.trees, "rules": lines} if lines else {})


def _as_json(arrays: Sequence[TensorInfo | Learned]) -> dict[str, Any]:
    listed = [
        {
            "name": item.name,
            "shape": item.shape,
            "format": item.dtype,
            "parameters": item.elements,
            "bytes": item.size,
        }
        for item in arrays
    ]
    return {"parameters": sum(item.elements for item in arrays), "tensors": listed}


def _read(file: Path, path: str) -> tuple[TensorInfo, ...]:
    if path.endswith(".gguf"):
        from craton.formats.gguf import read_gguf_file

        return read_gguf_file(file, path).tensors
    from craton.formats.safetensors import read_safetensors_file

    return read_safetensors_file(file, path).tensors
