"""A repository that holds a LoRA adapter: a model whose base is elsewhere, and is named."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path

from msgspec.structs import replace

from craton.core.errors import Damaged, Unsupported
from craton.core.model import ModelInfo
from craton.core.repo import TreeEntry
from craton.formats.peft import CONFIG, WEIGHTS, base_of, read_adapter
from craton.formats.safetensors import read_safetensors_file

MAX_CONFIG = 1024 * 1024  # bytes


def is_adapter(files: Mapping[str, TreeEntry]) -> bool:
    return CONFIG in files


def describe_adapter(id: str, files: Mapping[str, TreeEntry], locate: Callable[[str], Path]) -> ModelInfo:
    """Whether the base is here, and the adapter fits it, is asked when it is run. Raises Damaged."""
    if WEIGHTS not in files:
        return _refused(id, f"it is an adapter without an {WEIGHTS}; pickled ones are not loaded")
    if files[CONFIG].size > MAX_CONFIG:
        raise Damaged(CONFIG, f"it has {files[CONFIG].size:,} bytes; at most {MAX_CONFIG:,} are read")
    header = read_safetensors_file(locate(files[WEIGHTS].digest), WEIGHTS)
    config = locate(files[CONFIG].digest).read_bytes()
    try:
        adapter = read_adapter(config, header)
    except Unsupported as error:
        with suppress(Damaged):  # it can be merged into its base, if it names one, though it is not applied
            return replace(_refused(id, str(error)), base=base_of(config))
        return _refused(id, str(error))
    types = Counter[str]()
    for tensor in header.tensors:
        types[tensor.dtype] += tensor.size
    return ModelInfo(
        id=id,
        verbs=(adapter.verb,),
        engine="llama_cpp" if adapter.verb == "chat" else "bert",
        format="lora",
        base=adapter.base,
        parameters=sum(tensor.elements for tensor in header.tensors),
        quantisation=types.most_common(1)[0][0],
        size_bytes=files[WEIGHTS].size,
        details={
            "tensor_types": dict(types.most_common()),
            "rank": max(pair.rank for pair in adapter.pairs.values()),
            "alpha": adapter.alpha,
            "modules": sorted({module.part.rpartition(".")[2] for module in adapter.pairs}),
        },
    )


def _refused(id: str, reason: str) -> ModelInfo:
    return ModelInfo(id=id, verbs=(), engine="", format="lora", details={"refused": reason})
