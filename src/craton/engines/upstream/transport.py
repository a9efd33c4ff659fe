"""One POST to a provider: bounded in size and time, its failures in the platform's words.

The HTTP client is given (deny by default, made by `access`). Redirects are not followed: a key goes only to the
address it was configured for. Bodies come uncompressed, so that what is counted is what is read.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager, suppress

import httpx
from msgspec import Struct

from craton.core.errors import CratonError, ModelFailed, ModelUnavailable, OutgoingRefused
from craton.core.streams import closing
from craton.engines.upstream.failures import Malformed, Reported, read_failure

MAX_ERROR_BODY = 64 * 1024
MAX_BODY = 64 * 1024 * 1024
"""Of a whole answer: 2,048 vectors of 3,072 numbers in base64 fit."""
MAX_STREAM = 64 * 1024 * 1024

Sign = Callable[[str, bytes], Mapping[str, str]]
"""(address, body) -> the headers that carry the credential."""


class Timeouts(Struct, frozen=True):
    """Seconds: to connect; until the provider's status line (it may be reading a long prompt); between two pieces."""

    connect: float = 10.0
    first: float = 300.0
    idle: float = 60.0


class Reply(Struct, frozen=True):
    """A whole answer. Header names are lower case."""

    headers: Mapping[str, str]
    body: bytes


class Transport:
    """model: the name that errors carry. secrets: never to be repeated in an error."""

    def __init__(
        self,
        client: httpx.AsyncClient,
        base_url: str,
        *,
        model: str,
        sign: Sign,
        secrets: tuple[str, ...],
        timeouts: Timeouts,
    ) -> None:
        self._client = client
        self._base_url = base_url.rstrip("/")
        self._model = model
        self._sign = sign
        self._secrets = tuple(secret for secret in secrets if secret)
        self._timeouts = timeouts

    async def post(self, path: str, body: bytes, accept: str = "application/json") -> Reply:
        """The whole answer. Raises what `core.errors` has for a provider that refuses, fails or cannot be reached."""
        async with self._open(path, body, accept) as response:
            async with closing(self._pieces(response, MAX_BODY)) as pieces:
                content = b"".join([piece async for piece in pieces])
            return Reply(headers=dict(response.headers), body=content)

    @asynccontextmanager
    async def stream(self, path: str, body: bytes, accept: str) -> AsyncIterator[AsyncIterator[bytes]]:
        """The answer's bytes as they arrive. Leaving the block closes the connection, which cancels the work there."""
        async with self._open(path, body, accept) as response:
            kind = response.headers.get("content-type", "")
            if not kind.startswith(accept):
                raise ModelFailed(self._model, f"the provider did not answer with a stream of {accept}")
            async with closing(self._pieces(response, MAX_STREAM)) as pieces:
                yield pieces

    @contextmanager
    def reading(self) -> Iterator[None]:
        """Around the reading of an answer: names what the readers raise."""
        try:
            yield
        except Malformed as error:
            raise ModelFailed(self._model, f"the provider's answer is malformed: {error}") from error
        except Reported as error:
            raise self._refusal(0, error.headers, error.body) from error

    def _refusal(self, status: int, headers: Mapping[str, str], body: bytes) -> CratonError:
        return read_failure(status, headers, body).to_error(self._model, self._secrets)

    @asynccontextmanager
    async def _open(self, path: str, body: bytes, accept: str) -> AsyncIterator[httpx.Response]:
        url = f"{self._base_url}{path}"
        request = self._client.build_request(
            "POST",
            url,
            content=body,
            headers={
                "content-type": "application/json",
                "accept": accept,
                "accept-encoding": "identity",
                "user-agent": "craton",
                **self._sign(url, body),
            },
            timeout=httpx.Timeout(self._timeouts.first, connect=self._timeouts.connect),
        )
        with self._named_errors():
            async with asyncio.timeout(self._timeouts.connect + self._timeouts.first):
                response = await self._client.send(request, stream=True, follow_redirects=False)
        try:
            if response.status_code != 200:
                raise self._refusal(response.status_code, response.headers, await self._error_body(response))
            if response.headers.get("content-encoding", "identity") != "identity":
                raise ModelFailed(self._model, "the provider compressed its answer without being asked")
            yield response
        finally:
            await response.aclose()

    async def _error_body(self, response: httpx.Response) -> bytes:
        content = b""
        with suppress(CratonError):  # a body that is cut or endless: the status says enough
            async with closing(self._pieces(response, MAX_ERROR_BODY)) as pieces:
                async for piece in pieces:
                    content += piece
        return content

    async def _pieces(self, response: httpx.Response, limit: int) -> AsyncIterator[bytes]:
        total = 0
        async with closing(response.aiter_raw()) as raw:
            while True:
                with self._named_errors():
                    async with asyncio.timeout(self._timeouts.idle):
                        piece = await anext(raw, None)
                if piece is None:
                    return
                total += len(piece)
                if total > limit:
                    raise ModelFailed(self._model, f"the provider's answer is longer than {limit:,} bytes")
                yield piece

    @contextmanager
    def _named_errors(self) -> Iterator[None]:
        try:
            yield
        except (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout) as error:
            raise ModelUnavailable(self._model, "its provider cannot be reached") from error
        except (httpx.TimeoutException, TimeoutError) as error:
            raise ModelFailed(self._model, "its provider fell silent") from error
        except httpx.HTTPError as error:
            raise ModelFailed(self._model, "the connection to its provider was cut") from error
        except OutgoingRefused as error:  # the operator's matter: the caller did nothing wrong
            raise ModelUnavailable(self._model, "the operator has not allowed calls to its provider") from error
