"""What a model is, read from its files' headers: nothing is loaded, nothing native runs.

What no engine of Craton can serve is still described: it gets no verbs, and `details["refused"]` says why.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import msgspec
from msgspec.structs import replace

from craton.core.errors import Damaged
from craton.core.model import ModelInfo, Verb
from craton.core.repo import TreeEntry
from craton.formats.gguf import GgufHeader, SkippedArray, read_gguf_file
from craton.formats.safetensors import SafetensorsHeader, read_safetensors_file
from craton.hub.adapters import describe_adapter, is_adapter
from craton.hub.cards import card_text, read_card
from craton.hub.encoders import sizes, task_of, why_not
from craton.hub.predictors import MANIFEST, describe_predictor, is_predictor
from craton.hub.writers import NO_WRITER, can_write, writes_text

MAX_JSON = 32 * 1024 * 1024  # bytes of a configuration file
MAX_CARD = 4 * 1024 * 1024
MAX_TEMPLATE = 1024 * 1024  # characters
MAX_NUMBER = 1 << 53
MAX_NAME = 200  # characters of what a file calls itself; the rest is cut

Locate = Callable[[str], Path]
"""A blob's digest -> the local file that holds it."""

FILE_TYPES = (
    {0: "F32", 1: "F16", 2: "Q4_0", 3: "Q4_1", 7: "Q8_0", 8: "Q5_0", 9: "Q5_1", 10: "Q2_K", 11: "Q3_K_S"}
    | {12: "Q3_K_M", 13: "Q3_K_L", 14: "Q4_K_S", 15: "Q4_K_M", 16: "Q5_K_S", 17: "Q5_K_M", 18: "Q6_K"}
    | {19: "IQ2_XXS", 20: "IQ2_XS", 21: "Q2_K_S", 22: "IQ3_XS", 23: "IQ3_XXS", 24: "IQ1_S", 25: "IQ4_NL"}
    | {26: "IQ3_S", 27: "IQ3_M", 28: "IQ2_S", 29: "IQ2_M", 30: "IQ4_XS", 31: "IQ1_M", 32: "BF16", 36: "TQ1_0"}
    | {37: "TQ2_0", 38: "MXFP4", 39: "NVFP4", 40: "Q1_0"}
)
"""llama.cpp's general.file_type."""

NOT_CAUSAL = frozenset(
    {"bert", "clip", "dream", "eurobert", "gemma-embedding", "jina-bert-v2", "jina-bert-v3", "llada", "llada-moe"}
    | {"modern-bert", "neo-bert", "nomic-bert", "nomic-bert-moe", "t5", "t5encoder", "wavtokenizer-dec"}
)
"""GGUF architectures that do not write text from left to right."""
NO_TEMPLATE = (
    "it has no chat template: a base model that completes text, which is not served yet; "
    "an adapter that brings a template runs over it"
)


def describe(id: str, files: Mapping[str, TreeEntry], locate: Locate) -> ModelInfo:
    """The model that these files (by path) are. Raises Damaged when a header, or a configuration, is broken."""
    card = _card(files, locate)
    ggufs = sorted(path for path in files if path.endswith(".gguf"))
    if is_predictor(files):
        info = describe_predictor(id, files, _read(files[MANIFEST], locate, MAX_JSON).encode())
    elif len(ggufs) == 1:
        info = _gguf(id, read_gguf_file(locate(files[ggufs[0]].digest), ggufs[0]))
        info = replace(info, size_bytes=files[ggufs[0]].size)
    elif ggufs:
        info = _unserved(id, "gguf", f"it holds {len(ggufs)} GGUF files; import one of them")
    elif is_adapter(files):
        info = replace(describe_adapter(id, files, locate), chat_template=_chat_template(files, locate))
    elif any(path.endswith(".safetensors") for path in files):
        info = _safetensors(id, files, locate)
    else:
        info = _unserved(id, "", "it holds neither a GGUF nor a safetensors file")
    if len(info.chat_template or "") > MAX_TEMPLATE:
        raise Damaged("the chat template", f"it is longer than {MAX_TEMPLATE:,} characters")
    base = card_text(card, "base_model")
    provider = info.provider or (base.split("/")[0] if "/" in base else "")
    return replace(info, provider=provider, license=info.license or card_text(card, "license"))


def _unserved(id: str, format: str, reason: str) -> ModelInfo:
    return ModelInfo(id=id, verbs=(), engine="", format=format, details={"refused": reason})


# --- GGUF -----------------------------------------------------------------------------------------------------


def _gguf(id: str, header: GgufHeader) -> ModelInfo:
    architecture = _text(header, "general.architecture")
    heads = _whole(header, f"{architecture}.attention.head_count")
    width = _whole(header, f"{architecture}.embedding_length")
    types = Counter[str]()
    for tensor in header.tensors:
        types[tensor.dtype] += tensor.size
    refused = _why_not_run(header, architecture)
    template = _text(header, "tokenizer.chat_template", MAX_TEMPLATE + 1) or None
    details = {
        "name": _text(header, "general.name"),
        "tensor_types": dict(types.most_common()),
        "vocabulary": _vocabulary(header, architecture),
        "embedding_length": width,
        "refused": refused or ("" if template else NO_TEMPLATE),
    }
    file_type = header.metadata.get("general.file_type")
    named = FILE_TYPES.get(file_type) if type(file_type) is int else None
    return ModelInfo(
        id=id,
        verbs=("chat",) if template and not refused else (),
        engine="" if refused else "llama_cpp",
        format="gguf",
        architecture=architecture,
        family=_text(header, "general.basename") or architecture,
        provider=_text(header, "general.organization"),
        parameters=sum(tensor.elements for tensor in header.tensors),
        quantisation=named or (types.most_common(1)[0][0] if types else ""),
        context_length=_whole(header, f"{architecture}.context_length"),
        layers=_whole(header, f"{architecture}.block_count"),
        kv_heads=_whole(header, f"{architecture}.attention.head_count_kv") or heads,
        head_dimensions=_whole(header, f"{architecture}.attention.key_length")
        or (width // heads if width and heads else None),
        chat_template=template,
        license=_text(header, "general.license"),
        details={key: value for key, value in details.items() if value},
    )


def _why_not_run(header: GgufHeader, architecture: str) -> str:
    """Why llama.cpp cannot write with it; "" when it can."""
    if not architecture or not header.tensors:
        return "it names no architecture or holds no tensors"
    kind = _text(header, "general.type") or "model"
    if kind != "model":
        return f"it is a part of a model ({kind}), not one"
    if (_whole(header, "split.count") or 1) > 1:
        return "it is one of several files of a split model; join them first (llama-gguf-split --merge)"
    if (
        architecture in NOT_CAUSAL
        or header.metadata.get(f"{architecture}.attention.causal") is False
        or _whole(header, f"{architecture}.pooling_type")
    ):
        return f"GGUF models that embed or encode ({architecture}) are not served; import the safetensors files"
    return ""


def _text(header: GgufHeader, key: str, limit: int = MAX_NAME) -> str:
    value = header.metadata.get(key)
    return value[:limit] if isinstance(value, str) else ""


def _whole(header: GgufHeader, key: str) -> int | None:
    """A positive number; the largest one when the key holds one for each layer. None for anything else."""
    value = header.metadata.get(key)
    numbers = (number for number in (value if isinstance(value, tuple) else (value,)) if type(number) is int)
    return max((number for number in numbers if 0 < number < MAX_NUMBER), default=None)


def _vocabulary(header: GgufHeader, architecture: str) -> int | None:
    tokens = header.metadata.get("tokenizer.ggml.tokens")
    if isinstance(tokens, SkippedArray):
        return tokens.count
    return len(tokens) if isinstance(tokens, tuple) else _whole(header, f"{architecture}.vocab_size")


# --- safetensors ----------------------------------------------------------------------------------------------


def _safetensors(id: str, files: Mapping[str, TreeEntry], locate: Locate) -> ModelInfo:
    weights = {
        path: read_safetensors_file(locate(entry.digest), path)
        for path, entry in sorted(files.items())
        if path.endswith(".safetensors")
    }
    config = _json(files, locate, "config.json")
    tensors = [tensor for header in weights.values() for tensor in header.tensors]
    types = Counter[str]()
    for tensor in tensors:
        types[tensor.dtype] += tensor.size
    width, layers, heads = (_natural(config, name) for name in sizes(config))
    verb, refused = _encoder(files, config, weights)
    template = _chat_template(files, locate)
    engine = "bert" if verb else ""
    if writes_text(config):
        verb, engine, refused = _writer(template)
    kind = str(config.get("model_type", ""))[:MAX_NAME]
    details = {
        "tensor_types": dict(types.most_common()),
        "vocabulary": _natural(config, "vocab_size"),
        "embedding_length": width,
        "refused": refused,
    }
    return ModelInfo(
        id=id,
        verbs=(verb,) if verb else (),
        engine=engine,
        format="safetensors",
        architecture=kind,
        family=kind,
        parameters=sum(tensor.elements for tensor in tensors if tensor.dtype not in {"I64", "I32", "BOOL"}),
        quantisation=types.most_common(1)[0][0] if types else "",
        context_length=_context(files, locate, config),
        dimensions=width if verb == "embed" else None,
        layers=layers,
        kv_heads=_natural(config, "num_key_value_heads") or heads,
        head_dimensions=_natural(config, "head_dim") or (width // heads if width and heads else None),
        chat_template=template,
        size_bytes=sum(files[path].size for path in weights),
        details={key: value for key, value in details.items() if value},
    )


def _writer(template: str | None) -> tuple[Verb | None, str, str]:
    """What the transformers engine does with it: verb and engine; or why not."""
    if not can_write():
        return None, "", NO_WRITER
    return ("chat", "transformers", "") if template else (None, "transformers", NO_TEMPLATE)


def _encoder(
    files: Mapping[str, TreeEntry], config: dict[str, Any], weights: Mapping[str, SafetensorsHeader]
) -> tuple[Verb | None, str]:
    """What the BERT engine does with it; None, and why, when it cannot be run."""
    if not config:
        return None, "it has no config.json"
    verb, refused = task_of(config, files)
    refused = refused or why_not(config, files, weights)
    return (None, refused) if refused else (verb, "")


def _context(files: Mapping[str, TreeEntry], locate: Locate, config: dict[str, Any]) -> int | None:
    """Tokens: the smallest of what the configurations say."""
    said = [
        _natural(config, "max_position_embeddings"),
        _natural(_json(files, locate, "sentence_bert_config.json"), "max_seq_length"),
        _natural(_json(files, locate, "tokenizer_config.json"), "model_max_length"),
    ]
    return min((tokens for tokens in said if tokens), default=None)


def _chat_template(files: Mapping[str, TreeEntry], locate: Locate) -> str | None:
    if "chat_template.jinja" in files:
        return _read(files["chat_template.jinja"], locate, MAX_CARD)
    template = _json(files, locate, "tokenizer_config.json").get("chat_template")
    return template if isinstance(template, str) else None


def _natural(config: dict[str, Any], key: str) -> int | None:
    value = config.get(key)
    return value if type(value) is int and 0 < value < MAX_NUMBER else None


# --- small files ----------------------------------------------------------------------------------------------


def _card(files: Mapping[str, TreeEntry], locate: Locate) -> dict[str, Any]:
    return read_card(_read(files["README.md"], locate, MAX_CARD)) if "README.md" in files else {}


def _json(files: Mapping[str, TreeEntry], locate: Locate, path: str) -> dict[str, Any]:
    if path not in files:
        return {}
    try:
        value = msgspec.json.decode(_read(files[path], locate, MAX_JSON))
    except (msgspec.DecodeError, RecursionError) as error:
        raise Damaged(path, "it is not proper JSON") from error
    if not isinstance(value, dict):
        raise Damaged(path, "it is not a JSON object")
    return value


def _read(entry: TreeEntry, locate: Locate, limit: int) -> str:
    if entry.size > limit:
        raise Damaged(entry.path, f"it has {entry.size:,} bytes; at most {limit:,} are read")
    return locate(entry.digest).read_bytes().decode(errors="replace")
