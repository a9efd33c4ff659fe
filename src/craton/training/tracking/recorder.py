"""Points of curves, from a trainer's thread into the database: told in a microsecond, written in batches."""

from __future__ import annotations

import logging
import math
import threading
import time
from collections.abc import Callable
from typing import cast

from msgspec import Struct
from sqlalchemy import Connection, delete, select
from sqlalchemy import func as sql

from craton.core.errors import CratonError
from craton.core.job import Job, JobLost, Running
from craton.store.inserting import Insert
from craton.training.tracking.tables import points

FLUSH_SECONDS = 0.5
FULL = 1_000  # points that are not waited with
CROWDED = 50_000  # points: whoever tells more writes them himself, so that memory stays bounded
MAX_NAME = 200  # characters

log = logging.getLogger(__name__)


class Point(Struct, frozen=True):
    """step: None for a figure of the whole run. value: may be infinite or not a number."""

    name: str
    step: int | None
    value: float
    time: float


class Recorder:
    """The points of one attempt. Safe in threads. After `close` all are written; a killed process loses the last half
    second at most, which its next attempt tells again.

    Where an earlier attempt told a curve already, its points from this attempt's first step on are replaced.
    """

    def __init__(self, running: Running, clock: Callable[[], float] = time.time) -> None:
        self._running, self._clock = running, clock
        self._lock, self._writing = threading.Lock(), threading.Lock()
        self._waiting: list[Point] = []
        self._begun: set[tuple[str, bool]] = set()  # name, and whether it is a figure of the whole run
        self._number: int | None = None
        self._wake, self._closed = threading.Event(), False
        self._thread = threading.Thread(target=self._flush_regularly, name="recorder", daemon=True)
        self._thread.start()

    def add(self, name: str, value: float, step: int | None) -> None:
        with self._lock:
            self._waiting.append(Point(name[:MAX_NAME], step, float(value), self._clock()))
            waiting = len(self._waiting)
        if waiting >= CROWDED:
            self.flush()
        elif waiting >= FULL:
            self._wake.set()

    def flush(self) -> None:
        """Returns when all that was told is written. Raises JobLost, Throttled, StorageFull."""
        with self._writing:
            with self._lock:
                batch, self._waiting = self._waiting, []
            if not batch:
                return
            try:
                self._write(batch)
            except BaseException:
                with self._lock:
                    self._waiting = batch + self._waiting
                raise

    def close(self) -> None:
        """Writes what waits. Idempotent."""
        self._closed = True
        self._wake.set()
        self._thread.join()
        self.flush()

    def _flush_regularly(self) -> None:
        while not self._closed:
            self._wake.wait(FLUSH_SECONDS)
            self._wake.clear()
            try:
                self.flush()
            except JobLost:
                return  # the run's next `check` says it
            except CratonError as error:
                log.warning("points of the run %s wait: %s", self._running.job.id, error)

    def _write(self, batch: list[Point]) -> None:
        job = self._running.job
        mine = (points.c.tenant == job.tenant) & (points.c.job == job.id)
        first: dict[tuple[str, bool], int | None] = {}
        for point in batch:
            curve = (point.name, point.step is None)
            if curve not in self._begun:
                first.setdefault(curve, point.step)
        with self._running.writing() as context:
            connection = cast("Connection", context)
            if self._number is None:
                self._number = connection.scalar(select(sql.max(points.c.number)).where(mine)) or 0
            if job.attempt > 1:
                for (name, _), step in first.items():
                    again = points.c.step.is_(None) if step is None else points.c.step >= step
                    connection.execute(delete(points).where(mine, points.c.name == name, again))
            insert_points(connection, job, self._number, batch)
        self._number += len(batch)
        self._begun.update(first)


def insert_points(connection: Connection, job: Job, number: int, batch: list[Point]) -> None:
    """number: of the last point that there is."""
    rows = [
        {
            "tenant": job.tenant,
            "job": job.id,
            "number": place,
            "name": point.name,
            "step": point.step,
            "value": None if math.isnan(point.value) else point.value,
            "time": point.time,
        }
        for place, point in enumerate(batch, number + 1)
    ]
    Insert(points, connection.dialect)(connection, rows)


def forget_points(connection: Connection, tenant: str, job: str) -> None:
    """With the job. The row of its facts stays: models are traced by it."""
    connection.execute(delete(points).where((points.c.tenant == tenant) & (points.c.job == job)))
