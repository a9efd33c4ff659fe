"""Blocking: a child that a thread asks one thing at a time; it ends with this process, and one that hangs is killed."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, Generic, TypeVar

from msgspec import Struct

from craton.children.frames import Frames, MalformedFrame, encode
from craton.children.process import FOLDERS, clean_environment, how_it_ended, temporary_folder

F = TypeVar("F")

LAST_WORDS = 400  # characters


class Gone(Exception):
    """The child does not answer any more. how: it ended. words: the end of what it printed."""

    def __init__(self, how: str, words: str) -> None:
        super().__init__(how, words)
        self.how, self.words = how, words


class Blocking(Generic[F]):
    """Runs `python -m module FD PID *arguments` without keys, in a folder of its own that is its home, too."""

    def __init__(self, module: str, arguments: Sequence[str], frames: Any) -> None:
        """frames: what the child says, a union of tagged structs."""
        ours, theirs = socket.socketpair()
        self._socket, self._frames = ours, Frames[F](frames)
        self._waiting: Iterator[F] = iter(())
        self._place = Path(tempfile.mkdtemp(prefix=f"{FOLDERS}{os.getpid()}-", dir=temporary_folder()))
        self._output = tempfile.TemporaryFile()  # noqa: SIM115 (closed with the process)
        self._process = subprocess.Popen(
            [sys.executable, "-s", "-P", "-m", module, str(theirs.fileno()), str(os.getpid()), *arguments],
            env=clean_environment(os.environ) | {"TMPDIR": str(self._place), "HOME": str(self._place)},
            cwd=self._place,
            stdin=subprocess.DEVNULL,
            stdout=self._output,
            stderr=subprocess.STDOUT,
            pass_fds=(theirs.fileno(),),
            start_new_session=True,
        )
        theirs.close()

    def ask(self, question: Struct, seconds: float) -> F:
        """Raises Gone, TimeoutError; the child is of no use after either."""
        try:
            self._socket.sendall(encode(question))
        except OSError:
            raise self._gone() from None
        return self.answer(seconds)

    def answer(self, seconds: float) -> F:
        """The next frame that it says. Raises Gone, TimeoutError."""
        self._socket.settimeout(seconds)
        try:
            while True:
                for frame in self._waiting:
                    return frame
                data = self._socket.recv(1 << 20)
                if not data:
                    raise self._gone()
                self._waiting = self._frames.feed(data)
        except TimeoutError:
            self.kill()
            raise
        except (OSError, MalformedFrame):
            raise self._gone() from None

    def kill(self) -> None:
        """It and whatever it started."""
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.kill()

    def close(self) -> None:
        self._socket.close()
        self.kill()
        self._process.wait()
        self._output.close()
        shutil.rmtree(self._place, ignore_errors=True)

    def _gone(self) -> Gone:
        try:
            how = how_it_ended(self._process.wait(5))
        except subprocess.TimeoutExpired:
            how = "it stopped talking"
        self.kill()
        self._output.seek(0)
        words = self._output.read().decode("utf-8", "replace").strip()[-LAST_WORDS:]
        return Gone(how, words)
