"""Asks the running server in OpenAI's words, and reads the answer as it arrives."""

from __future__ import annotations

import time
from collections.abc import Generator, Iterator
from typing import Any, Literal

import msgspec
from msgspec import Struct, field

from craton.cli.connection import Connection, error_sentence
from craton.cli.errors import ServerError


class Started(Struct, frozen=True):
    """The server took the request."""

    request_id: str


class Piece(Struct, frozen=True):
    """More of the answer, or of the thoughts before it."""

    kind: Literal["text", "reasoning"]
    text: str


class Finished(Struct, frozen=True):
    """stop: OpenAI's finish_reason. The seconds count from sending; writing_seconds from the first piece."""

    request_id: str
    stop: str
    input_tokens: int
    output_tokens: int
    seconds: float
    writing_seconds: float


class _Delta(Struct):
    content: str | None = None
    reasoning_content: str | None = None


class _Choice(Struct):
    delta: _Delta = field(default_factory=_Delta)
    finish_reason: str | None = None


class _Usage(Struct):
    prompt_tokens: int = 0
    completion_tokens: int = 0


class _Chunk(Struct):
    choices: list[_Choice] = []
    usage: _Usage | None = None
    error: dict[str, Any] | None = None


def ask(connection: Connection, body: dict[str, Any]) -> Generator[Started | Piece | Finished]:
    """body: of POST /v1/chat/completions. Closing the iterator cancels the work. Raises NoServer, ServerError."""
    import httpx

    body = body | {"stream": True, "stream_options": {"include_usage": True}}
    sent, first, stop, usage = time.monotonic(), 0.0, "", _Usage()
    try:
        with (
            connection.client() as client,
            client.stream("POST", "/v1/chat/completions", json=body) as response,
        ):
            if not response.is_success:
                raise ServerError(error_sentence(response.status_code, response.read()))
            request_id = response.headers.get("x-request-id", "")
            yield Started(request_id)
            for data in events_data(response.iter_bytes()):
                chunk = msgspec.json.decode(data, type=_Chunk)
                if chunk.error is not None:
                    raise ServerError(str(chunk.error.get("message", "The answer broke off.")))
                usage = chunk.usage or usage
                for choice in chunk.choices:
                    stop = choice.finish_reason or stop
                    for piece in _pieces(choice.delta):
                        first = first or time.monotonic()
                        yield piece
    except httpx.HTTPError as error:
        raise connection.failure(error) from error
    now = time.monotonic()
    if not stop:
        raise ServerError(f"The answer broke off. See: craton trace {request_id}")
    writing = now - first if first else 0.0
    yield Finished(request_id, stop, usage.prompt_tokens, usage.completion_tokens, now - sent, writing)


def _pieces(delta: _Delta) -> Iterator[Piece]:
    if delta.reasoning_content:
        yield Piece("reasoning", delta.reasoning_content)
    if delta.content:
        yield Piece("text", delta.content)


def events_data(chunks: Iterator[bytes]) -> Iterator[bytes]:
    """The data of each server-sent event. (httpx's own line reader also splits at line ends that JSON may hold.)"""
    rest = b""
    for chunk in chunks:
        *lines, rest = (rest + chunk).split(b"\n")
        for line in lines:
            data = line.removeprefix(b"data:").strip()
            if line.startswith(b"data:") and data != b"[DONE]":
                yield data
