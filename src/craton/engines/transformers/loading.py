"""A model's files as transformers wants them: a folder of links under their names, read without a network."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from craton.core.errors import Damaged, Unsupported

_TAKEN = (".safetensors", ".json", ".txt", ".model", ".jinja")
_QUIET = {"HF_HUB_OFFLINE": "1", "HF_HUB_DISABLE_TELEMETRY": "1", "TRANSFORMERS_VERBOSITY": "error"}
"""Of this worker: nothing calls out. The libraries read it when they are imported."""


def load(model: str, files: Mapping[str, str], dtype: str) -> tuple[Any, Any]:
    """The model and its tokenizer (of the tokenizers library). dtype: of torch.

    Raises Unsupported for what transformers cannot run without code from the model, Damaged for broken files.
    """
    if not installed():
        raise Unsupported(f"Running {model}", "It needs PyTorch and transformers: `pip install 'craton[train]'`.")
    os.environ.update(_QUIET)
    import torch
    import transformers
    from tokenizers import Tokenizer

    reader: Any = transformers.AutoModelForCausalLM

    if "tokenizer.json" not in files:
        raise Damaged(model, "it has no tokenizer.json")
    with _folder(files) as folder:
        try:
            tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
            loaded, report = reader.from_pretrained(
                folder,
                dtype=getattr(torch, dtype),
                trust_remote_code=False,
                use_safetensors=True,
                local_files_only=True,
                output_loading_info=True,
            )
        except (ImportError, NotImplementedError) as error:
            raise Unsupported(f"Running {model}", str(error)[:200]) from error
        except Exception as error:  # each architecture raises its own
            if "trust_remote_code" in str(error) or "does not recognize" in str(error):
                raise Unsupported(f"Running {model}", "It needs code of its own, which is never run here.") from error
            raise Damaged(model, f"transformers cannot load it: {type(error).__name__}: {str(error)[:200]}") from error
    missing = sorted(report["missing_keys"])
    if missing:  # transformers would fill them with random numbers
        raise Damaged(model, f"its weights lack {missing[0][:120]!r} ({len(missing)} missing)")
    return loaded.eval(), tokenizer


def installed() -> bool:
    return find_spec("transformers") is not None and find_spec("torch") is not None


@contextmanager
def _folder(files: Mapping[str, str]) -> Iterator[Path]:
    folder = Path(tempfile.mkdtemp(prefix="craton-model-"))
    try:
        for name, path in files.items():
            if "/" not in name and name.endswith(_TAKEN):
                (folder / name).symlink_to(path)
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
