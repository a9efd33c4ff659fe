"""Errors as OpenAI's clients know them.

openai-python picks its exception class by status and retries 408, 409, 429 and 5xx unless `x-should-retry` says no.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

from craton.core import errors
from craton.core.errors import ContextExceeded, CratonError, InvalidRequest, NotFound, Throttled
from craton.wire.http import Reply, Request, json_reply


class Row(NamedTuple):
    """How one class of errors is told. retry: whether trying again can help; None leaves it to the status."""

    status: int
    type: str
    code: str | None
    retry: bool | None = None


TABLE: dict[type[CratonError], Row] = {
    errors.InvalidRequest: Row(400, "invalid_request_error", None),
    errors.Unsupported: Row(400, "invalid_request_error", "unsupported_operation"),
    errors.ContextExceeded: Row(400, "invalid_request_error", "context_length_exceeded"),
    errors.Unauthenticated: Row(401, "invalid_request_error", "invalid_api_key"),
    errors.Forbidden: Row(403, "invalid_request_error", "insufficient_permissions"),
    errors.Gated: Row(403, "invalid_request_error", "gated_repository"),
    errors.OutgoingRefused: Row(403, "invalid_request_error", "outgoing_refused"),
    errors.NotFound: Row(404, "invalid_request_error", "not_found"),
    errors.Conflict: Row(409, "invalid_request_error", "conflict", retry=False),
    errors.Stale: Row(409, "invalid_request_error", "conflict", retry=False),
    errors.TooLarge: Row(413, "invalid_request_error", "request_too_large"),
    errors.QuotaExceeded: Row(413, "invalid_request_error", "request_too_large"),
    errors.Throttled: Row(429, "rate_limit_error", "rate_limit_exceeded"),
    errors.ModelUnavailable: Row(503, "server_error", "model_unavailable"),
    errors.ModelFailed: Row(500, "server_error", "model_failed"),
    errors.SourceFailed: Row(502, "server_error", "source_failed", retry=False),
    errors.DeadlineExceeded: Row(504, "server_error", "deadline_exceeded", retry=False),
    errors.Damaged: Row(500, "server_error", "damaged", retry=False),
    errors.StorageFull: Row(507, "server_error", "storage_full", retry=False),
    CratonError: Row(500, "server_error", None),
}


def describe(error: CratonError) -> tuple[Row, dict[str, Any]]:
    """The row of an error, and its body."""
    row = next(TABLE[kind] for kind in type(error).__mro__ if kind in TABLE)
    message, param, code = str(error), None, row.code
    if isinstance(error, InvalidRequest):
        param = error.field or None
    elif isinstance(error, ContextExceeded):
        message = f"This model's maximum context length is {error.limit} tokens; the prompt has {error.prompt} tokens."
    elif isinstance(error, NotFound) and error.kind == "model":
        param, code = "model", "model_not_found"
    return row, {"error": {"message": message, "type": row.type, "param": param, "code": code}}


def write_error(error: CratonError, request: Request) -> Reply:
    """The error's reply."""
    row, body = describe(error)
    headers = {"x-request-id": request.request_id}
    if row.retry is not None:
        headers["x-should-retry"] = str(row.retry).lower()
    if isinstance(error, Throttled):
        headers["retry-after"] = str(math.ceil(error.retry_after))
        headers["retry-after-ms"] = str(math.ceil(error.retry_after * 1000))
    return json_reply(row.status, body, headers)
