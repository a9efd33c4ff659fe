"""Where a crawl still has to go: each address once, within bounds that no site can widen."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable

from msgspec import Struct

from craton.data.sources.urls import Traps

MAX_HOPS = 5  # redirects in a row


class Step(Struct, frozen=True):
    """depth: links from a seed. hops: redirects that led here in a row."""

    url: str
    depth: int
    hops: int = 0
    seed: bool = False


class Frontier:
    """First in, first out, so that what lies near the seeds comes before the bounds do. wanted: scope and filters."""

    def __init__(self, wanted: Callable[[str], bool], max_depth: int, max_pages: int) -> None:
        self._wanted, self._max_depth = wanted, max_depth
        self._waiting: deque[Step] = deque()
        self._seen: dict[str, str] = {}
        self._room = 4 * max_pages + 10_000  # addresses that are remembered
        self._traps = Traps()

    def name(self, url: str) -> str:
        """The one copy of this address: links repeat it thousands of times."""
        return self._seen.get(url, url)

    def seed(self, url: str) -> None:
        self._put(Step(url, 0, seed=True))

    def link(self, urls: Iterable[str], depth: int) -> None:
        if depth <= self._max_depth:
            for url in urls:
                self._admit(Step(url, depth))

    def redirect(self, step: Step, target: str) -> bool:
        """Whether it is followed."""
        if step.hops == MAX_HOPS or not self._wanted(target):
            return False
        self._admit(Step(target, step.depth, step.hops + 1, step.seed))
        return True

    def next(self) -> Step | None:
        return self._waiting.popleft() if self._waiting else None

    def _admit(self, step: Step) -> None:
        if step.url not in self._seen and self._wanted(step.url) and not self._traps.catches(step.url):
            self._put(step)

    def _put(self, step: Step) -> None:
        if step.url not in self._seen and len(self._seen) < self._room:
            self._seen[step.url] = step.url
            self._waiting.append(step)
