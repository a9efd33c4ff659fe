"""What listings of this service share."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from craton.core.chat import Json
from craton.customizing.rows import Listing


def read_listing(
    value: Json, statuses: Mapping[str, str], *, created: str = "creationTime", status: str = "statusEquals"
) -> Listing:
    """statuses: ours by Bedrock's word. created: how the bounds of the creation are called."""
    asked = value.get(status)
    return Listing(
        size=value.get("maxResults", 100),
        cursor=value.get("nextToken", ""),
        after=_seconds(value.get(f"{created}After")),
        before=_seconds(value.get(f"{created}Before")),
        contains=value.get("nameContains", ""),
        status="" if asked is None else statuses[asked],
        descending=value.get("sortOrder", "Descending") == "Descending",
    )


def read_tags(given: list[Json] | None) -> dict[str, str]:
    return {tag["key"]: tag["value"] for tag in given or []}


def write_tags(tags: dict[str, str]) -> list[Json]:
    return [{"key": key, "value": value} for key, value in tags.items()]


def present(**members: Any) -> Json:
    """Those that have a value."""
    return {name: value for name, value in members.items() if value is not None and value != ""}


def _seconds(moment: datetime | None) -> float | None:
    return None if moment is None else moment.timestamp()
