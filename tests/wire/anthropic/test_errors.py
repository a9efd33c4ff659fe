"""Every error of the platform reaches Anthropic's client as the class, status and type that it knows."""

from __future__ import annotations

from typing import Any

import anthropic
import pytest

from craton.core import errors
from craton.wire.anthropic.errors import TABLE

EXPECTED: dict[str, tuple[type[anthropic.APIStatusError], int, str]] = {
    "invalid": (anthropic.BadRequestError, 400, "invalid_request_error"),
    "unsupported": (anthropic.BadRequestError, 400, "invalid_request_error"),
    "too-long": (anthropic.BadRequestError, 400, "invalid_request_error"),
    "forbidden": (anthropic.PermissionDeniedError, 403, "permission_error"),
    "missing": (anthropic.NotFoundError, 404, "not_found_error"),
    "conflict": (anthropic.ConflictError, 409, "invalid_request_error"),
    "too-large": (anthropic.APIStatusError, 413, "request_too_large"),
    "throttled": (anthropic.RateLimitError, 429, "rate_limit_error"),
    "failed": (anthropic.InternalServerError, 500, "api_error"),
    "internal": (anthropic.InternalServerError, 500, "api_error"),
    "damaged": (anthropic.InternalServerError, 500, "api_error"),
    "deadline": (anthropic.InternalServerError, 504, "timeout_error"),
    "disk-full": (anthropic.InternalServerError, 507, "api_error"),
    "unavailable": (anthropic.InternalServerError, 529, "overloaded_error"),
}
HELLO: list[Any] = [{"role": "user", "content": "x"}]


@pytest.fixture(scope="module")
def client(api: Any) -> anthropic.Anthropic:
    return anthropic.Anthropic(base_url=api.url, api_key=api.token, max_retries=0)


@pytest.mark.parametrize("name", sorted(EXPECTED))
@pytest.mark.parametrize("stream", [False, True])
def test_the_client_raises_the_matching_class(client: anthropic.Anthropic, name: str, stream: bool) -> None:
    """Also when a stream was asked for: nothing was sent yet."""
    kind, status, error_type = EXPECTED[name]
    with pytest.raises(kind) as caught:
        client.messages.create(model=name, max_tokens=5, messages=HELLO, stream=stream)
    assert caught.value.status_code == status
    body: Any = caught.value.body
    assert body["type"] == "error"
    assert body["error"]["type"] == error_type
    assert body["request_id"] == caught.value.request_id


def test_a_wrong_key_is_an_authentication_error(api: Any) -> None:
    with pytest.raises(anthropic.AuthenticationError, match="authentication_error"):
        anthropic.Anthropic(base_url=api.url, api_key="wrong", max_retries=0).models.list()


def test_a_prompt_that_is_too_long_names_both_numbers(client: anthropic.Anthropic) -> None:
    with pytest.raises(anthropic.BadRequestError, match=r"prompt is too long: 90\d\d tokens > 8192 maximum"):
        client.messages.create(model="echo", max_tokens=5, messages=[{"role": "user", "content": "word " * 9000}])


@pytest.mark.parametrize(("name", "calls"), [("throttled", 3), ("deadline", 1), ("unsupported", 1), ("invalid", 1)])
def test_only_what_may_pass_is_tried_again(api: Any, name: str, calls: int) -> None:
    client = anthropic.Anthropic(base_url=api.url, api_key=api.token, max_retries=2)
    api.serving.calls.clear()
    with pytest.raises(anthropic.APIStatusError):
        client.messages.create(model=name, max_tokens=5, messages=HELLO)
    assert api.serving.calls == [name] * calls


def test_every_error_has_a_row() -> None:
    kinds = [kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, errors.CratonError)]
    assert {kind for kind in kinds if kind not in TABLE} <= {errors.Internal}
