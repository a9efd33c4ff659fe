"""The unmodified anthropic client, against a server on this machine."""

from __future__ import annotations

import time
from collections.abc import Iterable
from typing import Any

import anthropic
import pytest
from pydantic import BaseModel

TOOLS: list[Any] = [
    {
        "name": "get_weather",
        "input_schema": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
    }
]


@pytest.fixture(scope="module", params=["", "/anthropic"])
def client(api: Any, request: pytest.FixtureRequest) -> anthropic.Anthropic:
    return anthropic.Anthropic(base_url=api.url + request.param, api_key=api.token, max_retries=0)


def say(text: str) -> list[Any]:
    return [{"role": "user", "content": text}]


def collect(pieces: Iterable[str], into: list[str]) -> None:
    for piece in pieces:
        into.append(piece)  # noqa: PERF402 - extend would lose what came before the error


HELLO = say("hello there, world")


def test_a_message(client: anthropic.Anthropic) -> None:
    message = client.messages.create(model="echo", max_tokens=50, messages=HELLO)
    assert [block.to_dict() for block in message.content] == [{"type": "text", "text": "hello there, world"}]
    assert (message.model, message.role, message.stop_reason) == ("echo", "assistant", "end_turn")
    assert message._request_id is not None
    assert message.id == f"msg_{message._request_id}"
    assert message.usage.input_tokens > 0
    assert message.usage.output_tokens > 0


def test_a_stream_says_the_same(client: anthropic.Anthropic) -> None:
    whole = client.messages.create(model="echo", max_tokens=50, messages=HELLO)
    with client.messages.stream(model="echo", max_tokens=50, messages=HELLO) as stream:
        pieces = list(stream.text_stream)
        final = stream.get_final_message()
    assert len(pieces) > 1
    assert "".join(pieces) == "hello there, world"
    assert final.content[0].to_dict() == whole.content[0].to_dict()
    assert (final.usage.input_tokens, final.usage.output_tokens) == (
        whole.usage.input_tokens,
        whole.usage.output_tokens,
    )
    raw = client.messages.create(model="echo", max_tokens=50, messages=HELLO, stream=True)
    assert [event.type for event in raw][-2:] == ["message_delta", "message_stop"]


@pytest.mark.anyio
async def test_the_async_client(api: Any) -> None:
    async with anthropic.AsyncAnthropic(base_url=api.url, api_key=api.token, max_retries=0) as client:
        whole = await client.messages.create(model="echo", max_tokens=50, messages=HELLO)
        async with client.messages.stream(model="echo", max_tokens=50, messages=HELLO) as stream:
            final = await stream.get_final_message()
    assert final.content[0].to_dict() == whole.content[0].to_dict()


def test_a_bearer_token_works_too(api: Any) -> None:
    client = anthropic.Anthropic(base_url=api.url, auth_token=api.token, max_retries=0)
    assert client.messages.create(model="echo", max_tokens=5, messages=HELLO).stop_reason is not None


def test_thinking_text_and_tools_in_one_answer(client: anthropic.Anthropic) -> None:
    asked: dict[str, Any] = {"model": "echo", "max_tokens": 50, "messages": say("think and call"), "tools": TOOLS}
    whole = client.messages.create(**asked)
    with client.messages.stream(**asked) as stream:
        streamed = stream.get_final_message()
    blocks = [
        {"type": "thinking", "thinking": "Let me look.", "signature": "abc"},
        {"type": "text", "text": "One moment."},
        {"type": "tool_use", "id": "call_1", "name": "get_weather", "input": {"city": "Paris", "days": 2}},
        {"type": "tool_use", "id": "call_2", "name": "get_time", "input": {}},
    ]
    assert [block.to_dict() for block in whole.content] == blocks
    assert [block.to_dict() for block in streamed.content] == blocks
    assert whole.stop_reason == streamed.stop_reason == "tool_use"
    assert whole.usage.to_dict() == streamed.usage.to_dict()
    assert (whole.usage.input_tokens, whole.usage.cache_read_input_tokens) == (16, 4)


def test_an_answer_and_its_tool_results_can_be_sent_back(client: anthropic.Anthropic, api: Any) -> None:
    message = client.messages.create(model="echo", max_tokens=50, messages=say("think and call"))
    results = [
        {"type": "tool_result", "tool_use_id": block.id, "content": "42"}
        for block in message.content
        if block.type == "tool_use"
    ]
    history: list[Any] = [
        *say("think and call"),
        {"role": "assistant", "content": message.content},
        {"role": "user", "content": [*results, {"type": "text", "text": "thanks"}]},
    ]
    answer = client.messages.create(model="echo", max_tokens=50, messages=history)
    assert answer.content[0].to_dict() == {"type": "text", "text": "thanks"}
    thought = api.serving.request.messages[1].parts[0]
    assert (thought.text, thought.signature) == ("Let me look.", "abc")


def test_a_forced_tool_is_called(client: anthropic.Anthropic) -> None:
    choice: Any = {"type": "tool", "name": "get_weather"}
    message = client.messages.create(model="echo", max_tokens=50, messages=HELLO, tools=TOOLS, tool_choice=choice)
    block = message.content[0]
    assert block.type == "tool_use"
    assert (block.name, set(block.input)) == ("get_weather", {"city"})


def test_thinking_can_be_switched_on(client: anthropic.Anthropic) -> None:
    thinking: Any = {"type": "enabled", "budget_tokens": 1024}
    message = client.messages.create(model="echo", max_tokens=2000, messages=HELLO, thinking=thinking)
    assert [block.type for block in message.content] == ["thinking", "text"]


class Forecast(BaseModel):
    city: str
    sunny: bool
    degrees: list[int]


def test_structured_output_is_parsed(client: anthropic.Anthropic) -> None:
    message = client.messages.parse(model="echo", max_tokens=50, messages=HELLO, output_format=Forecast)
    assert isinstance(message.parsed_output, Forecast)
    with client.messages.stream(model="echo", max_tokens=50, messages=HELLO, output_format=Forecast) as stream:
        assert stream.get_final_message().parsed_output == message.parsed_output


def test_the_beta_client(client: anthropic.Anthropic) -> None:
    message = client.beta.messages.create(model="echo", max_tokens=50, messages=HELLO, betas=["some-beta-2026-01-01"])
    assert message.stop_reason == "end_turn"
    assert client.beta.messages.count_tokens(model="echo", messages=HELLO).input_tokens > 0


def test_counted_tokens_are_those_that_a_message_costs(client: anthropic.Anthropic) -> None:
    counted = client.messages.count_tokens(model="echo", messages=HELLO, system="Be brief.")
    message = client.messages.create(model="echo", max_tokens=50, messages=HELLO, system="Be brief.")
    assert counted.input_tokens == message.usage.input_tokens


@pytest.mark.parametrize(
    ("text", "asked", "reason", "sequence"),
    [
        ("a b STOP c", {"stop_sequences": ["STOP"]}, "stop_sequence", "STOP"),
        ("one two three", {"max_tokens": 1}, "max_tokens", None),
        ("be refused", {}, "refusal", None),
    ],
)
def test_why_an_answer_ended(
    client: anthropic.Anthropic, text: str, asked: dict[str, Any], reason: str, sequence: str | None
) -> None:
    message = client.messages.create(**{"model": "echo", "max_tokens": 50, "messages": say(text), **asked})
    assert (message.stop_reason, message.stop_sequence) == (reason, sequence)


def test_models_are_listed_in_pages_and_found_by_names_with_slashes(client: anthropic.Anthropic) -> None:
    names = ["acme/bert", "echo", "smollm2-135m-instruct"]
    assert [model.id for model in client.models.list(limit=2)] == names
    first = client.models.list(limit=2)
    assert (first.has_more, first.first_id, first.last_id) == (True, "acme/bert", "echo")
    assert [model.id for model in client.models.list(before_id=names[2], limit=1).data] == ["echo"]
    model = client.models.retrieve("acme/bert")
    assert (model.id, model.display_name, model.max_input_tokens) == ("acme/bert", "acme/bert", 8192)
    assert model.created_at.year == 2023
    for query in ({"limit": 0}, {"limit": 1001}, {"after_id": "nobody"}):
        with pytest.raises(anthropic.BadRequestError):
            client.models.list(**query)


def test_a_stream_that_breaks_raises_after_what_was_said(client: anthropic.Anthropic) -> None:
    spoken: list[str] = []
    with client.messages.stream(model="echo", max_tokens=50, messages=say("break off")) as stream:
        with pytest.raises(anthropic.APIStatusError, match="out of memory"):
            collect(stream.text_stream, spoken)
        assert "".join(spoken).strip() == "one two"


def test_leaving_a_stream_frees_its_place(client: anthropic.Anthropic, api: Any) -> None:
    with client.messages.create(model="echo", max_tokens=5000, messages=say("word " * 2000), stream=True) as stream:
        next(iter(stream))
    deadline = time.monotonic() + 5
    while api.serving.active and time.monotonic() < deadline:
        time.sleep(0.01)
    assert api.serving.active == 0
