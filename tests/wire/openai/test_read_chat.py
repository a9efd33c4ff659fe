"""What OpenAI's chat bodies are read into, and what is refused."""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import Callable
from typing import Any, get_type_hints

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from openai.types import embedding_create_params
from openai.types.chat import completion_create_params

from craton.core.chat import (
    AudioPart,
    CacheMark,
    ChatRequest,
    DocumentPart,
    ImagePart,
    Message,
    OutputSchema,
    ReasoningOptions,
    ReasoningPart,
    Sampling,
    TextPart,
    Tool,
    ToolChoice,
    ToolResultPart,
    ToolUsePart,
)
from craton.core.errors import CratonError, InvalidRequest, Unsupported
from craton.wire.http import Handler, Reply, Request
from craton.wire.openai import OpenAIDialect
from craton.wire.openai.errors import describe
from craton.wire.openai.members import HARMLESS, REFUSED
from craton.wire.openai.read_chat import read_chat
from craton.wire.openai.requests import ChatBody, EmbeddingsBody

PNG = base64.b64encode(b"\x89PNG....").decode()
WEATHER = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
TOOLS = [{"type": "function", "function": {"name": "weather", "description": "Tells it.", "parameters": WEATHER}}]
RICH: dict[str, Any] = {
    "model": "echo",
    "messages": [
        {"role": "system", "content": "Be brief."},
        {"role": "developer", "content": [{"type": "text", "text": "Very."}]},
        {
            "role": "user",
            "name": "ann",
            "content": [
                {"type": "text", "text": "What is it?", "prompt_cache_breakpoint": {"mode": "explicit"}},
                {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{PNG}", "detail": "low"}},
                {"type": "file", "file": {"filename": "a.pdf", "file_data": f"data:application/pdf;base64,{PNG}"}},
            ],
        },
        {
            "role": "assistant",
            "content": None,
            "reasoning_content": "Hm.",
            "tool_calls": [
                {"id": "c1", "type": "function", "function": {"name": "weather", "arguments": '{"city": "Rome"}'}},
                {"id": "c2", "type": "function", "function": {"name": "weather", "arguments": ""}},
            ],
        },
        {"role": "tool", "tool_call_id": "c1", "content": "sunny"},
        {"role": "tool", "tool_call_id": "c2", "content": [{"type": "text", "text": "rain"}]},
        {"role": "system", "content": "Be kind."},
        {"role": "user", "content": "And now?"},
    ],
    "tools": TOOLS,
    "tool_choice": {"type": "function", "function": {"name": "weather"}},
    "parallel_tool_calls": False,
    "response_format": {"type": "json_schema", "json_schema": {"name": "out", "schema": WEATHER, "strict": True}},
    "max_completion_tokens": 50,
    "temperature": 0.5,
    "top_p": 0.9,
    "top_k": 40,
    "min_p": 0.05,
    "stop": ["a", "b"],
    "seed": 7,
    "n": 2,
    "frequency_penalty": 0.5,
    "presence_penalty": -0.5,
    "logit_bias": {"50256": -100},
    "logprobs": True,
    "top_logprobs": 3,
    "reasoning_effort": "xhigh",
    "stream": True,
    "stream_options": {"include_usage": True},
    "user": "u",
    "metadata": {"a": "b"},
    "store": False,
}


def read(**changes: Any) -> ChatRequest:
    body = {"model": "echo", "messages": [{"role": "user", "content": "Hi"}], **changes}
    return read_chat(json.dumps(body).encode()).request


def test_a_rich_body_is_read_whole() -> None:
    png = base64.b64decode(PNG)
    asked = read_chat(json.dumps(RICH).encode())
    assert asked.stream
    assert asked.include_usage
    assert asked.request == ChatRequest(
        model="echo",
        system=(TextPart("Be brief."), TextPart("Very.")),
        messages=(
            Message(
                "user",
                (
                    TextPart("What is it?"),
                    CacheMark(),
                    ImagePart("png", png, {"detail": "low"}),
                    DocumentPart("a.pdf", "pdf", png),
                ),
                "ann",
            ),
            Message(
                "assistant",
                (
                    ReasoningPart("Hm."),
                    ToolUsePart("c1", "weather", {"city": "Rome"}),
                    ToolUsePart("c2", "weather", {}),
                ),
            ),
            Message(
                "user",
                (ToolResultPart("c1", (TextPart("sunny"),)), ToolResultPart("c2", (TextPart("rain"),))),
            ),
            Message("system", (TextPart("Be kind."),)),
            Message("user", (TextPart("And now?"),)),
        ),
        tools=(Tool("weather", WEATHER, "Tells it."),),
        tool_choice=ToolChoice("tool", "weather", parallel=False),
        sampling=Sampling(
            max_tokens=50,
            temperature=0.5,
            top_p=0.9,
            top_k=40,
            min_p=0.05,
            stop=("a", "b"),
            seed=7,
            n=2,
            logprobs=3,
            frequency_penalty=0.5,
            presence_penalty=-0.5,
            logit_bias={50256: -100.0},
        ),
        output_schema=OutputSchema(WEATHER, "out"),
        reasoning=ReasoningOptions(effort="xhigh"),
    )


def test_a_small_body_asks_for_nothing_more() -> None:
    assert read() == ChatRequest("echo", (Message("user", (TextPart("Hi"),)),))


def test_nulls_are_as_good_as_nothing() -> None:
    assert read(**{name: None for name in [*RICH, *REFUSED] if name not in {"model", "messages"}}) == read()


def test_a_conversation_of_system_messages_alone_keeps_them_as_messages() -> None:
    request = read(messages=[{"role": "system", "content": "Say hello."}])
    assert (request.system, request.messages) == ((), (Message("system", (TextPart("Say hello."),)),))


def test_audio_and_files_by_name_are_read() -> None:
    audio = {"type": "input_audio", "input_audio": {"data": PNG, "format": "wav"}}
    file = {"type": "file", "file": {"filename": "notes.md", "file_data": PNG}}
    request = read(messages=[{"role": "user", "content": [audio, file]}])
    data = base64.b64decode(PNG)
    assert request.messages[0].parts == (AudioPart("wav", data), DocumentPart("notes.md", "md", data))


def test_allowed_tools_are_the_only_ones_shown() -> None:
    other = {"type": "function", "function": {"name": "clock"}}
    chosen = {"type": "function", "function": {"name": "clock"}}
    allowed = {"type": "allowed_tools", "allowed_tools": {"mode": "required", "tools": [chosen]}}
    request = read(tools=[*TOOLS, other], tool_choice=allowed)
    assert request.tools == (Tool("clock", {"type": "object", "properties": {}}),)
    assert request.tool_choice == ToolChoice("any")


@pytest.mark.parametrize(
    ("changes", "read_as"),
    [
        ({"response_format": {"type": "text"}}, ("output_schema", None)),
        ({"response_format": {"type": "json_object"}}, ("output_schema", OutputSchema({}))),
        ({"reasoning_effort": "none"}, ("reasoning", ReasoningOptions(enabled=False))),
        ({"tool_choice": "required", "tools": TOOLS}, ("tool_choice", ToolChoice("any"))),
        ({"tool_choice": "none", "tools": TOOLS}, ("tool_choice", ToolChoice("none"))),
        ({"parallel_tool_calls": False, "tools": TOOLS}, ("tool_choice", ToolChoice(parallel=False))),
        ({"stop": "x"}, ("sampling", Sampling(stop=("x",)))),
        ({"max_tokens": 5, "max_completion_tokens": 5}, ("sampling", Sampling(max_tokens=5))),
        ({"logprobs": True}, ("sampling", Sampling(logprobs=0))),
        ({"top_k": -1}, ("sampling", Sampling())),
    ],
)
def test_each_option_has_its_word_in_core(changes: dict[str, Any], read_as: tuple[str, Any]) -> None:
    assert getattr(read(**changes), read_as[0]) == read_as[1]


def user(content: Any) -> dict[str, Any]:
    return {"messages": [{"role": "user", "content": content}]}


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"model": 5}, "model"),
        ({"model": ""}, "model"),
        ({"messages": "hi"}, "messages"),
        ({"messages": []}, "messages"),
        ({"messages": [5]}, "messages[0]"),
        ({"messages": [{"role": "robot", "content": "x"}]}, "messages[0].role"),
        ({"messages": [{"role": "function", "name": "f", "content": "x"}]}, "messages[0].role"),
        ({"messages": [{"role": "user"}]}, "messages[0]"),
        ({"messages": [{"role": "assistant"}]}, "messages[0]"),
        ({"messages": [{"role": "tool", "content": "x"}]}, "messages[0]"),
        (user(5), "messages[0].content"),
        (user([{"type": "poem"}]), "messages[0].content[0].type"),
        (user([{"type": "text", "text": 5}]), "messages[0].content[0].text"),
        (user([{"type": "image_url", "image_url": {"url": "data:,x"}}]), "messages[0].content[0].image_url.url"),
        (
            user([{"type": "image_url", "image_url": {"url": "data:image/png;base64,?"}}]),
            "messages[0].content[0].image_url.url",
        ),
        (
            user([{"type": "image_url", "image_url": {"url": f"data:image/tiff;base64,{PNG}"}}]),
            "messages[0].content[0].image_url.url",
        ),
        (user([{"type": "file", "file": {}}]), "messages[0].content[0].file"),
        (user([{"type": "file", "file": {"filename": "x.exe", "file_data": PNG}}]), "messages[0].content[0].file"),
        (
            {
                "messages": [
                    {
                        "role": "assistant",
                        "tool_calls": [{"id": "1", "type": "function", "function": {"name": "f", "arguments": "[1"}}],
                    }
                ]
            },
            "messages[0].tool_calls[0].function.arguments",
        ),
        ({"temperature": 2.1}, "temperature"),
        ({"temperature": "hot"}, "temperature"),
        ({"top_p": -0.1}, "top_p"),
        ({"n": 0}, "n"),
        ({"n": 129}, "n"),
        ({"seed": 10**30}, "seed"),
        ({"max_tokens": 0}, "max_tokens"),
        ({"max_tokens": 5, "max_completion_tokens": 6}, "max_tokens"),
        ({"stop": [""]}, "stop[0]"),
        ({"stop": ["x"] * 17}, "stop"),
        ({"top_logprobs": 2}, "top_logprobs"),
        ({"logprobs": True, "top_logprobs": 21}, "top_logprobs"),
        ({"logit_bias": {"word": 1}}, "logit_bias"),
        ({"logit_bias": {"5": 101}}, "logit_bias[...]"),
        ({"tools": [{"type": "custom", "custom": {"name": "x"}}]}, "tools[0].type"),
        ({"tools": [{"type": "function", "function": {"name": "a b"}}]}, "tools[0].function.name"),
        ({"tools": [{"type": "function", "function": {"name": "a", "parameters": 5}}]}, "tools[0].function.parameters"),
        (
            {"tools": [{"type": "function", "function": {"name": "a", "parameters": {"maximum": 2**70}}}]},
            "tools[0].function.parameters",
        ),
        ({"tool_choice": "maybe"}, "tool_choice"),
        (
            {
                "tool_choice": {
                    "type": "allowed_tools",
                    "allowed_tools": {"mode": "auto", "tools": [{"type": "function", "function": {"name": "no"}}]},
                }
            },
            "tool_choice.allowed_tools.tools",
        ),
        ({"response_format": {"type": "json_schema"}}, "response_format"),
        ({"response_format": {"type": "xml"}}, "response_format.type"),
        ({"stream": "yes"}, "stream"),
        ({"stream_options": {"include_usage": True}}, "stream_options"),
        ({"reasoning_effort": "enormous"}, "reasoning_effort"),
    ],
)
def test_a_wrong_value_is_refused_with_the_name_of_its_member(changes: dict[str, Any], field: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        read(**changes)
    assert caught.value.field == field


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"hello",
        b"[]",
        b"5",
        b"null",
        b'{"model": "echo"',
        b'{"model": "echo", "messages": [{"role": "user", "content": "\xff"}]}',
        b'{"model": "echo", "messages": [{"role": "user", "content": "x"}], "unknown": "\xff"}',
        rb'{"model": "echo", "messages": [{"role": "user", "content": "\ud800"}]}',
        b'{"model": "echo", "messages": [{"role": "user", "content": "x"}], "seed": NaN}',
        b'{"model": "echo", "messages": [{"role": "user", "content": "x"}], "x": ' + b"[" * 70 + b"]" * 70 + b"}",
        b'{"model": "echo", "messages": ' + b"[" * 100_000 + b"]" * 100_000 + b"}",
    ],
)
def test_a_body_that_is_not_a_json_object_is_refused(body: bytes) -> None:
    with pytest.raises(InvalidRequest):
        read_chat(body)


@pytest.mark.parametrize("name", sorted(REFUSED))
def test_a_member_that_would_change_the_answer_is_refused_by_name(name: str) -> None:
    with pytest.raises(Unsupported) as caught:
        read(**{name: "something else"})
    assert name in caught.value.what
    for harmless in REFUSED[name].harmless:
        assert read(**{name: harmless}) == read()


@pytest.mark.parametrize(
    "changes",
    [
        user([{"type": "image_url", "image_url": {"url": "http://169.254.169.254/latest"}}]),
        user([{"type": "image_url", "image_url": {"url": "file:///etc/passwd"}}]),
        user([{"type": "file", "file": {"file_id": "file-1"}}]),
        {"messages": [{"role": "assistant", "content": "", "function_call": {"name": "f", "arguments": "{}"}}]},
        {"messages": [{"role": "assistant", "content": "", "audio": {"id": "1"}}]},
        {"stream": True, "stream_options": {"include_obfuscation": True}},
    ],
)
def test_what_cannot_be_done_is_refused(changes: dict[str, Any]) -> None:
    with pytest.raises(Unsupported):
        read(**changes)


def test_every_member_that_the_client_can_send_is_read_harmless_or_refused() -> None:
    declared = set(get_type_hints(completion_create_params.CompletionCreateParamsBase)) | {"stream"}
    read_ones = {field.name for field in msgspec.structs.fields(ChatBody)}
    assert declared - read_ones - set(HARMLESS) - set(REFUSED) == set()
    embedding = set(get_type_hints(embedding_create_params.EmbeddingCreateParams))
    assert embedding - {field.name for field in msgspec.structs.fields(EmbeddingsBody)} == {"user"}


async def answered(handler: Handler, request: Request) -> Reply:
    return await handler(request)


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_no_mutation_of_a_body_is_an_internal_error(
    mutated: Callable[[Any], st.SearchStrategy[Any]],
    serving: Any,
    ask: Callable[..., Request],
    data: st.DataObject,
) -> None:
    body = json.dumps(data.draw(mutated({**RICH, "stream": False, "stream_options": None}))).encode()
    handler = next(
        route.handler
        for route in OpenAIDialect(serving, lambda: 0.0).routes()
        if route.operation == "CreateChatCompletion"
    )
    try:
        reply = asyncio.run(answered(handler, ask(body)))
    except CratonError as error:
        row, _ = describe(error)
        assert row.status < 500
    else:
        assert reply.status == 200
