"""HTTP as the dialects see it: a request that was read and capped, a reply that is bytes or a stream of bytes."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol
from urllib.parse import parse_qsl

import msgspec

from craton.core.access import Action, Caller
from craton.core.errors import CratonError, InvalidRequest
from craton.wire.file_body import FileBody

MAX_JSON_DEPTH = 64
_STRINGS = re.compile(rb'(?s)"(?:[^"\\]++|\\.)*+"(?:[^"\[\]{}]*+"(?:[^"\\]++|\\.)*+")*+')  # with no bracket between
_TO_BRACKETS = bytes.maketrans(b"{}", b"[]")
_NO_BRACKETS = bytes(set(range(256)) - set(b"[]{}"))


class BodyStream(Protocol):
    """A body as it arrives, in pieces; raises at its end when it is not what was promised of it (its length, the hash
    in the signature). What is read may be used for good only once the iteration has ended by itself.

    length: bytes, None when the client did not say. trailers: fields that came after the bytes, at the end.
    """

    length: int | None
    trailers: dict[str, str]

    def __aiter__(self) -> AsyncIterator[bytes]: ...


@dataclass(slots=True)
class Request:
    """path and query are raw, as they stood in the request line; header names are lower case.

    params: the path's placeholders, percent-decoded once. caller is None on public routes only.
    stream: the body of a route that streams; `body` is empty then. narrowed: the route that a body told (see Route).
    """

    method: str
    path: str
    query: str
    headers: Mapping[str, str]
    body: bytes
    request_id: str
    params: dict[str, str] = field(default_factory=dict)
    caller: Caller | None = None
    stream: BodyStream | None = None
    narrowed: Route | None = None

    @property
    def streamed(self) -> BodyStream:
        """The body of a route that streams."""
        if self.stream is None:
            raise RuntimeError("a route that does not stream asked for the stream")
        return self.stream

    @property
    def authenticated(self) -> Caller:
        """The caller of a route that asks for one."""
        if self.caller is None:
            raise RuntimeError("a public route asked who is calling")
        return self.caller

    def query_params(self) -> dict[str, str]:
        """The last value of each query parameter, decoded."""
        return dict(parse_qsl(self.query, keep_blank_values=True))


@dataclass(slots=True)
class Reply:
    """body: bytes, or a stream whose first item is awaited before the status line is sent,
    so that an error raised before the first byte still gets its proper status; or a part of a file."""

    status: int
    body: bytes | AsyncIterator[bytes] | FileBody
    headers: dict[str, str] = field(default_factory=dict)


Handler = Callable[[Request], Awaitable[Reply]]
ErrorWriter = Callable[[CratonError, Request], Reply]


@dataclass(frozen=True, slots=True)
class Route:
    """One operation.

    pattern: raw path with {name} for one segment ("/model/{modelId}/converse"); a trailing slash counts.
    dialect and operation name it in metrics, traces, policies and docs/operations.md.
    when: tells routes with the same method and pattern apart (by a header, say); at most one of them may be without.
    status: "real", "bookkeeping" or "refused".
    open: may be asked without a key, where the operator lets strangers read what is public.
    streams: the body is not read ahead of the handler, which iterates `request.streamed`.
    narrow: for protocols that name their operation in the body: gives the route that counts once the body is read,
    or None; the action of both must be allowed.
    """

    method: str
    pattern: str
    dialect: str
    operation: str
    handler: Handler
    write_error: ErrorWriter
    action: Action | None
    when: Callable[[Request], bool] | None = None
    status: str = "real"
    max_body: int = 32 * 1024 * 1024
    note: str = ""
    streams: bool = False
    open: bool = False
    narrow: Callable[[Request], Route | None] | None = None


class Table(Protocol):
    """Some routes, and how one of them is found."""

    @property
    def routes(self) -> list[Route]: ...

    def find(self, request: Request) -> Route | None: ...


class Dialect(Protocol):
    """A way of speaking: its routes (each with its error writer)."""

    name: str

    def routes(self) -> list[Route]: ...


def decode_json(body: bytes) -> Any:
    """The JSON value in body. Raises InvalidRequest for bad UTF-8, bad JSON or nesting deeper than MAX_JSON_DEPTH."""
    try:
        value = msgspec.json.decode(body)
    except UnicodeDecodeError as error:
        raise InvalidRequest("the body is not valid UTF-8") from error
    except (msgspec.DecodeError, RecursionError) as error:
        raise InvalidRequest(f"the body is not valid JSON: {error}") from error
    if body.count(b"[") + body.count(b"{") > MAX_JSON_DEPTH and is_deep(body):
        raise InvalidRequest(f"the body's JSON is nested deeper than {MAX_JSON_DEPTH} levels")
    return value


def is_deep(body: bytes) -> bool:
    """Whether valid JSON is nested deeper than MAX_JSON_DEPTH. Each round takes the innermost pairs of brackets away;
    a walk over millions of values in Python would hold up everybody else."""
    skeleton = _STRINGS.sub(b"", body).translate(_TO_BRACKETS, _NO_BRACKETS)
    for _ in range(MAX_JSON_DEPTH):
        if not skeleton:
            return False
        skeleton = skeleton.replace(b"[]", b"")
    return bool(skeleton)


def whole_number(given: Mapping[str, str], name: str, default: int, least: int, most: int) -> int:
    """A query parameter. Raises InvalidRequest."""
    text = given.get(name, str(default))
    number = int(text) if text.isascii() and text.isdigit() and len(text) < 12 else -1
    if not least <= number <= most:
        raise InvalidRequest(f"must be a whole number from {least} to {most}", name)
    return number


def encode_json(value: Any) -> bytes:
    return msgspec.json.encode(value)


def json_reply(status: int, value: Any, headers: dict[str, str] | None = None) -> Reply:
    return Reply(status, encode_json(value), {"content-type": "application/json", **(headers or {})})
