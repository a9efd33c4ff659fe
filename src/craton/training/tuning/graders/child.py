"""The child process of a grader that is a Python function: `grade(prompt, answer, record) -> float`.

It has no keys and no network: one of its own where the kernel allows that, and Python's sockets and programs that it
would start are refused in any case. That keeps mistakes in; whoever means harm runs as this server's user, so the
operator says whether code may run at all (`[training] code`).
"""

from __future__ import annotations

import io
import signal
import socket
import sys
from collections.abc import Callable
from contextlib import redirect_stdout
from types import ModuleType
from typing import Any

from craton.children.frames import Frames, encode
from craton.children.limits import alone, bound_memory, die_with
from craton.training.tuning.graders.protocol import as_score, shown
from craton.training.tuning.graders.words import Asked, Failed, Grade, Ready, Said, Scored, Source

MEMORY = 1 << 30  # bytes, beyond what Python takes
WORDS = 300  # characters of an error
REFUSED = ("socket.connect", "socket.bind", "socket.sendto", "socket.getaddrinfo", "subprocess.Popen", "os.system")
STARTS = ("os.exec", "os.fork", "os.posix_spawn", "os.spawn")


def main() -> None:
    descriptor, parent, seconds = sys.argv[1:]
    die_with(int(parent))
    bound_memory(MEMORY)
    alone()
    talk = socket.socket(fileno=int(descriptor))
    sys.addaudithook(_refuse)
    frames = Frames[Asked](Asked)
    grade: Callable[..., Any] = _none
    while data := talk.recv(1 << 20):
        for asked in frames.feed(data):
            _bound_time(float(seconds))
            answer: Said
            if isinstance(asked, Source):
                grade, answer = _load(asked.text)
            else:
                answer = _score(grade, asked)
            talk.sendall(encode(answer))


def _load(text: str) -> tuple[Callable[..., Any], Said]:
    module = ModuleType("grader")
    sys.modules["grader"] = module
    try:
        exec(compile(text, "grader.py", "exec"), module.__dict__)
    except BaseException as error:
        return _none, Failed(f"failed when it was read: {_words(error)}")
    found = module.__dict__.get("grade")
    if not callable(found):
        return _none, Failed("has no function grade(prompt, answer, record)")
    return found, Ready()


def _score(grade: Callable[..., Any], asked: Grade) -> Said:
    printed = _Beginning()
    try:
        with redirect_stdout(printed):
            found = grade(asked.prompt, asked.answer, asked.record)
    except BaseException as error:
        return Failed(f"failed: {_words(error)}")
    if printed.getvalue():
        return Failed(f"printed {shown(printed.getvalue())}; a grader says what it has to say by what it returns")
    try:
        return Scored(as_score(found))
    except ValueError as error:
        return Failed(str(error))


class _Beginning(io.StringIO):
    """Keeps the beginning of what was printed."""

    def write(self, text: str) -> int:
        if self.tell() < WORDS:
            super().write(text[:WORDS])
        return len(text)


def _refuse(event: str, _: tuple[Any, ...]) -> None:
    if event in REFUSED or event.startswith(STARTS):
        raise PermissionError(f"a grader has no network and starts no programs ({event})")


def _bound_time(seconds: float) -> None:
    """Of the processor, for one answer: with threads, more of it can be used than of the clock."""
    if sys.platform != "win32":
        signal.setitimer(signal.ITIMER_PROF, seconds)


def _none(*_: Any) -> float:
    raise RuntimeError("there is no grader")


def _words(error: BaseException) -> str:
    return f"{type(error).__name__}: {error}"[:WORDS]


if __name__ == "__main__":
    main()
