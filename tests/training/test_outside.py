"""What a run asks beside its data: models that fail in passing are asked again, addresses are bound."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import httpx
import pytest

from craton.access.outgoing import outgoing
from craton.core.access import Caller
from craton.core.chat import ChatRequest, Message, TextPart
from craton.core.errors import ContextExceeded, ModelFailed, OutgoingRefused, Unsupported
from craton.core.events import Delta, Event, PartEnded, PartStarted, Stop, Usage
from craton.core.job import JobCancelled
from craton.core.model import ModelInfo
from craton.serve.inference import Call
from craton.training.outside import MAX_ANSWER, Asking
from craton.training.protocol import Answer


class Shouting:
    """A model that answers loudly; "weak" fails the first time, "long" does not fit."""

    def __init__(self) -> None:
        self.failed = 0

    async def chat(self, call: Call, request: ChatRequest) -> AsyncIterator[Event]:
        text = request.messages[0].text()
        if text == "long":
            raise ContextExceeded(request.model, 10, 11)
        if text == "weak" and not self.failed:
            self.failed += 1
            raise ModelFailed(request.model, "its worker died")
        for event in (PartStarted(0, "text"), Delta(0, text.upper()), PartEnded(0), Stop("end_turn"), Usage(1, 1)):
            yield event

    async def model(self, caller: Caller, name: str) -> ModelInfo:
        raise NotImplementedError


class Grader(BaseHTTPRequestHandler):
    """Is tired twice, then answers with what it is told; "/long" never stops."""

    keys: list[str] = []  # noqa: RUF012 - of one test

    def do_POST(self) -> None:
        self.keys.append(self.headers["idempotency-key"])
        body = self.rfile.read(int(self.headers["content-length"]))
        if len(self.keys) < 3:
            self.send_error(503)
            return
        self.send_response(404 if self.path == "/none" else 200)
        self.end_headers()
        self.wfile.write(b"x" * (MAX_ANSWER + 1) if self.path == "/long" else body)

    def log_message(self, *_: object) -> None: ...


@pytest.fixture
def address() -> Iterator[str]:
    Grader.keys.clear()
    server = ThreadingHTTPServer(("127.0.0.1", 0), Grader)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


@pytest.fixture
def asking() -> Iterator[Callable[..., Asking]]:
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()
    clients: list[httpx.AsyncClient] = []

    def make(allow: tuple[str, ...] = (), check: Callable[[], None] = lambda: None, *, code: bool = False) -> Asking:
        async def opened() -> tuple[Shouting, httpx.AsyncClient]:
            return models, clients[0]

        models = Shouting()
        clients.append(outgoing(allow))
        return Asking(opened, loop, "default", check, code=code)

    yield make
    asyncio.run_coroutine_threadsafe(clients[0].aclose(), loop).result()
    loop.call_soon_threadsafe(loop.stop)
    thread.join()
    loop.close()


def requests(*texts: str) -> list[ChatRequest]:
    return [ChatRequest("loud", (Message("user", (TextPart(text),)),)) for text in texts]


def test_answers_carry_the_places_of_their_questions(asking: Callable[..., Asking]) -> None:
    texts = [f"question {number}" for number in range(40)]
    found = dict(asking().answers(requests(*texts)))
    assert [found[number].text for number in range(40)] == [text.upper() for text in texts]


def test_what_fails_in_passing_is_asked_again(asking: Callable[..., Asking]) -> None:
    found = dict(asking().answers(requests("weak", "long")))
    assert found == {0: Answer("WEAK", "end_turn"), 1: Answer("", "context")}


def test_a_run_that_is_stopped_asks_no_more(asking: Callable[..., Asking]) -> None:
    def check() -> None:
        raise JobCancelled

    with pytest.raises(JobCancelled):
        list(asking(check=check).answers(requests("weak")))


def test_an_address_is_tried_again_with_the_same_key(asking: Callable[..., Asking], address: str) -> None:
    assert asking((address,)).post(f"{address}/", b"{}", "key", 20.0) == b"{}"
    assert Grader.keys == ["key"] * 3


@pytest.mark.parametrize(
    ("path", "seconds", "said"),
    [("/long", 20.0, "longer than"), ("/none", 20.0, "status 404"), ("/", 0.3, "no answer within 0.3 seconds")],
)
def test_an_address_that_does_not_do_is_told(
    asking: Callable[..., Asking], address: str, path: str, seconds: float, said: str
) -> None:
    with pytest.raises(ConnectionError, match=said):
        asking((address,)).post(f"{address}{path}", b"{}", "key", seconds)


def test_nothing_is_reached_that_the_operator_did_not_allow(asking: Callable[..., Asking], address: str) -> None:
    with pytest.raises(OutgoingRefused):
        asking().post(f"{address}/", b"{}", "key", 20.0)
    assert not Grader.keys


def test_functions_run_where_they_are_allowed(asking: Callable[..., Asking]) -> None:
    with pytest.raises(Unsupported, match="code = true"):
        asking().allow_code()
