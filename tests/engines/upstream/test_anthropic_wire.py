"""What is particular to Anthropic's wire."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from craton.core.chat import (
    CacheMark,
    ChatRequest,
    DocumentPart,
    Message,
    OutputSchema,
    ReasoningOptions,
    ReasoningPart,
    Sampling,
    TextPart,
    Tool,
    ToolChoice,
    ToolUsePart,
)
from craton.core.errors import InvalidRequest, ModelFailed, ModelUnavailable, Unsupported
from craton.core.events import Event, fold
from craton.core.model import EmbedRequest, ModelInfo
from craton.engines.upstream import AnthropicOptions, AnthropicUpstream, Timeouts

pytestmark = pytest.mark.anyio

KEY = "the-providers-own-key-1234567890"
INFO = ModelInfo(id="m", verbs=("chat",), engine="upstream")


@pytest.fixture
def provider(providers: dict[str, Any]) -> Iterator[Any]:
    chosen = providers["anthropic"]
    chosen.complaints = []
    yield chosen
    assert not chosen.complaints


@pytest.fixture
def engine(provider: Any, client: httpx.AsyncClient) -> AnthropicUpstream:
    built = provider.wire.build(client, provider.url, Timeouts())
    assert isinstance(built, AnthropicUpstream)
    return built


def ask(*messages: Message, **more: Any) -> ChatRequest:
    return ChatRequest("m", messages or (Message("user", (TextPart("Hello?"),)),), **more)


async def events(engine: AnthropicUpstream, request: ChatRequest) -> list[Event]:
    return [event async for event in engine.chat(request)]


async def written(provider: Any, engine: AnthropicUpstream, answer: Any, request: ChatRequest) -> dict[str, Any]:
    provider.answers(answer([("text", ["ok"])]))
    await events(engine, request)
    return dict(provider.seen[0].body)


async def test_the_limit_that_this_wire_demands_is_always_there(
    provider: Any, engine: AnthropicUpstream, answer: Any
) -> None:
    assert (await written(provider, engine, answer, ask()))["max_tokens"] == 4096


async def test_cache_marks_go_onto_the_block_before_them(provider: Any, engine: AnthropicUpstream, answer: Any) -> None:
    body = await written(
        provider,
        engine,
        answer,
        ask(Message("user", (TextPart("a"), CacheMark(), TextPart("b"))), system=(TextPart("s"), CacheMark())),
    )
    assert body["system"][0]["cache_control"] == {"type": "ephemeral"}
    first, second = body["messages"][0]["content"]
    assert first["cache_control"] == {"type": "ephemeral"}
    assert "cache_control" not in second
    with pytest.raises(InvalidRequest):
        await events(engine, ask(Message("user", (CacheMark(), TextPart("a")))))


async def test_input_holds_what_was_read_from_and_written_to_the_cache(
    provider: Any, engine: AnthropicUpstream
) -> None:
    event = provider.wire.event
    usage = {"input_tokens": 1, "output_tokens": 1, "cache_read_input_tokens": 10, "cache_creation_input_tokens": 100}
    provider.says(
        event("message_start", message={"usage": usage}),
        event(
            "message_delta",
            delta={"stop_reason": "stop_sequence", "stop_sequence": "END"},
            usage={"output_tokens": 7, "output_tokens_details": {"thinking_tokens": 5}},
        ),
        event("message_stop"),
    )
    answer = fold(await events(engine, ask(sampling=Sampling(stop=("END",)))))
    told = answer.usage
    assert (told.input, told.output, told.cached_input, told.cache_write, told.reasoning) == (111, 7, 10, 100, 5)
    assert (answer.choices[0].stop.reason, answer.choices[0].stop.sequence) == ("stop_sequence", "END")


async def test_redacted_thoughts_make_the_round_trip(provider: Any, engine: AnthropicUpstream, answer: Any) -> None:
    parts = [("redacted", "EmwKAhgB"), ("redacted", "c2Vjb25k"), ("reasoning", ["why"], "sig"), ("text", ["a"])]
    provider.answers(answer(parts), answer([("text", ["b"])]))
    read = fold(await events(engine, ask())).choices[0].parts
    assert read == (
        ReasoningPart("", redacted=b"EmwKAhgB"),
        ReasoningPart("", redacted=b"c2Vjb25k"),
        ReasoningPart("why", signature="sig"),
        TextPart("a"),
    )
    await events(engine, ask(*ask().messages, Message("assistant", read)))
    assert provider.seen[1].body["messages"][1]["content"] == [
        {"type": "redacted_thinking", "data": "EmwKAhgB"},
        {"type": "redacted_thinking", "data": "c2Vjb25k"},
        {"type": "thinking", "thinking": "why", "signature": "sig"},
        {"type": "text", "text": "a"},
    ]


@pytest.mark.parametrize(
    ("asked", "thinking", "effort"),
    [
        (ReasoningOptions(budget_tokens=2048), {"type": "enabled", "budget_tokens": 2048}, None),
        (ReasoningOptions(effort="high"), {"type": "adaptive"}, "high"),
        (ReasoningOptions(enabled=False), {"type": "disabled"}, None),
    ],
)
async def test_thinking_is_asked_for(
    provider: Any, engine: AnthropicUpstream, answer: Any, asked: ReasoningOptions, thinking: Any, effort: Any
) -> None:
    body = await written(provider, engine, answer, ask(reasoning=asked))
    assert body["thinking"] == thinking
    assert body.get("output_config", {}).get("effort") == effort


@pytest.mark.parametrize(
    ("choice", "expected"),
    [
        (ToolChoice(), None),
        (ToolChoice("auto", parallel=False), {"type": "auto", "disable_parallel_tool_use": True}),
        (ToolChoice("any"), {"type": "any"}),
        (ToolChoice("tool", "f", parallel=False), {"type": "tool", "name": "f", "disable_parallel_tool_use": True}),
        (ToolChoice("none"), {"type": "none"}),
    ],
)
async def test_every_way_to_choose_tools_is_written(
    provider: Any, engine: AnthropicUpstream, answer: Any, choice: ToolChoice, expected: Any
) -> None:
    tool = Tool("f", {"properties": {}}, extra={"cache_control": True})
    body = await written(provider, engine, answer, ask(tools=(tool,), tool_choice=choice))
    assert body.get("tool_choice") == expected
    assert body["tools"] == [
        {"name": "f", "input_schema": {"type": "object", "properties": {}}, "cache_control": {"type": "ephemeral"}}
    ]


async def test_documents_go_out_as_pdf_or_text(provider: Any, engine: AnthropicUpstream, answer: Any) -> None:
    parts = (DocumentPart("a.pdf", "pdf", b"%PDF"), DocumentPart("b.md", "md", "# é".encode()))
    content = (await written(provider, engine, answer, ask(Message("user", parts))))["messages"][0]["content"]
    assert content[0]["source"] == {"type": "base64", "media_type": "application/pdf", "data": "JVBERg=="}
    assert content[1]["source"] == {"type": "text", "media_type": "text/plain", "data": "# é"}


@pytest.mark.parametrize(
    "request_",
    [
        ask(Message("user", (DocumentPart("d", "docx", b""),))),
        ask(Message("assistant", (ReasoningPart("another model's"),))),
        ask(Message("assistant", (ReasoningPart("", redacted=b"\xff"),))),
        ask(Message("assistant", (ToolUsePart("i", "f", {}, broken="{"),))),
        ask(Message("user", (TextPart("a"),), name="Ann")),
        ask(output_schema=OutputSchema({})),
    ],
    ids=["docx", "unsigned", "redacted elsewhere", "broken call", "name", "any JSON"],
)
async def test_what_this_wire_cannot_say_is_refused(
    provider: Any, engine: AnthropicUpstream, request_: ChatRequest
) -> None:
    provider.says(b"")
    with pytest.raises(Unsupported):
        await events(engine, request_)
    assert provider.seen == []


async def test_counting_asks_the_provider(provider: Any, engine: AnthropicUpstream, plan: Any) -> None:
    provider.will(plan([b'{"input_tokens": 17}'], content_type="application/json"))
    request = ask(system=(TextPart("s"),), sampling=Sampling(temperature=0.5), tools=(Tool("f", {"type": "object"}),))
    assert await engine.count_tokens(request) == 17
    assert set(provider.seen[0].body) == {"model", "messages", "system", "tools"}


async def test_overload_in_the_middle_is_no_fault_of_the_request(
    provider: Any, engine: AnthropicUpstream, answer: Any
) -> None:
    error = {"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}}
    begun = provider.wire.write(answer([("text", ["a"])]))[:4]
    provider.says(*begun, b"event: error\ndata: " + json.dumps(error).encode() + b"\n\n")
    with pytest.raises(ModelUnavailable, match="overloaded"):
        await events(engine, ask())


@pytest.mark.parametrize(
    "steps",
    [
        [("content_block_start", {"index": 0, "content_block": {"type": "server_tool_use", "id": "a", "name": "b"}})],
        [("content_block_delta", {"index": 0, "delta": {"type": "text_delta", "text": "a"}})],
        [
            ("content_block_start", {"index": 0, "content_block": {"type": "text", "text": ""}}),
            ("content_block_start", {"index": 1, "content_block": {"type": "text", "text": ""}}),
        ],
        [("message_delta", {"delta": {"stop_reason": "pause_turn"}}), ("message_stop", {})],
        [("message_start", {"message": {}})],
    ],
    ids=["server tool", "delta without start", "overlap", "pause", "two starts"],
)
async def test_events_out_of_order_or_unasked_for_are_failures(
    provider: Any, engine: AnthropicUpstream, steps: list[tuple[str, dict[str, Any]]]
) -> None:
    event = provider.wire.event
    start = event("message_start", message={"usage": {"input_tokens": 1, "output_tokens": 1}})
    provider.says(start, *(event(name, **fields) for name, fields in steps))
    with pytest.raises(ModelFailed, match="malformed"):
        await events(engine, ask())


async def test_the_key_is_sent_in_the_way_that_was_chosen(
    provider: Any, client: httpx.AsyncClient, answer: Any
) -> None:
    for options, header in ((AnthropicOptions(), "x-api-key"), (AnthropicOptions(auth="bearer"), "authorization")):
        provider.answers(answer([("text", ["ok"])]))
        engine = AnthropicUpstream(client, model="claude-x", base_url=provider.url, key=KEY, info=INFO, options=options)
        await events(engine, ask())
        assert {"x-api-key", "authorization"} & set(provider.seen[0].headers) == {header}


async def test_the_newer_version_takes_no_sampling(provider: Any, client: httpx.AsyncClient, answer: Any) -> None:
    provider.answers(answer([("text", ["ok"])]))
    newer = AnthropicOptions(version="2026-10-21")
    engine = AnthropicUpstream(client, model="claude-x", base_url=provider.url, key=KEY, info=INFO, options=newer)
    with pytest.raises(Unsupported, match=r"sampling\.temperature"):
        await events(engine, ask(sampling=Sampling(temperature=1.0)))
    assert fold(await events(engine, ask())).choices[0].text() == "ok"
    assert provider.seen[0].headers["anthropic-version"] == "2026-10-21"


async def test_there_are_no_embeddings(engine: AnthropicUpstream) -> None:
    with pytest.raises(Unsupported):
        await engine.embed(EmbedRequest("m", ("a",)))
