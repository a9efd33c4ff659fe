"""Tells a server of a run that happens here: in batches, from a thread of its own, and again when it was not heard."""

from __future__ import annotations

import threading
import time
from typing import Any

import httpx
import msgspec

from craton.cli.connection import Connection, error_sentence
from craton.training.tracking.telling import Line, Told, ToldPoint

ROUTE = "/api/craton/v1/runs"
EVERY = 0.5  # seconds
ALIVE = 3.0  # seconds, after which the server is told that there is nothing new
TIMEOUT = 30.0
MAX_POINTS, MAX_LINES = 5_000, 500  # at once
MAX_WAITING = 10_000  # lines: the server keeps no more of a run either
MAX_MESSAGE = 4_000  # characters of a line


class Teller:
    """Safe in threads. `cancelled` is set when the run's owner asked for its end, `lost` says why the server takes no
    more words for this run ("" while it does). What the run itself does never depends on the server."""

    def __init__(self, connection: Connection, run: str) -> None:
        self._client, self._path = connection.client(TIMEOUT), f"{ROUTE}/{run}/told"
        self._lock = threading.Lock()
        self._points: list[ToldPoint] = []
        self._lines: list[Line] = []
        self._left_out = 0  # lines that came faster than they could be sent
        self._parameters: dict[str, Any] = {}
        self._sending: Told | None = None  # until it was heard: then it is known to be kept once
        self._batch = 0
        self._heard = time.monotonic()
        self._closed = threading.Event()
        self.cancelled, self.lost = threading.Event(), ""
        self._thread = threading.Thread(target=self._work, name="telling", daemon=True)
        self._thread.start()

    def tell(self, told: Told) -> None:
        """Quick: it is sent later."""
        now = time.time()
        dated = [point if point.time else msgspec.structs.replace(point, time=now) for point in told.points]
        with self._lock:
            self._points += dated
            self._parameters |= told.parameters

    def line(self, message: str) -> None:
        if not message.strip():
            return
        with self._lock:
            if len(self._lines) >= MAX_WAITING:
                self._left_out += 1
                return
            if self._left_out:
                self._lines.append(Line(f"{self._left_out:,} lines are left out here.", "warning"))
                self._left_out = 0
            self._lines.append(Line(message[:MAX_MESSAGE]))

    def close(self, patience: float) -> bool:
        """Sends what waits, and tries so many seconds. Whether the server has heard all."""
        self._closed.set()
        self._thread.join()
        give_up = time.monotonic() + patience
        while not self.lost and self._waiting():
            if not self._send() and not self.lost:
                if time.monotonic() > give_up:
                    break
                time.sleep(EVERY)
        self._client.close()
        return not self.lost and not self._waiting()

    def _work(self) -> None:
        pause = EVERY
        while not self._closed.wait(pause) and not self.lost:
            if self._waiting() or time.monotonic() - self._heard > ALIVE:
                pause = EVERY if self._send() else min(ALIVE, pause * 2)

    def _waiting(self) -> bool:
        return bool(self._points or self._lines or self._parameters)

    def _send(self) -> bool:
        """Whether it was heard."""
        if self._sending is None:
            self._batch += 1
            with self._lock:
                points, lines = self._points[:MAX_POINTS], self._lines[:MAX_LINES]
                self._sending = Told(self._batch, points, dict(self._parameters), lines)
        told = self._sending
        headers = {"content-type": "application/json"}
        try:
            response = self._client.post(self._path, content=msgspec.json.encode(told), headers=headers)
        except httpx.HTTPError:
            return False
        if not response.is_success:
            if response.status_code < 500 and response.status_code != 429:
                self.lost = error_sentence(response.status_code, response.content)
            return False
        if msgspec.json.decode(response.content)["cancelling"]:
            self.cancelled.set()
        with self._lock:
            del self._points[: len(told.points)], self._lines[: len(told.lines)]
            unsaid = [name for name, value in self._parameters.items() if told.parameters.get(name, ...) != value]
            self._parameters = {name: self._parameters[name] for name in unsaid}
        self._sending, self._heard = None, time.monotonic()
        return True
