"""What upstream said lately, so that it is not asked again for every request; one question at a time for each thing."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Hashable
from typing import Any

from craton.core.errors import CratonError, SourceFailed

KEPT = 10_000  # answers
MISSING, DOWN = 30.0, 5.0  # seconds for which a refusal, and a failure, are believed at most


class Answers:
    """monotonic: seconds."""

    def __init__(self, monotonic: Callable[[], float]) -> None:
        self._monotonic = monotonic
        self._known: OrderedDict[Hashable, tuple[float, Any]] = OrderedDict()
        self._asking: dict[Hashable, asyncio.Task[Any]] = {}

    async def get(self, key: Hashable, seconds: float, ask: Callable[[], Awaitable[Any]]) -> Any:
        """What `ask` gave or raised at most so many seconds ago, else what it does now. Its work goes on when whoever
        waits for it leaves."""
        until, outcome = self._known.get(key, (0.0, None))
        if self._monotonic() >= until:
            task = self._asking.get(key)
            if task is None:
                task = self._asking[key] = asyncio.create_task(self._ask(key, seconds, ask))
                task.add_done_callback(lambda _: self._asking.pop(key, None))
            outcome = await asyncio.shield(task)
        if isinstance(outcome, CratonError):
            raise outcome.with_traceback(None)
        return outcome

    async def _ask(self, key: Hashable, seconds: float, ask: Callable[[], Awaitable[Any]]) -> Any:
        try:
            outcome = await ask()
        except CratonError as error:
            outcome, seconds = error, min(seconds, DOWN if isinstance(error, SourceFailed) else MISSING)
        self._known[key] = (self._monotonic() + seconds, outcome)
        self._known.move_to_end(key)
        while len(self._known) > KEPT:
            self._known.popitem(last=False)
        return outcome

    async def close(self) -> None:
        tasks = list(self._asking.values())
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)
