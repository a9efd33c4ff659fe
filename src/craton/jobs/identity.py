"""Which process works on a job, said so that another one on the same machine can tell that it has died.

A lease also ends by time; this only makes a job go on at once after its process (or the whole server) was killed.
Linux only: elsewhere nothing is known, and time decides.
"""

from __future__ import annotations

import os
from pathlib import Path

_PROC = Path("/proc")
_STATE, _STARTED = 0, 19  # fields of /proc/PID/stat after the command's name; proc(5) counts them 3 and 22


def this_process() -> str:
    """The running kernel, the namespace of process ids, the id, and when it began (ids are used again); "" where that
    cannot be told."""
    machine, started = _machine(), _started(os.getpid())
    return f"{machine}/{os.getpid()}/{started}" if machine and started else ""


def has_died(owner: str | None) -> bool:
    """Whether this process is known to have ended. False when it may live on another machine."""
    machine, _, process = (owner or "").partition("/")
    pid, _, started = process.partition("/")
    return bool(machine) and machine == _machine() and _started(int(pid)) != started


def _machine() -> str:
    try:
        boot = (_PROC / "sys/kernel/random/boot_id").read_text("ascii").strip()
        return f"{boot}:{(_PROC / 'self/ns/pid').stat().st_ino}"
    except OSError:
        return ""


def _started(pid: int) -> str:
    """When it began, in the kernel's ticks; "" when it has ended (its exit code may still wait for its parent)."""
    try:
        stat = (_PROC / str(pid) / "stat").read_text("utf-8", "replace")
    except OSError:
        return ""
    fields = stat.rpartition(")")[2].split()  # the name before it may hold anything
    return "" if fields[_STATE] in {"Z", "X"} else fields[_STARTED]
