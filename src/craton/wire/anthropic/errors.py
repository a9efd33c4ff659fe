"""Errors as Anthropic's clients know them.

anthropic-python picks its exception class by status and retries 408, 409, 429 and 5xx unless `x-should-retry` says no.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

from craton.core import errors
from craton.core.errors import ContextExceeded, CratonError, Throttled
from craton.wire.http import Reply, Request, json_reply


class Row(NamedTuple):
    """How one class of errors is told. retry: whether trying again can help; None leaves it to the status."""

    status: int
    type: str
    retry: bool | None = None


TABLE: dict[type[CratonError], Row] = {
    errors.InvalidRequest: Row(400, "invalid_request_error"),
    errors.Unsupported: Row(400, "invalid_request_error"),
    errors.ContextExceeded: Row(400, "invalid_request_error"),
    errors.Unauthenticated: Row(401, "authentication_error"),
    errors.Forbidden: Row(403, "permission_error"),
    errors.Gated: Row(403, "permission_error"),
    errors.OutgoingRefused: Row(403, "permission_error"),
    errors.NotFound: Row(404, "not_found_error"),
    errors.Conflict: Row(409, "invalid_request_error", retry=False),
    errors.Stale: Row(409, "invalid_request_error", retry=False),
    errors.TooLarge: Row(413, "request_too_large"),
    errors.QuotaExceeded: Row(413, "request_too_large"),
    errors.Throttled: Row(429, "rate_limit_error"),
    errors.ModelUnavailable: Row(529, "overloaded_error"),
    errors.ModelFailed: Row(500, "api_error"),
    errors.SourceFailed: Row(502, "api_error", retry=False),
    errors.DeadlineExceeded: Row(504, "timeout_error", retry=False),
    errors.Damaged: Row(500, "api_error", retry=False),
    errors.StorageFull: Row(507, "api_error", retry=False),
    CratonError: Row(500, "api_error"),
}


def describe(error: CratonError, request_id: str) -> tuple[Row, dict[str, Any]]:
    """The row of an error, and its body."""
    row = next(TABLE[kind] for kind in type(error).__mro__ if kind in TABLE)
    message = str(error)
    if isinstance(error, ContextExceeded):
        message = f"prompt is too long: {error.prompt} tokens > {error.limit} maximum"
    return row, {"type": "error", "error": {"type": row.type, "message": message}, "request_id": request_id}


def write_error(error: CratonError, request: Request) -> Reply:
    """The error's reply."""
    row, body = describe(error, request.request_id)
    headers = {"request-id": request.request_id}
    if row.retry is not None:
        headers["x-should-retry"] = str(row.retry).lower()
    if isinstance(error, Throttled):
        headers["retry-after"] = str(math.ceil(error.retry_after))
        headers["retry-after-ms"] = str(math.ceil(error.retry_after * 1000))
    return json_reply(row.status, body, headers)
