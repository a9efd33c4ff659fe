"""How much memory and processor time a tree of processes takes, looked at from beside it."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress

from tests.proof.processes import cpu_seconds, descendants, proportional

PAUSE = 0.25  # seconds between two looks: each walks the memory maps of all of them


class Watched:
    """bytes: the most that the processes had together at one look (proportional, so what they share counts once)."""

    def __init__(self) -> None:
        self.bytes = 0
        self._cpu: dict[int, tuple[float, float]] = {}

    @property
    def cpu(self) -> float:
        """Seconds of processor time, as far as the looks saw it: what a process took before it was first seen counts
        only when it was started in between."""
        return sum(last - first for first, last in self._cpu.values())

    def look(self, pids: Sequence[int], *, first: bool) -> None:
        self.bytes = max(self.bytes, sum(map(proportional, pids)))
        for pid in pids:
            with suppress(OSError):
                now = cpu_seconds(pid)
                begin, _ = self._cpu.get(pid, (now if first else 0.0, now))
                self._cpu[pid] = (begin, now)


@contextmanager
def watching(roots: Callable[[], Sequence[int]]) -> Iterator[Watched]:
    """roots: the processes that are watched with all below them, asked anew for each look."""
    watched, done = Watched(), threading.Event()

    def look(*, first: bool = False) -> None:
        watched.look(sorted({pid for root in roots() for pid in (root, *descendants(root))}), first=first)

    def watch() -> None:
        while not done.wait(PAUSE):
            look()
        look()

    look(first=True)
    thread = threading.Thread(target=watch, daemon=True)
    thread.start()
    try:
        yield watched
    finally:
        done.set()
        thread.join()
