"""The unmodified openai client, against a server on this machine."""

from __future__ import annotations

import base64
import json
import struct
import time
from collections.abc import AsyncIterator, Iterable
from typing import Any

import openai
import pytest
from openai.types.chat import ChatCompletionChunk
from pydantic import BaseModel

from craton.core.chat import ReasoningPart, TextPart, ToolUsePart

PROMPT: list[Any] = [{"role": "user", "content": "hello there, world"}]
TOOLS: list[Any] = [
    {
        "type": "function",
        "function": {
            "name": "get_weather",
            "strict": True,
            "parameters": {
                "type": "object",
                "properties": {"city": {"type": "string"}},
                "required": ["city"],
                "additionalProperties": False,
            },
        },
    }
]


@pytest.fixture(scope="module", params=["/v1", "/openai/v1"])
def client(api: Any, request: pytest.FixtureRequest) -> openai.OpenAI:
    return openai.OpenAI(base_url=api.url + request.param, api_key=api.token, max_retries=0)


@pytest.fixture
async def async_client(api: Any) -> AsyncIterator[openai.AsyncOpenAI]:
    async with openai.AsyncOpenAI(base_url=f"{api.url}/v1", api_key=api.token, max_retries=0) as client:
        yield client  # closed in its own loop: left open, it closes itself in the loop of some later test


def say(text: str) -> list[Any]:
    return [{"role": "user", "content": text}]


def collect(chunks: Iterable[ChatCompletionChunk], into: list[str]) -> None:
    for chunk in chunks:
        into.append(chunk.choices[0].delta.content or "")  # noqa: PERF401 - extend would lose what came before an error


def test_a_chat_completion(client: openai.OpenAI) -> None:
    reply = client.chat.completions.with_raw_response.create(model="echo", messages=PROMPT)
    answer = reply.parse()
    assert answer.choices[0].message.content == "hello there, world"
    assert answer.choices[0].finish_reason == "stop"
    assert (answer.model, answer.created) == ("echo", 1_790_000_000)
    assert answer.id == f"chatcmpl-{reply.headers['x-request-id']}"
    assert answer.usage is not None
    assert answer.usage.total_tokens == answer.usage.prompt_tokens + answer.usage.completion_tokens > 0


def test_a_stream_says_the_same_with_usage_at_the_end(client: openai.OpenAI) -> None:
    chunks = list(
        client.chat.completions.create(
            model="echo", messages=PROMPT, stream=True, stream_options={"include_usage": True}
        )
    )
    whole = client.chat.completions.create(model="echo", messages=PROMPT)
    spoken = [choice.delta.content or "" for chunk in chunks for choice in chunk.choices]
    assert "".join(spoken) == whole.choices[0].message.content
    assert len([piece for piece in spoken if piece]) > 1
    assert chunks[0].choices[0].delta.role == "assistant"
    assert chunks[-2].choices[0].finish_reason == "stop"
    assert chunks[-1].usage == whole.usage


@pytest.mark.anyio
async def test_the_async_client(async_client: openai.AsyncOpenAI) -> None:
    whole = await async_client.chat.completions.create(model="echo", messages=PROMPT)
    stream = await async_client.chat.completions.create(model="echo", messages=PROMPT, stream=True)
    spoken = [choice.delta.content or "" async for chunk in stream for choice in chunk.choices]
    assert "".join(spoken) == whole.choices[0].message.content


def test_tools_reasoning_and_text_in_one_answer(client: openai.OpenAI) -> None:
    with client.chat.completions.stream(model="echo", messages=say("think and call"), tools=TOOLS) as stream:
        kinds = [event.type for event in stream]
        streamed = stream.get_final_completion().choices[0]
    whole = client.chat.completions.create(model="echo", messages=say("think and call"), tools=TOOLS)
    choice = whole.choices[0]
    assert choice.finish_reason == streamed.finish_reason == "tool_calls"
    assert choice.message.content == streamed.message.content == "One moment."
    assert choice.message.model_extra == {"reasoning_content": "Let me look."}
    assert (streamed.message.model_extra or {})["reasoning_content"] == "Let me look."
    both: tuple[Any, Any] = choice.message.tool_calls, streamed.message.tool_calls
    for calls in both:
        named = [(call.id, call.function.name, json.loads(call.function.arguments)) for call in calls]
        assert named == [("call_1", "get_weather", {"city": "Paris", "days": 2}), ("call_2", "get_time", {})]
    assert "tool_calls.function.arguments.done" in kinds
    assert whole.usage is not None
    assert whole.usage.prompt_tokens_details is not None
    assert whole.usage.prompt_tokens_details.cached_tokens == 4
    assert whole.usage.completion_tokens_details is not None
    assert whole.usage.completion_tokens_details.reasoning_tokens == 3


def test_an_answer_and_its_tool_results_can_be_sent_back(client: openai.OpenAI, api: Any) -> None:
    message = client.chat.completions.create(model="echo", messages=say("think and call")).choices[0].message
    results = [{"role": "tool", "tool_call_id": call.id, "content": "42"} for call in message.tool_calls or ()]
    history: list[Any] = [*say("think and call"), message, *results, *say("thanks")]
    answer = client.chat.completions.create(model="echo", messages=history)
    assert answer.choices[0].message.content == "thanks"
    assert [type(part) for part in api.serving.request.messages[1].parts] == [
        ReasoningPart,
        TextPart,
        ToolUsePart,
        ToolUsePart,
    ]


def test_a_forced_tool_is_called(client: openai.OpenAI) -> None:
    choice: Any = {"type": "function", "function": {"name": "get_weather"}}
    answer = client.chat.completions.create(model="echo", messages=PROMPT, tools=TOOLS, tool_choice=choice)
    calls: Any = answer.choices[0].message.tool_calls
    assert calls[0].function.name == "get_weather"
    assert set(json.loads(calls[0].function.arguments)) == {"city"}


class Forecast(BaseModel):
    city: str
    sunny: bool
    degrees: list[int]


def test_structured_output_is_parsed(client: openai.OpenAI) -> None:
    parsed = client.chat.completions.parse(model="echo", messages=PROMPT, response_format=Forecast)
    assert isinstance(parsed.choices[0].message.parsed, Forecast)
    with client.chat.completions.stream(model="echo", messages=PROMPT, response_format=Forecast) as stream:
        stream.until_done()
        assert stream.get_final_completion().choices[0].message.parsed == parsed.choices[0].message.parsed


def test_many_choices_with_logprobs(client: openai.OpenAI) -> None:
    answer = client.chat.completions.create(
        model="echo", messages=PROMPT, n=3, logprobs=True, top_logprobs=2, stop=[" world"]
    )
    assert [choice.index for choice in answer.choices] == [0, 1, 2]
    for choice in answer.choices:
        assert choice.message.content == "hello there,"
        assert choice.logprobs is not None
        assert choice.logprobs.content is not None
        assert "".join(token.token for token in choice.logprobs.content) == choice.message.content
        assert all(len(token.top_logprobs) == 2 for token in choice.logprobs.content)
    with client.chat.completions.stream(
        model="echo", messages=PROMPT, n=3, logprobs=True, top_logprobs=2, stop=[" world"]
    ) as stream:
        stream.until_done()
        streamed = stream.get_final_completion()
    assert [choice.logprobs for choice in streamed.choices] == [choice.logprobs for choice in answer.choices]


@pytest.mark.parametrize(
    ("text", "limit", "reason"), [("be refused", None, "content_filter"), ("one two three", 1, "length")]
)
def test_why_an_answer_ended(client: openai.OpenAI, text: str, limit: int | None, reason: str) -> None:
    extra: dict[str, Any] = {} if limit is None else {"max_tokens": limit}
    assert client.chat.completions.create(model="echo", messages=say(text), **extra).choices[0].finish_reason == reason


def test_embeddings_in_both_encodings_are_the_same_vectors(client: openai.OpenAI) -> None:
    by_default = client.embeddings.create(model="echo", input=["a b", "c"], dimensions=8)
    floats = client.embeddings.create(model="echo", input=["a b", "c"], dimensions=8, encoding_format="float")
    coded: Any = client.embeddings.create(model="echo", input="a b", dimensions=8, encoding_format="base64")
    assert [row.embedding for row in by_default.data] == [row.embedding for row in floats.data]
    assert isinstance(coded.data[0].embedding, str)
    assert [row.index for row in floats.data] == [0, 1]
    assert by_default.usage.prompt_tokens == by_default.usage.total_tokens == 3
    assert by_default.model == "echo"
    raw = client.embeddings.with_raw_response.create(model="echo", input="a b", dimensions=8).http_response.json()
    assert struct.unpack("<8f", base64.b64decode(raw["data"][0]["embedding"])) == tuple(floats.data[0].embedding)


def test_token_ids_can_be_embedded(client: openai.OpenAI) -> None:
    one = client.embeddings.create(model="echo", input=[1, 2, 3])
    two = client.embeddings.create(model="echo", input=[[1, 2, 3], [4]])
    assert len(one.data) == 1
    assert two.data[0].embedding == one.data[0].embedding
    assert two.usage.prompt_tokens == 4


def test_models_are_listed_and_found_by_names_with_slashes(client: openai.OpenAI) -> None:
    assert [model.id for model in client.models.list()] == ["acme/bert", "echo", "smollm2-135m-instruct"]
    model = client.models.retrieve("acme/bert")
    assert (model.id, model.object, model.owned_by, model.created) == ("acme/bert", "model", "craton", 1_700_000_000)


def test_a_stream_that_breaks_raises_after_what_was_said(client: openai.OpenAI) -> None:
    spoken: list[str] = []
    stream = client.chat.completions.create(model="echo", messages=say("break off"), stream=True)
    with pytest.raises(openai.APIError, match="out of memory"):
        collect(stream, spoken)
    assert "".join(spoken).strip() == "one two"


def test_leaving_a_stream_frees_its_place(client: openai.OpenAI, api: Any) -> None:
    long = say("word " * 2000)
    with client.chat.completions.create(model="echo", messages=long, stream=True) as stream:
        next(iter(stream))
    deadline = time.monotonic() + 5
    while api.serving.active and time.monotonic() < deadline:
        time.sleep(0.01)
    assert api.serving.active == 0
