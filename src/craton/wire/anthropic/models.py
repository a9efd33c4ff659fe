"""GET /v1/models and /v1/models/{model_id}, with Anthropic's paging."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from craton.core.errors import InvalidRequest
from craton.core.model import ModelInfo

DEFAULT_LIMIT = 20
MAX_LIMIT = 1000


def write_model(info: ModelInfo) -> dict[str, Any]:
    return {
        "type": "model",
        "id": info.id,
        "display_name": info.id,
        "created_at": datetime.fromtimestamp(info.created, UTC).isoformat().replace("+00:00", "Z"),
        "lifecycle": "active",
        "max_input_tokens": info.context_length,
    }


def write_page(infos: list[ModelInfo], query: dict[str, str]) -> dict[str, Any]:
    """One page of the models. query: limit, after_id, before_id. Raises InvalidRequest."""
    limit = _read_limit(query.get("limit", str(DEFAULT_LIMIT)))
    ids = [info.id for info in infos]
    after, before = query.get("after_id"), query.get("before_id")
    if after is not None:
        rest = infos[_place(ids, after, "after_id") + 1 :]
        page, more = rest[:limit], len(rest) > limit
    elif before is not None:
        rest = infos[: _place(ids, before, "before_id")]
        page, more = rest[-limit:], len(rest) > limit
    else:
        page, more = infos[:limit], len(infos) > limit
    return {
        "data": [write_model(info) for info in page],
        "has_more": more,
        "first_id": page[0].id if page else None,
        "last_id": page[-1].id if page else None,
    }


def _read_limit(text: str) -> int:
    if not (text.isascii() and text.isdecimal() and len(text) <= 4 and 1 <= int(text) <= MAX_LIMIT):
        raise InvalidRequest(f"a whole number from 1 to {MAX_LIMIT}", "limit")
    return int(text)


def _place(ids: list[str], wanted: str, field: str) -> int:
    try:
        return ids.index(wanted)
    except ValueError:
        raise InvalidRequest("there is no such model", field) from None
