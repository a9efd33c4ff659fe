"""`craton chat` as a person meets it: a real process at a pseudo-terminal."""

from __future__ import annotations

import os
import pty
import re
import select
import signal
import subprocess
import sys
import termios
import time
from collections.abc import Callable, Iterator

import pytest

from tests.cli.conftest import traced
from tests.servers import RunningServer

PATIENCE = 30.0  # seconds
LEAD = "import fcntl, os, sys, termios; fcntl.ioctl(0, termios.TIOCSCTTY, 0); os.execv(sys.argv[1], sys.argv[1:])"
"""Makes the pseudo-terminal the session's own, so that its Ctrl-C becomes a signal, then runs the command."""
CTRL_C, CTRL_D = "\x03", "\x04"
_CODES = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")


class Terminal:
    """80 x 24. `seen` is all that was written so far, without colours and cursor movements."""

    def __init__(self, command: list[str], environment: dict[str, str]) -> None:
        self._master, slave = pty.openpty()
        termios.tcsetwinsize(slave, (24, 80))
        self.process = subprocess.Popen(
            [sys.executable, "-c", LEAD, *command],
            env=environment,
            stdin=slave,
            stdout=slave,
            stderr=slave,
            start_new_session=True,
        )
        os.close(slave)
        self.raw = ""
        self._from = 0

    @property
    def seen(self) -> str:
        return _CODES.sub("", self.raw).replace("\r", "")

    def type(self, text: str) -> None:
        self._from = len(self.seen)
        os.write(self._master, text.encode())

    def wait_for(self, pattern: str) -> str:
        """What came since the last `type`, once the pattern is in it."""
        give_up = time.monotonic() + PATIENCE
        while time.monotonic() < give_up:
            if re.search(pattern, self.seen[self._from :]):
                return self.seen[self._from :]
            if not self._look(0.2):
                break
        raise AssertionError(f"{pattern!r} did not come:\n{self.seen[self._from :]}")

    def press(self, key: str, happened: Callable[[], bool]) -> None:
        """Presses the key, again after a while, until it has happened: readline misses a key or a signal that comes
        between its prompt and its waiting, and a person presses again."""
        give_up = time.monotonic() + PATIENCE
        while time.monotonic() < give_up:
            os.write(self._master, key.encode())
            until = time.monotonic() + 1.0
            while time.monotonic() < until:
                if happened():
                    return
                self._look(0.1)
        raise AssertionError(f"{key!r} did nothing:\n{self.seen[self._from :]}")

    def has(self, text: str) -> bool:
        return text in self.seen[self._from :]

    def _look(self, seconds: float) -> bool:
        """Takes what was written. False when the other end is gone."""
        ready, _, _ = select.select([self._master], [], [], seconds)
        if ready:
            try:
                self.raw += os.read(self._master, 65536).decode(errors="replace")
            except OSError:  # Linux says so when the other end is gone
                return False
        return True

    def close(self) -> None:
        if self.process.poll() is None:
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()
        os.close(self._master)


Open = Callable[..., Terminal]


@pytest.fixture
def terminal(scripted: RunningServer) -> Iterator[Open]:
    opened: list[Terminal] = []

    def open_one(*arguments: str) -> Terminal:
        environment = dict(scripted.environment) | {"TERM": "xterm", "COLUMNS": "80", "LINES": "24"}
        opened.append(Terminal([sys.executable, "-m", "craton", *arguments], environment))
        return opened[-1]

    yield open_one
    for one in opened:
        one.close()


def test_ctrl_c_stops_the_answer_and_not_the_conversation(terminal: Open) -> None:
    here = terminal("chat", "-m", "echo")
    here.wait_for("> ")
    here.type("count slowly\n")
    here.wait_for("one two")
    here.type(CTRL_C)
    stopped = here.wait_for(r"\(stopped\) craton trace [0-9a-f]+\n> ")
    assert "fifteen" not in stopped
    here.type("still here?\n")
    here.wait_for(r"still here\?\n(?s:.*)still here\?\n.*craton trace [0-9a-f]{32}\n> ")
    here.press(CTRL_C, lambda: here.has("(Ctrl-D leaves)"))
    here.press(CTRL_D, lambda: here.process.poll() is not None)
    assert here.process.returncode == 0


def test_turns_are_kept_until_new_and_commands_answer(terminal: Open, scripted: RunningServer) -> None:
    here = terminal("chat", "-m", "echo")
    here.wait_for("> ")
    for line, answer in (
        ("first", "first\n"),
        ("/system Be brief.", "Told"),
        ("break", "out of memory"),  # an error ends the answer only
        ("second \\\nline", "second\\s+line"),
        ("/model", r"\* echo"),
        ("/model nope", "There is no model"),
        ("/nothing", "/help lists"),
        ("/help", "Ctrl-C stops an answer"),
    ):
        here.type(f"{line}\n")
        here.wait_for(f"(?s){answer}.*\n> ")
    shown = traced(scripted.craton, here.seen.split("craton trace ")[-1][:32])
    assert re.findall(r"^(system|user|assistant|answer)$", shown, re.MULTILINE) == [
        *("system", "user", "assistant", "user", "assistant", "user", "answer")
    ]
    here.type("/new\n")
    here.wait_for("Forgotten.*\n> ")
    here.type("third\n")
    here.wait_for("(?s)third\n.*craton trace.*\n> ")
    shown = traced(scripted.craton, here.seen.split("craton trace ")[-1][:32])
    assert "assistant" not in shown


def test_nothing_that_a_model_says_moves_the_cursor(terminal: Open) -> None:
    here = terminal("chat", "-m", "echo", "escape")
    here.wait_for("craton trace")
    assert "before[2Jafter" in here.seen
    assert "\x1b[2J" not in here.raw


def test_the_terminal_is_told_tokens_time_speed_thoughts_and_cuts(terminal: Open) -> None:
    here = terminal("chat", "-m", "echo", "think")
    text = here.wait_for(r"craton trace [0-9a-f]{32}")
    assert re.search(r"hm hm\n\ndone thinking\n\d+ tokens · .* s · .*/s · craton trace", text)
    here = terminal("chat", "-m", "echo", "cut")
    assert "cut off by the limit of tokens" in here.wait_for(r"craton trace [0-9a-f]{32}")


def test_ctrl_c_ends_a_single_question_with_130(terminal: Open) -> None:
    here = terminal("chat", "-m", "echo", "slowly")
    here.wait_for("one")
    here.type(CTRL_C)
    assert here.process.wait(PATIENCE) == 130
