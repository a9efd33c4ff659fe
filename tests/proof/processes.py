"""What Linux says about processes: memory, descriptors, threads, children, time."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

_PROC = Path("/proc")
_TICKS = os.sysconf("SC_CLK_TCK")
MIB = 2**20


@dataclass(frozen=True)
class Look:
    """One look at a process. rss: resident bytes, mapped files among them; private: those that are its alone."""

    rss: int
    private: int
    descriptors: int
    threads: int


def look(pid: int) -> Look:
    """Raises OSError when the process is gone."""
    folder = _PROC / str(pid)
    status = _fields(folder / "status")
    rollup = _fields(folder / "smaps_rollup")
    private = _kib(rollup["Private_Clean"]) + _kib(rollup["Private_Dirty"])
    return Look(_kib(status["VmRSS"]), private, len(os.listdir(folder / "fd")), int(status["Threads"]))


def proportional(pid: int) -> int:
    """Bytes in memory, of which what it shares with other processes counts in part (PSS): such sizes may be added up.
    0 when it is gone."""
    try:
        return _kib(_fields(_PROC / str(pid) / "smaps_rollup")["Pss"])
    except (OSError, KeyError):
        return 0


def command_line(pid: int) -> list[str]:
    """Empty when it is gone."""
    try:
        return (_PROC / str(pid) / "cmdline").read_text().split("\0")[:-1]
    except OSError:
        return []


def descendants(pid: int) -> list[int]:
    """The processes below this one that live."""
    below: dict[int, list[int]] = {}
    for entry in _PROC.iterdir():
        if entry.name.isdigit():
            try:
                # The name, in parentheses, may hold blanks and parentheses itself.
                state, parent = (entry / "stat").read_text().rpartition(")")[2].split()[:2]
            except OSError:
                continue
            if state != "Z":
                below.setdefault(int(parent), []).append(int(entry.name))
    found: list[int] = []
    waiting = [pid]
    while waiting:
        children = below.get(waiting.pop(), [])
        found += children
        waiting += children
    return found


def alive(pid: int) -> bool:
    try:
        return (_PROC / str(pid) / "stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def cpu_seconds(pid: int) -> float:
    """User and system time that this process has used."""
    fields = (_PROC / str(pid) / "stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / _TICKS


def machine() -> str:
    """The machine in words, without its name."""
    cores = len(os.sched_getaffinity(0))
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    models = {
        line.partition(":")[2].strip()
        for line in (_PROC / "cpuinfo").read_text().splitlines()
        if line.startswith("model name")
    }
    system = os.uname()
    return f"{cores} cores ({', '.join(sorted(models)) or system.machine}), {memory:.0f} GiB memory, {system.sysname}"


def load_average() -> float:
    """Over the last minute."""
    return os.getloadavg()[0]


def _fields(path: Path) -> dict[str, str]:
    pairs = (line.partition(":") for line in path.read_text().splitlines())
    return {name: value.strip() for name, _, value in pairs}


def _kib(text: str) -> int:
    return int(text.split(maxsplit=1)[0]) * 1024
