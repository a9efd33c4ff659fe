"""Conditional requests (RFC 9110, 13) and ranges (14), as S3 reads them."""

from __future__ import annotations

import re
from datetime import datetime
from typing import Any

from craton.buckets.values import WHOLE, Condition, ConditionFailed, ObjectInfo, Span
from craton.wire.aws.s3.errors import S3Error, not_implemented

_RANGE = re.compile(r"bytes=(\d{0,19})-(\d{0,19})", re.ASCII)


def check_reading(info: ObjectInfo, value: dict[str, Any], prefix: str = "") -> None:
    """prefix: of the members ("CopySource" for a copy's source). Raises ConditionFailed, and S3Error with 304.

    An ETag's condition outweighs that on the time, as RFC 9110 says.
    """
    matches, unless = value.get(f"{prefix}IfMatch"), value.get(f"{prefix}IfNoneMatch")
    since, until = value.get(f"{prefix}IfModifiedSince"), value.get(f"{prefix}IfUnmodifiedSince")
    if matches is not None:
        if not _names(matches, info.etag):
            raise ConditionFailed(info.key, "If-Match names another object")
    elif until is not None and _later(info, until):
        raise ConditionFailed(info.key, "it was modified since")
    not_modified = unless is not None and _names(unless, info.etag)
    if unless is None and since is not None:
        not_modified = not _later(info, since)
    if not_modified and prefix:
        raise ConditionFailed(info.key, "the source is the one that was excluded")
    if not_modified:
        raise S3Error("NotModified", 304, "Not Modified")


def writing(value: dict[str, Any]) -> Condition:
    """If-None-Match: * and If-Match of a write. Raises S3Error for others."""
    unless, matches = value.get("IfNoneMatch"), value.get("IfMatch")
    if unless is not None and unless.strip() != "*":
        raise not_implemented("If-None-Match with an ETag, for a write,")
    return Condition(unless is not None, tuple(etags(matches)) if matches is not None else ())


def etags(text: str) -> list[str]:
    """Without quotes and marks of weakness."""
    return [part.strip().removeprefix("W/").strip('"') for part in text.split(",")]


def span(text: str | None) -> Span:
    """A Range header; what is not one range of bytes asks for the whole object, as RFC 9110 has it."""
    match = _RANGE.fullmatch(text.strip()) if text else None
    if match is None or match[0] == "bytes=-":
        return WHOLE
    start, last = match.groups()
    if not start:
        return Span(None, int(last))
    if last and int(last) < int(start):
        return WHOLE
    return Span(int(start), int(last) + 1 if last else None)


def _names(text: str, etag: str) -> bool:
    found = etags(text)
    return "*" in found or etag in found


def _later(info: ObjectInfo, moment: datetime) -> bool:
    """By whole seconds: headers carry no more."""
    return int(info.modified) > int(moment.timestamp())
