"""Providers' errors in the platform's words."""

from __future__ import annotations

import json

import pytest

from craton.core.errors import (
    ContextExceeded,
    CratonError,
    InvalidRequest,
    ModelFailed,
    ModelUnavailable,
    Throttled,
)
from craton.engines.upstream.failures import MAX_MESSAGE, read_failure, sanitise


def error_of(status: int, body: object, **headers: str) -> CratonError:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    return read_failure(status, named, raw).to_error("m")


@pytest.mark.parametrize(
    ("status", "body", "expected"),
    [
        (429, {"error": {"code": "insufficient_quota", "message": "x"}}, ModelUnavailable),
        (402, {"error": {"message": "Insufficient Balance"}}, ModelUnavailable),
        (404, {"error": "model 'x' not found"}, ModelUnavailable),
        (404, b"nginx", ModelUnavailable),
        (502, b"", ModelUnavailable),
        (529, {"type": "error", "error": {"type": "overloaded_error"}}, ModelUnavailable),
        (413, {"type": "error", "error": {"type": "request_too_large", "message": "big"}}, InvalidRequest),
        (422, {"detail": "no field x"}, InvalidRequest),
        (400, {"object": "error", "message": "bad", "code": 400}, InvalidRequest),
        (500, {"error": {"type": "api_error"}}, ModelFailed),
        (418, b"\xff\xfe", ModelFailed),
        (400, b"[" * 100_000, InvalidRequest),
        (0, {"error": {"code": 429, "message": "slow down"}}, Throttled),
        (0, {"error": {"type": "invalid_request_error", "message": "x"}}, InvalidRequest),
        (0, {"error": True}, ModelFailed),
    ],
    ids=str,
)
def test_status_and_code_name_the_error(status: int, body: object, expected: type[CratonError]) -> None:
    assert type(error_of(status, body)) is expected


@pytest.mark.parametrize(
    ("name", "status", "expected"),
    [
        ("ThrottlingException", 429, Throttled),
        ("ModelNotReadyException", 429, ModelUnavailable),
        ("ServiceUnavailableException:http://x/", 503, ModelUnavailable),
        ("ResourceNotFoundException", 404, ModelUnavailable),
        ("UnrecognizedClientException", 403, ModelUnavailable),
        ("ExpiredTokenException", 400, ModelUnavailable),
        ("ModelErrorException", 424, ModelFailed),
        ("ModelTimeoutException", 408, ModelFailed),
        ("ValidationException", 400, InvalidRequest),
    ],
)
def test_the_exceptions_of_aws_have_their_place(name: str, status: int, expected: type[CratonError]) -> None:
    assert type(error_of(status, {"message": "x"}, x_amzn_errortype=name)) is expected


@pytest.mark.parametrize(
    ("body", "limit", "prompt"),
    [
        (
            "This model's maximum context length is 8192 tokens. However, your messages resulted in 9000 tokens.",
            8192,
            9000,
        ),
        (
            "This model's maximum context length is 4097 tokens. However, you requested 5000 tokens (1 in ...)",
            4097,
            5000,
        ),
        ("prompt is too long: 210000 tokens > 200000 maximum", 200000, 210000),
        ("input length and `max_tokens` exceed context limit: 198000 + 8000 > 200000, decrease", 200000, 206000),
    ],
)
def test_the_numbers_of_a_long_prompt_are_found(body: str, limit: int, prompt: int) -> None:
    error = error_of(400, {"error": {"message": body}})
    assert isinstance(error, ContextExceeded)
    assert (error.limit, error.prompt) == (limit, prompt)


def test_llama_servers_numbers_stand_in_fields() -> None:
    body = {"error": {"code": 400, "type": "exceed_context_size_error", "n_prompt_tokens": 5000, "n_ctx": 4096}}
    error = error_of(400, body)
    assert isinstance(error, ContextExceeded)
    assert (error.limit, error.prompt) == (4096, 5000)


def test_a_long_prompt_without_numbers_is_an_invalid_request() -> None:
    error = error_of(400, {"error": {"code": "context_length_exceeded", "message": "Input is too long."}})
    assert isinstance(error, InvalidRequest)
    assert "Input is too long." in str(error)


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"retry-after": "3"}, 3.0),
        ({"retry-after-ms": "250"}, 0.25),
        ({"retry-after": "Mon, 23 Nov 2026 12:00:30 GMT", "date": "Mon, 23 Nov 2026 12:00:00 GMT"}, 30.0),
        ({"retry-after": "99999999"}, 3600.0),
        ({"retry-after": "soon"}, None),
        ({"retry-after-ms": "nan"}, None),
        ({"retry-after-ms": "-1"}, 0.0),
        ({"retry-after": "Mon, 23 Nov 2026 12:00:30 GMT"}, None),
        ({}, None),
    ],
)
def test_retry_after_is_read_in_its_forms_and_bounded(headers: dict[str, str], seconds: float | None) -> None:
    assert read_failure(429, headers, b"").retry_after == seconds


def test_what_a_provider_says_is_one_bounded_clean_line() -> None:
    text = sanitise("a\x00b\n c " + "x" * 10_000 + " secret", ("secret",))
    assert text.startswith("a b c x")
    assert len(text) == MAX_MESSAGE


@pytest.mark.parametrize(
    ("said", "left"),
    [
        ("key s3cret-value bad", "key [key] bad"),
        ("Incorrect API key provided: sk-ab****wxyz.", "Incorrect API key provided: [key]"),
        ("Bearer abc.def", "[key]"),
        ("AKIAABCDEFGH1234 is unknown", "[key] is unknown"),
        ("see https://host.internal:9/x?y", "see [address]"),
        ("at 10.1.2.3:8000 now", "at [address] now"),
        ("open /srv/models/a.gguf", "open [address]"),
        ("max_tokens must be > 0 and/or 1/2", "max_tokens must be > 0 and/or 1/2"),
    ],
)
def test_keys_addresses_and_paths_are_taken_out(said: str, left: str) -> None:
    assert sanitise(said, ("s3cret-value",)) == left
