"""Three providers as real HTTP servers on 127.0.0.1, each strict about what it is sent and told what to answer.

A `Wire` knows one provider's shapes: it checks every request body against the official client's own types and writes
an abstract answer the way that provider streams it.
"""

from __future__ import annotations

import base64
import functools
import json
import socket
import struct
import threading
import time
from binascii import crc32
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, Protocol

import anyio
import anyio.to_thread
import httpx
import pytest
import uvicorn

from craton.core.model import ModelInfo
from craton.engines.protocol import Engine
from craton.engines.upstream import (
    AnthropicUpstream,
    AwsKeys,
    BedrockUpstream,
    OpenAIUpstream,
    Timeouts,
)

KEY = "the-providers-own-key-1234567890"
REGION = "eu-central-1"
ACCESS_KEY = "AKIAEXAMPLEEXAMPLE01"
Step = bytes | str
"""Bytes to send; "cut" breaks the connection, "hang" waits until the other side leaves."""


@dataclass
class Plan:
    """What a provider answers next. silent: nothing, not even a status line, until the other side leaves."""

    steps: list[Step] = field(default_factory=list)
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    content_type: str | None = None
    silent: bool = False


@dataclass
class Seen:
    path: str
    headers: dict[str, str]
    body: dict[str, Any]


@dataclass
class Answer:
    """parts: ("text", pieces), ("reasoning", pieces, signature) or ("tool", id, name, pieces of the arguments)."""

    parts: list[tuple[Any, ...]]
    stop: str = "end"
    input: int = 11
    output: int = 5
    cached: int = 0


class Wire(Protocol):
    name: str
    stream_type: str
    chat_path: str

    def check(self, seen: Seen, raw: bytes, method_path: str) -> None: ...
    def build(self, client: httpx.AsyncClient, url: str, timeouts: Timeouts) -> Engine: ...
    def write(self, answer: Answer) -> list[bytes]: ...
    def error(self, kind: str, message: str) -> tuple[dict[str, str], bytes]: ...
    def stream_error(self, kind: str, message: str) -> bytes: ...
    def garbage(self) -> bytes: ...
    def endless(self) -> bytes: ...
    def images(self, body: dict[str, Any]) -> list[bytes]: ...
    def said(self, body: dict[str, Any]) -> list[tuple[str, str]]: ...


def info(model: str = "upstream-model") -> ModelInfo:
    return ModelInfo(id=model, verbs=("chat", "embed"), engine="upstream", context_length=1000)


@functools.cache
def adapter_for(model: Any) -> Any:
    """Kept, because it must outlive the lazy iterators that it gives."""
    import pydantic

    return pydantic.TypeAdapter(model)


def same_when_read(model: Any, body: dict[str, Any]) -> None:
    """Reads body with the official type. What the type does not know would be dropped, so the two would differ."""

    def whole(value: Any) -> Any:
        if isinstance(value, dict):
            return {name: whole(item) for name, item in value.items()}
        if isinstance(value, str | bytes | int | float) or value is None:
            return value
        return [whole(item) for item in value]

    read = whole(adapter_for(model).validate_python(body))
    assert read == body, (read, body)


def sse(event: str, data: Any) -> bytes:
    head = f"event: {event}\r\n" if event else ""
    return f"{head}data: {data if isinstance(data, str) else json.dumps(data)}\r\n\r\n".encode()


class OpenAIWire:
    name = "openai"
    stream_type = "text/event-stream; charset=utf-8"
    chat_path = "/v1/chat/completions"

    def check(self, seen: Seen, raw: bytes, method_path: str) -> None:
        from openai.types.chat.completion_create_params import CompletionCreateParamsStreaming
        from openai.types.embedding_create_params import EmbeddingCreateParams

        assert seen.headers["authorization"] == f"Bearer {KEY}"
        if method_path == "/v1/embeddings":
            same_when_read(EmbeddingCreateParams, seen.body)
            return
        assert method_path == self.chat_path
        body = {name: value for name, value in seen.body.items() if name not in ("top_k", "min_p", "thinking")}
        body["messages"] = [
            {name: value for name, value in message.items() if name != "reasoning_content"}
            for message in body["messages"]
        ]
        same_when_read(CompletionCreateParamsStreaming, body)

    def build(self, client: httpx.AsyncClient, url: str, timeouts: Timeouts) -> Engine:
        return OpenAIUpstream(client, model="gpt-x", base_url=f"{url}/v1", key=KEY, info=info(), timeouts=timeouts)

    def chunk(self, delta: dict[str, Any], finish: str | None = None, index: int = 0, **more: Any) -> bytes:
        choice = {"index": index, "delta": delta, "finish_reason": finish, "logprobs": None, **more}
        return sse("", {**self.frame(), "choices": [choice]})

    def frame(self) -> dict[str, Any]:
        return {"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1, "model": "gpt-x"}

    def usage(self, answer: Answer) -> bytes:
        usage = {
            "prompt_tokens": answer.input + answer.cached,
            "completion_tokens": answer.output,
            "total_tokens": answer.input + answer.cached + answer.output,
            "prompt_tokens_details": {"cached_tokens": answer.cached},
        }
        return sse("", {**self.frame(), "choices": [], "usage": usage})

    def write(self, answer: Answer) -> list[bytes]:
        out = [b": a comment\n\n", self.chunk({"role": "assistant", "content": ""})]
        calls = 0
        for part in answer.parts:
            if part[0] == "text":
                out += [self.chunk({"content": piece}) for piece in part[1]]
            elif part[0] == "reasoning":
                out += [self.chunk({"reasoning_content": piece}) for piece in part[1]]
            else:
                call = {
                    "index": calls,
                    "id": part[1],
                    "type": "function",
                    "function": {"name": part[2], "arguments": ""},
                }
                out.append(self.chunk({"tool_calls": [call]}))
                for piece in part[3]:
                    out.append(self.chunk({"tool_calls": [{"index": calls, "function": {"arguments": piece}}]}))
                calls += 1
        out.append(self.chunk({}, {"end": "stop", "tools": "tool_calls", "limit": "length"}[answer.stop]))
        return [*out, self.usage(answer), sse("", "[DONE]")]

    def error(self, kind: str, message: str) -> tuple[dict[str, str], bytes]:
        codes = {"context": "context_length_exceeded", "throttled": "rate_limit_exceeded"}
        error = {"message": message, "type": "invalid_request_error", "param": None, "code": codes.get(kind)}
        return {}, json.dumps({"error": error}).encode()

    def stream_error(self, kind: str, message: str) -> bytes:
        return sse("", {"error": {"message": message, "type": kind, "code": {"throttled": 429}.get(kind, 500)}})

    def garbage(self) -> bytes:
        return b"data: {not json\n\n"

    def endless(self) -> bytes:
        return b"data: " + b"a" * (5 * 1024 * 1024)

    def images(self, body: dict[str, Any]) -> list[bytes]:
        return [
            base64.b64decode(part["image_url"]["url"].partition(",")[2])
            for message in body["messages"]
            for part in message["content"]
            if isinstance(part, dict) and part["type"] == "image_url"
        ]

    def said(self, body: dict[str, Any]) -> list[tuple[str, str]]:
        return [(message["role"], message["content"]) for message in body["messages"]]


class AnthropicWire:
    name = "anthropic"
    stream_type = "text/event-stream; charset=utf-8"
    chat_path = "/v1/messages"

    def check(self, seen: Seen, raw: bytes, method_path: str) -> None:
        from anthropic.types.message_count_tokens_params import MessageCountTokensParams
        from anthropic.types.message_create_params import MessageCreateParamsStreaming

        assert seen.headers.get("x-api-key") == KEY or seen.headers["authorization"] == f"Bearer {KEY}"
        if method_path == "/v1/messages/count_tokens":
            same_when_read(MessageCountTokensParams, seen.body)
            return
        assert method_path == self.chat_path
        version = seen.headers["anthropic-version"]
        assert version in ("2023-06-01", "2026-10-21")
        older = ("temperature", "top_p", "top_k") if version == "2023-06-01" else ()  # the client's types are newer
        same_when_read(MessageCreateParamsStreaming, {k: v for k, v in seen.body.items() if k not in older})

    def build(self, client: httpx.AsyncClient, url: str, timeouts: Timeouts) -> Engine:
        return AnthropicUpstream(client, model="claude-x", base_url=url, key=KEY, info=info(), timeouts=timeouts)

    def write(self, answer: Answer) -> list[bytes]:
        usage = {"input_tokens": answer.input, "output_tokens": 1, "cache_read_input_tokens": answer.cached}
        message = {
            "id": "msg_1",
            "type": "message",
            "role": "assistant",
            "model": "claude-x",
            "content": [],
            "stop_reason": None,
            "stop_sequence": None,
            "usage": usage,
        }
        out = [sse("message_start", {"type": "message_start", "message": message}), sse("ping", {"type": "ping"})]
        for index, part in enumerate(answer.parts):
            start, deltas = self.block(part)
            out.append(self.event("content_block_start", index=index, content_block=start))
            out += [self.event("content_block_delta", index=index, delta=delta) for delta in deltas]
            out.append(self.event("content_block_stop", index=index))
        reason = {"end": "end_turn", "tools": "tool_use", "limit": "max_tokens"}[answer.stop]
        delta = {"stop_reason": reason, "stop_sequence": None}
        out.append(self.event("message_delta", delta=delta, usage={"output_tokens": answer.output}))
        return [*out, self.event("message_stop")]

    def event(self, name: str, **fields: Any) -> bytes:
        return sse(name, {"type": name, **fields})

    def block(self, part: tuple[Any, ...]) -> tuple[dict[str, Any], list[dict[str, Any]]]:
        if part[0] == "text":
            return {"type": "text", "text": ""}, [{"type": "text_delta", "text": piece} for piece in part[1]]
        if part[0] == "reasoning":
            deltas = [{"type": "thinking_delta", "thinking": piece} for piece in part[1]]
            signed = [{"type": "signature_delta", "signature": part[2]}]
            return {"type": "thinking", "thinking": "", "signature": ""}, [*deltas, *signed]
        if part[0] == "redacted":
            return {"type": "redacted_thinking", "data": part[1]}, []
        deltas = [{"type": "input_json_delta", "partial_json": piece} for piece in ("", *part[3])]
        return {"type": "tool_use", "id": part[1], "name": part[2], "input": {}}, deltas

    def error(self, kind: str, message: str) -> tuple[dict[str, str], bytes]:
        types = {"throttled": "rate_limit_error", "key": "authentication_error", "failed": "api_error"}
        error = {"type": types.get(kind, "invalid_request_error"), "message": message}
        return {}, json.dumps({"type": "error", "error": error}).encode()

    def stream_error(self, kind: str, message: str) -> bytes:
        return sse("error", self.error(kind, message)[1].decode())

    def garbage(self) -> bytes:
        return b"event: message_start\ndata: {not json\n\n"

    def endless(self) -> bytes:
        return b"data: " + b"a" * (5 * 1024 * 1024)

    def images(self, body: dict[str, Any]) -> list[bytes]:
        return [
            base64.b64decode(part["source"]["data"])
            for message in body["messages"]
            for part in message["content"]
            if part["type"] == "image"
        ]

    def said(self, body: dict[str, Any]) -> list[tuple[str, str]]:
        turns = [(m["role"], "".join(part["text"] for part in m["content"])) for m in body["messages"]]
        return [("system", "".join(part["text"] for part in body["system"])), *turns]


class BedrockWire:
    name = "bedrock"
    stream_type = "application/vnd.amazon.eventstream"
    model = "eu.anthropic.claude-x-v1:0"
    chat_path = "/model/eu.anthropic.claude-x-v1%3A0/converse-stream"

    def check(self, seen: Seen, raw: bytes, method_path: str) -> None:
        check_signature(seen, raw, method_path)
        operation = {"converse-stream": "ConverseStream", "count-tokens": "CountTokens", "invoke": "InvokeModel"}[
            method_path.rpartition("/")[2]
        ]
        if operation != "InvokeModel":
            assert method_path.startswith("/model/eu.anthropic.claude-x-v1%3A0/")
            check_params(operation, {"modelId": self.model, **seen.body})

    def build(self, client: httpx.AsyncClient, url: str, timeouts: Timeouts) -> Engine:
        keys = AwsKeys(ACCESS_KEY, KEY, REGION, session_token="session-" + KEY)
        return BedrockUpstream(client, model=self.model, base_url=url, credential=keys, info=info(), timeouts=timeouts)

    def write(self, answer: Answer) -> list[bytes]:
        out = [event_frame("messageStart", {"role": "assistant"})]
        for index, part in enumerate(answer.parts):
            if part[0] == "tool":
                start = {"toolUse": {"toolUseId": part[1], "name": part[2]}}
                out.append(event_frame("contentBlockStart", {"start": start, "contentBlockIndex": index}))
            out += [
                event_frame("contentBlockDelta", {"delta": delta, "contentBlockIndex": index})
                for delta in self.deltas(part)
            ]
            out.append(event_frame("contentBlockStop", {"contentBlockIndex": index}))
        reason = {"end": "end_turn", "tools": "tool_use", "limit": "max_tokens"}[answer.stop]
        out.append(event_frame("messageStop", {"stopReason": reason}))
        usage = {
            "inputTokens": answer.input,
            "outputTokens": answer.output,
            "totalTokens": answer.input + answer.output,
        }
        usage["cacheReadInputTokens"] = answer.cached
        return [*out, event_frame("metadata", {"usage": usage, "metrics": {"latencyMs": 12}})]

    def event(self, name: str, **payload: Any) -> bytes:
        return event_frame(name, payload)

    def deltas(self, part: tuple[Any, ...]) -> list[dict[str, Any]]:
        if part[0] == "text":
            return [{"text": piece} for piece in part[1]]
        if part[0] == "tool":
            return [{"toolUse": {"input": piece}} for piece in part[3]]
        if part[0] == "redacted":
            return [{"reasoningContent": {"redactedContent": part[1]}}]
        thoughts = [{"reasoningContent": {"text": piece}} for piece in part[1]]
        return [*thoughts, {"reasoningContent": {"signature": part[2]}}]

    def error(self, kind: str, message: str) -> tuple[dict[str, str], bytes]:
        names = {
            "throttled": "ThrottlingException",
            "key": "AccessDeniedException",
            "failed": "InternalServerException",
        }
        name = names.get(kind, "ValidationException")
        return {"x-amzn-errortype": f"{name}:http://internal.amazon.com/"}, json.dumps({"message": message}).encode()

    def stream_error(self, kind: str, message: str) -> bytes:
        name = {"throttled": "throttlingException"}.get(kind, "modelStreamErrorException")
        headers = {":message-type": "exception", ":exception-type": name, ":content-type": "application/json"}
        return frame(headers, json.dumps({"message": message}).encode())

    def garbage(self) -> bytes:
        broken = bytearray(event_frame("messageStart", {"role": "assistant"}))
        broken[-5] ^= 1
        return bytes(broken)

    def endless(self) -> bytes:
        prelude = struct.pack(">II", 200 * 1024 * 1024, 64)
        return prelude + struct.pack(">I", crc32(prelude)) + b"a" * 1024

    def images(self, body: dict[str, Any]) -> list[bytes]:
        return [
            base64.b64decode(part["image"]["source"]["bytes"])
            for message in body["messages"]
            for part in message["content"]
            if "image" in part
        ]

    def said(self, body: dict[str, Any]) -> list[tuple[str, str]]:
        turns = [(m["role"], "".join(part["text"] for part in m["content"])) for m in body["messages"]]
        return [("system", "".join(part["text"] for part in body["system"])), *turns]


def event_frame(name: str, payload: dict[str, Any]) -> bytes:
    headers = {":message-type": "event", ":event-type": name, ":content-type": "application/json"}
    return frame(headers, json.dumps(payload).encode())


def frame(headers: dict[str, str], payload: bytes) -> bytes:
    """application/vnd.amazon.eventstream: prelude and its CRC, headers (all of type 7, string), payload, CRC."""
    head = b"".join(
        bytes([len(name)]) + name.encode() + b"\x07" + struct.pack(">H", len(value.encode())) + value.encode()
        for name, value in headers.items()
    )
    prelude = struct.pack(">II", 16 + len(head) + len(payload), len(head))
    body = prelude + struct.pack(">I", crc32(prelude)) + head + payload
    return body + struct.pack(">I", crc32(body))


def check_params(operation: str, params: dict[str, Any]) -> None:
    """Against botocore's service model, unknown members included."""
    import botocore.session
    from botocore.validate import ParamValidator

    model = botocore.session.get_session().get_service_model("bedrock-runtime").operation_model(operation)
    report = ParamValidator().validate(params, model.input_shape)
    assert not report.has_errors(), report.generate_report()


def check_signature(seen: Seen, raw: bytes, path: str) -> None:
    """Recomputes Signature Version 4 with botocore from what arrived."""
    from botocore.auth import SigV4Auth
    from botocore.awsrequest import AWSRequest
    from botocore.credentials import Credentials

    given = dict(item.strip().split("=", 1) for item in seen.headers["authorization"].split(" ", 1)[1].split(","))
    signed = [name for name in given["SignedHeaders"].split(";") if name != "host"]
    url = f"http://{seen.headers['host']}{path}"
    request = AWSRequest("POST", url, headers={name: seen.headers[name] for name in signed}, data=raw)
    request.context["timestamp"] = seen.headers["x-amz-date"]
    auth = SigV4Auth(Credentials(ACCESS_KEY, KEY, "session-" + KEY), "bedrock", REGION)
    string = auth.string_to_sign(request, auth.canonical_request(request))
    assert auth.signature(string, request) == given["Signature"]
    assert seen.headers["x-amz-security-token"] == "session-" + KEY


class Provider:
    """A provider's server. Plans are answered in turn; the last one again and again."""

    def __init__(self, wire: Wire) -> None:
        self.wire = wire
        self.plans: list[Plan] = []
        self.seen: list[Seen] = []
        self.complaints: list[str] = []
        self.asked = threading.Event()
        self.left = threading.Event()
        self._socket = socket.socket()
        self._socket.bind(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._socket.getsockname()[1]}"
        self._server = uvicorn.Server(uvicorn.Config(self, log_level="critical", lifespan="off", ws="none"))
        self._thread = threading.Thread(target=self._server.run, args=([self._socket],), daemon=True)

    def start(self) -> None:
        self._thread.start()
        while not self._server.started:
            time.sleep(0.01)

    def stop(self) -> None:
        self._server.should_exit = self._server.force_exit = True
        self._thread.join(10)
        self._socket.close()

    def will(self, *plans: Plan) -> None:
        self.plans, self.seen = list(plans), []
        self.asked.clear()
        self.left.clear()

    def answers(self, *answers: Answer) -> None:
        self.will(*(Plan(list[Step](self.wire.write(answer))) for answer in answers))

    def says(self, *steps: Step) -> None:
        self.will(Plan(list(steps)))

    def refuses(self, status: int, kind: str, message: str = "no", **headers: str) -> None:
        more, body = self.wire.error(kind, message)
        extra = {name.replace("_", "-"): value for name, value in headers.items()}
        self.will(Plan([body], status, {**more, **extra}, "application/json"))

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        raw = b""
        while True:
            message = await receive()
            raw += message.get("body", b"")
            if not message.get("more_body"):
                break
        headers = {name.decode(): value.decode() for name, value in scope["headers"]}
        seen = Seen(scope["raw_path"].decode(), headers, json.loads(raw))
        self.seen.append(seen)
        self.asked.set()
        try:
            await anyio.to_thread.run_sync(self.wire.check, seen, raw, seen.path)
        except Exception as error:
            self.complaints.append(repr(error))
        plan = self.plans.pop(0) if len(self.plans) > 1 else self.plans[0]
        if plan.silent:
            await self.wait(receive)
            return
        kind = plan.content_type or self.wire.stream_type
        wanted = [("content-type", kind), *plan.headers.items()]
        await send(
            {
                "type": "http.response.start",
                "status": plan.status,
                "headers": [(name.encode(), value.encode()) for name, value in wanted],
            }
        )
        for step in plan.steps:
            if step == "cut":
                raise ConnectionError("cut on purpose")
            if step == "hang":
                await self.wait(receive)
                return
            await send({"type": "http.response.body", "body": step, "more_body": True})
        await send({"type": "http.response.body", "body": b""})

    async def wait(self, receive: Any) -> None:
        """Until the other side leaves."""
        while (await receive())["type"] != "http.disconnect":
            pass
        self.left.set()


WIRES: dict[str, Callable[[], Wire]] = {"openai": OpenAIWire, "anthropic": AnthropicWire, "bedrock": BedrockWire}


@pytest.fixture(scope="session")
def providers() -> Iterator[dict[str, Provider]]:
    """The three servers, by the name of their wire."""
    started = {name: Provider(make()) for name, make in WIRES.items()}
    for provider in started.values():
        provider.start()
    yield started
    for provider in started.values():
        provider.stop()


@pytest.fixture(params=list(WIRES))
def provider(request: pytest.FixtureRequest, providers: dict[str, Provider]) -> Iterator[Provider]:
    """Each provider in turn. Whatever it was sent must have been right."""
    chosen = providers[request.param]
    chosen.complaints = []
    yield chosen
    assert not chosen.complaints


@pytest.fixture
async def client() -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(trust_env=False) as made:
        yield made


@pytest.fixture
def engine(provider: Provider, client: httpx.AsyncClient) -> Engine:
    return provider.wire.build(client, provider.url, Timeouts(connect=5, first=10, idle=10))


@pytest.fixture
def answer() -> type[Answer]:
    return Answer


@pytest.fixture
def plan() -> type[Plan]:
    return Plan
