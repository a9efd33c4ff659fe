"""Starting a worker's process: a socket pair, a clean environment, a temporary folder, its output in a short ring.

A socket pair has no path and no port: nobody else can find it, and it is gone with its last holder.
"""

from __future__ import annotations

import asyncio
import logging
import os
import shutil
import signal
import socket
import sys
import tempfile
from collections import deque
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path

import craton

log = logging.getLogger(__name__)

KEPT_LINES = 100
LINE_BYTES = 4096
FOLDERS = "craton-child-"  # then the server's process id
LONGEST_TEMPORARY = 40  # characters: a Unix socket's path holds 104, and llama.cpp's lies two folders below

_PASSED = (
    "PATH",
    "HOME",
    "LANG",
    "LC_ALL",
    "TZ",
    "LD_LIBRARY_PATH",
    "DYLD_LIBRARY_PATH",
    "CUDA_VISIBLE_DEVICES",
    "OMP_NUM_THREADS",
)
_SET = {
    "PYTHONNOUSERSITE": "1",
    "PYTHONFAULTHANDLER": "1",
    "HF_HUB_OFFLINE": "1",
    "TRANSFORMERS_OFFLINE": "1",
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "DO_NOT_TRACK": "1",
}
_WAITING = {"OMP_WAIT_POLICY": "PASSIVE", "GOMP_SPINCOUNT": "300"}
"""Threads of OpenMP that wait go to sleep soon. Spinning beside another that spins, LightGBM took 70 s for what takes
3.7 s, and llama.cpp wrote 1.7 tokens a second for 34; asleep at once (which PASSIVE alone means) both lose a seventh
where nobody disturbs them, and by this count a twentieth. GNU's OpenMP takes the count before the policy; others know
the policy alone. Whoever sets either one for the server decides for its children."""


def clean_environment(environment: Mapping[str, str]) -> dict[str, str]:
    """What a worker needs and no more: no keys, no proxies, nothing of the server's. Libraries are told to stay
    offline and quiet; Python finds the same `craton` that the server runs."""
    passed = {name: environment[name] for name in _PASSED if name in environment}
    waiting = {name: environment[name] for name in _WAITING if name in environment} or _WAITING
    return {**passed, **waiting, **_SET, "PYTHONPATH": str(Path(craton.__file__).parent.parent)}


def temporary_folder() -> str:
    """Where the children's folders lie: the system's temporary folder, or /tmp where that has too long a name."""
    usual = tempfile.gettempdir()
    return usual if len(os.fsencode(usual)) <= LONGEST_TEMPORARY else "/tmp"


def sweep_folders() -> None:
    """Removes the folders of children whose server was killed before it could: their names say which server it was."""
    for folder in Path(temporary_folder()).glob(f"{FOLDERS}*"):
        server = folder.name.removeprefix(FOLDERS).partition("-")[0]
        with suppress(FileNotFoundError):  # another server sweeps too
            if server.isdecimal() and not _alive(int(server)) and folder.stat().st_uid == os.getuid():
                shutil.rmtree(folder, ignore_errors=True)


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass
    return True


class Process:
    """A running child with its end of the socket. `spawn` makes one.

    Its TMPDIR is a folder of its own (mode 0700), removed when it has ended, however it ended.
    """

    def __init__(self, process: asyncio.subprocess.Process, sock: socket.socket, folder: Path) -> None:
        self._process = process
        self._folder = folder
        self.sock = sock
        self.pid = process.pid
        self._lines: deque[str] = deque(maxlen=KEPT_LINES)
        self._reading = asyncio.create_task(self._read_output())
        self._cleaned = asyncio.create_task(self._clean_up())

    @classmethod
    async def spawn(
        cls, module: str, arguments: Sequence[str] = (), environment: Mapping[str, str] | None = None
    ) -> Process:
        """Runs `python -m module FD PID *arguments`. Cancelling this leaves no process behind."""
        ours, theirs = socket.socketpair()
        ours.setblocking(False)
        folder = Path(
            tempfile.mkdtemp(prefix=f"{FOLDERS}{os.getpid()}-", dir=temporary_folder())
        )  # made with mode 0700
        starting = asyncio.ensure_future(
            asyncio.create_subprocess_exec(
                sys.executable,
                *("-s", "-P", "-m", module, str(theirs.fileno()), str(os.getpid()), *arguments),
                env=clean_environment(os.environ if environment is None else environment) | {"TMPDIR": str(folder)},
                stdin=asyncio.subprocess.DEVNULL,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.STDOUT,
                pass_fds=(theirs.fileno(),),
                start_new_session=True,
                limit=LINE_BYTES,
            )
        )
        try:
            return cls(await asyncio.shield(starting), ours, folder)
        except asyncio.CancelledError:
            process = cls(await starting, ours, folder)  # asyncio leaves a process that is cancelled half way unreaped
            ours.close()
            process.kill()
            await process.wait()
            raise
        except OSError:
            ours.close()
            shutil.rmtree(folder, ignore_errors=True)
            raise
        finally:
            theirs.close()

    async def _read_output(self) -> None:
        output = self._process.stdout
        assert output is not None
        while data := await output.read(LINE_BYTES):
            for line in data.decode("utf-8", "replace").splitlines():
                self._lines.append(line)
                log.debug("worker %d: %s", self.pid, line)

    async def _clean_up(self) -> None:
        await self._process.wait()
        await asyncio.to_thread(shutil.rmtree, self._folder, ignore_errors=True)

    def last_words(self) -> str:
        """The end of what it printed: for the server's log, never for clients."""
        return "\n".join(self._lines)

    def kill(self) -> None:
        with suppress(ProcessLookupError):
            self._process.kill()

    async def wait(self) -> int:
        """Its exit code, negative for a signal. Its output has been read and its folder removed by then."""
        code = await self._process.wait()
        await asyncio.shield(self._cleaned)
        await asyncio.wait([self._reading], timeout=1)
        self._reading.cancel()
        return code

    async def end(self, grace: float) -> int:
        """Waits up to `grace` seconds for it to leave by itself, then kills it. The exit code."""
        try:
            await asyncio.wait_for(asyncio.shield(self._process.wait()), grace)
        except TimeoutError:
            self.kill()
        except BaseException:
            self.kill()
            await self.wait()
            raise
        return await self.wait()


def how_it_ended(code: int) -> str:
    """An exit code in words."""
    if code < 0:
        with suppress(ValueError):
            return f"its process was killed by {signal.Signals(-code).name}"
    return f"its process ended with exit code {code}"
