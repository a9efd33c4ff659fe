"""MLflow's scoring server and BentoML, started over the same model for `python -m bench predicting --rivals`."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from bench.rivals.environment import FOLDER, OFFLINE, python
from craton.wire.http import encode_json

READY_SECONDS = 180.0
QUIET = OFFLINE | {"MLFLOW_DISABLE_TELEMETRY": "true", "BENTOML_DO_NOT_TRACK": "True"}


@dataclass(frozen=True)
class Rival:
    url: str
    body: bytes


@contextmanager
def scoring(folder: Path, batch: Any) -> Iterator[dict[str, Rival]]:
    """batch: the rows of every request."""
    interpreter = python(Path(__file__).with_name("predicting.txt"), FOLDER.with_name("rivals-predicting"))
    rows = batch.to_numpy().tolist()
    split = {"dataframe_split": {"columns": list(batch.columns), "data": rows}}
    bodies = {"mlflow": ("invocations", split), "bentoml": ("predict", {"rows": rows})}
    processes, rivals = [], {}
    try:
        for name, (path, body) in bodies.items():
            port = _free_port()
            processes.append(_start(interpreter, name, port, folder / name))
            rivals[name] = Rival(f"http://127.0.0.1:{port}/{path}", encode_json(body))
        for name, rival in rivals.items():
            _wait(name, rival)
        yield rivals
    finally:
        for process in processes:
            os.killpg(process.pid, signal.SIGTERM)
        for process in processes:
            process.wait(30)


def _start(interpreter: Path, name: str, port: int, folder: Path) -> subprocess.Popen[bytes]:
    folder.parent.mkdir(parents=True, exist_ok=True)
    script = Path(__file__).with_name("score.py")
    with folder.with_suffix(".log").open("wb") as log:
        return subprocess.Popen(
            [interpreter.absolute(), "-P", script, name, str(port), folder],
            env=os.environ | QUIET,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )


def _wait(name: str, rival: Rival) -> None:
    ends = time.monotonic() + READY_SECONDS
    said = ""
    while time.monotonic() < ends:
        try:
            headers = {"content-type": "application/json"}
            reply = httpx.post(rival.url, content=rival.body, headers=headers, timeout=60, trust_env=False)
            if reply.status_code == 200:
                return
            said = reply.text[:500]
        except httpx.HTTPError as error:
            said = str(error)
        time.sleep(0.5)
    raise RuntimeError(f"{name} does not answer: {said}")


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
