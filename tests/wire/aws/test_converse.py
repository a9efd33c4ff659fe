"""Converse, ConverseStream and CountTokens through an unmodified client."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from botocore.exceptions import ClientError, EventStreamError

from craton.core.chat import (
    AudioPart,
    CacheMark,
    CitationPart,
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
from craton.core.errors import ContextExceeded, ModelUnavailable, Throttled

HELLO = [{"role": "user", "content": [{"text": "hello there world"}]}]
WEATHER = {
    "toolSpec": {
        "name": "weather",
        "description": "The weather",
        "inputSchema": {"json": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}},
    }
}
SCRIPT = """
rules:
  - when: {contains: everything}
    reply:
      - {reasoning: Let me look., signature: sig}
      - {text: One moment.}
      - {tool: weather, arguments: {city: Paris}, id: call_1}
    usage: {input: 10, output: 5, cached_input: 4, cache_write: 1}
  - when: {contains: throttle}
    throttle: {calls: 9, retry_after: 3}
  - when: {contains: early}
    fault: {after: 0, reason: out of memory}
  - when: {contains: late}
    fault: {after: 1, reason: out of memory}
"""


def user(text: str) -> list[dict[str, Any]]:
    return [{"role": "user", "content": [{"text": text}]}]


def rebuild(events: list[dict[str, Any]]) -> dict[str, Any]:
    """What a client makes of a stream: the members of Converse's whole answer."""
    blocks: dict[int, dict[str, Any]] = {}
    answer: dict[str, Any] = {}
    for event in events:
        ((name, value),) = event.items()
        if name == "messageStart":
            answer["role"] = value["role"]
        elif name == "contentBlockStart":
            blocks[value["contentBlockIndex"]] = {"toolUse": {**value["start"]["toolUse"], "input": ""}}
        elif name == "contentBlockDelta":
            ((kind, delta),) = value["delta"].items()
            block = blocks.setdefault(value["contentBlockIndex"], {})
            if kind == "text":
                block["text"] = block.get("text", "") + delta
            elif kind == "toolUse":
                block["toolUse"]["input"] += delta["input"]
            else:
                text = block.setdefault("reasoningContent", {"reasoningText": {"text": ""}})["reasoningText"]
                for member, piece in delta.items():
                    text[member] = text.get(member, "") + piece
        elif name == "messageStop":
            answer["stopReason"] = value["stopReason"]
        elif name == "metadata":
            answer["usage"] = value["usage"]
    for block in blocks.values():
        if "toolUse" in block:
            block["toolUse"]["input"] = json.loads(block["toolUse"]["input"])
    answer["content"] = [block for _, block in sorted(blocks.items())]
    return answer


def test_an_answer_names_its_parts_stop_usage_and_the_model_that_ran(endpoint: Callable[..., Any]) -> None:
    place = endpoint()
    answer = place.client("bedrock-runtime").converse(modelId="echo", messages=HELLO)
    assert answer["output"]["message"] == {"role": "assistant", "content": [{"text": "hello there world"}]}
    assert answer["stopReason"] == "end_turn"
    assert answer["usage"] == {"inputTokens": 3, "outputTokens": 3, "totalTokens": 6}
    assert answer["metrics"]["latencyMs"] >= 0
    assert answer["ResponseMetadata"]["RequestId"] == "req-1"
    assert answer["ResponseMetadata"]["HTTPHeaders"]["x-craton-model"] == "echo"
    assert "trace" not in answer
    call = place.serving.calls[0]
    assert (call.dialect, call.operation, call.request_id, call.caller.tenant) == ("aws", "Converse", "req-1", "acme")


def test_the_folded_stream_equals_the_whole_answer(endpoint: Callable[..., Any]) -> None:
    place = endpoint(SCRIPT)
    client = place.client("bedrock-runtime")
    request = {"modelId": "echo", "messages": user("everything"), "toolConfig": {"tools": [WEATHER]}}
    whole = client.converse(**request)
    events = list(client.converse_stream(**request)["stream"])
    names = [next(iter(event)) for event in events]
    assert (names[0], names[-2], names[-1]) == ("messageStart", "messageStop", "metadata")
    assert names.count("contentBlockStart") == 1
    assert names.count("contentBlockStop") == 3
    rebuilt = rebuild(events)
    assert rebuilt["content"] == whole["output"]["message"]["content"]
    assert rebuilt["content"] == [
        {"reasoningContent": {"reasoningText": {"text": "Let me look.", "signature": "sig"}}},
        {"text": "One moment."},
        {"toolUse": {"toolUseId": "call_1", "name": "weather", "input": {"city": "Paris"}}},
    ]
    assert (rebuilt["role"], rebuilt["stopReason"], rebuilt["usage"]) == ("assistant", "tool_use", whole["usage"])
    assert whole["usage"] == {
        "inputTokens": 5,
        "outputTokens": 5,
        "totalTokens": 15,
        "cacheReadInputTokens": 4,
        "cacheWriteInputTokens": 1,
    }
    assert place.serving.closed == 2


def test_everything_that_core_can_say_is_read(endpoint: Callable[..., Any]) -> None:
    place = endpoint()
    messages = [
        {
            "role": "user",
            "content": [
                {"text": "look"},
                {"image": {"format": "png", "source": {"bytes": b"\x89PNG"}}},
                {"document": {"format": "pdf", "name": "paper", "source": {"bytes": b"%PDF"}}},
                {"document": {"name": "notes", "source": {"text": "ünder"}}},
                {"document": {"name": "parts", "source": {"content": [{"text": "a"}, {"text": "b"}]}}},
                {"audio": {"format": "wav", "source": {"bytes": b"RIFF"}}},
                {"cachePoint": {"type": "default", "ttl": "1h"}},
                {"guardContent": {"text": {"text": "guarded", "qualifiers": ["query"]}}},
            ],
        },
        {
            "role": "assistant",
            "content": [
                {"reasoningContent": {"reasoningText": {"text": "hm", "signature": "s"}}},
                {"reasoningContent": {"redactedContent": b"\x01"}},
                {"toolUse": {"toolUseId": "t1", "name": "weather", "input": {"city": "Paris"}}},
                {"citationsContent": {"content": [{"text": "cited"}], "citations": [{"title": "T"}]}},
            ],
        },
        {
            "role": "user",
            "content": [
                {
                    "toolResult": {
                        "toolUseId": "t1",
                        "content": [
                            {"text": "rain"},
                            {"json": {"mm": 3}},
                            {"image": {"format": "jpeg", "source": {"bytes": b"J"}}},
                            {"document": {"format": "csv", "name": "d", "source": {"bytes": b"a,b"}}},
                        ],
                        "status": "error",
                    }
                }
            ],
        },
    ]
    place.client("bedrock-runtime").converse(
        modelId="echo",
        messages=messages,
        system=[{"text": "be short"}, {"cachePoint": {"type": "default"}}],
        inferenceConfig={"maxTokens": 7, "temperature": 0.5, "topP": 0.9, "stopSequences": ["END", "\n\n"]},
        toolConfig={
            "tools": [WEATHER, {"cachePoint": {"type": "default"}}],
            "toolChoice": {"tool": {"name": "weather"}},
        },
        additionalModelRequestFields={
            "top_k": 5,
            "seed": 1,
            "min_p": 0.1,
            "thinking": {"type": "enabled", "budget_tokens": 99},
        },
        outputConfig={
            "textFormat": {
                "type": "json_schema",
                "structure": {"jsonSchema": {"schema": '{"type":"object"}', "name": "n"}},
            },
            "effort": "low",
        },
        requestMetadata={"team": "a"},
    )
    request = place.serving.requests[0]
    cache, guard = {"cachePoint": {"type": "default", "ttl": "1h"}}, {"guardContent": True, "qualifiers": ["query"]}
    assert request.messages == (
        Message(
            "user",
            (
                TextPart("look"),
                ImagePart("png", b"\x89PNG"),
                DocumentPart("paper", "pdf", b"%PDF"),
                DocumentPart("notes", "txt", "ünder".encode()),
                DocumentPart("parts", "txt", b"a\nb"),
                AudioPart("wav", b"RIFF"),
                CacheMark(extra=cache),
                TextPart("guarded", extra=guard),
            ),
        ),
        Message(
            "assistant",
            (
                ReasoningPart("hm", signature="s"),
                ReasoningPart("", redacted=b"\x01"),
                ToolUsePart("t1", "weather", {"city": "Paris"}),
                CitationPart("cited", ({"title": "T"},)),
            ),
        ),
        Message(
            "user",
            (
                ToolResultPart(
                    "t1",
                    (
                        TextPart("rain"),
                        TextPart('{"mm":3}', extra={"json": {"mm": 3}}),
                        ImagePart("jpeg", b"J"),
                        DocumentPart("d", "csv", b"a,b"),
                    ),
                    is_error=True,
                ),
            ),
        ),
    )
    assert request.system == (TextPart("be short"), CacheMark(extra={"cachePoint": {"type": "default"}}))
    assert request.sampling == Sampling(
        max_tokens=7, temperature=0.5, top_p=0.9, top_k=5, min_p=0.1, stop=("END", "\n\n"), seed=1
    )
    spec = WEATHER["toolSpec"]
    assert request.tools == (
        Tool(
            "weather",
            spec["inputSchema"]["json"],  # type: ignore[index]
            description="The weather",
            extra={"cachePoint": {"type": "default"}},
        ),
    )
    assert request.tool_choice == ToolChoice(mode="tool", name="weather")
    assert request.output_schema == OutputSchema({"type": "object"}, name="n")
    assert request.reasoning == ReasoningOptions(budget_tokens=99, effort="low")
    assert request.extra == {"requestMetadata": {"team": "a"}}


@pytest.mark.parametrize(("choice", "expected"), [({"auto": {}}, ToolChoice()), ({"any": {}}, ToolChoice(mode="any"))])
def test_a_tool_choice_is_read(choice: dict[str, Any], expected: ToolChoice, endpoint: Callable[..., Any]) -> None:
    place = endpoint()
    config = {"tools": [WEATHER], "toolChoice": choice}
    place.client("bedrock-runtime").converse(modelId="echo", messages=HELLO, toolConfig=config)
    assert place.serving.requests[0].tool_choice == expected


@pytest.mark.parametrize(
    ("name", "value", "says"),
    [
        ("guardrailConfig", {"guardrailIdentifier": "g", "guardrailVersion": "1"}, "guardrailConfig is not supported"),
        ("promptVariables", {"x": {"text": "y"}}, "promptVariables is not supported"),
        ("performanceConfig", {"latency": "optimized"}, "optimized"),
        ("additionalModelRequestFields", {"top_kk": 1}, "'top_kk' is not known; known are"),
        ("additionalModelRequestFields", {"top_k": "x"}, "Expected int"),
        ("additionalModelRequestFields", [1], "additionalModelRequestFields"),
        ("additionalModelRequestFields", {"top_k": 1, "topK": 2}, "topK is given twice"),
        ("outputConfig", {"effort": "extreme"}, "outputConfig.effort"),
        (
            "outputConfig",
            {"textFormat": {"type": "json_schema", "structure": {"jsonSchema": {"schema": "[1]"}}}},
            "must be the text of a JSON object",
        ),
        ("toolConfig", {"tools": []}, "length greater than or equal to 1"),
        ("toolConfig", {"tools": [{"systemTool": {"name": "nova_grounding"}}]}, "nova_grounding"),
        ("toolConfig", {"tools": [WEATHER, WEATHER]}, "given twice"),
        ("toolConfig", {"tools": [WEATHER], "toolChoice": {"tool": {"name": "nope"}}}, "there is no tool 'nope'"),
        ("inferenceConfig", {"maxTokens": 0}, "'inferenceConfig.maxTokens'"),
        ("inferenceConfig", {"temperature": 1.5}, "value less than or equal to 1"),
        ("inferenceConfig", {"maxTokens": "many"}, "Member must be an integer"),
        ("messages", [], "at least one message"),
        ("messages", [{"role": "user", "content": []}], "needs content"),
        ("messages", [{"role": "assistant", "content": [{"text": "x"}]}], "start with a user message"),
        ("messages", [{"role": "robot", "content": []}], "'messages.1.member.role'"),
        ("messages", [{"role": "user"}], "'messages.1.member.content'"),
    ],
)
def test_what_cannot_be_done_is_refused_by_name(name: str, value: Any, says: str, endpoint: Callable[..., Any]) -> None:
    place = endpoint()
    client = place.client("bedrock-runtime")
    with pytest.raises(client.exceptions.ValidationException) as caught:
        client.converse(**{"modelId": "echo", "messages": HELLO, name: value})
    assert says in caught.value.response["Error"]["Message"]
    assert caught.value.response["ResponseMetadata"]["HTTPStatusCode"] == 400
    assert place.serving.requests == []


@pytest.mark.parametrize(
    "block",
    [
        {"video": {"format": "mp4", "source": {"bytes": b"v"}}},
        {"image": {"format": "png", "source": {"s3Location": {"uri": "s3://b/k"}}}},
        {"searchResult": {"source": "s", "title": "t", "content": [{"text": "x"}]}},
        {"document": {"format": "txt", "name": "n", "source": {"text": "x"}, "citations": {"enabled": True}}},
        {"document": {"format": "txt", "name": "n", "source": {"text": "x"}, "context": "c"}},
        {"document": {"name": "n", "source": {"bytes": b"x"}}},
        {"toolUse": {"toolUseId": "t", "name": "n", "input": [1]}},
        {"toolUse": {"toolUseId": "t", "name": "n", "input": {}, "type": "server_tool_use"}},
        {"toolResult": {"toolUseId": "t", "content": [{"video": {"format": "mp4", "source": {"bytes": b"v"}}}]}},
        {"toolAddition": {"tool": {"name": "n"}}},
    ],
)
def test_content_that_has_no_part_is_refused_and_never_dropped(
    block: dict[str, Any], endpoint: Callable[..., Any]
) -> None:
    client = endpoint().client("bedrock-runtime")
    with pytest.raises(client.exceptions.ValidationException):
        client.converse(modelId="echo", messages=[{"role": "user", "content": [{"text": "x"}, block]}])


def test_a_block_from_a_newer_client_is_refused_by_its_name(endpoint: Callable[..., Any]) -> None:
    place = endpoint()
    client = place.client("bedrock-runtime")
    body = json.dumps({"messages": [{"role": "user", "content": [{"hologram": {}}]}], "newMember": 1}).encode()
    client.meta.events.register("before-call", lambda params, **_: params.update(body=body))
    with pytest.raises(client.exceptions.ValidationException, match="hologram"):
        client.converse(modelId="echo", messages=HELLO)


@pytest.mark.parametrize("body", [b"[]", b"{", b'{"messages": "\xff"}', b"[" * 100000, b'{"messages":' + b"[" * 999])
def test_a_body_that_is_no_request_is_refused(body: bytes, endpoint: Callable[..., Any]) -> None:
    client = endpoint().client("bedrock-runtime")
    client.meta.events.register("before-call", lambda params, **_: params.update(body=body))
    with pytest.raises(client.exceptions.ValidationException):
        client.converse(modelId="echo", messages=HELLO)


def test_the_model_that_ran_is_named_when_it_is_another(endpoint: Callable[..., Any]) -> None:
    client = endpoint().client("bedrock-runtime")
    name = "us.vendor.big-v1:0"
    arn = f"arn:aws:bedrock:eu-west-1:123456789012:inference-profile/{name}"
    for asked in (name, arn):
        answer = client.converse(modelId=asked, messages=HELLO)
        assert answer["trace"] == {"promptRouter": {"invokedModelId": "echo"}}
        assert answer["ResponseMetadata"]["HTTPHeaders"]["x-craton-model"] == "echo"
    stream = client.converse_stream(modelId=name, messages=HELLO)
    assert stream["ResponseMetadata"]["HTTPHeaders"]["x-craton-model"] == "echo"
    assert list(stream["stream"])[-1]["metadata"]["trace"] == {"promptRouter": {"invokedModelId": "echo"}}
    with pytest.raises(client.exceptions.ValidationException, match="prompt ARN"):
        client.converse(modelId="arn:aws:bedrock:eu-west-1:123456789012:prompt/ABCDEFGHIJ", messages=HELLO)


def test_what_the_request_asks_to_be_told_is_told(endpoint: Callable[..., Any]) -> None:
    client = endpoint().client("bedrock-runtime")
    asked = {
        "inferenceConfig": {"stopSequences": ["there"]},
        "additionalModelResponseFieldPaths": ["/stop_sequence", "/nothing"],
        "performanceConfig": {"latency": "standard"},
        "serviceTier": {"type": "flex"},
    }
    whole = client.converse(modelId="echo", messages=HELLO, **asked)
    assert whole["stopReason"] == "stop_sequence"
    assert whole["additionalModelResponseFields"] == {"stop_sequence": "there"}
    assert whole["performanceConfig"] == {"latency": "standard"}
    assert whole["serviceTier"] == {"type": "default"}
    events = list(client.converse_stream(modelId="echo", messages=HELLO, **asked)["stream"])
    assert events[-2]["messageStop"]["additionalModelResponseFields"] == {"stop_sequence": "there"}
    assert events[-1]["metadata"]["serviceTier"] == {"type": "default"}


@pytest.mark.parametrize("operation", ["converse", "converse_stream"])
def test_errors_before_the_first_event_have_their_own_status(operation: str, endpoint: Callable[..., Any]) -> None:
    place = endpoint(SCRIPT)
    client = place.client("bedrock-runtime")
    call = getattr(client, operation)
    with pytest.raises(client.exceptions.ThrottlingException) as throttled:
        call(modelId="echo", messages=user("throttle"))
    metadata = throttled.value.response["ResponseMetadata"]
    assert (metadata["HTTPStatusCode"], metadata["HTTPHeaders"]["retry-after"]) == (429, "3")
    with pytest.raises(client.exceptions.ResourceNotFoundException, match="no model 'nope'"):
        call(modelId="nope", messages=HELLO)
    with pytest.raises(client.exceptions.ValidationException, match=r"9,000 tokens; the context of echo holds 8,192"):
        call(modelId="echo", messages=user("word " * 9000))


def test_errors_in_mid_stream_become_exception_frames(endpoint: Callable[..., Any]) -> None:
    place = endpoint(SCRIPT)
    client = place.client("bedrock-runtime")

    def broken_with(error: Exception | None, text: str = "hello there") -> tuple[list[Any], Any]:
        place.serving.broken = error
        seen: list[Any] = []
        with pytest.raises(EventStreamError) as caught:
            seen.extend(iter(client.converse_stream(modelId="echo", messages=user(text))["stream"]))
        return seen, caught.value.response["Error"]

    assert broken_with(None, "late")[1]["Code"] == "modelStreamErrorException"
    assert "out of memory" in broken_with(None, "late")[1]["Message"]
    assert broken_with(Throttled("enough"))[1] == {"Code": "throttlingException", "Message": "enough"}
    assert broken_with(ModelUnavailable("echo", "gone"))[1]["Code"] == "serviceUnavailableException"
    assert broken_with(ContextExceeded("echo", 1, 2))[1]["Code"] == "validationException"
    leaked = broken_with(RuntimeError("/etc/secret"))[1]
    assert leaked["Code"] == "internalServerException"
    assert "secret" not in leaked["Message"]
    assert "req-1" in leaked["Message"]
    assert place.serving.closed == 6


def test_a_model_that_fails_gives_the_services_own_error(endpoint: Callable[..., Any]) -> None:
    client = endpoint(SCRIPT).client("bedrock-runtime")
    with pytest.raises(client.exceptions.ModelErrorException) as caught:
        client.converse(modelId="echo", messages=user("early"))
    assert caught.value.response["ResponseMetadata"]["HTTPStatusCode"] == 424


def test_tokens_are_counted_as_converse_counts_them(endpoint: Callable[..., Any]) -> None:
    client = endpoint().client("bedrock-runtime")
    request = {"messages": HELLO, "system": [{"text": "be short"}]}
    counted = client.count_tokens(modelId="echo", input={"converse": request})
    assert counted["inputTokens"] == client.converse(modelId="echo", **request)["usage"]["inputTokens"]
    with pytest.raises(client.exceptions.ValidationException, match="exactly one known member"):
        client.count_tokens(modelId="echo", input={})


def test_a_wrong_key_gets_no_answer(endpoint: Callable[..., Any]) -> None:
    place = endpoint()
    with pytest.raises(ClientError) as caught:
        place.client("bedrock-runtime", secret="wrong").converse(modelId="echo", messages=HELLO)
    assert caught.value.response["Error"]["Code"] == "InvalidSignatureException"
    assert caught.value.response["ResponseMetadata"]["HTTPStatusCode"] == 403
    assert place.serving.requests == []
