"""What is particular to Bedrock's wire: signatures, frames, and the bodies of embedding models."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from craton.core.chat import (
    AudioPart,
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
    ToolResultPart,
)
from craton.core.errors import ModelFailed, Throttled, Unsupported
from craton.core.events import Event, fold
from craton.core.model import EmbedRequest, ModelInfo
from craton.engines.upstream import BearerKey, BedrockUpstream, Timeouts

pytestmark = pytest.mark.anyio

INFO = ModelInfo(id="m", verbs=("chat", "embed"), engine="upstream")


@pytest.fixture
def provider(providers: dict[str, Any]) -> Iterator[Any]:
    chosen = providers["bedrock"]
    chosen.complaints = []
    yield chosen
    assert not chosen.complaints


@pytest.fixture
def engine(provider: Any, client: httpx.AsyncClient) -> BedrockUpstream:
    built = provider.wire.build(client, provider.url, Timeouts())
    assert isinstance(built, BedrockUpstream)
    return built


@pytest.fixture
def bearer(providers: dict[str, Any], client: httpx.AsyncClient) -> Any:
    """Engines for other models, with a bearer key; what the server's signature check says is not looked at."""

    def build(model: str) -> BedrockUpstream:
        url = providers["bedrock"].url
        return BedrockUpstream(client, model=model, base_url=url, credential=BearerKey("a-bearer-key"), info=INFO)

    return build


def ask(*messages: Message, **more: Any) -> ChatRequest:
    return ChatRequest("m", messages or (Message("user", (TextPart("Hello?"),)),), **more)


async def events(engine: BedrockUpstream, request: ChatRequest) -> list[Event]:
    return [event async for event in engine.chat(request)]


async def test_thoughts_media_cache_marks_and_schema_fit_the_service_model(
    provider: Any, engine: BedrockUpstream, answer: Any
) -> None:
    """The server validates the body with botocore's model and the signature by recomputing it."""
    provider.answers(answer([("text", ["ok"])]))
    request = ask(
        Message("user", (TextPart("a"), CacheMark(), DocumentPart("d", "pdf", b"%PDF"), AudioPart("wav", b"RIFF"))),
        Message("assistant", (ReasoningPart("why", signature="sig"), ReasoningPart("", redacted=b"\x00\xff"))),
        Message("system", (TextPart("in between"),)),
        Message("user", (ToolResultPart("t", (TextPart('{"a":1}', extra={"json": {"a": 1}}), TextPart("b"))),)),
        system=(TextPart("s"), CacheMark()),
        tools=(Tool("f", {"type": "object"}, "does f", extra={"cachePoint": {"type": "default", "ttl": "1h"}}),),
        tool_choice=ToolChoice("any"),
        output_schema=OutputSchema({"type": "object"}),
        reasoning=ReasoningOptions(budget_tokens=1024),
        sampling=Sampling(max_tokens=5000, top_k=7),
        extra={"requestMetadata": {"team": "a"}},
    )
    await events(engine, request)
    body = provider.seen[0].body
    assert body["additionalModelRequestFields"] == {
        "top_k": 7,
        "thinking": {"type": "enabled", "budget_tokens": 1024},
    }
    assert body["toolConfig"]["tools"][1] == {"cachePoint": {"type": "default", "ttl": "1h"}}
    assert body["messages"][3]["content"][0]["toolResult"]["content"] == [{"json": {"a": 1}}, {"text": "b"}]
    assert body["requestMetadata"] == {"team": "a"}
    assert body["messages"][0]["content"][1] == {"cachePoint": {"type": "default"}}
    assert body["messages"][1]["content"][1]["reasoningContent"]["redactedContent"] == "AP8="
    schema = body["outputConfig"]["textFormat"]["structure"]["jsonSchema"]["schema"]
    assert json.loads(schema) == {"type": "object"}


async def test_redacted_thoughts_are_read(provider: Any, engine: BedrockUpstream, answer: Any) -> None:
    provider.answers(answer([("redacted", base64.b64encode(b"\x00\xff").decode()), ("text", ["a"])]))
    parts = fold(await events(engine, ask())).choices[0].parts
    assert parts == (ReasoningPart("", redacted=b"\x00\xff"), TextPart("a"))


async def test_usage_holds_the_cached_tokens(provider: Any, engine: BedrockUpstream, answer: Any) -> None:
    provider.answers(answer([("text", ["a"])], input=5, output=2, cached=20))
    usage = fold(await events(engine, ask())).usage
    assert (usage.input, usage.output, usage.cached_input) == (25, 2, 20)


async def test_a_bearer_key_is_sent_as_one(providers: dict[str, Any], bearer: Any, answer: Any) -> None:
    provider = providers["bedrock"]
    provider.answers(answer([("text", ["a"])]))
    arn = "arn:aws:bedrock:eu-central-1:123456789012:inference-profile/eu.x-v1:0"
    assert fold(await events(bearer(arn), ask())).choices[0].text() == "a"
    assert provider.seen[0].headers["authorization"] == "Bearer a-bearer-key"
    assert provider.seen[0].path == (
        "/model/arn%3Aaws%3Abedrock%3Aeu-central-1%3A123456789012%3Ainference-profile%2Feu.x-v1%3A0/converse-stream"
    )
    assert "a-bearer-key" not in repr(BearerKey("a-bearer-key"))


@pytest.mark.parametrize(
    "change",
    [
        {"tools": (Tool("f", {}),), "tool_choice": ToolChoice("none")},
        {"tools": (Tool("f", {}),), "tool_choice": ToolChoice(parallel=False)},
        {"messages": (Message("user", (TextPart("a"),), name="Ann"),)},
    ],
    ids=["no tool", "one at a time", "name"],
)
async def test_what_this_wire_cannot_say_is_refused(
    provider: Any, engine: BedrockUpstream, change: dict[str, Any]
) -> None:
    provider.says(b"")
    with pytest.raises(Unsupported):
        await events(engine, ChatRequest("m", **({"messages": ask().messages} | change)))
    assert provider.seen == []


@pytest.mark.parametrize(
    "change", [{"sampling": Sampling(top_k=3)}, {"reasoning": ReasoningOptions(enabled=False)}], ids=str
)
async def test_claudes_own_fields_are_refused_for_other_models(bearer: Any, change: dict[str, Any]) -> None:
    with pytest.raises(Unsupported):
        await events(bearer("amazon.nova-lite-v1:0"), ask(**change))


async def test_counting_asks_the_provider(provider: Any, engine: BedrockUpstream, plan: Any) -> None:
    provider.will(plan([b'{"inputTokens": 17}'], content_type="application/json"))
    assert await engine.count_tokens(ask(system=(TextPart("s"),), tools=(Tool("f", {"type": "object"}),))) == 17
    assert set(provider.seen[0].body["input"]["converse"]) == {"messages", "system", "toolConfig"}


@pytest.mark.parametrize("reason", ["malformed_tool_use", "something_new"])
async def test_an_end_that_has_no_word_here_is_a_failure(
    provider: Any, engine: BedrockUpstream, answer: Any, reason: str
) -> None:
    begun = provider.wire.write(answer([("text", ["a"])]))[:-2]
    provider.says(*begun, provider.wire.event("messageStop", stopReason=reason))
    with pytest.raises(ModelFailed):
        await events(engine, ask())


async def test_content_that_nobody_asked_for_is_a_failure(provider: Any, engine: BedrockUpstream) -> None:
    event = provider.wire.event
    for step in (
        event("contentBlockStart", contentBlockIndex=0, start={"image": {"format": "png"}}),
        event("contentBlockDelta", contentBlockIndex=0, delta={"citation": {"title": "t"}}),
        event("contentBlockDelta", contentBlockIndex=0, delta={"toolUse": {"input": "{"}}),
    ):
        provider.says(event("messageStart", role="assistant"), step)
        with pytest.raises(ModelFailed, match="malformed"):
            await events(engine, ask())


async def test_events_of_later_versions_are_passed_over(provider: Any, engine: BedrockUpstream, answer: Any) -> None:
    provider.says(provider.wire.event("newThing", x=1), *provider.wire.write(answer([("text", ["a"])])))
    assert fold(await events(engine, ask())).choices[0].text() == "a"


async def test_titan_embeds_one_text_at_a_time(providers: dict[str, Any], bearer: Any, plan: Any) -> None:
    provider = providers["bedrock"]
    provider.will(plan([b'{"embedding": [0.0, 2.0], "inputTextTokenCount": 3}'], content_type="application/json"))
    got = await bearer("amazon.titan-embed-text-v2:0").embed(EmbedRequest("m", ("a", "b", "c"), dimensions=256))
    assert got.rows() == [[0.0, 1.0]] * 3
    assert (got.tokens, got.estimated) == ((3, 3, 3), False)
    assert sorted(seen.body["inputText"] for seen in provider.seen) == ["a", "b", "c"]
    assert provider.seen[0].body["dimensions"] == 256
    assert provider.seen[0].path == "/model/amazon.titan-embed-text-v2%3A0/invoke"


async def test_one_throttled_text_ends_the_whole_embedding(providers: dict[str, Any], bearer: Any) -> None:
    providers["bedrock"].refuses(429, "throttled", retry_after="2")
    with pytest.raises(Throttled):
        await bearer("amazon.titan-embed-text-v2:0").embed(EmbedRequest("m", ("a", "b", "c")))


async def test_cohere_embeds_a_batch_and_the_header_counts(providers: dict[str, Any], bearer: Any, plan: Any) -> None:
    provider = providers["bedrock"]
    body = json.dumps({"embeddings": {"float": [[1.0, 0.0], [0.0, 1.0]]}, "texts": ["a", "b"]}).encode()
    provider.will(plan([body], 200, {"x-amzn-bedrock-input-token-count": "9"}, "application/json"))
    got = await bearer("cohere.embed-multilingual-v3").embed(EmbedRequest("m", ("a", "b"), truncate=True))
    assert got.rows() == [[1.0, 0.0], [0.0, 1.0]]
    assert (sum(got.tokens), got.estimated) == (9, True)
    assert provider.seen[0].body == {
        "texts": ["a", "b"], "input_type": "search_document", "truncate": "END", "embedding_types": ["float"]
    }  # fmt: skip


@pytest.mark.parametrize(
    ("model", "request_"),
    [
        ("amazon.titan-embed-text-v2:0", EmbedRequest("m", ((1, 2),))),
        ("amazon.titan-embed-text-v2:0", EmbedRequest("m", ("a",), truncate=True)),
        ("amazon.titan-embed-text-v1", EmbedRequest("m", ("a",), dimensions=8)),
        ("cohere.embed-english-v3", EmbedRequest("m", ("a",), dimensions=8)),
        ("amazon.nova-lite-v1:0", EmbedRequest("m", ("a",))),
    ],
)
async def test_embeddings_that_a_model_cannot_make_are_refused(bearer: Any, model: str, request_: EmbedRequest) -> None:
    with pytest.raises(Unsupported):
        await bearer(model).embed(request_)
