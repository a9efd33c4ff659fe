"""The unmodified anthropic client against a whole Craton: its own process, keys, metering and workers."""

from __future__ import annotations

from typing import Any

import anthropic
import pytest


@pytest.fixture(scope="module")
def client(server: Any) -> anthropic.Anthropic:
    return anthropic.Anthropic(base_url=server.url, api_key=server.token, max_retries=0)


HELLO: list[Any] = [{"role": "user", "content": "hello there, world"}]


def test_messages_streamed_and_whole(client: anthropic.Anthropic) -> None:
    whole = client.messages.create(model="echo", max_tokens=50, messages=HELLO)
    with client.messages.stream(model="echo", max_tokens=50, messages=HELLO) as stream:
        streamed = stream.get_final_message()
    assert [block.to_dict() for block in whole.content] == [{"type": "text", "text": "hello there, world"}]
    assert [block.to_dict() for block in streamed.content] == [block.to_dict() for block in whole.content]
    assert streamed.usage.to_dict() == whole.usage.to_dict()
    assert client.messages.count_tokens(model="echo", messages=HELLO).input_tokens == whole.usage.input_tokens


def test_models_are_there_and_unknown_ones_are_not_found(client: anthropic.Anthropic) -> None:
    assert "echo" in [model.id for model in client.models.list()]
    assert client.models.retrieve("echo").id == "echo"
    with pytest.raises(anthropic.NotFoundError, match="nobody/nothing"):
        client.models.retrieve("nobody/nothing")


def test_a_request_without_the_version_header_is_answered_too(server: Any) -> None:
    with server.client() as http:
        body = {"model": "echo", "max_tokens": 5, "messages": HELLO}
        assert http.post("/v1/messages", json=body).json()["type"] == "message"
        refused = http.post("/v1/messages", json={**body, "max_tokens": "x"})
        assert refused.status_code == 400
        assert refused.json()["error"]["message"].startswith("max_tokens: ")
        assert refused.headers["request-id"] == refused.json()["request_id"]


@pytest.mark.parametrize("token", ["wrong", "craton-CRTNAAAAAAAAAAAAAAAA-x"])
def test_strangers_are_turned_away(server: Any, token: str) -> None:
    client = anthropic.Anthropic(base_url=server.url, api_key=token, max_retries=0)
    with pytest.raises(anthropic.AuthenticationError):
        client.messages.create(model="echo", max_tokens=5, messages=HELLO)
    with pytest.raises(anthropic.AuthenticationError):
        client.messages.batches.list()
