"""A user's program as a child of the command line: its output passes through, and what it says of its run is heard."""

from __future__ import annotations

import signal
import subprocess
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from typing import IO, BinaryIO

CHUNK = 64 * 1024
MAX_LINE = 64 * 1024  # bytes; of a longer line the beginning is heard
GRACE = 30.0  # seconds from asking it to end until it is killed
LOOK = 0.1


class Lines:
    """Bytes as they come -> whole lines, as a terminal would show them: what a carriage return overwrote is gone."""

    def __init__(self) -> None:
        self._rest = b""

    def feed(self, data: bytes) -> Iterator[str]:
        *whole, self._rest = (self._rest + data).split(b"\n")
        self._rest = self._rest[-MAX_LINE:] if b"\r" in self._rest else self._rest[:MAX_LINE]
        yield from map(self._text, whole)

    def end(self) -> Iterator[str]:
        if self._rest:
            yield self._text(self._rest)
        self._rest = b""

    @staticmethod
    def _text(line: bytes) -> str:
        shown = line[:MAX_LINE].rstrip(b"\r").rpartition(b"\r")[2]
        return shown.decode("utf-8", "replace")


class Child:
    """In the terminal's own group of processes: Ctrl-C reaches it by itself. hear: is called with each whole line of
    its output, from threads. Raises OSError when it cannot be started."""

    def __init__(
        self,
        command: Sequence[str],
        environment: Mapping[str, str],
        hear: Callable[[str], None],
        out: BinaryIO,
        err: BinaryIO,
    ) -> None:
        self._hear = hear
        self._process = subprocess.Popen(
            command, env=dict(environment), stdout=subprocess.PIPE, stderr=subprocess.PIPE, bufsize=0
        )
        self.interrupted = False
        pipes = ((self._process.stdout, out), (self._process.stderr, err))
        self._threads = [threading.Thread(target=self._pass, args=pair, daemon=True) for pair in pipes]
        for thread in self._threads:
            thread.start()

    def wait(self, cancelled: threading.Event) -> int:
        """Its exit code, negative for a signal. It is asked to end when `cancelled` is set, or a signal comes here."""
        with self._signals():
            while (code := self._poll()) is None:
                if cancelled.is_set():
                    return self._end()
            return code

    def _poll(self) -> int | None:
        with suppress(subprocess.TimeoutExpired):
            return self._finished(self._process.wait(LOOK))
        return None

    def _end(self) -> int:
        self._process.terminate()
        try:
            return self._finished(self._process.wait(GRACE))
        except subprocess.TimeoutExpired:
            self._process.kill()
            return self._finished(self._process.wait())

    def _finished(self, code: int) -> int:
        for thread in self._threads:
            thread.join(2)  # a grandchild may hold the pipe longer
        return code

    @contextmanager
    def _signals(self) -> Iterator[None]:
        """Ctrl-C is the child's to answer, a second one kills it; SIGTERM is passed on."""

        def interrupt(*_: object) -> None:
            if self.interrupted:
                self._process.kill()
            self.interrupted = True

        def terminate(*_: object) -> None:
            self.interrupted = True
            self._process.terminate()

        handlers = {signal.SIGINT: interrupt, signal.SIGTERM: terminate}
        here = threading.current_thread() is threading.main_thread()  # only there can signals be heard
        before = {number: signal.signal(number, handler) for number, handler in handlers.items()} if here else {}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def _pass(self, pipe: IO[bytes], to: BinaryIO) -> None:
        lines = Lines()
        while data := pipe.read(CHUNK):
            with suppress(OSError, ValueError):  # whoever read it has left; the run goes on
                to.write(data)
                to.flush()
            for line in lines.feed(data):
                self._hear(line)
        for line in lines.end():
            self._hear(line)
