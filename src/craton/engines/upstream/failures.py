"""A provider's error, read from any of the three wires, and what it means here.

A refused key is the operator's matter, so it never looks like the caller's own failed authentication. What the
provider says is repeated only where it concerns the caller's request: cut to length, without keys and addresses.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from email.utils import parsedate_to_datetime
from typing import Any, Literal

import msgspec
from msgspec import Struct

from craton.core.errors import (
    ContextExceeded,
    CratonError,
    InvalidRequest,
    ModelFailed,
    ModelUnavailable,
    Throttled,
)

MAX_MESSAGE = 300
MAX_RETRY_AFTER = 3600.0

Meaning = Literal["key", "quota", "throttled", "busy", "missing", "context", "request", "failed"]

_CODES: dict[str, Meaning] = {
    "authentication_error": "key",
    "permission_error": "key",
    "invalid_api_key": "key",
    "accessdeniedexception": "key",
    "unrecognizedclientexception": "key",
    "invalidsignatureexception": "key",
    "incompletesignatureexception": "key",
    "missingauthenticationtokenexception": "key",
    "expiredtokenexception": "key",
    "insufficient_quota": "quota",
    "billing_error": "quota",
    "servicequotaexceededexception": "quota",
    "rate_limit_error": "throttled",
    "rate_limit_exceeded": "throttled",
    "throttlingexception": "throttled",
    "overloaded_error": "busy",
    "modelnotreadyexception": "busy",
    "serviceunavailableexception": "busy",
    "not_found_error": "missing",
    "model_not_found": "missing",
    "resourcenotfoundexception": "missing",
    "context_length_exceeded": "context",
    "exceed_context_size_error": "context",
    "validationexception": "request",
    "request_too_large": "request",
    "api_error": "failed",
    "timeout_error": "failed",
    "server_error": "failed",
    "internalserverexception": "failed",
    "modelerrorexception": "failed",
    "modelstreamerrorexception": "failed",
    "modeltimeoutexception": "failed",
}

_STATUSES: dict[int, Meaning] = {
    400: "request",
    401: "key",
    402: "quota",
    403: "key",
    404: "missing",
    405: "missing",
    409: "request",
    413: "request",
    415: "request",
    422: "request",
    429: "throttled",
    502: "busy",
    503: "busy",
    529: "busy",
}

# The counts as the common servers word them: (limit, prompt) by name.
_CONTEXT = tuple(
    re.compile(pattern)
    for pattern in (
        r"maximum context length is (?P<limit>\d+) tokens.{0,80}?(?:resulted in|requested|has) (?P<prompt>\d+)",
        r"prompt is too long: (?P<prompt>\d+) tokens > (?P<limit>\d+)",
        r"exceed context limit: (?P<prompt>\d+) \+ (?P<more>\d+) > (?P<limit>\d+)",
    )
)
_SECRETS = re.compile(
    r"(?i)\b(?:sk|pk|gsk|hf|craton|absk|bedrock-api-key)[-_][\w*.=+/-]{4,}|\b(?:AKIA|ASIA|CRTN)[A-Z0-9*]{6,}"
    r"|\bBearer\s+\S+"
)
_ADDRESSES = re.compile(
    r"(?i)\b[a-z][a-z0-9+]*://\S+|\b\d{1,3}(?:\.\d{1,3}){3}(?::\d+)?\b|(?<!\w)/(?:[\w.-]+/)+[\w.-]+"
)


class Malformed(ValueError):
    """An answer that breaks the provider's own protocol. The text is ours, never the provider's."""


class Reported(Exception):
    """An error that the provider reports in the middle of a stream, in the shape of an error body."""

    def __init__(self, body: bytes, headers: Mapping[str, str] | None = None) -> None:
        super().__init__()
        self.body, self.headers = body, headers or {}


class Failure(Struct, frozen=True):
    """What a provider said. status: 0 inside a stream that had begun well. retry_after: seconds."""

    status: int
    codes: tuple[str, ...] = ()
    message: str = ""
    retry_after: float | None = None
    limit: int | None = None
    prompt: int | None = None

    def meaning(self) -> Meaning:
        for code in self.codes:
            if known := _CODES.get(code.lower()):
                return known
        status = next((int(code) for code in self.codes if code.isdecimal() and len(code) == 3), self.status)
        if not status and "invalid_request_error" in self.codes:
            return "request"
        return _STATUSES.get(status, "failed")

    def to_error(self, model: str, secrets: tuple[str, ...] = ()) -> CratonError:
        """The platform's error. model: the name that callers use."""
        meaning = self.meaning()
        if meaning == "key":
            return ModelUnavailable(model, "the provider refused the configured key")
        if meaning == "quota":
            return ModelUnavailable(model, "the provider says that the account's credit or quota is spent")
        if meaning == "throttled":
            return Throttled(f"The provider of {model!r} asks to slow down.", self.retry_after or 1.0)
        if meaning == "busy":
            return ModelUnavailable(model, "the provider is overloaded or down")
        if meaning == "missing":
            return ModelUnavailable(model, "the provider does not know this model or address")
        if meaning == "failed":
            return ModelFailed(model, "the provider reported an error of its own")
        return self._request_error(model, secrets)

    def _request_error(self, model: str, secrets: tuple[str, ...]) -> CratonError:
        if self.limit is not None and self.prompt is not None:
            return ContextExceeded(model, self.limit, self.prompt)
        for pattern in _CONTEXT:
            if found := pattern.search(self.message):
                counts = {name: int(value) for name, value in found.groupdict().items()}
                return ContextExceeded(model, counts["limit"], counts["prompt"] + counts.get("more", 0))
        said = sanitise(self.message, secrets) or "it gave no reason"
        return InvalidRequest(f"the provider refused the request: {said}")


def read_failure(status: int, headers: Mapping[str, str], body: bytes) -> Failure:
    """Reads OpenAI's, Anthropic's and AWS's error bodies, and the variants of the common servers. Never raises."""
    try:
        value = msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        value = None
    outer: dict[str, Any] = value if isinstance(value, dict) else {}
    inner = outer.get("error")
    error: dict[str, Any] = inner if isinstance(inner, dict) else outer
    message = (
        inner
        if isinstance(inner, str)
        else next((error[name] for name in ("message", "Message", "detail") if isinstance(error.get(name), str)), "")
    )
    named = (error.get("code"), error.get("type"), outer.get("__type"), headers.get("x-amzn-errortype"))
    return Failure(
        status=status,
        codes=tuple(str(code).split(":")[0].rsplit("#", 1)[-1] for code in named if isinstance(code, str | int)),
        message=message,
        retry_after=_retry_after(headers),
        limit=_count(error.get("n_ctx")),  # llama-server
        prompt=_count(error.get("n_prompt_tokens")),
    )


def sanitise(message: str, secrets: tuple[str, ...] = ()) -> str:
    """One bounded line without keys, addresses and paths."""
    text = message
    for secret in secrets:
        text = text.replace(secret, "[key]")
    text = _ADDRESSES.sub("[address]", _SECRETS.sub("[key]", text))[: MAX_MESSAGE * 4]
    text = " ".join("".join(c if c.isprintable() else " " for c in text).split())
    return text if len(text) <= MAX_MESSAGE else text[: MAX_MESSAGE - 3] + "..."


def _count(value: object) -> int | None:
    return value if isinstance(value, int) and value >= 0 else None


def _retry_after(headers: Mapping[str, str]) -> float | None:
    """Seconds, from the header's number or its date (compared with the answer's own Date)."""
    try:
        if milliseconds := headers.get("retry-after-ms"):
            seconds = float(milliseconds) / 1000
        elif (value := headers.get("retry-after", "")).strip()[:1].isdecimal():
            seconds = float(value)
        elif value:
            seconds = (parsedate_to_datetime(value) - parsedate_to_datetime(headers["date"])).total_seconds()
        else:
            return None
    except (ValueError, KeyError, TypeError):
        return None
    return min(max(seconds, 0.0), MAX_RETRY_AFTER) if math.isfinite(seconds) else None
