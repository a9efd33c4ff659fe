"""Asks a process that never saw the training: what was written is judged by what it is once it is read again.

A module is its own program: `python -m MODULE PARENT` reads one request (JSON), and `answer` writes what it says.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from typing import TypeVar

import msgspec
from msgspec import Struct

from craton.children.limits import die_with
from craton.children.process import clean_environment
from craton.core.errors import CratonError, Damaged

Q = TypeVar("Q", bound=Struct)
A = TypeVar("A", bound=Struct)

SECONDS = 1800.0


class _Failed(Struct, frozen=True, tag="failed"):
    reason: str


class _Said(Struct, frozen=True, tag="said"):
    answer: msgspec.Raw


def ask(module: str, request: Struct, kind: type[A], what: str, seconds: float = SECONDS) -> A:
    """what: it is asked about, for people ("the tuned model"). Raises Damaged when it cannot be loaded, and when the
    process does not survive it or takes too long."""
    process = subprocess.Popen(
        [sys.executable, "-s", "-P", "-m", module, str(os.getpid())],
        env=clean_environment(os.environ),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    )
    try:
        output, _ = process.communicate(msgspec.json.encode(request), seconds)
    except subprocess.TimeoutExpired:
        raise Damaged(what, f"it did not answer within {seconds:.0f} seconds") from None
    finally:
        process.kill()
        process.wait()
    if process.returncode:
        raise Damaged(what, "the process that loaded it again did not survive it")
    said = msgspec.json.decode(output, type=_Said | _Failed)
    if isinstance(said, _Failed):
        raise Damaged(what, f"it cannot be loaded again: {said.reason}")
    return msgspec.json.decode(said.answer, type=kind)


def answer(kind: type[Q], work: Callable[[Q], Struct]) -> None:
    """The other end of `ask`: all that such a program does."""
    die_with(int(sys.argv[1]))
    output = os.fdopen(os.dup(sys.stdout.fileno()), "wb")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())  # libraries that talk do not spoil the answer
    request = msgspec.json.decode(sys.stdin.buffer.read(), type=kind)
    said: Struct
    try:
        said = _Said(msgspec.Raw(msgspec.json.encode(work(request))))
    except (CratonError, OSError, ValueError, KeyError, RuntimeError) as error:
        said = _Failed(str(error).partition("\n")[0][:300])
    output.write(msgspec.json.encode(said))
    output.close()
