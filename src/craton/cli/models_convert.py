"""`craton models convert`: a Hugging Face folder, or a stored model in safetensors, as one GGUF file."""

from __future__ import annotations

import tempfile
from pathlib import Path

import click

from craton.cli.completion import complete_model
from craton.cli.connection import key_option
from craton.cli.home import caller, opened
from craton.cli.models_files import laid_out, new_name, store
from craton.cli.models_pull import default_name
from craton.cli.output import hint, human_bytes, json_option, print_json, say

KINDS = ("f16", "bf16", "f32", "q8_0")


@click.command()
@click.argument("source", shell_complete=complete_model)
@click.option(
    "--to", "kind", type=click.Choice(KINDS), help="The kind of numbers. Default: f16, bf16 where it must be."
)
@click.option(
    "--name", "as_name", metavar="NAMESPACE/NAME", help="Of the new model. Default: the old one's with -gguf."
)
@click.option("--output", "-o", type=click.Path(dir_okay=False, path_type=Path), help="Write this file, store nothing.")
@key_option
@json_option
def convert(
    source: str, kind: str | None, as_name: str | None, output: Path | None, key: str | None, as_json: bool
) -> None:
    """Convert SOURCE, a model's name or a folder, to GGUF. llama.cpp must load it, and cut texts as the original.

    \b
    craton models convert acme/llama
    craton models convert ./my-model/ -o my-model.gguf

    Architectures: Llama, Mistral, Qwen2, Qwen3, Gemma 1 to 3, GPT-2, Falcon, gpt-oss, DeepSeek-V2 and V3. Needs no
    PyTorch. What is not converted runs in safetensors on the transformers engine.
    """
    from craton.conversion.checking import check
    from craton.conversion.preparing import convert as convert_folder

    with tempfile.TemporaryDirectory(prefix="craton-convert-") as place, opened() as platform:
        who, folder = caller(platform, key), Path(source)
        base = None
        if not folder.is_dir():
            folder = Path(place) / "files"
            base = laid_out(platform, who, source, folder)
        target = output or Path(place) / "model.gguf"
        made = convert_folder(folder, target, kind)
        check(folder, target)
        if output is not None:
            _tell(str(output), made, output.stat().st_size, as_json)
            return
        repo = new_name(base.id if base else default_name(folder), as_name, "gguf")
        card = {"base_model": base.id} if base else {}
        done = store(platform, who, repo, {target.name: target}, f"Converted from {base.id if base else source}", card)
        _tell(done.info.id, made, done.info.size_bytes, as_json)


def _tell(what: str, kind: str, size: int, as_json: bool) -> None:
    if as_json:
        print_json({"result": what, "kind": kind, "size_bytes": size})
        return
    say(f"{what}: {kind.upper()}, {human_bytes(size)}.")
    if not what.endswith(".gguf"):
        hint(f"Smaller: craton models quantize {what} --to q4_k_m")
