"""The one HTTP client that calls out: deny by default, and the address that was checked is the one that is dialled.

Every request, so every hop of a redirect too, is held against the allow-list. A name is resolved once for each
connection, all its addresses are checked, and the connection goes to one of those; TLS still asks for, and checks,
the name. So a name that changes its mind between check and use (DNS rebinding) gains nothing.
"""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import Awaitable, Callable, Iterable, Sequence
from http.cookiejar import CookieJar, DefaultCookiePolicy
from ipaddress import ip_address

import httpcore
import httpx

from craton.access.destinations import Destinations, literal

Resolver = Callable[[str, int], Awaitable[Sequence[str]]]
"""Host name and port to addresses, best first. Raises OSError."""

MAX_REDIRECTS = 5
TIMEOUT = httpx.Timeout(10.0, read=300.0)  # seconds


def outgoing(
    allow: Sequence[str],
    *,
    resolve: Resolver | None = None,
    tls: ssl.SSLContext | None = None,
    proxy: str | None = None,
    timeout: httpx.Timeout = TIMEOUT,
) -> httpx.AsyncClient:
    """A client that reaches what `allow` names (see Destinations) and raises OutgoingRefused for all else.

    It follows no redirect unless a request asks for it, keeps no cookies (tenants share it) and knows no proxy from
    the environment. proxy: its URL; the names are then checked here but resolved there. tls: None for the usual
    authorities. Bounds on what is read are the caller's. Raises InvalidRequest for a bad entry.
    """
    destinations = Destinations(allow)
    tls = tls or httpx.create_ssl_context()
    if proxy is None:
        inner: httpx.AsyncHTTPTransport = _PinnedTransport(_PinnedNetwork(destinations, resolve or _system), tls)
    else:
        inner = httpx.AsyncHTTPTransport(verify=tls, trust_env=False, proxy=proxy)
    return httpx.AsyncClient(
        transport=_CheckedTransport(destinations, inner),
        trust_env=False,
        timeout=timeout,
        max_redirects=MAX_REDIRECTS,
        cookies=CookieJar(DefaultCookiePolicy(allowed_domains=[])),
    )


class _CheckedTransport(httpx.AsyncBaseTransport):
    """Holds each request against the allow-list before a connection, new or kept, is used."""

    def __init__(self, destinations: Destinations, inner: httpx.AsyncBaseTransport) -> None:
        self._destinations, self._inner = destinations, inner

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        self._destinations.check(request.url.scheme, request.url.raw_host.decode("ascii"), request.url.port)
        return await self._inner.handle_async_request(request)

    async def aclose(self) -> None:
        await self._inner.aclose()


class _PinnedTransport(httpx.AsyncHTTPTransport):
    """httpx's transport over our network: it has no argument for that, so its pool is replaced."""

    def __init__(self, network: httpcore.AsyncNetworkBackend, tls: ssl.SSLContext) -> None:
        super().__init__(verify=tls, trust_env=False)
        self._pool = httpcore.AsyncConnectionPool(
            ssl_context=tls,
            max_connections=100,
            max_keepalive_connections=20,
            keepalive_expiry=5.0,
            network_backend=network,
        )


class _PinnedNetwork(httpcore.AsyncNetworkBackend):
    """Resolves, checks every address, dials one of them."""

    def __init__(self, destinations: Destinations, resolve: Resolver) -> None:
        self._destinations, self._resolve = destinations, resolve
        self._dialler = httpcore.AnyIOBackend()

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,  # noqa: ASYNC109 - httpcore's signature
        local_address: str | None = None,
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        addresses = [host] if literal(host) else await self._lookup(host, port, timeout)
        for address in addresses:
            self._destinations.check_address(host, port, ip_address(address))
        failure: httpcore.ConnectError | httpcore.ConnectTimeout = httpcore.ConnectError("the name has no address")
        for address in addresses:
            try:
                return await self._dialler.connect_tcp(address, port, timeout, local_address, socket_options)
            except (httpcore.ConnectError, httpcore.ConnectTimeout) as error:
                failure = error
        raise failure

    async def _lookup(self, host: str, port: int, patience: float | None) -> Sequence[str]:
        try:
            async with asyncio.timeout(patience):
                return await self._resolve(host, port)
        except TimeoutError as error:
            raise httpcore.ConnectTimeout("the name was not resolved in time") from error
        except (OSError, UnicodeError) as error:
            raise httpcore.ConnectError("the name was not resolved") from error

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)


async def _system(host: str, port: int) -> Sequence[str]:
    """The operating system's resolver."""
    found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(address[0]) for *_, address in found))
