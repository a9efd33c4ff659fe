"""A client that leaves gives its place back, streaming or not, running or waiting; deadlines and full queues are told
in each dialect's own words."""

from __future__ import annotations

import json
import socket
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, ExitStack, contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError

from tests.faults.dialects import NAMES, Dialect, Failure, outcome, speak
from tests.faults.seen import loaded, resident_bytes, running, wait_until
from tests.servers import RunningServer, serving

SCRIPT = """
rules:
  - when: {contains: slowly}
    delay: {first_ms: 50, between_ms: 100}
    reply: "one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen"
  - when: {contains: silently}
    delay: {first_ms: 60000}
"""
SMALL = "smollm2-135m-instruct"
LONG = "Write a very long story about the sea. Begin every sentence with another letter."
WITHOUT_END = {"max_tokens": 1900, "logit_bias": {"0": -100, "2": -100}}  # its tokens that end an answer
dialects = pytest.mark.parametrize("name", NAMES)
streaming = pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])


@contextmanager
def slow_server(folder: Path, config: str) -> Iterator[RunningServer]:
    """An echo that can be slow, in a worker process."""
    home = folder / "home"
    home.mkdir(parents=True)
    (home / "replies.yaml").write_text(SCRIPT)
    with serving(home, config=f"{config}\n[echo]\nscript = 'replies.yaml'\n[engines.echo]\nworker = true\n") as server:
        speak("openai", server).ask("echo", "load")
        yield server


@pytest.fixture(scope="module")
def slow(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    with slow_server(tmp_path_factory.mktemp("slow"), "") as server:
        yield server


@contextmanager
def asking(
    dialect: Dialect, server: RunningServer, model: str, text: str, *, stream: bool, **more: Any
) -> Iterator[socket.socket]:
    """A request under way on a socket of its own, which is closed at the end: the client leaves."""
    url = urlsplit(dialect.url(model, stream=stream))
    body = json.dumps(dialect.body(model, text, stream=stream, max_tokens=400) | more).encode()
    head = [f"POST {url.path} HTTP/1.1", f"host: {url.netloc}", f"content-length: {len(body)}"]
    head += [f"{key}: {value}" for key, value in dialect.headers().items()]
    with socket.create_connection((url.hostname, url.port), timeout=30) as sock:
        sock.sendall("\r\n".join([*head, "", ""]).encode() + body)
        yield sock


@dialects
@streaming
@pytest.mark.parametrize("text", ["slowly", "silently"])
def test_a_client_that_leaves_frees_its_place(name: str, stream: bool, text: str, slow: RunningServer) -> None:
    with asking(speak(name, slow), slow, "echo", text, stream=stream) as sock:
        wait_until(lambda: running(slow, "echo") == 1)
        if stream and text == "slowly":
            assert sock.recv(100)
    seconds = wait_until(lambda: running(slow, "echo") == 0)
    print(f"{name} {text}: free after {seconds * 1000:.0f} ms")
    assert seconds < 1.0


@dialects
def test_a_client_that_only_stops_sending_gets_its_answer_or_frees_its_place(name: str, slow: RunningServer) -> None:
    with asking(speak(name, slow), slow, "echo", "slowly", stream=True) as sock:
        wait_until(lambda: running(slow, "echo") == 1)
        sock.shutdown(socket.SHUT_WR)
        while sock.recv(65536):
            pass
    wait_until(lambda: running(slow, "echo") == 0)


def test_a_reader_that_stands_still_does_not_fill_the_servers_memory(slow: RunningServer) -> None:
    before = resident_bytes(slow.pid)
    text = "a-rather-long-word-that-comes-back " * 4000
    with ExitStack() as stack:
        for name in NAMES * 5:
            stack.enter_context(asking(speak(name, slow), slow, "echo", text, stream=True))
        time.sleep(1.0)
        assert resident_bytes(slow.pid) - before < 150 * 2**20
    wait_until(lambda: running(slow, "echo") == 0)


@pytest.fixture(scope="module")
def narrow(small_server_factory: Callable[[str], AbstractContextManager[RunningServer]]) -> Iterator[RunningServer]:
    """One place and one to wait in, at the starter model."""
    with small_server_factory("[server]\nwaiting = 1\n[engines.llama_cpp]\nparallel = 1\ncontext = 2048\n") as server:
        speak("openai", server).ask(SMALL, "Hi", 2)
        yield server


def place(server: RunningServer) -> tuple[int, int]:
    line = loaded(server, SMALL)
    assert line is not None
    return line["running"], line["waiting"]


@dialects
@streaming
def test_a_client_of_a_real_model_frees_its_place(name: str, stream: bool, narrow: RunningServer) -> None:
    with asking(speak(name, narrow), narrow, SMALL, LONG, stream=stream) as sock:
        wait_until(lambda: place(narrow) == (1, 0))
        if stream:
            assert sock.recv(100)
    seconds = wait_until(lambda: place(narrow) == (0, 0))
    print(f"{name}: free after {seconds * 1000:.0f} ms")
    assert seconds < 1.0


@dialects
def test_a_client_that_leaves_the_queue_is_not_waited_for(name: str, narrow: RunningServer) -> None:
    dialect = speak(name, narrow)
    with asking(dialect, narrow, SMALL, LONG, stream=True) as first:
        wait_until(lambda: place(narrow) == (1, 0))
        with asking(dialect, narrow, SMALL, LONG, stream=False):
            wait_until(lambda: place(narrow) == (1, 1))
        seconds = wait_until(lambda: place(narrow) == (1, 0))
        print(f"{name}: out of the queue after {seconds * 1000:.0f} ms")
        assert seconds < 1.0
        assert first.recv(100)
    wait_until(lambda: place(narrow) == (0, 0))
    assert dialect.ask(SMALL, "Hi", 4)


FULL = {
    "aws": (429, "ThrottlingException", "ThrottlingException"),
    "openai": (429, "rate_limit_exceeded", "RateLimitError"),
    "anthropic": (429, "rate_limit_error", "RateLimitError"),
}


@contextmanager
def full(server: RunningServer) -> Iterator[None]:
    """The one place and the one waiting place are taken."""
    dialect = speak("openai", server)
    with asking(dialect, server, SMALL, LONG, stream=True, **WITHOUT_END):
        wait_until(lambda: place(server) == (1, 0))
        with asking(dialect, server, SMALL, LONG, stream=True):
            wait_until(lambda: place(server) == (1, 1))
            yield
    wait_until(lambda: place(server) == (0, 0))


def test_a_full_queue_throttles_in_each_dialect(narrow: RunningServer) -> None:
    told = []
    with full(narrow):
        for name in NAMES:
            dialect = speak(name, narrow)
            told += [(name, outcome(dialect, SMALL, "Hi", stream=stream)) for stream in (False, True)]
    for name, failure in told:
        assert isinstance(failure, Failure), failure
        assert (failure.status, failure.code, failure.kind) == FULL[name]
        assert failure.request_id


def test_boto3_tries_five_times_and_then_tells(narrow: RunningServer) -> None:
    calls: list[int] = []
    client = boto3.Session(narrow.access_key_id, narrow.secret_access_key, region_name="us-east-1").client(
        "bedrock-runtime", endpoint_url=narrow.url, config=Config(retries={"mode": "legacy"})
    )
    client.meta.events.register("before-send.bedrock-runtime", lambda **_: calls.append(1))
    body = speak("aws", narrow).body(SMALL, "Hi")
    with full(narrow), pytest.raises(ClientError) as caught:
        client.converse(modelId=SMALL, **body)
    assert caught.value.response["Error"]["Code"] == "ThrottlingException"
    assert len(calls) == 5


LATE = {
    "aws": (408, "ModelTimeoutException"),
    "openai": (504, "deadline_exceeded"),
    "anthropic": (504, "timeout_error"),
}


def test_a_deadline_is_told_in_each_dialect(tmp_path: Path) -> None:
    """Before the first event it has a status of its own; after it, it is an error inside the stream."""
    with slow_server(tmp_path, "[server]\ndeadline = 0.7\n") as server, ThreadPoolExecutor(9) as pool:
        kinds = (("slowly", False), ("slowly", True), ("silently", True))
        cases = [(name, text, stream) for name in NAMES for text, stream in kinds]
        told = [
            (name, text, stream, pool.submit(outcome, speak(name, server), "echo", text, stream=stream))
            for name, text, stream in cases
        ]
        for name, text, stream, future in told:
            failure = future.result()
            assert isinstance(failure, Failure), (name, text, stream, failure)
            status, code = LATE[name]
            inside = stream and text == "slowly"
            assert failure.status == (0 if inside else status), (name, text, stream, failure)
            if not inside or name != "aws":  # ConverseStream's events know no ModelTimeoutException
                assert failure.code.lower() == code.lower(), (name, text, stream, failure)
            assert "0.7 seconds" in failure.message
        wait_until(lambda: running(server, "echo") == 0)
        assert speak("openai", server).ask("echo", "quickly") == "quickly"


def test_many_that_leave_at_once_leave_nothing_behind(slow: RunningServer) -> None:
    leave = threading.Event()

    def one(index: int) -> None:
        with asking(speak(NAMES[index % 3], slow), slow, "echo", "silently", stream=bool(index % 2)):
            leave.wait(30)

    with ThreadPoolExecutor(30) as pool:
        futures = [pool.submit(one, index) for index in range(30)]
        wait_until(lambda: running(slow, "echo") == 30)
        leave.set()
        for future in futures:
            future.result()
    assert wait_until(lambda: running(slow, "echo") == 0) < 2.0
