"""GET /models and /models/{model}."""

from __future__ import annotations

from typing import Any

from craton.core.model import ModelInfo


def write_model(info: ModelInfo) -> dict[str, Any]:
    return {
        "id": info.id,
        "object": "model",
        "created": int(info.created),
        "owned_by": info.provider or info.repo.partition("/")[0] or "craton",
    }


def write_models(infos: list[ModelInfo]) -> dict[str, Any]:
    return {"object": "list", "data": [write_model(info) for info in infos]}
