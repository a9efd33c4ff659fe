"""The frames, and an other end that does not keep to them."""

from __future__ import annotations

import asyncio
import inspect
import os
import socket
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from craton.children.errors import from_wire, to_wire
from craton.children.frames import Frames, MalformedFrame, WireError, encode
from craton.children.process import Process, clean_environment
from craton.core import errors
from craton.core.chat import ChatRequest, Sampling
from craton.core.errors import CratonError, ModelFailed, ModelUnavailable
from craton.core.events import Delta, PartStarted, Stop, Usage, fold_stream
from craton.engines.protocol import EngineSpec
from craton.engines.worker import Worker
from craton.engines.worker.frames import Cancel, Chat, Events, ServerFrame, WorkerFrame

pytestmark = pytest.mark.anyio

Spec = Callable[..., EngineSpec]
Ask = Callable[..., ChatRequest]

ALL_ERRORS = [
    value
    for value in vars(errors).values()
    if isinstance(value, type) and issubclass(value, CratonError) and value is not CratonError
]


async def test_frames_come_out_as_they_went_in_however_they_are_cut(ask: Ask) -> None:
    sent: list[ServerFrame] = [Chat(1, ask("hi", sampling=Sampling(logit_bias={5: 1.5}))), Cancel(1)]
    data = b"".join(encode(frame) for frame in sent)
    for size in (1, 3, 7, len(data)):
        frames: Frames[ServerFrame] = Frames(ServerFrame)
        got = [frame for i in range(0, len(data), size) for frame in frames.feed(data[i : i + size])]
        assert got == sent


async def test_a_length_out_of_bounds_is_refused_before_it_is_read() -> None:
    with pytest.raises(MalformedFrame):
        list(Frames[ServerFrame](ServerFrame).feed(b"\xff\xff\xff\xff"))


@pytest.mark.parametrize("body", [b"", b"\xc1", b"\x92\xa6cancel\xa1x", b"\x91\xa4nope", b"\x91" * 5000, b"\x80"])
async def test_bytes_that_are_no_frame_are_refused(body: bytes) -> None:
    with pytest.raises(MalformedFrame):
        list(Frames[ServerFrame](ServerFrame).feed(len(body).to_bytes(4, "big") + body))


@pytest.mark.parametrize("kind", ALL_ERRORS, ids=lambda kind: kind.__name__)
async def test_every_error_crosses_with_its_values(kind: type[CratonError]) -> None:
    samples = {str: "words", int: 7, float: 1.5}
    annotations = inspect.get_annotations(kind.__init__, eval_str=True)
    values = [samples.get(annotations[name], 7) for name in inspect.signature(kind).parameters]
    error = kind(*values)
    back = from_wire(to_wire(error, "m"), "m")
    assert type(back) is kind
    assert vars(back) == vars(error)


async def test_no_other_class_is_ever_built_and_nothing_internal_crosses() -> None:
    assert isinstance(from_wire(WireError("SystemExit", ("x",)), "m"), ModelFailed)
    assert isinstance(from_wire(WireError("NotFound", ()), "m"), ModelFailed)
    assert "secret" not in str(from_wire(to_wire(ValueError("/secret/path"), "m"), "m"))


FALSE_WORKER = """
import socket, sys, time
from craton.children.frames import Frames, encode, _encoder
from craton.engines.worker.frames import *
from craton.core.model import Capabilities
from craton.core.chat import *
from craton.core.events import *
sock = socket.socket(fileno=int(sys.argv[1]))
sock.recv(65536)
sock.sendall(encode(Ready(Capabilities(verbs=("chat",)))))
def wait_for_chat():
    frames = Frames(ServerFrame)
    while True:
        for frame in frames.feed(sock.recv(65536)):
            if isinstance(frame, Chat):
                return frame.id
"""


async def false_worker(echo_spec: Spec, tmp_path: Path, code: str) -> Worker:
    """A worker whose process runs `code` instead of Craton's."""
    (tmp_path / "false_worker.py").write_text(FALSE_WORKER + code)
    path = tmp_path / "false_worker.py"
    worker = Worker(echo_spec(), spawn=lambda: _spawn_file(path))
    await worker.start()
    return worker


async def _spawn_file(path: Path) -> Process:
    ours, theirs = socket.socketpair()
    ours.setblocking(False)
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        str(path),
        str(theirs.fileno()),
        env=clean_environment(os.environ),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        pass_fds=(theirs.fileno(),),
    )
    theirs.close()
    return Process(process, ours, path.parent / "temporary")


@pytest.mark.parametrize(
    "code",
    [
        'wait_for_chat(); sock.sendall(b"\\x00\\x00\\x00\\x03abc"); time.sleep(60)',
        'wait_for_chat(); sock.sendall(b"\\xff\\xff\\xff\\xff" + bytes(100)); time.sleep(60)',
        'i = wait_for_chat(); sock.sendall(encode(Events(i, (Delta(0, "x"),) * 300))); time.sleep(60)',
        "wait_for_chat(); sock.sendall(encode(Ready(Capabilities(verbs=())))); time.sleep(60)",
        "wait_for_chat()",
    ],
    ids=["not msgpack", "huge frame", "more than its credit", "ready twice", "just leaves"],
)
async def test_a_worker_that_breaks_the_protocol_fails_its_calls_and_nothing_else(
    echo_spec: Spec, ask: Ask, tmp_path: Path, code: str
) -> None:
    worker = await false_worker(echo_spec, tmp_path, code)
    try:
        pid = worker.pid
        with pytest.raises(ModelFailed):
            await asyncio.wait_for(fold_stream(worker.chat(ask("x"))), 20)
        assert worker.pid != pid
    finally:
        await worker.close()


async def test_a_process_that_dies_while_loading_is_a_model_that_is_not_available(
    echo_spec: Spec, tmp_path: Path
) -> None:
    path = tmp_path / "dies.py"
    path.write_text("import os, signal; os.kill(os.getpid(), signal.SIGKILL)")
    with pytest.raises(ModelUnavailable, match="SIGKILL"):
        await Worker(echo_spec(), spawn=lambda: _spawn_file(path)).start()


async def test_a_worker_gets_no_keys_and_no_proxies() -> None:
    environment = clean_environment({"AWS_SECRET_ACCESS_KEY": "x", "HTTPS_PROXY": "x", "PATH": "/bin", "HF_TOKEN": "x"})
    assert environment["PATH"] == "/bin"
    assert environment["HF_HUB_OFFLINE"] == "1"
    assert not {"AWS_SECRET_ACCESS_KEY", "HTTPS_PROXY", "HF_TOKEN"} & set(environment)


async def test_events_of_every_kind_cross(ask: Ask) -> None:
    events = (PartStarted(0, "tool_use", 1, "id", "f"), Delta(0, "{}", redacted=b"x"), Usage(1, 2), Stop("tool_use"))
    (back,) = Frames[WorkerFrame](WorkerFrame).feed(encode(Events(3, events, done=True)))
    assert back == Events(3, events, done=True)


def test_what_failed_inside_is_for_the_servers_log_alone(caplog: pytest.LogCaptureFixture) -> None:
    try:
        raise KeyError("the secret of the engine")
    except KeyError as error:
        wire = to_wire(error, "m")
    with caplog.at_level("ERROR"):
        told = from_wire(wire, "m")
    assert isinstance(told, ModelFailed)
    assert "secret" not in str(told)
    assert "KeyError: 'the secret of the engine'" in caplog.text
