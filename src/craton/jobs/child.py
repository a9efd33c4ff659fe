"""A job's process as the executor sees it: started with a clean environment, its last output kept, its folder swept."""

from __future__ import annotations

import asyncio
import os
import shutil
import tempfile
from collections import deque
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from craton.children.process import FOLDERS, KEPT_LINES, LINE_BYTES, clean_environment, temporary_folder


class Child:
    """See `executor.Process`. TMPDIR is a folder of its own, removed when it has ended, with what its own children left
    there."""

    outlives = False

    def __init__(self, process: asyncio.subprocess.Process, folder: Path) -> None:
        self._process, self._folder = process, folder
        self._lines: deque[str] = deque(maxlen=KEPT_LINES)
        self._reading = asyncio.create_task(self._read_output())

    @classmethod
    async def spawn(cls, command: Sequence[str], environment: Mapping[str, str], extra: Mapping[str, str]) -> Child:
        """environment: the server's, of which the child sees only what `clean_environment` lets through, and `extra`.
        Raises OSError."""
        folder = Path(tempfile.mkdtemp(prefix=f"{FOLDERS}{os.getpid()}-", dir=temporary_folder()))
        try:
            process = await asyncio.create_subprocess_exec(
                *command,
                env={**clean_environment(environment), **extra, "TMPDIR": str(folder)},
                stdin=asyncio.subprocess.DEVNULL,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.STDOUT,
                start_new_session=True,
                limit=LINE_BYTES,
            )
        except OSError:
            shutil.rmtree(folder, ignore_errors=True)
            raise
        return cls(process, folder)

    async def wait(self) -> int:
        """Its exit code, negative for a signal; its folder is gone by then."""
        code = await self._process.wait()
        await asyncio.wait([self._reading], timeout=1)  # a grandchild may hold the pipe a little longer
        self._reading.cancel()
        await asyncio.to_thread(shutil.rmtree, self._folder, ignore_errors=True)
        return code

    def terminate(self) -> None:
        with suppress(ProcessLookupError):
            self._process.terminate()

    def kill(self) -> None:
        with suppress(ProcessLookupError):
            self._process.kill()

    def last_words(self) -> str:
        """The end of what it printed: for the server's log, never for clients."""
        return "\n".join(self._lines)

    async def _read_output(self) -> None:
        output = self._process.stdout
        assert output is not None
        while data := await output.read(LINE_BYTES):
            self._lines.extend(data.decode("utf-8", "replace").splitlines())
