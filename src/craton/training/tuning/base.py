"""The model that is tuned: a repository's files as a torch module and its tokenizer.

A repository that holds one GGUF file is read through transformers, its numbers dequantised; one with safetensors
directly. No code of a repository runs, and nothing pickled is read.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from craton.core.errors import Damaged, InvalidRequest, Unsupported
from craton.formats.gguf import read_gguf_file
from craton.formats.safetensors import read_safetensors_file
from craton.training.protocol import Run

if TYPE_CHECKING:
    import torch

FIELD = "base"
MAX_JSON = 4 << 20  # bytes of config.json
_BROKEN = (OSError, ValueError, KeyError, RuntimeError, NotImplementedError)
WHICH = "Models that write text (Llama, Mistral, Qwen, Gemma, GPT-2, Falcon ...) as one GGUF file or safetensors are."


@dataclass(frozen=True, slots=True)
class Base:
    """Files that can be tuned. gguf: the name of the file that holds all, "" for safetensors. family: what
    config.json calls model_type. stored: the file's own kind of numbers, for people. quantised: how its safetensors
    are, "" for plain numbers."""

    name: str
    folder: Path
    gguf: str
    family: str
    parameters: int
    stored: str
    quantised: str = ""


def open_base(run: Run, name: str) -> Base:
    """Looks at the files, without torch. Raises NotFound, Gated, Damaged, and InvalidRequest or Unsupported with the
    reason why the model cannot be tuned and which can."""
    return look_at(run.checkout("model", name), name)


def look_at(folder: Path, name: str) -> Base:
    files = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}
    if "model.json" in files:
        raise InvalidRequest(f"{name} predicts from columns and writes no text, so it cannot be tuned. {WHICH}", FIELD)
    if "adapter_config.json" in files:
        raise InvalidRequest(f"{name} is an adapter. Name its own base, or export both merged and tune that.", FIELD)
    if "modules.json" in files:
        raise InvalidRequest(f"{name} embeds texts: `method: transfer` tunes embedders. {WHICH}", FIELD)
    weights = sorted(file for file in files if file.endswith(".safetensors") and "/" not in file)
    if weights and "config.json" in files:
        return _safetensors(folder, name, weights)
    found = sorted(file for file in files if file.endswith(".gguf"))
    if len(found) == 1:
        return _gguf(folder, name, found[0])
    if found:
        raise InvalidRequest(f"{name} holds {len(found)} GGUF files; which one is to be tuned is not said", FIELD)
    if any(file.endswith((".bin", ".pt", ".pth", ".pkl")) for file in files):
        raise Unsupported("Tuning pickled weights", "Convert them to safetensors first (`save_pretrained`).")
    raise InvalidRequest(f"{name} holds no weights. {WHICH}", FIELD)


def load(base: Base, dtype: torch.dtype | None = None) -> tuple[Any, Any]:
    """The model (a transformers one, in evaluation) and its tokenizer. dtype: None for float32. Raises Damaged for
    files that do not load."""
    with _reading_once():
        return load_model(base, dtype), load_tokenizer(base)


def load_model(base: Base, dtype: torch.dtype | None = None) -> Any:
    """Without its tokenizer. Raises the same."""
    import torch
    from transformers import AutoModelForCausalLM

    with _quietly(), _reading_once():
        try:
            model = AutoModelForCausalLM.from_pretrained(
                base.folder,
                dtype=dtype or torch.float32,
                local_files_only=True,
                **({"gguf_file": base.gguf} if base.gguf else {"use_safetensors": True, "trust_remote_code": False}),
                **_dequantising(base),
            )
        except _BROKEN as error:
            raise _damaged(base, error) from error
    model.config.use_cache = False
    if base.gguf or base.quantised:  # it is not quantised any more
        model.config.__dict__.pop("quantization_config", None)
        for name, value in ("hf_quantizer", None), ("is_quantized", False):
            setattr(model, name, value)
    model.config._name_or_path = ""
    return model


def load_tokenizer(base: Base) -> Any:
    from transformers import AutoTokenizer

    more = {"gguf_file": base.gguf} if base.gguf else {}
    with _quietly(), _reading_once():
        try:
            tokenizer = AutoTokenizer.from_pretrained(
                base.folder, local_files_only=True, trust_remote_code=False, **more
            )
        except _BROKEN as error:
            raise _damaged(base, error) from error
    if tokenizer.pad_token_id is None:
        tokenizer.pad_token = tokenizer.eos_token
    return tokenizer


def _dequantising(base: Base) -> dict[str, Any]:
    """As the numbers that they stand for, on a GPU too: blocks of 8 and 4 bits learn nothing."""
    if not base.quantised:
        return {}
    library: Any = import_module("transformers")
    kinds = {"fp8": library.FineGrainedFP8Config, "mxfp4": library.Mxfp4Config}
    return {"quantization_config": kinds[base.quantised](dequantize=True)}


def _damaged(base: Base, error: Exception) -> Damaged:
    return Damaged(base.name, f"it cannot be loaded: {str(error).partition(chr(10))[0][:300]}")


def _gguf(folder: Path, name: str, file: str) -> Base:
    header = read_gguf_file(folder / file, name)
    family = str(header.metadata.get("general.architecture", ""))
    if any("pooling_type" in key for key in header.metadata) or "bert" in family:
        raise InvalidRequest(f"{name} embeds texts: `method: transfer` tunes embedders. {WHICH}", FIELD)
    from transformers.integrations.ggml import GGUF_CONFIG_MAPPING

    if family not in GGUF_CONFIG_MAPPING:
        raise Unsupported(f"Tuning the GGUF architecture {family[:40]!r}", f"From its safetensors it may be. {WHICH}")
    kinds: dict[str, int] = {}
    for tensor in header.tensors:
        kinds[tensor.dtype] = kinds.get(tensor.dtype, 0) + tensor.elements
    stored = max(kinds, key=lambda kind: kinds[kind], default="")
    return Base(name, folder, file, family, sum(kinds.values()), stored)


def _safetensors(folder: Path, name: str, weights: list[str]) -> Base:
    config_file = folder / "config.json"
    if config_file.stat().st_size > MAX_JSON:
        raise Damaged("config.json", "it is too large to be a configuration")
    try:
        config = json.loads(config_file.read_bytes())
        family = str(config["model_type"])
    except (ValueError, KeyError, TypeError, RecursionError):
        raise Damaged("config.json", "it does not say which model it is of (model_type)") from None
    from transformers.models.auto.modeling_auto import MODEL_FOR_CAUSAL_LM_MAPPING_NAMES

    if family in {"bert", "roberta", "distilbert", "xlm-roberta"}:
        raise InvalidRequest(f"{name} is an encoder: `method: transfer` tunes encoders. {WHICH}", FIELD)
    if family not in MODEL_FOR_CAUSAL_LM_MAPPING_NAMES:
        raise Unsupported(f"Tuning the architecture {family[:40]!r}", WHICH)
    if not (folder / "tokenizer.json").is_file() and not (folder / "tokenizer_config.json").is_file():
        raise InvalidRequest(f"{name} has no tokenizer beside its weights (tokenizer.json)", FIELD)
    said = config.get("quantization_config") or {}
    quantised = str(said.get("quant_method", "")) if isinstance(said, dict) else ""
    if quantised not in {"", "fp8", "mxfp4"}:
        raise Unsupported(f"Tuning weights quantised by {quantised[:40]!r}", "Tune the model's unquantised weights.")
    tensors = [tensor for file in weights for tensor in read_safetensors_file(folder / file, file).tensors]
    stored = max({tensor.dtype for tensor in tensors}, key=lambda kind: _share(tensors, kind), default="")
    parameters = sum(tensor.elements for tensor in tensors) * (2 if quantised == "mxfp4" else 1)  # two in a byte
    return Base(name, folder, "", family, parameters, stored, quantised)


def _share(tensors: list[Any], kind: str) -> int:
    return sum(tensor.elements for tensor in tensors if tensor.dtype == kind)


@contextmanager
def _reading_once() -> Iterator[None]:
    """transformers parses a GGUF's header anew for the configuration, the tokenizer and the weights, and builds the
    table of names anew for each module: the starter model took 25 s of 35 for that. Here each is made once."""
    gguf: Any = import_module("gguf")
    reader, names = gguf.GGUFReader, gguf.get_tensor_name_map
    if hasattr(reader, "cache_info"):  # somebody around this does it already
        yield
        return
    gguf.GGUFReader, gguf.get_tensor_name_map = cache(reader), cache(names)
    try:
        yield
    finally:
        gguf.GGUFReader, gguf.get_tensor_name_map = reader, names


@contextmanager
def _quietly() -> Iterator[None]:
    """Bars of progress have no place in a job's output."""
    logging: Any = import_module("transformers.utils.logging")

    before = logging.is_progress_bar_enabled()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        if before:
            logging.enable_progress_bar()
