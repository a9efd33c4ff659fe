"""Whether a card's front matter is what its readers expect. Fields that are not known here may hold anything."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from msgspec import Struct

from craton.core.repo import RepoKind
from craton.hub.cards import Unreadable, front_matter
from craton.hub.licenses import LICENSES

MAX_ERRORS = 20
SDKS = ("gradio", "streamlit", "docker", "static")
NO_CARD = "empty or missing yaml metadata in repo card"


class Verdict(Struct, frozen=True):
    errors: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()


Check = Callable[[Any], str]
"""A value -> what it must be, or ""."""


def validate(text: str, kind: RepoKind) -> Verdict:
    """text: of a README.md."""
    try:
        fields = front_matter(text)
    except Unreadable as error:
        return Verdict(errors=(str(error),))
    if not fields:
        return Verdict(warnings=(NO_CARD,))
    checks = {**EVERY, **OF_KIND[kind]}
    errors = [
        f'"{name}" {wanted}'
        for name, check in checks.items()
        if fields.get(name) is not None and (wanted := check(fields[name]))
    ]
    return Verdict(errors=tuple(errors[:MAX_ERRORS]))


def _is_string(value: Any) -> str:
    return "" if isinstance(value, str) else "must be a string"


def _are_strings(value: Any) -> str:
    values = value if isinstance(value, list) else [value]
    return "" if all(isinstance(item, str) for item in values) else "must be a string or a list of strings"


def _are_items(value: Any) -> str:
    """Tags: what looks like a number is one in YAML."""
    fine = isinstance(value, list) and all(isinstance(item, str | int | float) for item in value)
    return "" if fine else "must be a list of strings"


def _is_license(value: Any) -> str:
    values = value if isinstance(value, list) else [value]
    fine = all(isinstance(item, str) and item.lower() in LICENSES for item in values)
    return "" if fine else f"must be one of [{', '.join(sorted(LICENSES))}]"


def _is_index(value: Any) -> str:
    if not isinstance(value, list):
        return "must be an array"
    for model in value:
        if not isinstance(model, dict) or not isinstance(model.get("results", []), list):
            return "must hold objects with a name and a list of results"
        for result in model.get("results", []):
            if not isinstance(result, dict) or not isinstance(result.get("task"), dict):
                return "must hold results that each name a task"
    return ""


def _is_map(value: Any) -> str:
    return "" if isinstance(value, dict) else "must be an object"


def _are_maps(value: Any) -> str:
    values = value if isinstance(value, list) else [value]
    return "" if all(isinstance(item, dict) for item in values) else "must be an object or a list of objects"


def _is_sdk(value: Any) -> str:
    return "" if value in SDKS else f"must be one of [{', '.join(SDKS)}]"


EVERY: dict[str, Check] = {
    "language": _are_strings,
    "license": _is_license,
    "license_name": _is_string,
    "license_link": _is_string,
    "tags": _are_items,
    "thumbnail": _is_string,
    "extra_gated_prompt": _is_string,
    "extra_gated_fields": _is_map,
}
OF_KIND: dict[RepoKind, dict[str, Check]] = {
    "model": {
        "library_name": _is_string,
        "pipeline_tag": _is_string,
        "datasets": _are_strings,
        "metrics": _are_strings,
        "base_model": _are_strings,
        "model-index": _is_index,
    },
    "dataset": {
        "pretty_name": _is_string,
        "task_categories": _are_strings,
        "task_ids": _are_strings,
        "size_categories": _are_strings,
        "source_datasets": _are_strings,
        "multilinguality": _are_strings,
        "configs": _are_maps,
        "dataset_info": _are_maps,
    },
    "space": {"title": _is_string, "sdk": _is_sdk, "app_file": _is_string, "models": _are_strings},
}
