"""Requests that are too large: refused in the dialect's own words before they are parsed; nothing is kept of them."""

from __future__ import annotations

import json
import socket
import time
from collections.abc import Iterator
from urllib.parse import urlsplit

import httpx
import pytest

from tests.faults.dialects import NAMES, send, speak
from tests.faults.seen import assert_tells_nothing, resident_bytes
from tests.servers import RunningServer

MEGABYTE = 2**20
TOO_LARGE = {"aws": (400, "ValidationException"), "openai": (413, "request_too_large")}
TOO_LARGE["anthropic"] = (413, "request_too_large")

dialects = pytest.mark.parametrize("name", NAMES)


@pytest.fixture(autouse=True)
def the_server_goes_on(server: RunningServer) -> Iterator[None]:
    yield
    for name in NAMES:
        assert speak(name, server).ask("echo", "still here") == "still here"


def connect(server: RunningServer) -> socket.socket:
    address = urlsplit(server.url)
    return socket.create_connection((address.hostname, address.port), timeout=20)


def pour(sock: socket.socket, head: bytes, piece: bytes, limit: int) -> int:
    """Sends the head, then the piece again and again until the other side hangs up; how many bytes it took."""
    sent = sock.send(head)
    try:
        while sent < limit:
            sent += sock.send(piece)
    except OSError:
        pass
    return sent


@dialects
def test_a_body_that_announces_too_much_is_refused_before_it_is_sent(name: str, server: RunningServer) -> None:
    dialect = speak(name, server)
    url = urlsplit(dialect.url("echo"))
    head = [f"POST {url.path} HTTP/1.1", "host: x", f"content-length: {10**12}", "expect: 100-continue"]
    head += [f"{key}: {value}" for key, value in dialect.headers().items()]
    with connect(server) as sock:
        sock.sendall("\r\n".join([*head, "", ""]).encode())
        told = ""
        while "}" not in told:
            told += sock.recv(65536).decode()
    assert f"HTTP/1.1 {TOO_LARGE[name][0]} " in told
    assert "100 Continue" not in told
    assert f"{10**12:,}" in told


@dialects
def test_a_body_without_a_length_is_cut_off_at_the_limit(name: str, server: RunningServer) -> None:
    dialect = speak(name, server)
    sent = 0

    def chunks() -> Iterator[bytes]:
        nonlocal sent
        for _ in range(40):
            sent += MEGABYTE
            yield b" " * MEGABYTE

    before = resident_bytes(server.pid)
    response = httpx.post(dialect.url("echo"), content=chunks(), headers=dialect.headers(), trust_env=False, timeout=60)
    assert sent > 32 * MEGABYTE
    failure = dialect.refusal(response)
    assert (failure.status, failure.code) == TOO_LARGE[name]
    assert failure.request_id
    assert "33,554,432" in failure.message
    time.sleep(0.1)
    assert resident_bytes(server.pid) - before < 100 * MEGABYTE


@dialects
@pytest.mark.parametrize("count", [1, 1500])
def test_headers_that_are_too_large_are_refused(name: str, count: int, server: RunningServer) -> None:
    dialect = speak(name, server)
    many = {f"x-padding-{index}": "p" * (66_000 // count) for index in range(count)}
    response = send(dialect, dialect.body("echo", "hello"), headers=many)
    failure = dialect.refusal(response) if response.status_code != 431 else None
    if failure is not None:
        assert (failure.status, failure.code) == TOO_LARGE[name]
    assert_tells_nothing(response.text, server)


@pytest.mark.parametrize(
    ("head", "piece"),
    [
        (b"POST /v1/messages HTTP/1.1\r\nx-one: ", b"p" * 65536),
        (b"POST /v1/messages HTTP/1.1\r\n", b"x-one: two\r\n" * 5000),
        (b"GET /", b"p" * 65536),
        (b"P", b"P" * 65536),
    ],
    ids=["one header", "many headers", "the path", "the method"],
)
def test_a_head_that_never_ends_is_hung_up_on(head: bytes, piece: bytes, server: RunningServer) -> None:
    before = resident_bytes(server.pid)
    with connect(server) as sock:
        sent = pour(sock, head, piece, 300 * MEGABYTE)
    assert sent < 20 * MEGABYTE  # what lies in the sockets' buffers
    assert resident_bytes(server.pid) - before < 20 * MEGABYTE


@pytest.mark.parametrize(
    "piece", [b"x-one: two\r\n" * 5000, b"5;" + b"x" * 65536], ids=["trailers", "chunk extensions"]
)
def test_what_follows_a_chunked_body_does_not_pile_up(piece: bytes, server: RunningServer) -> None:
    """Trailers and chunk extensions are a part of the message that no cap on head or body sees."""
    head = b"POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n"
    head += f"authorization: Bearer {server.token}\r\n\r\n".encode()
    head += b"0\r\n" if piece.startswith(b"x") else b""
    before = resident_bytes(server.pid)
    with connect(server) as sock:
        assert pour(sock, head, piece, 300 * MEGABYTE) < 20 * MEGABYTE
        assert resident_bytes(server.pid) - before < 20 * MEGABYTE


def test_trailers_are_not_taken_for_headers(server: RunningServer) -> None:
    """They come after the head: a key among them must open nothing."""
    body = json.dumps({"model": "echo", "messages": [{"role": "user", "content": "hi"}]}).encode()
    request = b"POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n"
    request += b"%x\r\n%s\r\n0\r\nauthorization: Bearer %s\r\n\r\n" % (len(body), body, server.token.encode())
    with connect(server) as sock:
        sock.sendall(request)
        assert sock.recv(65536).startswith(b"HTTP/1.1 401 ")


def test_a_body_in_chunks_of_one_byte_is_read(server: RunningServer) -> None:
    body = json.dumps({"model": "echo", "messages": [{"role": "user", "content": "word " * 4000}]}).encode()
    request = b"POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n"
    request += b"authorization: Bearer %s\r\n\r\n" % server.token.encode()
    request += b"".join(b"1\r\n%c\r\n" % byte for byte in body) + b"0\r\n\r\n"
    with connect(server) as sock:
        sock.sendall(request)
        assert sock.recv(65536).startswith(b"HTTP/1.1 200 ")


@dialects
def test_a_path_that_is_too_long_is_refused(name: str, server: RunningServer) -> None:
    dialect = speak(name, server)
    response = httpx.post(
        f"{dialect.url('echo')}?padding={'p' * 9000}", headers=dialect.headers(), content=b"{}", trust_env=False
    )
    assert response.status_code in {400, 413, 414}
    assert dialect.refusal(response).request_id
    assert_tells_nothing(response.text, server)


@dialects
def test_a_model_name_of_thousands_of_characters_is_only_a_model_that_is_not_there(
    name: str, server: RunningServer
) -> None:
    dialect = speak(name, server)
    model = "m" * 2048
    response = send(dialect, dialect.body(model, "hello"), model)
    assert response.status_code in {400, 404}
    assert len(response.content) < 2000
    assert dialect.refusal(response).request_id


@dialects
@pytest.mark.parametrize(
    "body",
    [b"[" * 100_000, b'{"a":' * 5_000, b'{"messages":' + b"[" * 3_000_000, b"[" * 200 + b"]" * 200],
    ids=["open arrays", "open objects", "millions", "closed"],
)
def test_deep_json_is_refused(name: str, body: bytes, server: RunningServer) -> None:
    dialect = speak(name, server)
    response = send(dialect, body)
    assert dialect.refusal(response).status in {400, 413}
    assert_tells_nothing(response.text, server)


@dialects
def test_json_that_is_deep_inside_is_refused(name: str, server: RunningServer) -> None:
    dialect = speak(name, server)
    deep: object = "bottom"
    for _ in range(90):
        deep = {"deeper": deep}
    body = dialect.body("echo", "hello") | {"metadata": deep, "requestMetadata": deep}
    failure = dialect.refusal(send(dialect, json.dumps(body).encode()))
    assert failure.status == 400
