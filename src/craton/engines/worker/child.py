"""The worker process: `python -m craton.engines.worker.child FD PARENT`.

FD is the inherited end of a socket pair, PARENT the server's process id. The first frame says what to load. The
process ends with the socket, and on Linux also when the server is killed (prctl(2), PR_SET_PDEATHSIG).
"""

from __future__ import annotations

import asyncio
import importlib
import os
import signal
import socket
import sys
import time
from collections.abc import Callable
from typing import Any

from craton.children.connection import Connection
from craton.children.errors import to_wire
from craton.children.frames import Frames, encode
from craton.children.importing import uncollected
from craton.children.limits import bound_memory, die_with
from craton.core.errors import CratonError, Unsupported
from craton.engines.protocol import Engine, EngineSpec
from craton.engines.worker.frames import Load, LoadFailed, Ready, ServerFrame
from craton.engines.worker.host import Host
from craton.engines.worker.memory import headroom


def main() -> None:
    die_with(int(sys.argv[2]))
    sock = socket.socket(fileno=int(sys.argv[1]))
    load = _read_load(sock)
    try:
        engine = load_engine(load.spec)
    except Exception as error:
        sock.sendall(encode(LoadFailed(to_wire(error, load.spec.model))))
        return
    if (extra := headroom(load.spec)) is not None:
        bound_memory(extra)
    asyncio.run(_serve(sock, engine, load))


def load_engine(spec: EngineSpec) -> Engine:
    """Raises Unsupported for an engine that is not known, and what the engine's own `load` raises."""
    if spec.engine not in _ENGINES:
        raise Unsupported(f"the engine {spec.engine!r}")
    return _ENGINES[spec.engine](spec)


def _load_echo(spec: EngineSpec) -> Engine:
    from craton.engines.echo import EchoEngine

    return EchoEngine.load(
        spec, crash=lambda: os.kill(os.getpid(), signal.SIGKILL), hang=lambda: time.sleep(float(10**6))
    )


def _load_predictor(spec: EngineSpec) -> Engine:
    from craton.engines.predictor.engine import PredictorEngine
    from craton.engines.predictor.importing import import_for

    with uncollected():
        import_for(spec)
    return PredictorEngine.load(spec)


def _loader(module: str, name: str) -> Callable[[EngineSpec], Engine]:
    def load(spec: EngineSpec) -> Engine:
        with uncollected():
            engine: Any = getattr(importlib.import_module(module), name)
        loaded: Engine = engine.load(spec)
        return loaded

    return load


_ENGINES: dict[str, Callable[[EngineSpec], Engine]] = {
    "echo": _load_echo,
    "llama_cpp": _loader("craton.engines.llama_cpp.engine", "LlamaCppEngine"),
    "llama_cpp_counter": _loader("craton.engines.llama_cpp.counter", "TokenCounter"),
    "bert": _loader("craton.engines.bert", "BertEngine"),
    "transformers": _loader("craton.engines.transformers.engine", "TransformersEngine"),
    "predictor": _load_predictor,
}


def _read_load(sock: socket.socket) -> Load:
    """The first frame; the server says nothing more until it hears `Ready`. Ends the process when there is none."""
    frames: Frames[ServerFrame] = Frames(ServerFrame)
    while data := sock.recv(65536):
        for frame in frames.feed(data):
            if isinstance(frame, Load):
                return frame
    sys.exit(0)


async def _serve(sock: socket.socket, engine: Engine, load: Load) -> None:
    ended = asyncio.Event()
    host = Host(engine, load.spec.model, load.window)
    connection = await Connection[ServerFrame].open(sock, ServerFrame, host.received, lambda _why: ended.set())
    host.attach(connection)
    refused: dict[str, CratonError] = getattr(engine, "refused", {})
    connection.send(
        Ready(engine.capabilities, {key: to_wire(error, load.spec.model) for key, error in refused.items()})
    )
    await ended.wait()
    await host.stop()


if __name__ == "__main__":
    main()
