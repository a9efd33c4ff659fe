"""The unmodified openai client against a whole Craton: its own process, keys, metering and workers."""

from __future__ import annotations

import json
from typing import Any

import openai
import pytest


@pytest.fixture(scope="module")
def client(server: Any) -> openai.OpenAI:
    return openai.OpenAI(base_url=f"{server.url}/v1", api_key=server.token, max_retries=0)


HELLO: list[Any] = [{"role": "user", "content": "hello there, world"}]


def test_chat_streamed_and_whole(client: openai.OpenAI) -> None:
    whole = client.chat.completions.create(model="echo", messages=HELLO)
    stream = client.chat.completions.create(
        model="echo", messages=HELLO, stream=True, stream_options={"include_usage": True}
    )
    chunks = list(stream)
    spoken = "".join(choice.delta.content or "" for chunk in chunks for choice in chunk.choices)
    assert whole.choices[0].message.content == spoken == "hello there, world"
    assert chunks[-1].usage == whole.usage


def test_models_are_there_and_unknown_ones_are_not_found(client: openai.OpenAI) -> None:
    assert "echo" in [model.id for model in client.models.list()]
    assert client.models.retrieve("echo").id == "echo"
    with pytest.raises(openai.NotFoundError) as caught:
        client.models.retrieve("nobody/nothing")
    assert caught.value.code == "model_not_found"
    with pytest.raises(openai.NotFoundError):
        client.chat.completions.create(model="nobody", messages=HELLO)


def test_a_slash_in_a_models_name_may_be_encoded_or_not(server: Any) -> None:
    with server.client() as http:
        for path in ("/v1/models/nobody%2Fnothing", "/v1/models/nobody/nothing"):
            error = http.get(path).json()["error"]
            assert error["code"] == "model_not_found"
            assert "nobody/nothing" in error["message"]


def test_a_schema_that_is_none_is_refused_with_a_request_id(client: openai.OpenAI) -> None:
    schema: Any = {"type": "json_schema", "json_schema": {"name": "x", "schema": {"type": "no such type"}}}
    with pytest.raises(openai.BadRequestError) as caught:
        client.chat.completions.create(model="echo", messages=HELLO, response_format=schema)
    assert caught.value.request_id


@pytest.mark.parametrize("token", ["", "wrong", "craton-CRTNAAAAAAAAAAAAAAAA-x"])
def test_strangers_are_turned_away_by_every_route(server: Any, token: str) -> None:
    with server.client() as http:
        http.headers["authorization"] = f"Bearer {token}".strip()
        for method, path in (
            ("POST", "/v1/chat/completions"),
            ("POST", "/openai/v1/embeddings"),
            ("GET", "/v1/models"),
            ("POST", "/v1/responses"),
            ("GET", "/v1/nothing/at/all"),
        ):
            reply = http.request(method, path, content=b"{" if method == "POST" else None)
            assert reply.status_code == 401, path
            assert reply.json()["error"]["type"] == "invalid_request_error"


def test_hostile_bodies_get_a_400_and_the_server_goes_on(server: Any) -> None:
    bodies = [
        b"",
        b"\xff",
        b"[" * 1_000_000,
        b'{"model": "echo", "messages": ' + b"[" * 1_000_000,
        json.dumps({"model": "echo", "messages": [{"role": "user", "content": {"a": 1}}]}).encode(),
        json.dumps({"model": "\u0000", "messages": HELLO, "seed": 10**400}).encode(),
    ]
    with server.client() as http:
        for body in bodies:
            reply = http.post("/v1/chat/completions", content=body)
            assert reply.status_code in {400, 413}, body[:50]
            assert reply.headers["x-request-id"]
            assert reply.json()["error"]["message"]
        assert http.post("/v1/chat/completions", json={"model": "echo", "messages": HELLO}).status_code == 200
