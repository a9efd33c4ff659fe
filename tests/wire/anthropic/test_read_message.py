"""What Anthropic's message bodies are read into, and what is refused."""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import Callable
from typing import Any, get_type_hints

import msgspec
import pytest
from anthropic.types import message_count_tokens_params, message_create_params
from anthropic.types.beta import message_create_params as beta_params
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from craton.core.chat import (
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
from craton.wire.anthropic import AnthropicDialect
from craton.wire.anthropic.errors import describe
from craton.wire.anthropic.members import HARMLESS, REFUSED
from craton.wire.anthropic.read_message import read_count, read_message
from craton.wire.anthropic.requests import MessagesBody
from craton.wire.http import Handler, Reply, Request

DATA = base64.b64encode(b"bytes").decode()
WEATHER = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
TOOLS = [{"name": "weather", "description": "Tells it.", "input_schema": WEATHER}]
MARK = {"type": "ephemeral", "ttl": "1h"}
IMAGE = {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": DATA}}
PDF = {"type": "document", "title": "a", "source": {"type": "base64", "media_type": "application/pdf", "data": DATA}}
RICH: dict[str, Any] = {
    "model": "echo",
    "max_tokens": 500,
    "system": [{"type": "text", "text": "Be brief.", "cache_control": MARK}],
    "messages": [
        {"role": "user", "content": [{"type": "text", "text": "What is it?"}, IMAGE, {**PDF, "cache_control": MARK}]},
        {
            "role": "assistant",
            "content": [
                {"type": "thinking", "thinking": "Hm.", "signature": "sig"},
                {"type": "redacted_thinking", "data": "opaque"},
                {"type": "text", "text": "Let me look."},
                {"type": "tool_use", "id": "t1", "name": "weather", "input": {"city": "Rome"}},
                {"type": "tool_use", "id": "t2", "name": "weather", "input": {}},
            ],
        },
        {
            "role": "user",
            "content": [
                {"type": "tool_result", "tool_use_id": "t1", "content": "sunny"},
                {
                    "type": "tool_result",
                    "tool_use_id": "t2",
                    "is_error": True,
                    "content": [{"type": "text", "text": "no"}, IMAGE],
                },
            ],
        },
        {"role": "user", "content": "And now?"},
    ],
    "tools": TOOLS,
    "tool_choice": {"type": "tool", "name": "weather", "disable_parallel_tool_use": True},
    "thinking": {"type": "enabled", "budget_tokens": 100},
    "output_config": {"effort": "max", "format": {"type": "json_schema", "schema": WEATHER}},
    "temperature": 0.5,
    "top_p": 0.9,
    "top_k": 40,
    "stop_sequences": ["a", "b"],
    "metadata": {"user_id": "u"},
    "service_tier": "auto",
    "stream": True,
}


def read(**changes: Any) -> ChatRequest:
    body = {"model": "echo", "max_tokens": 50, "messages": [{"role": "user", "content": "Hi"}], **changes}
    return read_message(json.dumps(body).encode()).request


def user(*blocks: Any) -> dict[str, Any]:
    return {"messages": [{"role": "user", "content": list(blocks)}]}


def test_a_rich_body_is_read_whole() -> None:
    asked = read_message(json.dumps(RICH).encode())
    assert asked.stream
    assert asked.request == ChatRequest(
        model="echo",
        system=(TextPart("Be brief."), CacheMark()),
        messages=(
            Message(
                "user",
                (TextPart("What is it?"), ImagePart("png", b"bytes"), DocumentPart("a", "pdf", b"bytes"), CacheMark()),
            ),
            Message(
                "assistant",
                (
                    ReasoningPart("Hm.", "sig"),
                    ReasoningPart("", redacted=b"opaque"),
                    TextPart("Let me look."),
                    ToolUsePart("t1", "weather", {"city": "Rome"}),
                    ToolUsePart("t2", "weather", {}),
                ),
            ),
            Message(
                "user",
                (
                    ToolResultPart("t1", (TextPart("sunny"),)),
                    ToolResultPart("t2", (TextPart("no"), ImagePart("png", b"bytes")), is_error=True),
                    TextPart("And now?"),
                ),
            ),
        ),
        tools=(Tool("weather", WEATHER, "Tells it."),),
        tool_choice=ToolChoice("tool", "weather", parallel=False),
        sampling=Sampling(max_tokens=500, temperature=0.5, top_p=0.9, top_k=40, stop=("a", "b")),
        output_schema=OutputSchema(WEATHER),
        reasoning=ReasoningOptions(True, 100, "max"),
    )


def test_a_small_body_asks_for_nothing_more() -> None:
    assert read() == ChatRequest("echo", (Message("user", (TextPart("Hi"),)),), sampling=Sampling(max_tokens=50))


def test_nulls_are_as_good_as_nothing() -> None:
    names = {*RICH, *REFUSED} - {"model", "messages", "max_tokens"}
    assert read(**dict.fromkeys(names)) == read()


def test_counting_needs_no_max_tokens() -> None:
    body = {"model": "echo", "messages": [{"role": "user", "content": "Hi"}]}
    assert read_count(json.dumps(body).encode()).sampling == Sampling()


@pytest.mark.parametrize(
    ("changes", "read_as"),
    [
        ({"system": "Be kind."}, ("system", (TextPart("Be kind."),))),
        ({"tools": TOOLS, "tool_choice": {"type": "auto"}}, ("tool_choice", ToolChoice())),
        (
            {"tools": TOOLS, "tool_choice": {"type": "any", "disable_parallel_tool_use": True}},
            ("tool_choice", ToolChoice("any", parallel=False)),
        ),
        ({"tools": TOOLS, "tool_choice": {"type": "none"}}, ("tool_choice", ToolChoice("none"))),
        ({"thinking": {"type": "disabled"}}, ("reasoning", ReasoningOptions(enabled=False))),
        ({"thinking": {"type": "adaptive"}}, ("reasoning", ReasoningOptions())),
        ({"output_config": {"effort": "high"}}, ("reasoning", None)),
        ({"output_format": {"type": "json_schema", "schema": WEATHER}}, ("output_schema", OutputSchema(WEATHER))),
        (
            {"cache_control": {"type": "ephemeral"}},
            ("messages", (Message("user", (TextPart("Hi"), CacheMark())),)),
        ),
        (
            {"tools": [{**TOOLS[0], "cache_control": MARK, "type": "custom", "strict": True}]},
            ("tools", (Tool("weather", WEATHER, "Tells it.", True, {"cache_control": True}),)),
        ),
        (
            {"messages": [{"role": "user", "content": "a"}, {"role": "system", "content": "b"}]},
            ("messages", (Message("user", (TextPart("a"),)), Message("system", (TextPart("b"),)))),
        ),
        (
            user({"type": "document", "source": {"type": "text", "media_type": "text/plain", "data": "x"}}),
            ("messages", (Message("user", (DocumentPart("document", "txt", b"x"),)),)),
        ),
        (
            user(
                {
                    "type": "document",
                    "title": "t",
                    "citations": {"enabled": False},
                    "source": {"type": "content", "content": [{"type": "text", "text": "x"}]},
                }
            ),
            ("messages", (Message("user", (DocumentPart("t", "txt", b"x"),)),)),
        ),
    ],
)
def test_each_option_has_its_word_in_core(changes: dict[str, Any], read_as: tuple[str, Any]) -> None:
    assert getattr(read(**changes), read_as[0]) == read_as[1]


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"model": 5}, "model"),
        ({"max_tokens": None}, "max_tokens"),
        ({"max_tokens": -1}, "max_tokens"),
        ({"max_tokens": "many"}, "max_tokens"),
        ({"messages": []}, "messages"),
        ({"messages": [5]}, "messages[0]"),
        ({"messages": [{"role": "tool", "content": "x"}]}, "messages[0].role"),
        ({"messages": [{"role": "user"}]}, "messages[0]"),
        (user({"type": "poem"}), "messages[0].content[0].type"),
        (
            user({"type": "server_tool_use", "id": "1", "name": "web_search", "input": {}}),
            "messages[0].content[0].type",
        ),
        (user({"type": "search_result", "source": "s", "title": "t", "content": []}), "messages[0].content[0].type"),
        (user({"type": "text"}), "messages[0].content[0]"),
        (user({"type": "tool_use", "id": "1", "name": "n", "input": {}}), "messages[0].content[0]"),
        (
            user({"type": "image", "source": {"type": "base64", "media_type": "image/tiff", "data": DATA}}),
            "messages[0].content[0].source.media_type",
        ),
        (
            user({"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "?"}}),
            "messages[0].content[0].source.data",
        ),
        (
            user({"type": "document", "source": {"type": "base64", "media_type": "text/x", "data": DATA}}),
            "messages[0].content[0].source.media_type",
        ),
        (
            {
                "messages": [
                    {"role": "assistant", "content": [{"type": "tool_use", "id": "1", "name": "n", "input": 5}]}
                ]
            },
            "messages[0].content[0].input",
        ),
        ({"messages": [{"role": "assistant", "content": [IMAGE]}]}, "messages[0].content[0]"),
        ({"temperature": 1.1}, "temperature"),
        ({"top_p": "x"}, "top_p"),
        ({"top_k": -1}, "top_k"),
        ({"stop_sequences": "x"}, "stop_sequences"),
        ({"stop_sequences": [""]}, "stop_sequences[0]"),
        ({"system": [5]}, "system[0]"),
        ({"tools": [{"name": "a b", "input_schema": {}}]}, "tools[0].name"),
        ({"tools": [{"name": "a"}]}, "tools[0]"),
        ({"tools": [{"name": "a", "input_schema": {"maximum": 2**70}}]}, "tools[0].input_schema"),
        ({"tool_choice": "auto"}, "tool_choice"),
        ({"tool_choice": {"type": "tool"}}, "tool_choice"),
        ({"thinking": {"type": "enabled"}}, "thinking"),
        ({"thinking": {"type": "enabled", "budget_tokens": 50}}, "thinking.budget_tokens"),
        ({"thinking": {"type": "between_tools"}}, "thinking.type"),
        ({"output_config": {"format": {"type": "xml"}}}, "output_config.format.type"),
        ({"stream": "yes"}, "stream"),
    ],
)
def test_a_wrong_value_is_refused_with_the_name_of_its_member(changes: dict[str, Any], field: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        read(**changes)
    assert caught.value.field == field


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
        {"max_tokens": 0},
        {"tools": [{"type": "web_search_20260318", "name": "web_search"}]},
        {"tools": [{**TOOLS[0], "defer_loading": True}]},
        {"tools": [{**TOOLS[0], "input_examples": [{"city": "Rome"}]}]},
        {"tools": [{**TOOLS[0], "allowed_callers": ["code_execution_20260521"]}]},
        {"output_config": {"effort": "low"}},
        {"output_config": {"task_budget": {"type": "tokens", "total": 5}}},
        {"thinking": {"type": "adaptive", "display": "omitted"}},
        user({"type": "image", "source": {"type": "url", "url": "http://169.254.169.254/"}}),
        user({"type": "image", "source": {"type": "file", "file_id": "f"}}),
        user({**IMAGE, "transformations": {"resize": 1}}),
        user({"type": "document", "source": {"type": "url", "url": "http://127.0.0.1/"}}),
        user({**PDF, "citations": {"enabled": True}}),
        user({**PDF, "context": "from 1999"}),
    ],
)
def test_what_cannot_be_done_is_refused(changes: dict[str, Any]) -> None:
    with pytest.raises(Unsupported):
        read(**changes)


def test_every_member_that_the_client_can_send_is_read_harmless_or_refused() -> None:
    known = {field.name for field in msgspec.structs.fields(MessagesBody)} | set(HARMLESS) | set(REFUSED)
    for params in (
        message_create_params.MessageCreateParamsBase,
        message_count_tokens_params.MessageCountTokensParams,
        beta_params.MessageCreateParamsBase,
    ):
        assert set(get_type_hints(params)) - known == set()


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
    body = json.dumps(data.draw(mutated({**RICH, "stream": False}))).encode()
    handlers = {route.operation: route.handler for route in AnthropicDialect(serving).routes()}
    handler = handlers[data.draw(st.sampled_from(["CreateMessage", "CountMessageTokens"]))]
    try:
        reply = asyncio.run(answered(handler, ask(body)))
    except CratonError as error:
        row, _ = describe(error, "req-1")
        assert row.status < 500
    else:
        assert reply.status == 200
