"""Requests that are wrong: a typed refusal in each dialect, nothing of the insides in it, and the server goes on."""

from __future__ import annotations

import json
import socket
from typing import Any
from urllib.parse import unquote, urlsplit

import httpx
import pytest

from tests.faults.dialects import NAMES, Dialect, Failure, outcome, send, speak
from tests.faults.seen import assert_tells_nothing
from tests.servers import RunningServer

INVALID = {"aws": "ValidationException", "openai": "invalid_request_error", "anthropic": "invalid_request_error"}
ABSENT = {
    "aws": (404, "ResourceNotFoundException", "ResourceNotFoundException"),
    "openai": (404, "model_not_found", "NotFoundError"),
    "anthropic": (404, "not_found_error", "NotFoundError"),
}
dialects = pytest.mark.parametrize("name", NAMES)


def refused(dialect: Dialect, body: bytes | dict[str, Any], server: RunningServer, **options: Any) -> Failure:
    """The refusal of a body; a normal request works right after it."""
    response = send(dialect, body, **options)
    assert_tells_nothing(response.text + str(response.headers), server)
    failure = dialect.refusal(response)
    assert failure.request_id
    assert failure.message
    assert dialect.ask("echo", "still here") == "still here"
    return failure


def well_formed(dialect: Dialect) -> bytes:
    return json.dumps(dialect.body("echo", "hello")).encode()


@dialects
@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"null",
        b"[]",
        b'"text"',
        b"{",
        b'{"messages": }',
        b"{} {}",
        b"\x00",
        b"\xef\xbb\xbf{}",
        b"model=echo&messages=hello",
        b"<xml/>",
        b"\x1f\x8b\x08\x00\x00\x00\x00\x00",
    ],
)
def test_what_is_no_json_object_is_refused(name: str, body: bytes, server: RunningServer) -> None:
    assert refused(speak(name, server), body, server).status == 400


@dialects
@pytest.mark.parametrize("bad", [b"\xff\xfe", b"\xc3\x28", b"\xed\xa0\x80", b"\xf4\x90\x80\x80"])
def test_invalid_utf_8_is_refused(name: str, bad: bytes, server: RunningServer) -> None:
    dialect = speak(name, server)
    failure = refused(dialect, well_formed(dialect).replace(b"hello", b"hel" + bad + b"lo"), server)
    assert (failure.status, failure.code) == (400, INVALID[name])


@dialects
def test_a_lone_surrogate_neither_breaks_the_answer_nor_the_server(name: str, server: RunningServer) -> None:
    dialect = speak(name, server)
    response = send(dialect, well_formed(dialect).replace(b"hello", rb"hel\ud800lo"))
    assert response.status_code in {200, 400}
    assert_tells_nothing(response.text, server)


@dialects
@pytest.mark.parametrize("wrong", [7, "text", None, True, {"a": 1}, [[]], [None], [7], [{"role": 7}], [{}]])
def test_messages_of_a_wrong_type_are_refused(name: str, wrong: object, server: RunningServer) -> None:
    dialect = speak(name, server)
    failure = refused(dialect, dialect.body("echo", "hello") | {"messages": wrong}, server)
    assert (failure.status, failure.code) == (400, INVALID[name])


@dialects
@pytest.mark.parametrize(
    "number", [b"NaN", b"Infinity", b"-Infinity", b"1e999", b"-1", b"1.5", b"0x10", b'"64"', str(2**70).encode()]
)
def test_max_tokens_that_is_no_small_whole_number_is_refused(name: str, number: bytes, server: RunningServer) -> None:
    dialect = speak(name, server)
    body = json.dumps(dialect.body("echo", "hello", max_tokens=4242)).encode()
    assert b"4242" in body
    failure = refused(dialect, body.replace(b"4242", number), server)
    assert failure.status == 400
    assert failure.code == INVALID[name]


@dialects
@pytest.mark.parametrize("number", [b"NaN", b"1e999", str(2**70).encode(), b"-0.1", b'"warm"'])
def test_a_temperature_that_is_none_is_refused(name: str, number: bytes, server: RunningServer) -> None:
    dialect = speak(name, server)
    body = dialect.body("echo", "hello")
    (body["inferenceConfig"] if name == "aws" else body)["temperature"] = 0.4242
    failure = refused(dialect, json.dumps(body).encode().replace(b"0.4242", number), server)
    assert (failure.status, failure.code) == (400, INVALID[name])


@dialects
def test_of_a_member_that_comes_twice_one_is_taken(name: str, server: RunningServer) -> None:
    """RFC 8259 leaves it open; what matters is that the check and the work see the same one."""
    dialect = speak(name, server)
    once = json.dumps(dialect.body("echo", "second"))[1:]
    first = json.dumps(dialect.body("echo", "first"))[:-1]
    response = send(dialect, f"{first}, {once}".encode())
    assert response.status_code == 200
    assert ("first" in response.text) != ("second" in response.text)


@dialects
@pytest.mark.parametrize("value", [b"1" * 5000, b"-" + b"9" * 400, b"1" + b"0" * 400 + b".5e-300"])
def test_numbers_of_thousands_of_digits_are_refused_or_passed_over(
    name: str, value: bytes, server: RunningServer
) -> None:
    dialect = speak(name, server)
    response = send(dialect, b'{"unknown_member": ' + value + b", " + well_formed(dialect)[1:])
    assert response.status_code in {200, 400}
    assert_tells_nothing(response.text, server)


@dialects
@pytest.mark.parametrize("stream", [False, True])
def test_an_unknown_model_is_not_found(name: str, stream: bool, server: RunningServer) -> None:
    failure = outcome(speak(name, server), "no-such-model", "hello", stream=stream)
    assert isinstance(failure, Failure)
    assert (failure.status, failure.code, failure.kind) == ABSENT[name]
    assert "no-such-model" in failure.message
    assert failure.request_id


@dialects
@pytest.mark.parametrize(
    "model",
    [
        "..%2f..%2fmaster.key",
        "..%252f..%252fmaster.key",
        "%2e%2e%5cmaster.key",
        "echo%00",
        "craton%2Fecho@..",
        "echo'%20OR%20'1'='1",
        "%F0%9F%A6%99",
        "%ff%fe",
        "hub:shared:x@y",
    ],
)
def test_no_name_of_a_model_leads_anywhere_else(name: str, model: str, server: RunningServer) -> None:
    dialect = speak(name, server)
    response = send(dialect, dialect.body(unquote(model, errors="replace"), "hello"), model)
    assert response.status_code in {400, 404}
    assert dialect.refusal(response).request_id
    assert_tells_nothing(response.text, server)


@dialects
def test_a_prompt_longer_than_the_context_is_refused_with_both_numbers(name: str, server: RunningServer) -> None:
    failure = outcome(speak(name, server), "echo", "word " * 9000, stream=False)
    streamed = outcome(speak(name, server), "echo", "word " * 9000, stream=True)
    for told in (failure, streamed):
        assert isinstance(told, Failure)
        assert told.status == 400
        digits = told.message.replace(",", "")
        assert "8192" in digits
        assert "9000" in digits
    codes = {"aws": "ValidationException", "openai": "context_length_exceeded", "anthropic": "invalid_request_error"}
    assert isinstance(failure, Failure)
    assert failure.code == codes[name]


@dialects
@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE", "PATCH", "OPTIONS", "HEAD", "TRACE", "PROPFIND"])
def test_another_method_is_refused(name: str, method: str, server: RunningServer) -> None:
    dialect = speak(name, server)
    response = httpx.request(method, dialect.url("echo"), headers=dialect.headers(), trust_env=False)
    assert 400 <= response.status_code < 500
    assert_tells_nothing(response.text, server)


@pytest.mark.parametrize(
    "raw",
    [
        b"\r\n\r\n",
        b"GET\r\n\r\n",
        b"GET / HTTP/9.9\r\n\r\n",
        b"GET /\xff\xfe HTTP/1.1\r\nhost: x\r\n\r\n",
        b"GET http://[::1 HTTP/1.1\r\nhost: x\r\n\r\n",
        b"GET * HTTP/1.1\r\nhost: x\r\n\r\n",
        b"CONNECT 10.0.0.1:80 HTTP/1.1\r\nhost: x\r\n\r\n",
        b"POST / HTTP/1.1\r\ncontent-length: 4\r\ncontent-length: 5\r\n\r\nabcde",
        b"POST / HTTP/1.1\r\ncontent-length: 4\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n",
        b"POST / HTTP/1.1\r\ncontent-length: -1\r\n\r\n",
        b"POST / HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\nZZ\r\n",
        b"GET / HTTP/1.1\r\nhost: x\r\nx: a\x00b\r\n\r\n",
        b"GET / HTTP/1.1\r\nhost: x\r\nupgrade: websocket\r\nconnection: upgrade\r\n\r\n",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        bytes(range(256)),
    ],
)
def test_what_is_no_http_is_answered_with_an_error_or_hung_up_on(raw: bytes, server: RunningServer) -> None:
    address = urlsplit(server.url)
    with socket.create_connection((address.hostname, address.port), timeout=20) as sock:
        sock.sendall(raw)
        sock.shutdown(socket.SHUT_WR)
        told = b""
        while data := sock.recv(65536):
            told += data
    assert not told or told.split(b" ")[1][:1] == b"4"
    assert_tells_nothing(told.decode("latin-1"), server)
    assert httpx.get(f"{server.url}/healthz", trust_env=False).status_code == 200
