"""Being a polite guest: what each host's robots.txt allows, and how long to wait between two requests to it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable

from craton.core.errors import SourceFailed, TooLarge
from craton.data.sources.http import Http, refuse_status
from craton.data.sources.robots import MAX_BYTES, Robots, read_robots
from craton.data.sources.urls import origin

MAX_DELAY = 30.0  # seconds; a host that asks for more gets this
MAX_HOSTS = 1000


class Hosts:
    """rate: requests a minute to each. clock, sleep: seconds."""

    def __init__(
        self,
        http: Http,
        agent: str,
        rate: int,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._http, self._agent, self._delay = http, agent, 60.0 / rate
        self._clock, self._sleep = clock, sleep
        self._robots: dict[str, Robots] = {}
        self._free: dict[str, float] = {}  # when the next request may go there

    async def robots(self, url: str) -> Robots:
        """A host without such a file allows everything; one that fails to give it, nothing: SourceFailed (RFC 9309)."""
        place = origin(url)
        if place not in self._robots:
            if len(self._robots) >= MAX_HOSTS:
                raise TooLarge("A crawl", MAX_HOSTS, unit="hosts")
            self._robots[place] = await self._read(place)
        return self._robots[place]

    async def _read(self, place: str) -> Robots:
        try:
            reply = await self._http.get(f"{place}/robots.txt", limit=4 * MAX_BYTES)
        except TooLarge as error:
            raise SourceFailed(place, "its robots.txt is too long") from error
        if reply.status == 200:
            return read_robots(reply.body, self._agent)
        if reply.status >= 500 or reply.status == 429:
            raise refuse_status(reply)
        return Robots()

    async def turn(self, url: str) -> None:
        """Returns when a request to this address may be made."""
        place = origin(url)
        known = self._robots.get(place, Robots())
        now = self._clock()
        begin = max(now, self._free.get(place, 0.0))
        self._free[place] = begin + max(self._delay, min(known.delay, MAX_DELAY))
        if begin > now:
            await self._sleep(begin - now)

    async def admits(self, url: str) -> bool:
        """Raises SourceFailed when the host does not tell."""
        return (await self.robots(url)).allows(url)
