"""A worker that dies or hangs in the middle of answers: its requests fail with a typed error in the words of each
dialect, other models' go on, and it comes back."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest

from tests.faults.dialects import NAMES, Failure, Interrupted, outcome, speak
from tests.faults.seen import assert_tells_nothing, loaded, worker_of
from tests.servers import RunningServer, serving

SMALL = "smollm2-135m-instruct"
STORY = "Write a very long story about the sea. Begin every sentence with another letter."
SCRIPT = """
rules:
  - when: {contains: slowly}
    delay: {between_ms: 50}
    reply: "one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen
      eighteen nineteen twenty twenty-one twenty-two twenty-three twenty-four twenty-five twenty-six twenty-seven"
  - when: {contains: crash}
    fault: {after: 2, kind: crash}
  - when: {contains: fail}
    fault: {after: 2, kind: fail, reason: out of memory}
"""
IN_STREAM = {
    "aws": (0, "modelStreamErrorException", "EventStreamError"),
    "openai": (0, "model_failed", "APIError"),
    "anthropic": (0, "api_error", None),
}
WHOLE = {
    "aws": (424, "ModelErrorException"),
    "openai": (500, "model_failed"),
    "anthropic": (500, "api_error"),
}


@pytest.fixture(scope="module")
def server(small_server: RunningServer) -> RunningServer:
    """The module's own."""
    return small_server


def broken_off(server: RunningServer, sig: signal.Signals) -> None:
    """Every dialect streams from the starter model and from echo; the signal hits the starter's worker."""
    worker = worker_of(server, SMALL)
    streams = [Interrupted(speak(name, server), SMALL, STORY, 400) for name in NAMES]
    with ThreadPoolExecutor(8) as pool:
        for stream in streams:
            stream.first()
        others = [pool.submit(outcome, speak(name, server), "echo", "goes on", stream=True) for name in NAMES]
        os.kill(worker, sig)
        for stream in list(pool.map(Interrupted.rest, streams)):
            assert stream.said
            assert stream.failure is not None
            assert_tells_nothing(stream.failure.message, server)
        assert [other.result() for other in others] == ["goes on"] * 3
    for name, stream in zip(NAMES, streams, strict=True):
        assert stream.failure is not None
        status, code, kind = IN_STREAM[name]
        assert (stream.failure.status, stream.failure.code) == (status, code)
        assert kind is None or stream.failure.kind == kind
        assert SMALL in stream.failure.message
    begun = time.monotonic()
    while isinstance(answer := outcome(speak("openai", server), SMALL, "Hi", stream=False, max_tokens=4), Failure):
        assert answer.status == 503, answer  # told to come back
        assert time.monotonic() - begun < 60
        time.sleep(0.2)
    assert worker_of(server, SMALL) != worker


def test_a_worker_that_is_killed(server: RunningServer) -> None:
    speak("openai", server).ask(SMALL, "Hi", 2)
    broken_off(server, signal.SIGKILL)


@pytest.mark.slow
def test_a_worker_that_hangs(server: RunningServer) -> None:
    """Stopped, it says nothing: after ten seconds without a word it is killed."""
    speak("openai", server).ask(SMALL, "Hi", 2)
    broken_off(server, signal.SIGSTOP)


def test_a_whole_answer_of_a_killed_worker_has_a_status(server: RunningServer) -> None:
    speak("openai", server).ask(SMALL, "Hi", 2)
    with ThreadPoolExecutor(3) as pool:
        answers = [pool.submit(outcome, speak(n, server), SMALL, STORY, stream=False, max_tokens=400) for n in NAMES]
        while (line := loaded(server, SMALL)) is None or line["running"] < 3:
            time.sleep(0.01)
        os.kill(line["pid"], signal.SIGKILL)
        for name, answer in zip(NAMES, answers, strict=True):
            failure = answer.result()
            assert isinstance(failure, Failure)
            assert (failure.status, failure.code) == WHOLE[name]
            assert failure.request_id


def test_an_embedding_of_a_killed_worker_fails_and_the_next_one_works(server: RunningServer) -> None:
    def embed() -> httpx.Response:
        body = {"model": "all-minilm-l6-v2", "input": "hello"}
        with server.client() as client:
            return client.post("/v1/embeddings", json=body)

    assert embed().status_code == 200
    os.kill(worker_of(server, "all-minilm-l6-v2"), signal.SIGKILL)
    begun = time.monotonic()
    while (response := embed()).status_code != 200:
        assert response.json()["error"]["code"] in {"model_unavailable", "model_failed"}
        assert time.monotonic() - begun < 60
        time.sleep(0.1)


@pytest.fixture(scope="module")
def scripted(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    home: Path = tmp_path_factory.mktemp("scripted") / "home"
    home.mkdir()
    (home / "replies.yaml").write_text(SCRIPT)
    with serving(home, config="[echo]\nscript = 'replies.yaml'\n[engines.echo]\nworker = true\n") as running:
        yield running


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("fault", ["fail", "crash"])
def test_a_fault_of_the_engine_is_told_in_the_stream(name: str, fault: str, scripted: RunningServer) -> None:
    stream = Interrupted(speak(name, scripted), "echo", f"now {fault} in the middle please").rest()
    assert len(stream.said) == 2
    assert stream.failure is not None
    assert (stream.failure.status, stream.failure.code) == IN_STREAM[name][:2]
    whole = outcome(speak(name, scripted), "echo", "now fail in the middle please", stream=False)
    while isinstance(whole, Failure) and whole.status in {503, 529}:  # the worker waits before it starts again
        time.sleep(0.2)
        whole = outcome(speak(name, scripted), "echo", "now fail in the middle please", stream=False)
    assert isinstance(whole, Failure)
    assert (whole.status, whole.code) == WHOLE[name]


@pytest.mark.parametrize("name", NAMES)
def test_a_model_that_is_unloaded_under_its_readers_tells_them(name: str, scripted: RunningServer) -> None:
    while isinstance(outcome(speak("openai", scripted), "echo", "hello", stream=False), Failure):
        time.sleep(0.2)
    stream = Interrupted(speak(name, scripted), "echo", "slowly", 400)
    stream.first()
    with scripted.client() as client:
        assert client.delete("/api/craton/v1/loaded/echo").json() == {"unloaded": True}
    assert stream.rest().failure is not None
    assert speak(name, scripted).ask("echo", "again") == "again"
