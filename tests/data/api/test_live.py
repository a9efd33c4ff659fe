"""A live API is asked with the question, and can do no more than answer in time and in bounds."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from craton.access.outgoing import outgoing
from craton.core.errors import InvalidRequest, OutgoingRefused, SourceFailed, TooLarge
from craton.data.api.live import LiveRecord, _request, ask_live
from craton.data.api.options import LiveOptions, check_live
from craton.data.sources.options import read_options

pytestmark = pytest.mark.anyio


class Api:
    """Answers with what `answer` makes of (method, path, query, headers, body). seen: all of those."""

    def __init__(self) -> None:
        self.seen: list[tuple[str, str, dict[str, list[str]], dict[str, str], bytes]] = []
        self.answer: Callable[[], tuple[int, dict[str, str], bytes]] = lambda: (200, {}, b"[]")
        api = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                body = self.rfile.read(int(self.headers.get("content-length", 0)))
                parts = urlsplit(self.path)
                headers = {name.lower(): value for name, value in self.headers.items()}
                api.seen.append((self.command, parts.path, parse_qs(parts.query), headers, body))
                status, extra, data = api.answer()
                self.send_response(status)
                for name, value in extra.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(data)

            do_POST = do_GET

            def log_message(self, format: str, *args: Any) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def replies(self, value: Any) -> None:
        self.answer = lambda: (200, {"content-type": "application/json"}, json.dumps(value).encode())

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


@pytest.fixture
def api() -> Iterator[Api]:
    api = Api()
    yield api
    api.close()


@pytest.fixture
async def client(api: Api) -> AsyncIterator[httpx.AsyncClient]:
    async with outgoing([api.url]) as client:
        yield client


def options(api: Api, **given: Any) -> LiveOptions:
    return read_options(
        {"live": True, "url": f"{api.url}/search", "parameters": {"q": "{question}"}, **given}, LiveOptions
    )


async def test_the_question_goes_into_a_parameter_and_records_come_back(api: Api, client: httpx.AsyncClient) -> None:
    api.replies(
        {"hits": [{"id": 1, "name": "Kettle", "about": {"price": 39.9}, "page": "https://shop/1"}, {"name": "Pan"}]}
    )
    asked = options(
        api,
        url=f"{api.url}/search?lang=en",
        parameters={"q": "about {question}", "n": "5"},
        items="/hits",
        text=["/name", "/about/price"],
        title="/name",
        link="/page",
        headers={"x-kind": "live"},
    )
    found = await ask_live(client, asked, "hot & cold?", "s3cret")
    assert found[0] == LiveRecord(
        "name: Kettle\nprice: 39.9",
        "https://shop/1",
        "Kettle",
        {"id": 1, "name": "Kettle", "about": {"price": 39.9}, "page": "https://shop/1"},
    )
    assert (found[1].text, found[1].title) == ("name: Pan", "Pan")
    method, path, query, headers, _ = api.seen[0]
    assert (method, path) == ("GET", "/search")
    assert query == {"lang": ["en"], "q": ["about hot & cold?"], "n": ["5"]}
    assert (headers["authorization"], headers["x-kind"]) == ("Bearer s3cret", "live")


async def test_a_body_can_carry_the_question(api: Api, client: httpx.AsyncClient) -> None:
    api.replies({"answer": "42"})
    found = await ask_live(client, options(api, method="POST"), 'quote " and \\')
    assert json.loads(api.seen[0][4]) == {"q": 'quote " and \\'}
    assert found[0].text == "42"
    assert found[0].fields == {"answer": "42"}


CLIENT = httpx.AsyncClient(trust_env=False)  # it only writes requests


@settings(max_examples=200, deadline=None)
@given(st.text(max_size=100))
def test_a_question_changes_nothing_but_its_parameter(question: str) -> None:
    asked = LiveOptions("http://api.example.com/v1/search", {"q": "{question}", "lang": "en"})
    url = _request(CLIENT, asked, question, "").url
    assert (url.scheme, url.host, url.path) == ("http", "api.example.com", "/v1/search")
    values = parse_qs(url.query.decode("ascii"), keep_blank_values=True, errors="replace")
    assert values["lang"] == ["en"]
    assert values["q"] == [question.encode("utf-8", "replace").decode()]


async def test_only_so_many_records_are_taken_and_none_is_an_answer_too(api: Api, client: httpx.AsyncClient) -> None:
    api.replies([{"n": n} for n in range(50)])
    assert len(await ask_live(client, options(api, limit=3), "x")) == 3
    api.replies({"hits": None})
    assert await ask_live(client, options(api, items="/hits"), "x") == ()
    assert await ask_live(client, options(api, items="/absent/deep"), "x") == ()


async def test_what_the_operator_did_not_allow_is_not_called(api: Api) -> None:
    async with outgoing([]) as client:
        with pytest.raises(OutgoingRefused):
            await ask_live(client, options(api), "x")
    assert api.seen == []


async def test_answers_are_bounded_and_redirects_are_not_followed(api: Api, client: httpx.AsyncClient) -> None:
    api.answer = lambda: (200, {}, b"[" + b" " * 5000 + b"]")
    with pytest.raises(TooLarge):
        await ask_live(client, options(api, max_bytes=2000), "x")
    api.answer = lambda: (302, {"location": f"{api.url}/elsewhere"}, b"")
    with pytest.raises(SourceFailed, match="302"):
        await ask_live(client, options(api), "x")
    api.answer = lambda: (200, {"content-encoding": "gzip"}, b"x")
    with pytest.raises(SourceFailed, match="compresses"):
        await ask_live(client, options(api), "x")
    assert all(path == "/search" for _, path, *_ in api.seen)
    with pytest.raises(TooLarge):
        await ask_live(client, options(api), "x" * 5001)


async def test_a_slow_api_costs_its_seconds_and_no_more(api: Api, client: httpx.AsyncClient) -> None:
    def slow() -> tuple[int, dict[str, str], bytes]:
        time.sleep(5)
        return 200, {}, b"[]"

    api.answer = slow
    began = time.monotonic()
    with pytest.raises(SourceFailed, match="did not answer"):
        await ask_live(client, options(api, seconds=0.3), "x")
    assert time.monotonic() - began < 4


async def test_errors_name_the_place_and_no_secret(api: Api, client: httpx.AsyncClient) -> None:
    for body in (b"<html>", b"[" * 100_000, b"\xff"):
        api.answer = lambda body=body: (200, {}, body)  # type: ignore[misc]
        with pytest.raises(SourceFailed) as failed:
            await ask_live(client, options(api, url=f"{api.url}/search?key=hunter2"), "x", "s3cret")
        assert failed.value.source == api.url
    api.answer = lambda: (500, {}, b"")
    with pytest.raises(SourceFailed, match="500"):
        await ask_live(client, options(api), "x")
    api.close()
    with pytest.raises(SourceFailed):
        await ask_live(client, options(api), "x")


@pytest.mark.parametrize(
    "given",
    [
        {"url": "ftp://example.com/x"},
        {"url": "http://user@example.com/x"},
        {"url": "http://{question}.example.com/"},
        {"url": "http://[::1/x"},
        {"parameters": {"q": "nothing"}},
        {"parameters": {}},
        {"strange": 1},
        {"live": False},
        {"headers": {"a": "b\nc"}},
    ],
)
def test_bad_options_are_refused(api: Api, given: dict[str, Any]) -> None:
    with pytest.raises(InvalidRequest):
        check_live(options(api, **given))
