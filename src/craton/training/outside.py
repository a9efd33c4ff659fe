"""What a run asks beside its data, from its thread: models as serving will ask them, and addresses through the one
client that calls out."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import AsyncIterator, Callable, Coroutine, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, wait
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from craton.core.access import Caller, KeyRole
from craton.core.chat import ChatRequest
from craton.core.errors import ContextExceeded, InvalidRequest, ModelFailed, ModelUnavailable, Throttled
from craton.core.events import Event, fold_stream
from craton.core.model import ModelInfo
from craton.core.streams import closing
from craton.serve.inference import Call
from craton.training.protocol import Answer
from craton.training.submitting import code_refused

if TYPE_CHECKING:
    import httpx

T = TypeVar("T")

AT_ONCE = 16  # questions under way: as many as the engine takes run, the others wait for their turn
TRIES = 4  # of a question whose worker died, or that found no place; of a post that no one answered
PATIENCE = 1.0  # seconds without an answer after which it is looked whether the run is to stop
MAX_ANSWER = 4 << 20  # bytes that an address may answer with


class Chats(Protocol):
    """What is needed of `serve`."""

    def chat(self, call: Call, request: ChatRequest) -> AsyncIterator[Event]: ...

    async def model(self, caller: Caller, name: str) -> ModelInfo: ...


class Asking:
    """See `training.protocol.Outside`. open: the way to the models and the client, at the first use of either. check:
    raises when the run is to stop. code: whether functions of users may run."""

    def __init__(
        self,
        open: Callable[[], Coroutine[Any, Any, tuple[Chats, httpx.AsyncClient]]],
        loop: asyncio.AbstractEventLoop,
        tenant: str,
        check: Callable[[], None],
        *,
        code: bool,
    ) -> None:
        self._open, self._loop, self._check, self._code = open, loop, check, code
        self._caller = Caller(tenant, "", KeyRole.DEVELOPER, "craton")

    def allow_code(self) -> None:
        if not self._code:
            raise code_refused("A grader that is a function")

    def pinned(self, model: str) -> str:
        info = self._wait(self._model(model))
        if "chat" not in info.verbs:
            raise InvalidRequest(f"the model {model} writes no answers", "")
        return f"{model}@{info.revision}" if info.revision and "@" not in model else model

    def answers(self, requests: Iterable[ChatRequest]) -> Iterator[tuple[int, Answer]]:
        under_way: dict[Future[Answer], int] = {}
        numbered, more = enumerate(requests), True
        try:
            while more or under_way:
                while more and len(under_way) < AT_ONCE:
                    number, request = next(numbered, (0, None))
                    more = request is not None
                    if request is not None:
                        asking = asyncio.run_coroutine_threadsafe(self._answer(request), self._loop)
                        under_way[asking] = number
                self._check()
                for done in wait(under_way, PATIENCE, FIRST_COMPLETED).done:
                    yield under_way.pop(done), done.result()
        finally:
            for asking in under_way:
                asking.cancel()

    def post(self, url: str, body: bytes, key: str, seconds: float) -> bytes:
        return self._wait(self._post(url, body, key, seconds))

    def _wait(self, work: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result()

    async def _model(self, name: str) -> ModelInfo:
        return await (await self._open())[0].model(self._caller, name)

    async def _answer(self, request: ChatRequest) -> Answer:
        serving = (await self._open())[0]
        for attempt in range(1, TRIES + 1):
            try:
                call = Call(self._caller, secrets.token_hex(16), "craton", "Train")
                async with closing(serving.chat(call, request)) as events:
                    choice = (await fold_stream(events)).choices[0]
                return Answer(choice.text(), choice.stop.reason)
            except ContextExceeded:
                return Answer("", "context")
            except (ModelFailed, ModelUnavailable):
                if attempt == TRIES:
                    raise
                await asyncio.sleep(attempt)
            except Throttled as error:
                if attempt == TRIES:
                    raise
                await asyncio.sleep(max(error.retry_after, attempt))
        raise AssertionError("unreachable")

    async def _post(self, url: str, body: bytes, key: str, seconds: float) -> bytes:
        import httpx

        client = (await self._open())[1]
        headers = {"content-type": "application/json", "idempotency-key": key}
        failure = "it was not tried"
        try:
            async with asyncio.timeout(seconds):
                for attempt in range(1, TRIES + 1):
                    try:
                        async with client.stream("POST", url, content=body, headers=headers) as response:
                            if response.status_code < 300:
                                return await _bounded(response)
                            failure = f"it answered with the status {response.status_code}"
                            if response.status_code < 500 and response.status_code != 429:
                                break
                    except httpx.TransportError as error:
                        failure = f"the connection failed ({type(error).__name__})"
                    await asyncio.sleep(0.5 * attempt)
        except TimeoutError:
            failure = f"it gave no answer within {seconds:g} seconds"
        except (httpx.InvalidURL, httpx.UnsupportedProtocol) as error:
            failure = f"its address is none ({type(error).__name__})"
        raise ConnectionError(failure)


async def _bounded(response: httpx.Response) -> bytes:
    found = bytearray()
    async for piece in response.aiter_bytes():
        found += piece
        if len(found) > MAX_ANSWER:
            raise ConnectionError(f"its answer is longer than {MAX_ANSWER:,} bytes")
    return bytes(found)
