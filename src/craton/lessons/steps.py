"""Runs one step as a child process, in its folder, within its time, and hands on what it prints as it comes."""

from __future__ import annotations

import codecs
import os
import re
import selectors
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import IO

from msgspec import Struct

from craton.lessons.words import Step

MAX_OUTPUT = 1024 * 1024  # characters kept and shown; more is dropped
_OUTCOME = re.compile(r"^Outcome: (.*)$", re.MULTILINE)
_UNPRINTABLE = re.compile(r"[^\t\n\x20-\x7e\xa0-\U0010ffff]")


class Result(Struct, frozen=True):
    """status: the process's exit status, None when its time ran out. seconds: how long it took."""

    status: int | None
    output: str
    seconds: float

    @property
    def passed(self) -> bool:
        return self.status == 0

    @property
    def outcome(self) -> str:
        """What the step says about the prediction before it: its last line "Outcome: ...", or ""."""
        return found[-1] if (found := _OUTCOME.findall(self.output)) else ""

    @property
    def last_line(self) -> str:
        lines = [line.strip() for line in self.output.splitlines() if line.strip()]
        return lines[-1] if lines else ""


def run_step(step: Step, folder: Path, environment: Mapping[str, str], show: Callable[[str], None]) -> Result:
    """environment: what points clients at the server; this process's own, without what it names, comes below it.

    The code is written into the folder first, so that it can be read and run again by hand. What a step leaves
    running in the background lives on until the lesson's clean-up.
    """
    script = folder / step.file
    script.write_text(step.code, "utf-8")
    command = [sys.executable, script.name] if step.language == "python" else ["sh", "-e", script.name]
    began = time.monotonic()
    process = subprocess.Popen(
        command,
        cwd=folder,
        env=_with_this_python_first(environment),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        start_new_session=True,
    )
    assert process.stdout is not None
    with process.stdout as stream:
        output, ended = _read(stream, began + step.seconds, show)
    status: int | None = None
    if ended:
        with suppress(subprocess.TimeoutExpired):
            status = process.wait(max(began + step.seconds - time.monotonic(), 1))
    if status is None:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        output += f"\nStopped: it ran longer than {step.seconds:g} seconds.\n"
    return Result(status, output, time.monotonic() - began)


def _read(stream: IO[bytes], give_up: float, show: Callable[[str], None]) -> tuple[str, bool]:
    """What was printed, and whether it came to its end before give_up (on the monotonic clock)."""
    decoder = codecs.getincrementaldecoder("utf-8")("replace")
    pieces: list[str] = []
    room = MAX_OUTPUT
    with selectors.DefaultSelector() as selector:
        selector.register(stream, selectors.EVENT_READ)
        while (left := give_up - time.monotonic()) > 0 and selector.select(left):
            data = os.read(stream.fileno(), 65536)
            text = _UNPRINTABLE.sub("", decoder.decode(data, final=not data))[:room]
            room -= len(text)
            if text:
                pieces.append(text)
                show(text)
            if not data:
                return "".join(pieces), True
    return "".join(pieces), False


def _with_this_python_first(environment: Mapping[str, str]) -> dict[str, str]:
    """`python` and `craton` are then the ones of this installation."""
    path = os.pathsep.join([str(Path(sys.executable).parent), environment.get("PATH", os.defpath)])
    return {**environment, "PATH": path, "PYTHONUNBUFFERED": "1", "PYTHONIOENCODING": "utf-8"}
