"""What a child process does first: end with its parent, leave no core file, take no more memory than it was given."""

from __future__ import annotations

import ctypes
import os
import signal
import sys
from pathlib import Path

_PR_SET_PDEATHSIG = 1
_CLONE_NEWUSER, _CLONE_NEWNET = 0x10000000, 0x40000000
FILES, FILE_BYTES = 128, 64 << 20


def die_with(parent: int) -> None:
    """Leave no core file; end when the parent does; leave Ctrl-C to the parent."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    if sys.platform != "win32":
        import resource

        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != parent:  # it died before the line above
        sys.exit(1)


def bound_memory(extra: int) -> None:
    """So many more bytes of writable private memory than now (RLIMIT_DATA: mapped weights do not count).

    Allocating more fails: in Python with a MemoryError, in native code as it will, perhaps with the end of the process.
    Linux only.
    """
    if sys.platform != "linux":
        return
    import resource

    for line in Path("/proc/self/status").read_text("ascii").splitlines():
        if line.startswith("VmData:"):
            limit = int(line.split()[1]) * 1024 + extra
            resource.setrlimit(resource.RLIMIT_DATA, (limit, resource.getrlimit(resource.RLIMIT_DATA)[1]))


def alone() -> None:
    """For code of a user: few and small files, a network of its own without a way out (not every kernel allows it), and
    the others first."""
    if sys.platform == "win32":
        return
    import resource

    resource.setrlimit(resource.RLIMIT_NOFILE, (FILES, FILES))
    resource.setrlimit(resource.RLIMIT_FSIZE, (FILE_BYTES, FILE_BYTES))
    if sys.platform == "linux":
        ctypes.CDLL(None).unshare(_CLONE_NEWUSER | _CLONE_NEWNET)
    os.nice(5)
