"""A model in a process of its own: the same answers, and no fault that reaches further than its own requests."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import time
from collections.abc import AsyncIterator, Callable
from contextlib import aclosing, asynccontextmanager
from pathlib import Path
from typing import Any

import msgspec
import pytest

from craton.children.process import Process
from craton.core.chat import ChatRequest, OutputSchema, Sampling, Tool, ToolChoice
from craton.core.errors import (
    ContextExceeded,
    InvalidRequest,
    ModelFailed,
    ModelUnavailable,
    NotFound,
    TooLarge,
    Unsupported,
)
from craton.core.events import Delta, Event, fold_stream
from craton.core.model import EmbedRequest
from craton.engines.echo import EchoEngine
from craton.engines.protocol import EngineSpec
from craton.engines.worker import LifeSettings, Worker, WorkerSettings

pytestmark = pytest.mark.anyio

Spec = Callable[..., EngineSpec]
Ask = Callable[..., ChatRequest]
SLOW = "rules: [{delay: {between_ms: 20}}]"
WORDS = " ".join(f"w{i}" for i in range(500))


@asynccontextmanager
async def running(spec: EngineSpec, settings: WorkerSettings | None = None, **injected: Any) -> AsyncIterator[Worker]:
    worker = Worker(spec, settings, **injected)
    await worker.start()
    try:
        yield worker
    finally:
        await worker.close()


def alive(pid: int) -> bool:
    """Whether a process runs (a zombie does not)."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except FileNotFoundError:
        return False


async def until(condition: Callable[[], bool], seconds: float = 20) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        await asyncio.sleep(0.02)


async def first_event(events: AsyncIterator[Event]) -> Event:
    return await anext(events)


async def rest(events: AsyncIterator[Event]) -> list[Event]:
    return [event async for event in events]


async def test_a_worker_answers_as_its_engine_does(echo_spec: Spec, ask: Ask) -> None:
    schema = {"type": "object", "properties": {"a": {"type": "integer"}}, "required": ["a"]}
    requests = [
        ask("hello big world", sampling=Sampling(n=2, logprobs=2)),
        ask("x", tools=(Tool("f", schema),), tool_choice=ToolChoice("any")),
        ask("x", output_schema=OutputSchema(schema)),
        ask(WORDS * 5),
    ]
    here = EchoEngine("echo")
    async with running(echo_spec()) as worker:
        assert worker.capabilities == here.capabilities
        for request in requests:
            assert [event async for event in worker.chat(request)] == [event async for event in here.chat(request)]
            assert await worker.count_tokens(request) == await here.count_tokens(request)
        embed = EmbedRequest("echo", ("a", "b c", (1, 2)))
        assert await worker.embed(embed) == await here.embed(embed)
        assert worker.in_flight == 0


async def test_eight_streams_at_once_fold_correctly(echo_spec: Spec, ask: Ask) -> None:
    async with running(echo_spec("rules: [{delay: {between_ms: 1}}]")) as worker:
        texts = [f"stream {i} " + " ".join(f"{i}-{j}" for j in range(60)) for i in range(8)]
        answers = await asyncio.gather(*(fold_stream(worker.chat(ask(text))) for text in texts))
        assert [answer.choices[0].text() for answer in answers] == texts


async def test_errors_come_back_typed_and_with_their_values(echo_spec: Spec, ask: Ask) -> None:
    async with running(echo_spec("rules: [{when: {contains: kaput}, fault: {reason: kaput}}]", context=3)) as worker:
        with pytest.raises(ContextExceeded) as caught:
            await fold_stream(worker.chat(ask("a b c d")))
        assert (caught.value.model, caught.value.limit, caught.value.prompt) == ("echo", 3, 4)
        with pytest.raises(ContextExceeded):
            await worker.embed(EmbedRequest("echo", ("a b c d",)))
        with pytest.raises(InvalidRequest) as refused:
            await worker.embed(EmbedRequest("echo", ("a",), dimensions=0))
        assert refused.value.field == "dimensions"
        with pytest.raises(ModelFailed, match="kaput"):
            await fold_stream(worker.chat(ask("kaput")))
        assert (await fold_stream(worker.chat(ask("fine")))).choices[0].text() == "fine"


async def test_errors_of_loading_come_back_typed(echo_spec: Spec) -> None:
    bad = echo_spec("rules: [{repli: x}]")
    worker = Worker(bad)
    with pytest.raises(InvalidRequest, match="did you mean"):
        await worker.start()
    assert worker.state == "stopped"
    bad.options["script"] += ".gone"
    with pytest.raises(NotFound):
        await worker.start()
    with pytest.raises(Unsupported):
        await Worker(echo_spec(engine="none")).start()
    with pytest.raises(ModelUnavailable):
        await worker.count_tokens(ChatRequest("echo", ()))


@pytest.mark.parametrize("anyio_backend", [("asyncio", {"use_uvloop": True})], ids=["uvloop"])
async def test_workers_run_under_the_loop_of_the_server(echo_spec: Spec, ask: Ask) -> None:
    assert type(asyncio.get_running_loop()).__module__.startswith("uvloop")
    async with running(echo_spec(SLOW)) as worker:
        events = worker.chat(ask(WORDS))
        await anext(events)
        assert worker.pid is not None
        os.kill(worker.pid, signal.SIGKILL)
        with pytest.raises(ModelFailed):
            await rest(events)
        assert (await fold_stream(worker.chat(ask("again")))).choices[0].text() == "again"


async def test_kill_9_fails_every_open_stream_and_the_next_request_is_answered(echo_spec: Spec, ask: Ask) -> None:
    async with running(echo_spec(SLOW)) as worker:
        streams = [worker.chat(ask(WORDS)) for _ in range(5)]
        await asyncio.gather(*(first_event(stream) for stream in streams))
        killed = worker.pid
        assert killed is not None
        os.kill(killed, signal.SIGKILL)
        results = await asyncio.gather(*(rest(stream) for stream in streams), return_exceptions=True)
        assert [type(result) for result in results] == [ModelFailed] * 5
        assert "SIGKILL" in str(results[0])
        assert (await fold_stream(worker.chat(ask("again")))).choices[0].text() == "again"
        assert worker.pid != killed


async def test_a_scripted_crash_fails_the_request(echo_spec: Spec, ask: Ask) -> None:
    script = "rules: [{when: {contains: boom}, fault: {after: 2, kind: crash}, delay: {between_ms: 10}}]"
    async with running(echo_spec(script)) as worker:
        events = worker.chat(ask("boom and more words"))
        came = [await anext(events) for _ in range(3)]
        assert [event.text for event in came if isinstance(event, Delta)] == ["boom", " and"]
        with pytest.raises(ModelFailed):
            await anext(events)


async def test_a_worker_that_keeps_crashing_waits_longer_and_says_so(echo_spec: Spec, ask: Ask) -> None:
    waits: list[float] = []
    go_on = asyncio.Event()

    async def sleep(seconds: float) -> None:
        waits.append(seconds)
        await go_on.wait()
        go_on.clear()

    async with running(echo_spec("rules: [{when: {contains: boom}, fault: {kind: crash}}]"), sleep=sleep) as worker:
        for _ in range(2):
            with pytest.raises(ModelFailed):
                await fold_stream(worker.chat(ask("boom")))
        await until(lambda: worker.state == "waiting")
        with pytest.raises(ModelUnavailable, match="starts again in 1 s"):
            await fold_stream(worker.chat(ask("hello")))
        go_on.set()
        await until(lambda: worker.state != "waiting")
        assert (await fold_stream(worker.chat(ask("hello")))).choices[0].text() == "hello"
        with pytest.raises(ModelFailed):
            await fold_stream(worker.chat(ask("boom")))
        await until(lambda: len(waits) == 2)
    assert waits == [1.0, 2.0]


async def test_a_worker_that_hangs_is_killed_and_replaced(echo_spec: Spec, ask: Ask) -> None:
    settings = WorkerSettings(life=LifeSettings(ping_seconds=0.2, hang_seconds=2.5))
    script = "rules: [{when: {contains: hang}, fault: {kind: hang}}, {delay: {between_ms: 5}}]"
    async with running(echo_spec(script), settings) as worker:
        beside = worker.chat(ask(WORDS))
        await anext(beside)
        hung = worker.pid
        assert hung is not None
        with pytest.raises(ModelFailed, match="did not answer"):
            await fold_stream(worker.chat(ask("hang")))
        with pytest.raises(ModelFailed):
            await rest(beside)
        assert (await fold_stream(worker.chat(ask("fine")))).choices[0].text() == "fine"
        await until(lambda: not alive(hung))


async def test_a_worker_that_only_idles_is_left_alone(echo_spec: Spec, ask: Ask) -> None:
    settings = WorkerSettings(life=LifeSettings(ping_seconds=0.05, hang_seconds=2))
    async with running(echo_spec(), settings) as worker:
        pid = worker.pid
        await asyncio.sleep(0.5)
        assert worker.pid == pid
        assert (await fold_stream(worker.chat(ask("still here")))).choices[0].text() == "still here"


async def test_loading_that_takes_too_long_is_killed(echo_spec: Spec, tmp_path: Path) -> None:
    pipe = tmp_path / "never"
    os.mkfifo(pipe)  # opening it to read waits for a writer: an engine that never finishes loading
    spec = echo_spec("rules: []")
    spec.options["script"] = str(pipe)
    worker = Worker(spec, WorkerSettings(life=LifeSettings(load_seconds=1.0)))
    with pytest.raises(ModelUnavailable, match="longer than 1 s"):
        await worker.start()
    assert worker.pid is None


async def test_unloading_ends_the_process_and_its_streams(echo_spec: Spec, ask: Ask) -> None:
    async with running(echo_spec(SLOW)) as worker:
        events = worker.chat(ask(WORDS))
        await anext(events)
        pid = worker.pid
        assert pid is not None
        assert alive(pid)
        await worker.close()
        assert not alive(pid)
        with pytest.raises(ModelFailed, match="unloaded"):
            await rest(events)
        with pytest.raises(ModelUnavailable):
            await fold_stream(worker.chat(ask("x")))
        await worker.start()
        assert (await fold_stream(worker.chat(ask("back")))).choices[0].text() == "back"


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
async def test_a_worker_dies_with_a_parent_that_was_killed(echo_spec: Spec) -> None:
    spec = echo_spec("rules: [{fault: {kind: hang}}]")
    code = f"""
import asyncio, json, msgspec
from craton.core.chat import ChatRequest, Message, TextPart
from craton.core.events import fold_stream
from craton.engines.protocol import EngineSpec
from craton.engines.worker import Worker
async def main():
    worker = Worker(msgspec.json.decode({msgspec.json.encode(spec)!r}, type=EngineSpec))
    await worker.start()
    print(worker.pid, flush=True)
    await fold_stream(worker.chat(ChatRequest("echo", (Message("user", (TextPart("x"),)),))))
asyncio.run(main())
"""
    parent = await asyncio.create_subprocess_exec(
        sys.executable, "-c", code, stdout=asyncio.subprocess.PIPE, env=_with_path()
    )
    assert parent.stdout is not None
    child = int(await parent.stdout.readline())
    assert alive(child)
    await asyncio.sleep(0.3)  # the child's loop hangs by now: the end of the socket alone would not wake it
    parent.kill()
    await parent.wait()
    await until(lambda: not alive(child))


def _with_path() -> dict[str, str]:
    import craton

    return {**os.environ, "PYTHONPATH": str(Path(craton.__file__).parent.parent)}


async def test_closing_a_stream_cancels_it_and_nothing_more_of_it_arrives(echo_spec: Spec, ask: Ask) -> None:
    async with running(echo_spec(SLOW)) as worker:
        events = worker.chat(ask(WORDS))
        assert [type(await anext(events)).__name__ for _ in range(3)] == ["PartStarted", "Delta", "Delta"]
        started = time.monotonic()
        await events.aclose()
        assert time.monotonic() - started < 0.25
        assert worker.in_flight == 0
        with pytest.raises(StopAsyncIteration):
            await anext(events)
        assert (await fold_stream(worker.chat(ask("next")))).choices[0].text() == "next"


async def test_a_cancel_reaches_the_engine(echo_spec: Spec, ask: Ask) -> None:
    script = "rules: [{delay: {between_ms: 20}, fault: {after: 20, kind: crash}}]"
    async with running(echo_spec(script)) as worker:
        pid = worker.pid
        events = worker.chat(ask(WORDS))
        await anext(events)
        await events.aclose()
        await asyncio.sleep(0.8)  # had the engine gone on, it would have crashed by now
        assert worker.pid == pid
        assert await worker.count_tokens(ask("x")) == 1


async def test_a_cancelled_task_cancels_the_call(echo_spec: Spec, ask: Ask) -> None:
    async with running(echo_spec("rules: [{delay: {first_ms: 60000}}]")) as worker:
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(fold_stream(worker.chat(ask("x"))), 0.2)
        assert worker.in_flight == 0


async def test_a_slow_reader_stops_only_its_own_stream(echo_spec: Spec, ask: Ask) -> None:
    settings = WorkerSettings(life=LifeSettings(window=16))
    async with running(echo_spec(context=100_000), settings) as worker:
        text = WORDS * 20
        async with aclosing(worker.chat(ask(text))) as slow:
            said = [await anext(slow)]
            assert (await fold_stream(worker.chat(ask(WORDS)))).choices[0].text() == WORDS
            await asyncio.sleep(0.2)
            life = worker._life
            assert life is not None
            (stream,) = life.engine._streams.values()
            assert 0 < stream.outstanding <= 16
            said += [event async for event in slow]
        assert "".join(event.text for event in said if isinstance(event, Delta)) == text


async def test_a_request_that_is_too_large_for_a_frame_is_refused_alone(echo_spec: Spec, ask: Ask) -> None:
    async with running(echo_spec()) as worker:
        with pytest.raises(TooLarge):
            await fold_stream(worker.chat(ask("x" * (64 * 1024 * 1024 + 1))))
        assert worker.in_flight == 0
        assert (await fold_stream(worker.chat(ask("fine")))).choices[0].text() == "fine"


def temporary_folder(pid: int) -> Path:
    """The TMPDIR that a process was started with."""
    variables = Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
    return Path(next(value for value in variables if value.startswith(b"TMPDIR="))[len(b"TMPDIR=") :].decode())


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
async def test_a_workers_temporary_folder_is_its_own_and_ends_with_it_however_it_ends(echo_spec: Spec) -> None:
    async with running(echo_spec()) as worker:
        assert worker.pid is not None
        killed, first = worker.pid, temporary_folder(worker.pid)
        assert first.stat().st_mode & 0o777 == 0o700
        (first / "left behind").mkdir()
        (first / "left behind" / "s.sock").touch()
        os.kill(killed, signal.SIGKILL)
        await until(lambda: worker.pid not in (None, killed))
        assert not first.exists()
        assert worker.pid is not None
        second = temporary_folder(worker.pid)
        assert second.is_dir()
    assert not second.exists()


async def test_a_process_that_cannot_be_started_leaves_no_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    monkeypatch.setattr("sys.executable", str(tmp_path / "no python"))
    with pytest.raises(OSError, match="no python"):
        await Process.spawn("craton.engines.worker.child")
    assert os.listdir(tmp_path) == []
