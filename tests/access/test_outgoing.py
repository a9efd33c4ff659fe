"""The outgoing client against real local servers, with resolvers that lie."""

from __future__ import annotations

import asyncio
import datetime
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import httpx
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from craton.access.outgoing import Resolver, outgoing
from craton.core.errors import OutgoingRefused

pytestmark = pytest.mark.anyio

Answer = Callable[[str], tuple[str, str]]  # request target -> status line's rest, and extra header lines


@asynccontextmanager
async def server(
    answer: Answer = lambda target: ("200 OK", ""), tls: ssl.SSLContext | None = None
) -> AsyncIterator[tuple[int, list[str]]]:
    """A local HTTP/1.1 server: its port, and the heads of the requests that reached it."""
    heads: list[str] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode()
                heads.append(head)
                status, headers = answer(head.split(" ")[1])
                writer.write(f"HTTP/1.1 {status}\r\ncontent-length: 2\r\n{headers}\r\nok".encode())
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()

    listening = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=tls)
    try:
        yield listening.sockets[0].getsockname()[1], heads
    finally:
        listening.close()


def resolver(*answers: Sequence[str]) -> tuple[Resolver, list[str]]:
    """Gives one answer after the other, the last one for ever; and the names that were asked for."""
    asked: list[str] = []

    async def resolve(host: str, _port: int) -> Sequence[str]:
        asked.append(host)
        return answers[min(len(asked), len(answers)) - 1]

    return resolve, asked


async def refused(request: Awaitable[httpx.Response]) -> str:
    with pytest.raises(OutgoingRefused) as caught:
        await request
    return caught.value.host


async def test_nothing_is_called_that_is_not_on_the_list() -> None:
    resolve, asked = resolver(["127.0.0.1"])
    async with server() as (port, heads), outgoing([], resolve=resolve) as client:
        for host in ("127.0.0.1", "localhost", "[::1]", "2130706433", "0x7f.1", "[::ffff:127.0.0.1]", "model.test"):
            await refused(client.get(f"http://{host}:{port}/"))
    assert (heads, asked) == ([], [])


async def test_a_place_that_the_operator_named_is_called() -> None:
    async with server() as (port, heads), outgoing([f"http://127.0.0.1:{port}"]) as client:
        assert (await client.get(f"http://127.0.0.1:{port}/v1/models")).text == "ok"
        assert await refused(client.get(f"http://127.0.0.1:{port + 1}/")) == "127.0.0.1"
        assert await refused(client.get(f"http://allowed.test:{port}@127.0.0.1:{port + 1}/")) == "127.0.0.1"
    assert len(heads) == 1


@pytest.mark.parametrize("address", ["127.0.0.1", "10.0.0.1", "169.254.169.254", "::1", "::ffff:127.0.0.1", "fe80::1"])
async def test_a_public_name_that_leads_inside_is_refused_before_dialling(address: str) -> None:
    async with server() as (port, heads):
        for answers in ([address], ["8.8.8.8", address]):
            resolve, _ = resolver(answers)
            async with outgoing([f"model.test:{port}"], resolve=resolve) as client:
                assert await refused(client.get(f"http://model.test:{port}/")) == "model.test"
    assert heads == []


async def test_the_address_that_was_checked_is_the_one_that_is_dialled() -> None:
    async with server() as (port, heads):
        resolve, asked = resolver(["127.0.0.1"], ["169.254.169.254"])
        async with outgoing([f"http://model.test:{port}"], resolve=resolve) as client:
            assert (await client.get(f"http://model.test:{port}/")).text == "ok"
            assert asked == ["model.test"], "resolved once"
            assert f"Host: model.test:{port}".lower() in heads[0].lower()
            rebound = client.get(f"http://model.test:{port}/", headers={"connection": "close"})
            assert (await rebound).text == "ok", "the kept connection goes to the checked address"
            assert await refused(client.get(f"http://model.test:{port}/")) == "model.test"
            assert asked == ["model.test"] * 2
    assert len(heads) == 2


async def test_every_hop_of_a_redirect_is_checked() -> None:
    async with server() as (inner, inner_heads):
        targets = {
            "/address": f"http://127.0.0.1:{inner}/",
            "/name": "http://metadata.google.internal/",
            "/mapped": f"http://[::ffff:127.0.0.1]:{inner}/",
            "/scheme": f"https://model.test:{inner}/",
            "/file": "file:///etc/passwd",
        }

        def answer(target: str) -> tuple[str, str]:
            return ("302 Found", f"location: {targets[target]}\r\n") if target in targets else ("200 OK", "")

        resolve, _ = resolver(["127.0.0.1"])
        async with (
            server(answer) as (port, heads),
            outgoing([f"http://model.test:{port}"], resolve=resolve) as client,
        ):
            for target in targets:
                with pytest.raises((OutgoingRefused, httpx.UnsupportedProtocol)):
                    await client.get(f"http://model.test:{port}{target}", follow_redirects=True)
            targets["/home"] = "/elsewhere"
            assert (await client.get(f"http://model.test:{port}/home", follow_redirects=True)).text == "ok"
            assert (await client.get(f"http://model.test:{port}/name")).status_code == 302
    assert inner_heads == []
    assert len(heads) == len(targets) + 2


async def test_the_next_address_is_tried_when_one_does_not_answer() -> None:
    async with server() as (port, heads):
        resolve, _ = resolver(["127.0.0.2", "127.0.0.1"])  # the server listens on the second only
        async with outgoing([f"http://model.test:{port}"], resolve=resolve) as client:
            assert (await client.get(f"http://model.test:{port}/")).text == "ok"
    assert len(heads) == 1


async def test_a_name_that_does_not_resolve_is_a_connection_error() -> None:
    async def fails(_host: str, _port: int) -> Sequence[str]:
        raise OSError("no such name")

    async def hangs(_host: str, _port: int) -> Sequence[str]:
        await asyncio.sleep(60)
        return []

    async with outgoing(["model.test"], resolve=fails) as client:
        with pytest.raises(httpx.ConnectError):
            await client.get("https://model.test/")
    async with outgoing(["model.test"], resolve=hangs, timeout=httpx.Timeout(0.05)) as client:
        with pytest.raises(httpx.ConnectTimeout):
            await client.get("https://model.test/")


def certificate(name: str, folder: Path) -> tuple[ssl.SSLContext, ssl.SSLContext]:
    """A server's and a client's TLS context around a self-signed certificate for this name."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
    now = datetime.datetime.now(datetime.UTC)
    built = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
        .sign(key, hashes.SHA256())
    )
    pem = folder / "server.pem"
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    pem.write_bytes(private + built.public_bytes(serialization.Encoding.PEM))
    serving = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    serving.load_cert_chain(pem)
    return serving, ssl.create_default_context(cadata=built.public_bytes(serialization.Encoding.PEM).decode())


async def test_tls_asks_for_and_checks_the_name_not_the_address(tmp_path: Path) -> None:
    serving, trusting = certificate("model.test", tmp_path)
    asked_for: list[str | None] = []
    serving.sni_callback = lambda _socket, name, _context: asked_for.append(name)  # type: ignore[assignment]  # typeshed: the callback's return
    resolve, _ = resolver(["127.0.0.1"])
    async with server(tls=serving) as (port, heads):
        allow = [f"https://model.test:{port}", f"https://other.test:{port}"]
        async with outgoing(allow, resolve=resolve, tls=trusting) as client:
            assert (await client.get(f"https://model.test:{port}/")).text == "ok"
            with pytest.raises(httpx.ConnectError, match="certificate"):
                await client.get(f"https://other.test:{port}/")
        async with outgoing(allow, resolve=resolve) as client:
            with pytest.raises(httpx.ConnectError, match="certificate"):
                await client.get(f"https://model.test:{port}/")
    assert asked_for[:2] == ["model.test", "other.test"]
    assert len(heads) == 1


async def test_a_proxy_is_used_only_when_configured(monkeypatch: pytest.MonkeyPatch) -> None:
    async with server() as (port, heads), server() as (proxy_port, proxied):
        proxy = f"http://127.0.0.1:{proxy_port}"
        for variable in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "HTTPS_PROXY"):
            monkeypatch.setenv(variable, proxy)
        async with outgoing([f"http://127.0.0.1:{port}"]) as client:
            await client.get(f"http://127.0.0.1:{port}/")
        assert (len(heads), len(proxied)) == (1, 0)
        async with outgoing(["model.test"], proxy=proxy) as client:
            assert (await client.get("http://model.test/")).text == "ok"
            await refused(client.get("http://other.test/"))
        assert [head.split(" ")[1] for head in proxied] == ["http://model.test/"]


async def test_no_cookie_and_no_netrc_travels_from_one_call_to_the_next(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "netrc").write_text("machine 127.0.0.1 login someone password secret\n")
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    async with (
        server(lambda target: ("200 OK", "set-cookie: session=tenant-one\r\n")) as (port, heads),
        outgoing([f"http://127.0.0.1:{port}"]) as client,
    ):
        for _ in range(2):
            await client.get(f"http://127.0.0.1:{port}/")
    assert len(heads) == 2
    assert "cookie" not in heads[1].lower()
    assert "authorization" not in heads[1].lower()
