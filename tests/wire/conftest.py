"""A small server that speaks the dialects: the real gateway over the echo engine, with one key and no store.

Whatever needs a whole Craton (keys, metering, workers) is tested against the `server` fixture instead.
"""

from __future__ import annotations

import itertools
import json
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import uvicorn
from hypothesis import strategies as st

from craton.core import errors
from craton.core.access import Caller, KeyRole
from craton.core.chat import ChatRequest
from craton.core.errors import CratonError, NotFound, Unauthenticated
from craton.core.events import Delta, Event, PartEnded, PartStarted, Stop, TokenLogprob, Usage
from craton.core.model import EmbedAnswer, EmbedRequest, ModelInfo
from craton.engines.echo import EchoEngine
from craton.engines.echo.script import load_script
from craton.serve.inference import Call
from craton.serve.refusals import refuse_contradictions
from craton.wire.anthropic import AnthropicDialect
from craton.wire.anthropic.errors import write_error as write_anthropic_error
from craton.wire.authentication import bearer_token
from craton.wire.fallback import Fallback
from craton.wire.gateway import Gateway
from craton.wire.http import Reply, Request, Route
from craton.wire.openai import OpenAIDialect
from craton.wire.openai.errors import write_error as write_openai_error
from craton.wire.router import Router

TOKEN = "craton-TEST-secret"
NOW = 1_790_000_000.5
SCRIPT = """
rules:
  - when: {contains: think and call}
    reply:
      - reasoning: Let me look.
        signature: abc
      - text: One moment.
      - {tool: get_weather, arguments: {city: Paris, days: 2}, id: call_1}
      - {tool: get_time, arguments: {}, id: call_2}
    usage: {input: 20, output: 7, cached_input: 4, reasoning: 3}
  - when: {contains: break off}
    reply: one two three four
    fault: {after: 2, reason: out of memory}
  - when: {contains: fail at once}
    fault: {after: 0, reason: out of memory}
  - when: {contains: be refused}
    reply: no more
    stop: guardrail
"""
ERRORS: dict[str, CratonError] = {
    "forbidden": errors.Forbidden("invoke", "reader"),
    "conflict": errors.Conflict("model", "x", "changed"),
    "too-large": errors.TooLarge("An image", 10, 20),
    "too-long": errors.ContextExceeded("echo", 8192, 10_000),
    "throttled": errors.Throttled("The queue is full.", 0.01),
    "deadline": errors.DeadlineExceeded(600.0),
    "unavailable": errors.ModelUnavailable("x", "it is loading"),
    "failed": errors.ModelFailed("x", "its worker died"),
    "damaged": errors.Damaged("A blob", "its hash differs"),
    "disk-full": errors.StorageFull(),
    "internal": errors.Internal("req-1"),
    "invalid": errors.InvalidRequest("a bad schema", "tools[0].schema"),
    "unsupported": errors.Unsupported("Image input", "Use another model."),
}
"""A model of this name fails with this error."""


class EchoServing:
    """`Serving` over the echo engine. active: chats that run now. request: the last chat's request."""

    def __init__(self, script: Path) -> None:
        self.engine = EchoEngine("echo", load_script(script))
        self.active = 0
        self.request: ChatRequest | None = None
        self.calls: list[str] = []

    async def chat(self, call: Call, request: ChatRequest) -> AsyncIterator[Event]:
        self.calls.append(request.model)
        self._check(request.model)
        refuse_contradictions(request)
        self.request = request
        self.active += 1
        try:
            async for event in self.engine.chat(request):
                yield event
        finally:
            self.active -= 1

    async def embed(self, call: Call, request: EmbedRequest) -> EmbedAnswer:
        self._check(request.model)
        return await self.engine.embed(request)

    async def count_tokens(self, call: Call, request: ChatRequest) -> int:
        self._check(request.model)
        return await self.engine.count_tokens(request)

    async def models(self, caller: Caller) -> list[ModelInfo]:
        return [_info(name) for name in ("acme/bert", "echo", "smollm2-135m-instruct")]

    async def model(self, caller: Caller, name: str) -> ModelInfo:
        if name not in ERRORS:  # those are there, and fail when they are run
            self._check(name)
        return _info(name)

    def _check(self, name: str) -> None:
        if name in ERRORS:
            raise ERRORS[name]
        if name not in {"echo", "acme/bert", "smollm2-135m-instruct"}:
            raise NotFound("model", name, "`craton models pull` fetches one.")


def _info(name: str) -> ModelInfo:
    return ModelInfo(name, ("chat", "embed"), "echo", provider="craton", context_length=8192, created=1_700_000_000.0)


class OneKey:
    """An `Authenticator` that knows TOKEN."""

    def precheck(self, request: Request, route: Route | None = None) -> Caller | None:
        if bearer_token(request) != TOKEN:
            raise Unauthenticated("The API key is not valid.")
        return Caller("acme", "CRTN1", KeyRole.ADMIN)


class _Nothing:
    async def start(self) -> None: ...

    async def stop(self) -> None: ...

    def request_finished(self, *_: object) -> None: ...


class Api:
    """Where the small server is, and what runs in it."""

    def __init__(self, url: str, serving: EchoServing) -> None:
        self.url, self.serving, self.token = url, serving, TOKEN


@pytest.fixture
def serving(tmp_path: Path) -> EchoServing:
    script = tmp_path / "script.yaml"
    script.write_text(SCRIPT)
    return EchoServing(script)


@pytest.fixture(scope="session")
def api(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Api]:
    script = tmp_path_factory.mktemp("echo") / "script.yaml"
    script.write_text(SCRIPT)
    serving = EchoServing(script)
    routes = [*OpenAIDialect(serving, lambda: NOW).routes(), *AnthropicDialect(serving).routes()]

    def refuse(service: str, request: Request) -> Reply:
        return Reply(403, b"")

    fallback = Fallback(write_openai_error, write_anthropic_error, write_openai_error, frozenset(), refuse)
    numbers = itertools.count(1)
    gateway = Gateway(
        Router(routes),
        OneKey(),  # type: ignore[arg-type]  # the two methods of an Authenticator that bearer tokens need
        fallback,
        _Nothing(),
        _Nothing(),
        lambda: f"req-{next(numbers)}",
    )
    server = uvicorn.Server(uvicorn.Config(gateway, port=0, log_level="warning", timeout_graceful_shutdown=1))
    thread = threading.Thread(target=server.run)
    thread.start()
    while not server.started:
        time.sleep(0.01)
    port = server.servers[0].sockets[0].getsockname()[1]
    yield Api(f"http://127.0.0.1:{port}", serving)
    server.should_exit = True
    thread.join(10)


@pytest.fixture
def ask() -> Callable[..., Request]:
    """Makes a request as a handler gets it."""

    def make(body: bytes = b"", query: str = "", **params: str) -> Request:
        caller = Caller("acme", "CRTN1", KeyRole.ADMIN)
        return Request("POST", "/", query, {}, body, "req-1", params, caller)

    return make


@pytest.fixture(scope="session")
def streams() -> Callable[..., st.SearchStrategy[list[Event]]]:
    """A strategy of whole event streams: streams(choices=1, redacted=False, logprobs=False)."""
    return _streams


@pytest.fixture(scope="session")
def mutated() -> Callable[[Any], st.SearchStrategy[Any]]:
    """A strategy of JSON values that are nearly the one given: a few members replaced, removed or added."""
    return _mutated


_WORDS = st.text(max_size=8)
_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner, max_size=3),
    max_leaves=6,
)
_ODD = _JSON | st.sampled_from(["", "auto", "user", "text", "data:,", 0, -1, 2**64, 10**400, 1e308, [], {}, [[]], [{}]])


@st.composite
def _streams(draw: st.DrawFn, choices: int = 1, redacted: bool = False, logprobs: bool = False) -> list[Event]:
    queues = [draw(_choices(number, redacted, logprobs)) for number in range(choices)]
    events: list[Event] = []
    while any(queues):
        queue = queues[draw(st.sampled_from([i for i, queue in enumerate(queues) if queue]))]
        events.append(queue.pop(0))
    counts = st.integers(0, 1000)
    optional = st.none() | counts
    events.append(Usage(draw(counts), draw(counts), draw(optional), draw(optional), draw(optional)))
    return events


@st.composite
def _choices(draw: st.DrawFn, choice: int, redacted: bool, logprobs: bool) -> list[Event]:
    kinds: list[Any] = ["text", "reasoning", "tool_use", *(["redacted"] if redacted else [])]
    events: list[Event] = []
    for index, kind in enumerate(draw(st.lists(st.sampled_from(kinds), max_size=4))):
        if kind == "tool_use":
            events.append(PartStarted(index, "tool_use", choice, f"call_{choice}_{index}", "tool"))
            text = draw(st.dictionaries(_WORDS, _JSON, max_size=3).map(_compact))
            cuts = sorted(draw(st.lists(st.integers(0, len(text)), max_size=3)))
            pieces = [text[i:j] for i, j in itertools.pairwise([0, *cuts, len(text)])]
            events.extend(Delta(index, piece, choice) for piece in pieces)
        elif kind == "redacted":
            events.append(PartStarted(index, "reasoning", choice))
            events.append(Delta(index, "", choice, redacted=draw(st.text(min_size=1, max_size=8)).encode()))
        else:
            events.append(PartStarted(index, kind, choice))
            for piece in draw(st.lists(_WORDS, max_size=4)):
                found = draw(st.lists(_logprobs(), max_size=2)) if logprobs and kind == "text" else []
                events.append(Delta(index, piece, choice, tuple(found)))
            if kind == "reasoning" and draw(st.booleans()):
                events.append(Delta(index, "", choice, signature=draw(st.text(min_size=1, max_size=5))))
        events.append(PartEnded(index, choice))
    reason: Any = draw(st.sampled_from(["end_turn", "max_tokens", "stop_sequence", "tool_use", "guardrail"]))
    events.append(Stop(reason, choice, draw(_WORDS) if reason == "stop_sequence" else None))
    return events


@st.composite
def _logprobs(draw: st.DrawFn, depth: int = 1) -> TokenLogprob:
    token = draw(_WORDS)
    top = draw(st.lists(_logprobs(0), max_size=2)) if depth else []
    return TokenLogprob(token, draw(st.floats(-50, 0)), draw(st.none() | st.just(token.encode())), tuple(top))


def _compact(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)


@st.composite
def _mutated(draw: st.DrawFn, value: Any) -> Any:
    for _ in range(draw(st.integers(1, 3))):
        value = _change(draw, value)
    return value


def _change(draw: st.DrawFn, value: Any) -> Any:
    if not isinstance(value, dict | list) or not value or draw(st.integers(0, 9)) == 0:
        return draw(_ODD)
    keys: list[Any] = list(value) if isinstance(value, dict) else list(range(len(value)))
    key = draw(st.sampled_from(keys))
    copy: Any = value.copy()
    what = draw(st.sampled_from(["into", "into", "into", "remove", "add"]))
    if what == "remove":
        del copy[key]
    elif what == "add" and isinstance(copy, list):
        copy.append(draw(_ODD))
    elif what == "add":
        copy[draw(st.text(max_size=5))] = draw(_ODD)
    else:
        copy[key] = _change(draw, copy[key])
    return copy
