"""What is particular to OpenAI's wire and to the servers that speak variants of it."""

from __future__ import annotations

import array
import base64
import json
import math
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from craton.core.chat import (
    AudioPart,
    CacheMark,
    ChatRequest,
    DocumentPart,
    ImagePart,
    Message,
    OutputSchema,
    Part,
    ReasoningOptions,
    ReasoningPart,
    Sampling,
    TextPart,
    Tool,
    ToolChoice,
    ToolUsePart,
)
from craton.core.errors import ModelFailed, ModelUnavailable, Unsupported
from craton.core.events import Event, fold
from craton.core.model import EmbedRequest, ModelInfo
from craton.engines.upstream import DEEPSEEK, OPENAI, OpenAIOptions, OpenAIUpstream

pytestmark = pytest.mark.anyio

KEY = "the-providers-own-key-1234567890"
USAGE = {"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5}
DONE = b"data: [DONE]\n\n"


@pytest.fixture
def provider(providers: dict[str, Any]) -> Iterator[Any]:
    chosen = providers["openai"]
    chosen.complaints = []
    yield chosen
    assert not chosen.complaints


@pytest.fixture
def build(provider: Any, client: httpx.AsyncClient) -> Any:
    def build(options: OpenAIOptions | None = None) -> OpenAIUpstream:
        info = ModelInfo(id="m", verbs=("chat", "embed"), engine="upstream")
        return OpenAIUpstream(client, model="gpt-x", base_url=f"{provider.url}/v1", key=KEY, info=info, options=options)

    return build


def ask(*parts: Part, **more: Any) -> ChatRequest:
    return ChatRequest("m", (Message("user", parts or (TextPart("Hello, you there?"),)),), **more)


async def events(engine: OpenAIUpstream, request: ChatRequest) -> list[Event]:
    return [event async for event in engine.chat(request)]


def data(*choices: dict[str, Any], **more: Any) -> bytes:
    return b"data: " + json.dumps({"choices": list(choices), **more}).encode() + b"\n\n"


def said(text: str, index: int = 0, **more: Any) -> dict[str, Any]:
    return {"index": index, "delta": {"content": text}, **more}


def ended(reason: str = "stop", index: int = 0, **more: Any) -> dict[str, Any]:
    return {"index": index, "delta": {}, "finish_reason": reason, **more}


async def test_a_provider_that_counts_nothing_gets_an_estimate_that_says_so(provider: Any, build: Any) -> None:
    provider.says(data(said("Hel")), data(said("lo")), data(ended()), DONE)
    usage = fold(await events(build(), ask(TextPart("a" * 40)))).usage
    assert (usage.input, usage.output, usage.estimated) == (10, 2, True)
    assert usage.cached_input is None


async def test_usage_beside_the_last_choice_counts(provider: Any, build: Any) -> None:
    """DeepSeek and others send it there; some end without [DONE]."""
    provider.says(data(said("Hi")), data(ended(), usage={**USAGE, "prompt_cache_hit_tokens": 1}))
    usage = fold(await events(build(), ask())).usage
    assert (usage.input, usage.output, usage.cached_input, usage.estimated) == (3, 2, 1, False)


async def test_several_answers_interleave(provider: Any, build: Any) -> None:
    provider.says(
        data(said("a")), data(said("x", 1)), data(said("b"), said("y", 1)), data(ended("length", 1)), data(ended()),
        data(usage=USAGE), DONE,
    )  # fmt: skip
    answer = fold(await events(build(), ask(sampling=Sampling(n=2))))
    assert [choice.text() for choice in answer.choices] == ["ab", "xy"]
    assert [choice.stop.reason for choice in answer.choices] == ["end_turn", "max_tokens"]
    assert provider.seen[0].body["n"] == 2


async def test_a_server_that_ignores_n_is_found_out(provider: Any, build: Any) -> None:
    provider.says(data(said("a")), data(ended()), data(usage=USAGE), DONE)
    with pytest.raises(ModelFailed, match="2 answers were asked for, 1 came"):
        await events(build(), ask(sampling=Sampling(n=2)))


async def test_log_probabilities_are_read(provider: Any, build: Any) -> None:
    content = [
        {
            "token": "é",
            "logprob": -0.5,
            "bytes": [195, 169],
            "top_logprobs": [{"token": "e", "logprob": -1.5, "bytes": None}],
        }
    ]
    provider.says(data(said("é", logprobs={"content": content})), data(ended()), data(usage=USAGE), DONE)
    (token,) = fold(await events(build(), ask(sampling=Sampling(logprobs=1)))).choices[0].logprobs
    assert (token.token, token.logprob, token.bytes) == ("é", -0.5, "é".encode())
    assert [(top.token, top.logprob) for top in token.top] == [("e", -1.5)]
    assert (provider.seen[0].body["logprobs"], provider.seen[0].body["top_logprobs"]) == (True, 1)


async def test_a_server_that_ignores_logprobs_is_found_out(provider: Any, build: Any) -> None:
    provider.says(data(said("a")), data(ended()), data(usage=USAGE), DONE)
    with pytest.raises(ModelFailed, match="log probabilities"):
        await events(build(), ask(sampling=Sampling(logprobs=0)))


async def test_calls_that_all_have_the_same_index_are_told_apart_by_their_ids(provider: Any, build: Any) -> None:
    calls = [
        {"index": 0, "id": f"c{i}", "function": {"name": "f", "arguments": json.dumps({"i": i})}} for i in range(2)
    ]
    provider.says(*(data({"delta": {"tool_calls": [call]}}) for call in calls), data(ended(), usage=USAGE), DONE)
    choice = fold(await events(build(), ask(tools=(Tool("f", {"type": "object"}),)))).choices[0]
    assert choice.parts == (ToolUsePart("c0", "f", {"i": 0}), ToolUsePart("c1", "f", {"i": 1}))
    assert choice.stop.reason == "tool_use"  # though the server said "stop"


async def test_interleaved_calls_are_not_mixed_up(provider: Any, build: Any) -> None:
    def call(index: int, **more: Any) -> bytes:
        return data({"delta": {"tool_calls": [{"index": index, **more}]}})

    provider.says(
        call(0, id="a", function={"name": "f", "arguments": "{"}),
        call(1, id="b", function={"name": "f", "arguments": "{"}),
        call(0, function={"arguments": "}"}),
        call(1, function={"arguments": "}"}),
    )
    with pytest.raises(ModelFailed, match="interleaved"):
        await events(build(), ask(tools=(Tool("f", {"type": "object"}),)))


async def test_vllms_stop_sequence_is_named(provider: Any, build: Any) -> None:
    provider.says(data(said("a")), data(ended("stop", stop_reason="END"), usage=USAGE), DONE)
    stop = fold(await events(build(), ask(sampling=Sampling(stop=("END",))))).choices[0].stop
    assert (stop.reason, stop.sequence) == ("stop_sequence", "END")


async def test_a_refusal_is_told_apart_from_an_answer(provider: Any, build: Any) -> None:
    provider.says(data({"delta": {"refusal": "No."}}), data(ended(), usage=USAGE), DONE)
    choice = fold(await events(build(), ask())).choices[0]
    assert (choice.text(), choice.stop.reason) == ("No.", "content_filter")


@pytest.mark.parametrize("name", ["reasoning", "reasoning_content"])
async def test_both_names_of_thoughts_are_read(provider: Any, build: Any, name: str) -> None:
    provider.says(data({"delta": {name: "hm"}}), data(said("a")), data(ended(), usage=USAGE), DONE)
    assert fold(await events(build(), ask())).choices[0].parts == (ReasoningPart("hm"), TextPart("a"))


async def test_an_unknown_end_is_a_failure(provider: Any, build: Any) -> None:
    provider.says(data(said("a")), data(ended("insufficient_system_resource"), usage=USAGE), DONE)
    with pytest.raises(ModelFailed):
        await events(build(), ask())


async def written(provider: Any, engine: OpenAIUpstream, request: ChatRequest) -> dict[str, Any]:
    provider.says(data(said("a")), data(ended(), usage=USAGE), DONE)
    await events(engine, request)
    return dict(provider.seen[0].body)


async def test_openais_own_host_has_its_own_words(provider: Any, build: Any) -> None:
    request = ask(system=(TextPart("Be brief."),), sampling=Sampling(max_tokens=9))
    body = await written(provider, build(OPENAI), request)
    assert body["max_completion_tokens"] == 9
    assert "max_tokens" not in body
    assert body["messages"][0] == {"role": "developer", "content": "Be brief."}
    with pytest.raises(Unsupported):
        await events(build(OPENAI), ask(sampling=Sampling(top_k=3)))


@pytest.mark.parametrize(
    ("options", "asked", "expected"),
    [
        (OpenAIOptions(), ReasoningOptions(effort="high"), {"reasoning_effort": "high"}),
        (OpenAIOptions(), ReasoningOptions(enabled=False), {"reasoning_effort": "none"}),
        (DEEPSEEK, ReasoningOptions(enabled=False), {"thinking": {"type": "disabled"}}),
        (DEEPSEEK, ReasoningOptions(effort="max"), {"thinking": {"type": "enabled"}, "reasoning_effort": "max"}),
    ],
)
async def test_thinking_is_asked_for_in_the_providers_way(
    provider: Any, build: Any, options: OpenAIOptions, asked: ReasoningOptions, expected: dict[str, Any]
) -> None:
    body = await written(provider, build(options), ask(reasoning=asked))
    assert {name: body[name] for name in ("thinking", "reasoning_effort") if name in body} == expected


async def test_schema_seed_and_the_rest_are_written(provider: Any, build: Any) -> None:
    sampling = Sampling(seed=5, frequency_penalty=0.5, presence_penalty=-0.5, logit_bias={7: -2}, stop=("a", "b"))
    tools = (Tool("f", {"type": "object"}, strict=True),)
    choice = ToolChoice("any", parallel=False)
    body = await written(
        provider,
        build(),
        ask(sampling=sampling, tools=tools, tool_choice=choice, output_schema=OutputSchema({})),
    )
    assert (body["seed"], body["frequency_penalty"], body["presence_penalty"]) == (5, 0.5, -0.5)
    assert (body["logit_bias"], body["stop"]) == ({"7": -2}, ["a", "b"])
    assert (body["tool_choice"], body["parallel_tool_calls"]) == ("required", False)
    assert body["response_format"] == {"type": "json_object"}
    assert body["tools"][0]["function"]["strict"] is True


async def test_media_go_out_in_this_wires_shapes(provider: Any, build: Any) -> None:
    parts = (
        ImagePart("png", b"i", extra={"detail": "low"}),
        AudioPart("wav", b"a"),
        DocumentPart("d.pdf", "pdf", b"d"),
        CacheMark(),
    )
    content = (await written(provider, build(), ask(*parts)))["messages"][0]["content"]
    assert content[0]["image_url"] == {"url": "data:image/png;base64,aQ==", "detail": "low"}
    assert content[1]["input_audio"] == {"data": "YQ==", "format": "wav"}
    assert content[2]["file"] == {"filename": "d.pdf", "file_data": "data:application/pdf;base64,ZA=="}
    assert len(content) == 3


@pytest.mark.parametrize(
    "request_",
    [
        ask(DocumentPart("d", "docx", b"")),
        ask(AudioPart("flac", b"")),
        ask(reasoning=ReasoningOptions(budget_tokens=9)),
        ask(system=(ImagePart("png", b""),)),
        ChatRequest("m", (Message("assistant", (ReasoningPart("", redacted=b"x"),)),)),
    ],
    ids=["docx", "flac", "budget", "system image", "redacted"],
)
async def test_what_this_wire_cannot_say_is_refused(provider: Any, build: Any, request_: ChatRequest) -> None:
    provider.says(DONE)
    with pytest.raises(Unsupported):
        await events(build(), request_)
    assert provider.seen == []


def floats(*values: float) -> str:
    return base64.b64encode(array.array("f", values).tobytes()).decode()


async def test_embeddings_are_read_in_both_forms_and_have_unit_length(provider: Any, build: Any, plan: Any) -> None:
    rows = [{"index": 1, "embedding": [3.0, 4.0]}, {"index": 0, "embedding": floats(1.0, 0.0)}]
    answer = json.dumps({"data": rows, "usage": {"prompt_tokens": 10, "total_tokens": 10}}).encode()
    provider.will(plan([answer], content_type="application/json"))
    got = await build().embed(EmbedRequest("m", ("ab" * 10, "c"), dimensions=2))
    assert [[round(x, 5) for x in row] for row in got.rows()] == [[1.0, 0.0], [0.6, 0.8]]
    assert (sum(got.tokens), got.estimated, got.dimensions) == (10, True, 2)
    assert got.tokens[0] > got.tokens[1]
    assert provider.seen[0].body == {
        "model": "gpt-x", "input": ["ab" * 10, "c"], "encoding_format": "base64", "dimensions": 2
    }  # fmt: skip


async def test_tokens_of_one_embedding_are_exact(provider: Any, build: Any, plan: Any) -> None:
    answer = json.dumps({"data": [{"embedding": [2.0, 0.0]}], "usage": {"prompt_tokens": 4}}).encode()
    provider.will(plan([answer], content_type="application/json"))
    got = await build().embed(EmbedRequest("m", ("hello",)))
    assert (got.tokens, got.estimated) == ((4,), False)
    assert math.isclose(math.hypot(*got.rows()[0]), 1)


@pytest.mark.parametrize(
    "rows",
    [
        [],
        [{"embedding": []}],
        [{"embedding": [0.0, 0.0]}],
        [{"embedding": "no base64"}],
        [{"embedding": [1e39]}],
        "text",
    ],
    ids=str,
)
async def test_vectors_that_are_none_are_a_failure(provider: Any, build: Any, plan: Any, rows: Any) -> None:
    provider.will(plan([json.dumps({"data": rows}).encode()], content_type="application/json"))
    with pytest.raises(ModelFailed):
        await build().embed(EmbedRequest("m", ("hello",)))


async def test_a_wrong_key_for_embeddings_is_the_operators_matter(provider: Any, build: Any) -> None:
    provider.refuses(401, "key")
    with pytest.raises(ModelUnavailable, match="refused the configured key"):
        await build().embed(EmbedRequest("m", ("hello",)))


async def test_cutting_and_counting_are_refused(provider: Any, build: Any) -> None:
    with pytest.raises(Unsupported):
        await build().embed(EmbedRequest("m", ("hello",), truncate=True))
    with pytest.raises(Unsupported):
        await build().count_tokens(ask())


async def test_without_a_key_none_is_sent(providers: dict[str, Any], client: httpx.AsyncClient) -> None:
    provider = providers["openai"]
    provider.says(data(said("a")), data(ended(), usage=USAGE), DONE)
    info = ModelInfo(id="m", verbs=("chat",), engine="upstream")
    engine = OpenAIUpstream(client, model="llama", base_url=f"{provider.url}/v1/", key="", info=info)
    assert fold(await events(engine, ask())).choices[0].text() == "a"
    assert "authorization" not in provider.seen[0].headers
