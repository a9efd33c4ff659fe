"""`craton models export`: a stored model's files in a folder, an adapter merged into its base."""

from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import click

from craton.cli.completion import complete_model
from craton.cli.connection import key_option
from craton.cli.home import caller, opened
from craton.cli.models_files import laid_out
from craton.cli.output import human_bytes, json_option, print_json, say
from craton.core.errors import Conflict, InvalidRequest, Unsupported

if TYPE_CHECKING:
    from craton.app.platform import Platform
    from craton.core.access import Caller
    from craton.core.model import ModelInfo


@click.command()
@click.argument("name", shell_complete=complete_model)
@click.argument("folder", type=click.Path(file_okay=False, path_type=Path))
@click.option(
    "--merged", is_flag=True, help="An adapter as a whole model: added to its base, in Hugging Face's format."
)
@click.option("--gguf", is_flag=True, help="The merged model as one GGUF file beside.")
@key_option
@json_option
def export(name: str, folder: Path, merged: bool, gguf: bool, key: str | None, as_json: bool) -> None:
    """Copy the files of the model NAME into FOLDER, which must not hold any.

    \b
    craton models export acme/llama ./llama
    craton models export acme/support ./support --merged --gguf

    --merged needs PyTorch (`craton[train]`). A base that is a GGUF file is merged as the numbers that it stands for.
    """
    if gguf and not merged:
        raise click.UsageError("--gguf goes with --merged; `craton models convert NAME -o FILE` makes one of a model.")
    if folder.exists() and any(folder.iterdir()):
        raise Conflict("folder", str(folder), "it is not empty")
    with opened() as platform, tempfile.TemporaryDirectory(prefix="craton-export-") as place:
        who, files = caller(platform, key), Path(place) / "files"
        info = laid_out(platform, who, name, files)
        folder.mkdir(parents=True, exist_ok=True)
        if merged:
            _merge(platform, who, info, files, Path(place) / "base", folder)
        else:
            shutil.copytree(files, folder, dirs_exist_ok=True)
    if gguf:
        from craton.conversion.checking import check
        from craton.conversion.preparing import convert

        convert(folder, folder / "model.gguf")
        check(folder, folder / "model.gguf")
    size = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
    if as_json:
        print_json({"model": info.id, "folder": str(folder), "merged": merged, "size_bytes": size})
    else:
        say(f"{info.id} is in {folder}: {human_bytes(size)}.")


def _merge(platform: Platform, who: Caller, info: ModelInfo, adapter: Path, base_files: Path, folder: Path) -> None:
    """W + s B A for each weight that the adapter changes (Hu et al., 2021, arXiv 2106.09685)."""
    from craton.hub.writers import can_write

    if not info.base:
        raise InvalidRequest(f"{info.id} is no adapter: leave --merged away", "merged")
    if not can_write():
        raise Unsupported("Merging an adapter", "It needs PyTorch: `pip install 'craton[train]'`.")
    os.environ.update(HF_HUB_OFFLINE="1", HF_HUB_DISABLE_TELEMETRY="1")  # read when the libraries are imported
    import torch
    from peft import PeftModel

    from craton.training.tuning.base import load, look_at

    laid_out(platform, who, info.base, base_files)
    model, tokenizer = load(look_at(base_files, info.base))
    merged = PeftModel.from_pretrained(model, adapter, local_files_only=True).merge_and_unload(safe_merge=True)
    merged.config.use_cache = True
    merged.to(torch.float16).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
