"""Which configurations and splits a repository has: what its card says, or what the names of its files say.

The rules are those of the `datasets` library (`data_files.py`), so that what is seen here is what `load_dataset` gives.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

from craton.core.errors import InvalidRequest, Unsupported
from craton.core.repo import TreeEntry
from craton.data.viewing.declared import declared_features
from craton.data.viewing.globs import Glob
from craton.data.viewing.naming import common_format, format_of, packing_of, separator_of
from craton.data.viewing.values import Config, DataFile, ReadOptions, Split

MAX_CONFIGS = 1000
MAX_FILES = 10_000  # of one split
DEFAULT = "default"

_SHARD = re.compile(r"data/(\w+(?:\.\w+)*)-\d{5}-of-\d{5}[^/]*\.[^/]*")
_SPLIT = re.compile(r"\w+(\.\w+)*")
_KEYWORDS = {
    "train": ("train", "training"),
    "validation": ("validation", "valid", "dev", "val"),
    "test": ("test", "testing", "eval", "evaluation"),
}
_BETWEEN = "[-._ 0-9]"
_FOLDERS = ("**/{0}/**", "**/{0}{1}*/**", "**/*{1}{0}/**", "**/*{1}{0}{1}*/**")
_FILES = ("**/{0}{1}*", "**/*{1}{0}{1}*")
_NOT_DATA = frozenset(
    ("README.md", "config.json", "dataset_info.json", "dataset_infos.json", "dummy_data.zip", "dataset_dict.json")
)
_KNOWN = frozenset(("config_name", "data_files", "data_dir", "default", "features", "version", "description"))
_OPTIONS = frozenset(("sep", "delimiter", "field"))


def find_configs(tree: Iterable[TreeEntry], card: Mapping[str, Any]) -> tuple[Config, ...]:
    """Raises Unsupported when there is nothing that can be shown, InvalidRequest for a card that says nonsense."""
    files = {entry.path: entry for entry in tree if entry.path.rpartition("/")[2] not in _NOT_DATA}
    declared = card.get("configs")
    if not declared:
        return (_config({"config_name": _only_name(card)}, files, card, default=True),)
    if not isinstance(declared, list) or len(declared) > MAX_CONFIGS:
        raise InvalidRequest("it must be a list of configurations", "configs")
    for one in declared:
        if not isinstance(one, dict) or not isinstance(one.get("config_name"), str):
            raise InvalidRequest("each configuration needs a config_name", "configs")
    return tuple(
        _config(
            one, files, card, default=len(declared) == 1 or one["config_name"] == DEFAULT or one.get("default") is True
        )
        for one in declared
    )


def _only_name(card: Mapping[str, Any]) -> str:
    info = card.get("dataset_info")
    name = info.get("config_name") if isinstance(info, dict) else None
    return name if isinstance(name, str) else DEFAULT


def _config(one: dict[str, Any], files: dict[str, TreeEntry], card: Mapping[str, Any], *, default: bool) -> Config:
    name = one["config_name"]
    folder = one.get("data_dir")
    if isinstance(folder, str) and folder.strip("/."):
        inside = folder.strip("/") + "/"
        files = {path.removeprefix(inside): entry for path, entry in files.items() if path.startswith(inside)}
    wanted = one.get("data_files")
    found = _by_patterns(_patterns(wanted), files) if wanted is not None else _by_names(files)
    if not found:
        raise Unsupported(f"Looking into the configuration {name!r}, which has no data files,")
    format_ = common_format(path for paths in found.values() for path in paths)
    refused = sorted(str(key) for key in one.keys() - _KNOWN - _OPTIONS)
    if refused:
        raise Unsupported(f"The option {refused[0]!r} of the configuration {name!r}")
    splits = []
    for split, paths in found.items():
        kept = [path for path in paths if format_of(path) == format_]
        if len(kept) > MAX_FILES:
            raise Unsupported(f"A split of more than {MAX_FILES:,} files")
        splits.append(Split(split, tuple(_file(files[path], path, one) for path in kept)))
    return Config(name, tuple(split for split in splits if split.files), declared_features(card, one), default)


def _file(entry: TreeEntry, path: str, options: Mapping[str, Any]) -> DataFile:
    format_ = format_of(path)
    assert format_ is not None
    separator = options.get("sep", options.get("delimiter")) or separator_of(path)
    if not isinstance(separator, str) or len(separator.encode()) != 1:
        raise Unsupported("A separator that is not one ASCII character")
    field = options.get("field") or ""
    return DataFile(entry.path, entry.digest, entry.size, format_, packing_of(path), ReadOptions(separator, str(field)))


def _patterns(wanted: Any) -> dict[str, list[str]]:
    """data_files in its three forms, as split -> patterns."""
    if isinstance(wanted, str):
        return {"train": [wanted]}
    if isinstance(wanted, list) and all(isinstance(one, str) for one in wanted):
        return {"train": wanted}
    patterns: dict[str, list[str]] = {}
    for one in wanted if isinstance(wanted, list) else [None]:
        path = one.get("path") if isinstance(one, dict) else None
        paths = [path] if isinstance(path, str) else path
        split = one.get("split") if isinstance(one, dict) else None
        well = isinstance(paths, list) and all(isinstance(it, str) for it in paths)
        if not well or not isinstance(split, str) or not _SPLIT.fullmatch(split) or split in patterns:
            raise InvalidRequest("data_files must be patterns, or a list of {split, path}", "configs")
        patterns[split] = list(paths or ())
    return patterns


def _by_patterns(patterns: dict[str, list[str]], files: Iterable[str]) -> dict[str, list[str]]:
    names = sorted(files)
    found = {}
    for split, wanted in patterns.items():
        matched: dict[str, None] = {}
        for glob in map(Glob, wanted):
            matched |= dict.fromkeys(path for path in names if glob.matches(path))
        if matched:
            found[split] = list(matched)
    return found


def _by_names(files: Iterable[str]) -> dict[str, list[str]]:
    names = sorted(files)
    shards: dict[str, list[str]] = {}
    for path in names:
        match = _SHARD.fullmatch(path)
        if match:
            shards.setdefault(match[1], []).append(path)
    if shards:
        order = [*(split for split in _KEYWORDS if split in shards), *sorted(shards.keys() - _KEYWORDS.keys())]
        return {split: shards[split] for split in order}
    for shapes in (_FOLDERS, _FILES):
        patterns = {
            split: [shape.format(word, _BETWEEN) for word in words for shape in shapes]
            for split, words in _KEYWORDS.items()
        }
        found = _by_patterns(patterns, names)
        if found:
            return found
    return _by_patterns({"train": ["**"]}, names)
