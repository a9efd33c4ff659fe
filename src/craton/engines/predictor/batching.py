"""What waits for a predictor: requests in their order. Those of one verb that wait together run as one call.

Nothing waits on purpose: a request that finds the model idle runs at once, and those that come meanwhile run next.
"""

from __future__ import annotations

import asyncio
from collections import deque

from msgspec import Struct

from craton.core.errors import Throttled
from craton.core.predicting import PredictAnswer, PredictorRequest, PredictRequest

BATCH_ROWS = 4096  # of requests that run together; a larger one runs alone
MOST_WAITING = 4096


class Job(Struct, frozen=True, eq=False):
    request: PredictorRequest
    done: asyncio.Future[PredictAnswer]


class Waiting:
    """Not thread-safe: it belongs to one event loop."""

    def __init__(self) -> None:
        self._jobs: deque[Job] = deque()

    def add(self, job: Job) -> None:
        """Raises Throttled."""
        if len(self._jobs) >= MOST_WAITING:
            raise Throttled("Too many requests are waiting for this model.")
        self._jobs.append(job)

    def take(self) -> list[Job]:
        """The oldest, and those behind it that can run with it; empty when nothing waits. Who left is passed over."""
        while self._jobs and self._jobs[0].done.done():
            self._jobs.popleft()
        if not self._jobs:
            return []
        batch = [self._jobs.popleft()]
        first = batch[0].request
        if not isinstance(first, PredictRequest) or first.verb == "learn":
            return batch
        rows = first.rows
        while self._jobs:
            job = self._jobs[0]
            if not job.done.done():
                # Only the next one: a `learn` in between divides what came before it from what came after.
                if not isinstance(job.request, PredictRequest) or job.request.verb != first.verb:
                    break
                rows += job.request.rows
                if rows > BATCH_ROWS:
                    break
                batch.append(job)
            self._jobs.popleft()
        return batch

    def clear(self) -> list[Job]:
        """Empties it; what waited."""
        jobs, self._jobs = list(self._jobs), deque()
        return jobs
