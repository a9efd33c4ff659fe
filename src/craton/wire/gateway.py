"""The ASGI application: one request's way from bytes to a route's handler and back.

Order: find the route, authenticate (before anything is said about what exists), read the capped body, authorise,
run the handler, send. A client that leaves cancels its handler at once. A route that streams gets its body as it
arrives, capped all the same; its signature is verified before the first byte and its hash after the last.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Awaitable, Callable, MutableMapping
from dataclasses import dataclass
from typing import Any, Protocol

from craton.access.policy import authorize
from craton.core.access import Action, Caller
from craton.core.errors import CratonError, Internal, NotFound, TooLarge
from craton.wire.authentication import Authenticator
from craton.wire.fallback import Fallback
from craton.wire.file_body import FileBody
from craton.wire.http import Reply, Request, Route, Table

MAX_HEADERS = 64 * 1024  # bytes of names and values together
MAX_PATH = 8 * 1024  # characters of path and query
DEFAULT_MAX_BODY = 1024 * 1024
FILES = "http.response.zerocopysend"  # the ASGI extension by which a server sends files by itself
WATCH_AFTER = 0.02  # seconds until a request is watched for its client's leaving

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]

log = logging.getLogger("craton.http")


class Observer(Protocol):
    """Is told of every finished request (metrics, access log)."""

    def request_finished(self, request: Request, route: Route | None, status: int, seconds: float) -> None: ...


class Lifecycle(Protocol):
    """What starts and stops with the server."""

    async def start(self) -> None: ...

    async def stop(self) -> None: ...


class Gateway:
    """fallback: words errors for requests that match no route. new_id: makes request ids."""

    def __init__(
        self,
        router: Table,
        authenticator: Authenticator,
        fallback: Fallback,
        lifecycle: Lifecycle,
        observer: Observer,
        new_id: Callable[[], str],
    ) -> None:
        self._router = router
        self._authenticator = authenticator
        self._fallback = fallback
        self._lifecycle = lifecycle
        self._observer = observer
        self._new_id = new_id

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            await self._serve(scope, receive, send)
        elif scope["type"] == "lifespan":
            await self._run_lifespan(receive, send)
        else:
            await send({"type": "websocket.close", "code": 1008})

    async def _run_lifespan(self, receive: Receive, send: Send) -> None:
        await receive()
        try:
            await self._lifecycle.start()
        except Exception as error:
            log.exception("the server could not start")
            await send({"type": "lifespan.startup.failed", "message": str(error)})
            return
        await send({"type": "lifespan.startup.complete"})
        await receive()
        await self._lifecycle.stop()
        await send({"type": "lifespan.shutdown.complete"})

    async def _serve(self, scope: Scope, receive: Receive, send: Send) -> None:
        started = time.perf_counter()
        request = _request_of(scope, self._new_id())
        route = self._router.find(request)
        write_error = route.write_error if route else self._fallback.error_writer(request)
        status = 499  # the client left before there was an answer
        incoming = _Receiving(receive)
        leaving = _Departure(incoming)
        try:
            try:
                outgoing = await self._answer(request, route, scope, incoming, leaving)
            except CratonError as error:
                write_error = request.narrowed.write_error if request.narrowed else write_error
                outgoing = _Outgoing(write_error(error, request))
            except _ClientLeft:
                return
            except Exception:
                log.exception("request %s failed", request.request_id)
                outgoing = _Outgoing(write_error(Internal(request.request_id), request))
            status = outgoing.reply.status
            if not incoming.begun and "expect" in request.headers:
                outgoing.reply.headers["connection"] = "close"  # a body that was not asked for may not come
            await _send(outgoing, request, send, FILES in scope.get("extensions", ()))
        except asyncio.CancelledError:
            if not leaving.noticed:
                raise
            _uncancel()
        finally:
            leaving.stop()
            self._observer.request_finished(request, request.narrowed or route, status, time.perf_counter() - started)

    async def _answer(
        self,
        request: Request,
        route: Route | None,
        scope: Scope,
        receive: Receive,
        leaving: _Departure,
    ) -> _Outgoing:
        _check_head(scope)
        public = route is not None and route.action is Action.PUBLIC
        caller = None if public else self._authenticator.precheck(request, route)
        if route is not None and route.streams:
            request.stream = _Incoming(request, receive, route.max_body, leaving.watch)
        else:
            request.body = await _read_body(request, receive, route.max_body if route else DEFAULT_MAX_BODY)
        if not public and caller is None:
            signature = self._authenticator.verify_signature(request)
            if signature.service not in self._fallback.spoken_services:
                return _Outgoing(self._fallback.refuse_service(signature.service, request))
            caller = signature.caller
            if request.stream is not None:
                request.stream = signature.payload.decoded(request.stream, request.headers)
        if route is None:
            raise NotFound("operation", f"{request.method} {request.path}"[:300])
        request.caller = caller
        if caller is not None:
            _authorize(caller, route)
            if route.narrow is not None:
                route = request.narrowed = _narrowed(route, request)
                _authorize(caller, route)
        if request.stream is None:
            leaving.watch()
        reply = await route.handler(request)
        if isinstance(reply.body, bytes | FileBody):
            return _Outgoing(reply)
        return _Outgoing(reply, await anext(reply.body, b""))


@dataclass(frozen=True, slots=True)
class _Outgoing:
    """A reply, and the first item of its stream: fetched before the status line is sent, so that what fails
    before it can still get a status of its own."""

    reply: Reply
    first: bytes = b""


class _ClientLeft(Exception):
    """The connection was closed before the request was whole."""


class _Receiving:
    """Knows whether anybody has asked for the body: only then is a client that waits told to go on."""

    def __init__(self, receive: Receive) -> None:
        self._receive, self.begun = receive, False

    async def __call__(self) -> MutableMapping[str, Any]:
        self.begun = True
        return await self._receive()


class _Incoming:
    """A body as it arrives. on_end: called once all of it is there; nobody else may call `receive` before.

    Raises TooLarge over the limit, _ClientLeft."""

    def __init__(self, request: Request, receive: Receive, limit: int, on_end: Callable[[], None]) -> None:
        self.length = _announced(request, limit)
        self.trailers: dict[str, str] = {}
        self._receive, self._limit, self._on_end = receive, limit, on_end

    async def __aiter__(self) -> AsyncIterator[bytes]:
        size = 0
        while True:
            message = await self._receive()
            if message["type"] == "http.disconnect":
                raise _ClientLeft
            chunk = message.get("body", b"")
            size += len(chunk)
            if size > self._limit:
                raise TooLarge("The request's body", self._limit)
            if chunk:
                yield chunk
            if not message.get("more_body", False):
                self._on_end()
                return


class _Departure:
    """Cancels the request's task when its client disconnects."""

    def __init__(self, receive: Receive) -> None:
        self.noticed = False
        self._receive = receive
        self._timer: asyncio.TimerHandle | None = None
        self._watcher: asyncio.Task[None] | None = None

    def watch(self) -> None:
        """From WATCH_AFTER on: most requests are over by then, and a task for each would cost more than they do."""
        task = asyncio.current_task()
        if task is None:
            raise RuntimeError("requests are served in a task")
        self._timer = asyncio.get_running_loop().call_later(WATCH_AFTER, self._start, task)

    def _start(self, task: asyncio.Task[Any]) -> None:
        self._watcher = asyncio.create_task(self._wait(task))

    async def _wait(self, task: asyncio.Task[Any]) -> None:
        while (await self._receive())["type"] != "http.disconnect":
            pass
        self.noticed = True
        task.cancel()

    def stop(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        if self._watcher is not None:
            self._watcher.cancel()


def _uncancel() -> None:
    task = asyncio.current_task()
    if task is not None:
        task.uncancel()


def _request_of(scope: Scope, request_id: str) -> Request:
    headers: dict[str, str] = {}
    for raw_name, raw_value in scope["headers"]:
        name, value = raw_name.decode("latin-1"), raw_value.decode("latin-1")
        headers[name] = f"{headers[name]},{value}" if name in headers else value
    return Request(
        method=scope["method"],
        path=scope["raw_path"].decode("latin-1"),
        query=scope["query_string"].decode("latin-1"),
        headers=headers,
        body=b"",
        request_id=request_id,
    )


def _check_head(scope: Scope) -> None:
    size = sum(len(name) + len(value) for name, value in scope["headers"])
    if size > MAX_HEADERS:
        raise TooLarge("The request's headers", MAX_HEADERS, size)
    length = len(scope["raw_path"]) + len(scope["query_string"])
    if length > MAX_PATH:
        raise TooLarge("The request's path and query", MAX_PATH, length, "characters")


def _authorize(caller: Caller, route: Route) -> None:
    if route.action is not None:
        authorize(caller, route.action)


def _narrowed(route: Route, request: Request) -> Route:
    found = route.narrow(request) if route.narrow else None
    if found is None:
        raise NotFound("operation", f"{request.method} {request.path}"[:300])
    return found


def _announced(request: Request, limit: int) -> int | None:
    """The body's length as the client says it. Raises TooLarge."""
    announced = request.headers.get("content-length", "")
    if not (announced.isdecimal() and len(announced) < 20):
        return None
    if int(announced) > limit:
        raise TooLarge("The request's body", limit, int(announced))
    return int(announced)


async def _read_body(request: Request, receive: Receive, limit: int) -> bytes:
    """Reads to the end, or raises TooLarge as soon as it is known to be over the limit."""
    _announced(request, limit)
    chunks: list[bytes] = []
    size = 0
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise _ClientLeft
        chunk = message.get("body", b"")
        size += len(chunk)
        if size > limit:
            raise TooLarge("The request's body", limit)
        chunks.append(chunk)
        if not message.get("more_body", False):
            return chunks[0] if len(chunks) == 1 else b"".join(chunks)


async def _send(outgoing: _Outgoing, request: Request, send: Send, sends_files: bool) -> None:
    reply = outgoing.reply
    headers = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in reply.headers.items()]
    if isinstance(reply.body, bytes):
        headers.append((b"content-length", str(len(reply.body)).encode()))
        await send({"type": "http.response.start", "status": reply.status, "headers": headers})
        await send({"type": "http.response.body", "body": reply.body})
        return
    try:
        await send({"type": "http.response.start", "status": reply.status, "headers": headers})
        if isinstance(reply.body, FileBody) and sends_files:
            file = reply.body
            await send({"type": FILES, "file": file.file.fileno(), "offset": file.start, "count": file.count})
        else:
            await send({"type": "http.response.body", "body": outgoing.first, "more_body": True})
            async for chunk in reply.body:
                await send({"type": "http.response.body", "body": chunk, "more_body": True})
    except Exception:
        # The dialects write errors into their streams; one that comes this far can only be told by cutting the
        # connection, so that the client does not take half an answer for a whole one.
        log.exception("request %s broke off in mid-stream", request.request_id)
        return
    finally:
        await _close(reply.body)
    await send({"type": "http.response.body", "body": b"", "more_body": False})


async def _close(stream: AsyncIterator[bytes] | FileBody) -> None:
    close = getattr(stream, "aclose", None)
    if close is not None:
        await close()
