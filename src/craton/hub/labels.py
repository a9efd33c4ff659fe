"""What a revision says about itself: the front matter of its README, its `config.json`, the names of its files.

Bounded at every step, for anybody may upload anything; a card that cannot be read is no card, never an error.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from datetime import date
from typing import Any

import msgspec
from msgspec import Struct

from craton.core.errors import Damaged, NotFound
from craton.core.repo import RepoKind, TreeEntry
from craton.hub.cards import card_text, read_card

READER = 1  # raise it when cards are to be read again
MAX_README = 512 * 1024  # bytes of it that are looked at
MAX_CONFIG = 1024 * 1024
MAX_VALUES = 5_000  # in one card: aliases can make a short YAML long
MAX_DEPTH = 16
MAX_TAGS = 500
MAX_TAG = 200  # characters
CONFIG_FIELDS = ("architectures", "model_type", "quantization_config")
PREFIXED = (
    "license",
    "base_model",
    "task_categories",
    "task_ids",
    "language_creators",
    "annotations_creators",
    "multilinguality",
    "size_categories",
    "source_datasets",
    "modality",
    "benchmark",
    "library",
)
"""Fields of a card that become tags "field:value"."""
FORMATS = {".safetensors": "safetensors", ".gguf": "gguf", ".onnx": "onnx", ".parquet": "parquet"}
LIBRARIES = {
    "adapter_config.json": "peft",
    "model_index.json": "diffusers",
    "modules.json": "sentence-transformers",
}
"""A file of the root folder -> the library that writes it."""

Reading = Callable[[str], Iterable[bytes]]
"""A blob's digest -> its bytes."""


class Card(Struct, frozen=True, omit_defaults=True):
    """readme, config: digests of the files that were read, "" for none. fields: the front matter, as JSON has it."""

    readme: str = ""
    config: str = ""
    fields: dict[str, Any] = {}
    configuration: dict[str, Any] = {}
    tags: tuple[str, ...] = ()
    library: str = ""
    pipeline: str = ""


def label(kind: RepoKind, root: Mapping[str, TreeEntry], read: Reading, known: Card | None = None) -> Card:
    """root: the files of the root folder, by name. known: an earlier card, of which what did not change is kept."""
    readme, config = root.get("README.md"), root.get("config.json") if kind == "model" else None
    fields = _fields(readme, read, known)
    configuration = _configuration(config, read, known)
    library = card_text(fields, "library_name") or (_library(root, configuration) if kind == "model" else "")
    pipeline = card_text(fields, "pipeline_tag") if kind == "model" else ""
    return Card(
        readme.digest if readme else "",
        config.digest if config else "",
        fields,
        configuration,
        tuple(_tags(kind, fields, library, pipeline, root)),
        library,
        pipeline,
    )


def _fields(readme: TreeEntry | None, read: Reading, known: Card | None) -> dict[str, Any]:
    if readme is None:
        return {}
    if known is not None and known.readme == readme.digest:
        return known.fields
    return plain(read_card(_start(readme, read, MAX_README).decode(errors="replace")))


def _configuration(config: TreeEntry | None, read: Reading, known: Card | None) -> dict[str, Any]:
    if config is None or config.size > MAX_CONFIG:
        return {}
    if known is not None and known.config == config.digest:
        return known.configuration
    try:
        value = msgspec.json.decode(_start(config, read, MAX_CONFIG))
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return {}
    return plain({name: value[name] for name in CONFIG_FIELDS if name in value}) if isinstance(value, dict) else {}


def _start(entry: TreeEntry, read: Reading, limit: int) -> bytes:
    """The beginning of a file; nothing when it cannot be read."""
    content = b""
    try:
        for chunk in read(entry.digest):
            content += chunk
            if len(content) >= limit:
                break
    except (Damaged, NotFound):
        return b""
    return content[:limit]


def plain(fields: Mapping[Any, Any]) -> dict[str, Any]:
    """YAML's values as JSON has them; {} when there are too many or they are nested too deep."""
    left = MAX_VALUES

    def convert(value: Any, depth: int) -> Any:
        nonlocal left
        left -= 1
        if left < 0 or depth > MAX_DEPTH:
            raise ValueError
        if isinstance(value, Mapping):
            return {_text(str(key)): convert(inner, depth + 1) for key, inner in value.items()}
        if isinstance(value, list | tuple | set):
            return [convert(inner, depth + 1) for inner in value]
        if value is None or isinstance(value, bool):
            return value
        if isinstance(value, int) and abs(value) < 2**63:
            return value
        if isinstance(value, float) and value - value == 0:  # finite
            return value
        return _text(value.isoformat() if isinstance(value, date) else str(value)[:10_000])

    try:
        found = convert(fields, 0)
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def _text(value: str) -> str:
    return value.replace("\0", "").encode(errors="replace").decode()


def _library(root: Mapping[str, TreeEntry], configuration: dict[str, Any]) -> str:
    for name, library in LIBRARIES.items():
        if name in root:
            return library
    if "model_type" in configuration or "architectures" in configuration:
        return "transformers"
    return "gguf" if any(name.endswith(".gguf") for name in root) else ""


def _tags(
    kind: RepoKind, fields: dict[str, Any], library: str, pipeline: str, root: Mapping[str, TreeEntry]
) -> Iterable[str]:
    formats = [tag for ending, tag in FORMATS.items() if any(name.endswith(ending) for name in root)]
    tags = [library, *(formats if kind == "model" else []), *_strings(fields, "tags"), pipeline]
    if kind == "model":
        tags += _strings(fields, "language")
        tags += [f"dataset:{name}" for name in _strings(fields, "datasets")]
    else:
        tags += [f"language:{name}" for name in _strings(fields, "language")]
        tags += [card_text(fields, "sdk")] if kind == "space" else []
    tags += [f"{name}:{value}" for name in PREFIXED for value in _strings(fields, name)]
    return [tag for tag in dict.fromkeys(tags) if tag and len(tag) <= MAX_TAG][:MAX_TAGS]


def _strings(fields: dict[str, Any], name: str) -> list[str]:
    value = fields.get(name)
    values = value if isinstance(value, list) else [value]
    return [item for item in values if isinstance(item, str)]
