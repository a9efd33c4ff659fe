"""What the Hub's JSON says about a repository, as clients ask: by default, in full, or member by member (expand).

What Craton does not know (spaces that use a model, who serves it, security scans) is left out, never made up.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from craton.core.errors import InvalidRequest
from craton.core.repo import RepoKind, TreeEntry
from craton.hub.labels import Card
from craton.hub.searching import Found
from craton.wire.huggingface.values import write_gated, write_names, write_time

Member = Callable[[Found], Any]

MEMBERS: dict[str, Member] = {
    "author": lambda found: found.repo.namespace,
    "createdAt": lambda found: write_time(found.created),
    "disabled": lambda found: False,
    "gated": lambda found: write_gated(found.gated),
    "lastModified": lambda found: write_time(found.modified),
    "likes": lambda found: found.likes,
    "private": lambda found: found.private,
    "sha": lambda found: found.head,
    "tags": lambda found: list(found.card.tags),
    "trendingScore": lambda found: found.trend,
    "downloads": lambda found: found.downloads,
    "downloadsAllTime": lambda found: found.all_downloads,
    "cardData": lambda found: found.card.fields,
    "xetEnabled": lambda found: False,  # who asks (huggingface_hub 0.x) may bring an hf_xet of an older protocol
}
"""Of repositories of every kind."""

OF_KIND: Mapping[RepoKind, dict[str, Member]] = {
    "model": {
        "library_name": lambda found: found.card.library or None,
        "pipeline_tag": lambda found: found.card.pipeline or None,
        "config": lambda found: found.card.configuration,
        "model-index": lambda found: found.card.fields.get("model-index"),
        "mask_token": lambda found: None,
        "baseModels": lambda found: _base_models(found.card),
        "inference": lambda found: None,
        "inferenceProviderMapping": lambda found: {},
        "spaces": lambda found: [],
        "evalResults": lambda found: [],
        "childrenModelCount": lambda found: None,
        "transformersInfo": lambda found: None,
        "widgetData": lambda found: found.card.fields.get("widget"),
        "resourceGroup": lambda found: None,
    },
    "dataset": {
        "description": lambda found: _text(found.card.fields.get("description")),
        "citation": lambda found: _text(found.card.fields.get("citation")),
        "paperswithcode_id": lambda found: _text(found.card.fields.get("paperswithcode_id")),
        "resourceGroup": lambda found: None,
    },
    "space": {
        "sdk": lambda found: _text(found.card.fields.get("sdk")),
        "subdomain": lambda found: None,
        "models": lambda found: _names(found.card.fields.get("models")),
        "datasets": lambda found: _names(found.card.fields.get("datasets")),
        "runtime": lambda found: None,
        "region": lambda found: None,
        "resourceGroup": lambda found: None,
    },
}
HEAVY: Mapping[RepoKind, frozenset[str]] = {
    "model": frozenset({"siblings", "usedStorage", "safetensors", "gguf"}),
    "dataset": frozenset({"siblings", "usedStorage", "mainSize"}),
    "space": frozenset({"siblings", "usedStorage"}),
}
"""Members that cost a look into the tree: `info` adds them."""
_NOT_OF: Mapping[RepoKind, frozenset[str]] = {"space": frozenset({"gated", "downloads", "downloadsAllTime"})}

_LIST = ("private", "tags", "downloads", "likes", "createdAt", "pipeline_tag", "library_name", "sdk", "trendingScore")
_FULL = ("author", "gated", "disabled", "lastModified", "sha")
_INFO = (
    *(name for name in _LIST if name != "trendingScore"),
    *_FULL,
    "cardData",
    "config",
    "model-index",
    "mask_token",
    "spaces",
    "description",
    "citation",
    "paperswithcode_id",
    "subdomain",
    "models",
    "datasets",
)


def write_listed(found: Found, *, full: bool = False, card: bool = False, config: bool = False) -> dict[str, Any]:
    """An item of a list."""
    more = [*(_FULL if full else ()), *(["cardData"] if card else []), *(["config"] if config else [])]
    return {**write_names(found.repo, found.id), **_members(found, [*_LIST, *more])}


def write_info(found: Found) -> dict[str, Any]:
    """A repository asked for by its name, without what `HEAVY` names."""
    return {**write_names(found.repo, found.id), **_members(found, _INFO)}


def write_expanded(found: Found, names: list[str]) -> dict[str, Any]:
    """Only the id and these members."""
    return {**write_names(found.repo, found.id), **_members(found, names)}


def check_expand(kind: RepoKind, names: list[str]) -> None:
    """Raises InvalidRequest for a member that there is not."""
    known = {*MEMBERS, *OF_KIND[kind], *HEAVY[kind]} - _NOT_OF.get(kind, frozenset())
    if not known.issuperset(names):
        raise InvalidRequest(f'"expand" must be one of [{", ".join(sorted(known))}]')


def write_safetensors(parameters: Mapping[str, int] | None) -> dict[str, Any] | None:
    return None if parameters is None else {"parameters": parameters, "total": sum(parameters.values())}


def used(files: list[TreeEntry]) -> int:
    """Bytes of the different files."""
    return sum({file.digest: file.size for file in files}.values())


def _members(found: Found, names: Any) -> dict[str, Any]:
    known = {**MEMBERS, **OF_KIND[found.repo.kind]}
    return {name: known[name](found) for name in names if name in known}


def _base_models(card: Card) -> dict[str, Any] | None:
    """As the card says; what an adapter stands on is said so, any other relation only where the card names it."""
    names = _names(card.fields.get("base_model"))
    relation = _text(card.fields.get("base_model_relation")) or ("adapter" if card.library == "peft" else None)
    return {"relation": relation, "models": [{"id": name} for name in names]} if names else None


def _names(value: Any) -> list[str]:
    values = value if isinstance(value, list) else [value]
    return [item for item in values if isinstance(item, str)]


def _text(value: Any) -> str | None:
    return value if isinstance(value, str) else None
