"""Reading from strangers' servers: every answer is bounded in size (after decompression too), time and redirects.

The HTTP client is given (deny by default, made by `access`); it holds every request, so every hop, against the
operator's list.
"""

from __future__ import annotations

import asyncio
import email.utils
import random
import time
import zlib
from collections.abc import Awaitable, Callable, Iterator, Mapping
from typing import Protocol
from urllib.parse import urljoin, urlsplit

import httpx
from msgspec import Struct
from msgspec.structs import replace

from craton.core.errors import CratonError, SourceFailed, TooLarge
from craton.core.streams import closing

MAX_REDIRECTS = 5
MAX_RETRY_AFTER = 60.0  # seconds; a server that asks for more has refused
REDIRECTS = frozenset({301, 302, 303, 307, 308})
AGAIN = frozenset({429, 500, 502, 503, 504})
CHUNK = 256 * 1024


class Patience(Struct, frozen=True):
    """Seconds: to connect; until the next byte; for a whole page; for a whole document that is fetched into a file."""

    connect: float = 10.0
    silence: float = 30.0
    page: float = 120.0
    document: float = 1800.0


class Reply(Struct, frozen=True):
    """url: where redirects led. body: b"" when it was not wanted. Header names are lower case."""

    url: str
    status: int
    headers: Mapping[str, str]
    body: bytes = b""


class Sink(Protocol):
    """Where a body goes. restart: a broken attempt is begun again."""

    def write(self, data: bytes) -> None: ...

    def restart(self) -> None: ...


class _Memory:
    def __init__(self) -> None:
        self._pieces: list[bytes] = []

    def write(self, data: bytes) -> None:
        self._pieces.append(data)

    def restart(self) -> None:
        self._pieces.clear()

    def value(self) -> bytes:
        return b"".join(self._pieces)


class Http:
    """GET with patience. sleep: injected for tests; attempts: of one request, the first included."""

    def __init__(
        self,
        client: httpx.AsyncClient,
        user_agent: str,
        *,
        patience: Patience | None = None,
        attempts: int = 3,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._client, self._user_agent = client, user_agent
        self.patience = patience or Patience()
        self._attempts, self._sleep = attempts, sleep

    async def get(
        self,
        url: str,
        *,
        limit: int,
        headers: Mapping[str, str] | None = None,
        check: Callable[[str], None] = lambda url: None,
        wants: Callable[[Reply], bool] = lambda reply: True,
        sink: Sink | None = None,
        seconds: float | None = None,
        redirects: int = MAX_REDIRECTS,
    ) -> Reply:
        """The answer, whatever its status; of one with status 200 the body, when `wants` says so of its head.

        limit: bytes of the body. check: raises for an address that a redirect may not lead to; redirects: 0 hands one
        back as it is. sink: takes the body instead of the reply. seconds: for all of one attempt. What may pass (429,
        5xx, a cut connection) is tried again.
        Raises TooLarge, OutgoingRefused, SourceFailed.
        """
        memory = _Memory()
        body: Sink = sink or memory
        for attempt in range(1, self._attempts + 1):
            body.restart()
            pause = 0.5 * 2**attempt * random.uniform(0.5, 1.0)
            try:
                async with asyncio.timeout(seconds or self.patience.page):
                    reply = await self._follow(url, headers or {}, limit, check, wants, body, redirects)
                if reply.status not in AGAIN or attempt == self._attempts:
                    return reply if sink else replace(reply, body=memory.value())
                asked = retry_after(reply.headers)
                if asked > MAX_RETRY_AFTER:
                    return reply
                pause = max(pause, asked)
            except (TimeoutError, httpx.HTTPError, httpx.InvalidURL, _Cut) as error:
                if attempt == self._attempts or isinstance(error, TimeoutError | httpx.InvalidURL):
                    raise SourceFailed(place(url), _reason(error)) from error
            await self._sleep(pause)
        raise AssertionError("the last attempt returns or raises")

    async def _follow(
        self,
        url: str,
        headers: Mapping[str, str],
        limit: int,
        check: Callable[[str], None],
        wants: Callable[[Reply], bool],
        body: Sink,
        redirects: int,
    ) -> Reply:
        for _ in range(redirects + 1):
            check(url)
            request = self._client.build_request(
                "GET",
                url,
                headers={"user-agent": self._user_agent, "accept-encoding": "gzip", **headers},
                timeout=httpx.Timeout(self.patience.silence, connect=self.patience.connect),
            )
            response = await self._client.send(request, stream=True, follow_redirects=False)
            try:
                reply = Reply(url, response.status_code, dict(response.headers))
                if not redirects or response.status_code not in REDIRECTS or "location" not in response.headers:
                    if response.status_code == 200 and wants(reply):
                        await _read(response, limit, body)
                    return reply
                target = _target(url, response.headers["location"])
            finally:
                await response.aclose()
            if place(target) != place(url):  # a secret goes only to the place that it is for
                headers = {name: value for name, value in headers.items() if name in _HARMLESS}
            url = target
        raise SourceFailed(place(url), f"it redirects more than {redirects} times")


_HARMLESS = frozenset({"accept", "if-none-match", "if-modified-since"})


class _Cut(Exception):
    """The body ended before its end."""


def place(url: str) -> str:
    """Scheme, host and port, without credentials: what a failure may name."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}"


def _target(url: str, location: str) -> str:
    try:
        target = urljoin(url, location)
        if urlsplit(target).scheme in {"http", "https"}:
            return target
    except ValueError:
        pass
    raise SourceFailed(place(url), "it redirects to what is not an http or https address")


def refuse_status(reply: Reply) -> CratonError:
    """The error of an answer that is not the one that was asked for."""
    return SourceFailed(place(reply.url), f"it answers with HTTP status {reply.status}")


def retry_after(headers: Mapping[str, str]) -> float:
    """Seconds that the server asks for, 0 when it does not (RFC 9110: seconds, or a date)."""
    given = headers.get("retry-after", "").strip()
    if given.isascii() and given.isdigit():
        return float(given[:9])
    try:
        return max(0.0, email.utils.parsedate_to_datetime(given).timestamp() - time.time())
    except (ValueError, TypeError, OverflowError):
        return 0.0


async def _read(response: httpx.Response, limit: int, body: Sink) -> None:
    """The decompressed body. Raises TooLarge for more than limit bytes, on the wire or unpacked; _Cut."""
    what, promised = f"The document at {place(str(response.url))}", response.headers.get("content-length", "")
    if promised.isascii() and promised.isdigit() and int(promised[:18]) > limit:
        raise TooLarge(what, limit, int(promised[:18]))
    unpack = _unpacker(response)
    received = size = 0
    async with closing(response.aiter_raw()) as pieces:
        async for piece in pieces:
            received += len(piece)
            for part in unpack.feed(piece):
                size += len(part)
                if size > limit:
                    raise TooLarge(what, limit)
                body.write(part)
            if received > limit:
                raise TooLarge(what, limit)
    if not unpack.done:
        raise _Cut


class _Plain:
    done = True

    def feed(self, data: bytes) -> Iterator[bytes]:
        yield data


class Gunzip:
    """Unpacks by pieces of at most CHUNK bytes, so that a bomb is seen before it has grown."""

    def __init__(self) -> None:
        self._inflate = zlib.decompressobj(31)

    @property
    def done(self) -> bool:
        return self._inflate.eof

    def feed(self, data: bytes) -> Iterator[bytes]:
        """Raises _Cut for bytes that are not gzip's."""
        try:
            while data:
                if self._inflate.eof:  # another member
                    self._inflate = zlib.decompressobj(31)
                yield self._inflate.decompress(data, CHUNK)
                data = self._inflate.unconsumed_tail or self._inflate.unused_data
        except zlib.error as error:
            raise _Cut from error


def _unpacker(response: httpx.Response) -> _Plain | Gunzip:
    encoding = response.headers.get("content-encoding", "identity").strip().lower()
    if encoding in {"", "identity"}:
        return _Plain()
    if encoding in {"gzip", "x-gzip"}:
        return Gunzip()
    raise SourceFailed(place(str(response.url)), "it compresses in a way that was not asked for")


def _reason(error: Exception) -> str:
    if isinstance(error, httpx.ConnectError | httpx.ConnectTimeout | httpx.PoolTimeout):
        return "it cannot be reached"
    if isinstance(error, httpx.TimeoutException | TimeoutError):
        return "it does not answer in time"
    if isinstance(error, httpx.InvalidURL):
        return "its address is not one"
    return "the connection broke"
