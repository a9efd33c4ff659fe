"""Every error of the platform reaches OpenAI's client as the class, status and code that it knows."""

from __future__ import annotations

from typing import Any

import openai
import pytest

from craton.core import errors
from craton.wire.openai.errors import TABLE, describe

EXPECTED: dict[str, tuple[type[openai.APIStatusError], int, str | None]] = {
    "invalid": (openai.BadRequestError, 400, None),
    "unsupported": (openai.BadRequestError, 400, "unsupported_operation"),
    "too-long": (openai.BadRequestError, 400, "context_length_exceeded"),
    "forbidden": (openai.PermissionDeniedError, 403, "insufficient_permissions"),
    "missing": (openai.NotFoundError, 404, "model_not_found"),
    "conflict": (openai.ConflictError, 409, "conflict"),
    "too-large": (openai.APIStatusError, 413, "request_too_large"),
    "throttled": (openai.RateLimitError, 429, "rate_limit_exceeded"),
    "failed": (openai.InternalServerError, 500, "model_failed"),
    "internal": (openai.InternalServerError, 500, None),
    "damaged": (openai.InternalServerError, 500, "damaged"),
    "unavailable": (openai.InternalServerError, 503, "model_unavailable"),
    "deadline": (openai.InternalServerError, 504, "deadline_exceeded"),
    "disk-full": (openai.InternalServerError, 507, "storage_full"),
}


@pytest.fixture(scope="module")
def client(api: Any) -> openai.OpenAI:
    return openai.OpenAI(base_url=f"{api.url}/v1", api_key=api.token, max_retries=0)


@pytest.mark.parametrize("name", sorted(EXPECTED))
@pytest.mark.parametrize("stream", [False, True])
def test_the_client_raises_the_matching_class(client: openai.OpenAI, name: str, stream: bool) -> None:
    """Also when a stream was asked for: nothing was sent yet."""
    kind, status, code = EXPECTED[name]
    with pytest.raises(kind) as caught:
        client.chat.completions.create(model=name, messages=[{"role": "user", "content": "x"}], stream=stream)
    assert type(caught.value) is kind
    assert (caught.value.status_code, caught.value.code) == (status, code)
    assert caught.value.request_id
    assert caught.value.type


def test_a_wrong_key_is_an_authentication_error(api: Any) -> None:
    client = openai.OpenAI(base_url=f"{api.url}/v1", api_key="wrong", max_retries=0)
    with pytest.raises(openai.AuthenticationError) as caught:
        client.models.list()
    assert caught.value.code == "invalid_api_key"


def test_a_prompt_that_is_too_long_names_both_numbers(client: openai.OpenAI) -> None:
    with pytest.raises(openai.BadRequestError) as caught:
        client.chat.completions.create(model="echo", messages=[{"role": "user", "content": "word " * 9000}])
    assert caught.value.code == "context_length_exceeded"
    assert "8192" in caught.value.message
    assert "900" in caught.value.message


@pytest.mark.parametrize(("name", "calls"), [("throttled", 3), ("deadline", 1), ("unsupported", 1), ("invalid", 1)])
def test_only_what_may_pass_is_tried_again(api: Any, name: str, calls: int) -> None:
    client = openai.OpenAI(base_url=f"{api.url}/v1", api_key=api.token, max_retries=2)
    api.serving.calls.clear()
    with pytest.raises(openai.APIStatusError):
        client.chat.completions.create(model=name, messages=[{"role": "user", "content": "x"}])
    assert api.serving.calls == [name] * calls


def test_every_error_has_a_row() -> None:
    kinds = [kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, errors.CratonError)]
    assert {kind for kind in kinds if kind not in TABLE} <= {errors.Internal}
    assert describe(errors.Internal("req-1"))[0].status == 500


def test_the_member_at_fault_is_named(client: openai.OpenAI) -> None:
    with pytest.raises(openai.BadRequestError) as caught:
        client.chat.completions.create(model="echo", messages=[{"role": "user", "content": "x"}], temperature=9)
    assert caught.value.param == "temperature"
