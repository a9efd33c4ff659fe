"""How long the rest will take: an exponentially weighted mean of the recent rate."""

from __future__ import annotations

import math

MEMORY = 30.0  # seconds after which a moment's rate counts 1/e
SHORTEST = 0.2  # seconds between two samples; shorter ones are noise


class Rate:
    """Fed with (seconds on any clock, units done). Not safe in threads beyond losing a sample."""

    def __init__(self) -> None:
        self._last: tuple[float, int] | None = None
        self._sum = self._weight = 0.0

    def eta(self, now: float, done: int, total: int | None) -> float | None:
        """Seconds; None until something is known. Counting begins anew when done goes backwards."""
        if self._last is None or done < self._last[1]:
            self._last, self._sum, self._weight = (now, done), 0.0, 0.0
        seconds, units = now - self._last[0], done - self._last[1]
        if seconds >= SHORTEST:
            fading = math.exp(-seconds / MEMORY)
            self._sum = self._sum * fading + (1 - fading) * units / seconds
            self._weight = self._weight * fading + (1 - fading)  # so that the beginning at 0 does not count
            self._last = (now, done)
        if total is None or self._sum <= 0:
            return None
        return max(0, total - done) * self._weight / self._sum
