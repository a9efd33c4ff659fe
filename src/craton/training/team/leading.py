"""The leader's side: starts helpers, takes those that come, hands work to whichever is free.

A helper that is lost costs what it was doing and no more: that is done again, by another one or here. Without any, the
run goes on alone and comes to the same result.
"""

from __future__ import annotations

import hmac
import logging
import queue
import secrets
import socket
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from craton.training.protocol import Meeting, Score
from craton.training.team.messages import Asked, Channel, FromHelper, Gone, Hello, Measured, Meet

Start = Callable[[int, str, str], Callable[[], None]]
"""(number from 1, HOST:PORT of the leader, token) -> what stops that helper. Blocks; raises OSError."""

COMING = 120.0  # seconds until those that did not come are no longer waited for
INTRODUCING = 10.0  # seconds for the first word

log = logging.getLogger(__name__)


class Leading:
    """See `training.protocol.Team`. address: of this machine, as the helpers reach it. say: to the run's log."""

    leads = True

    def __init__(
        self,
        size: int,
        start: Start,
        address: str,
        check: Callable[[], None],
        say: Callable[[str], None],
        coming: float = COMING,
    ) -> None:
        """size: of the team, this process too. Raises OSError when nobody can listen at the address."""
        self._size, self._address, self._check, self._say = size, address, check, say
        self._give_up = time.monotonic() + coming
        self._token = secrets.token_hex(32)
        self._server = socket.create_server((address, 0))
        self._free: queue.SimpleQueue[_Helper | None] = queue.SimpleQueue()  # None: this process itself
        self._helpers: list[_Helper] = []
        self._stops: list[Callable[[], None]] = []
        threading.Thread(target=self._welcome, name="team", daemon=True).start()
        place = f"{address}:{self._server.getsockname()[1]}"
        for number in range(1, size):
            try:
                self._stops.append(start(number, place, self._token))
            except OSError as error:
                self._say(f"helper {number} could not be started: {error}")
                self._give_up = min(self._give_up, time.monotonic() + (coming if self._stops else 0.0))

    def spread(self, score: Score) -> Score:
        self._free.put(None)

        def spreading(params: dict[str, Any], fold: int) -> float:
            while True:
                helper = self._next()
                if helper is None:
                    try:
                        return score(params, fold)
                    finally:
                        self._free.put(None)
                try:
                    found = helper.ask(Asked(params, fold), self._check)
                except Gone:
                    self._say(f"{helper.name} was lost: what it measured is measured again")
                    continue
                self._free.put(helper)
                if found.value is None:
                    raise ValueError(found.reason)
                return found.value

        return spreading

    def meet(self) -> Meeting | None:
        while len(self._helpers) < self._size - 1 and time.monotonic() < self._give_up:
            self._check()
            time.sleep(0.05)
        present = [*self._helpers]
        if len(present) < self._size - 1:
            self._say(f"{len(present)} of {self._size - 1} helpers came")
        if not present:
            return None
        listener = socket.create_server((self._address, 0))
        port = listener.getsockname()[1]
        for rank, helper in enumerate(present, 1):
            helper.tell(Meet(self._address, port, rank, len(present) + 1))
        return Meeting(self._address, port, 0, len(present) + 1, self._address, listener)

    def close(self) -> None:
        """Helpers see that and leave; those that never came are called off."""
        with suppress(OSError):
            self._server.shutdown(socket.SHUT_RDWR)
        self._server.close()
        for helper in self._helpers:
            helper.close()
        for stop in self._stops:
            stop()

    def _next(self) -> _Helper | None:
        while True:
            self._check()
            with suppress(queue.Empty):
                return self._free.get(timeout=0.5)

    def _welcome(self) -> None:
        while True:
            try:
                connection, (host, *_) = self._server.accept()
            except OSError:
                return
            try:
                helper = _Helper(connection, f"helper {len(self._helpers) + 1} on {host}", self._token)
            except (Gone, TimeoutError, OSError):
                log.warning("a stranger at %s was sent away", host)
                connection.close()
                continue
            self._helpers.append(helper)
            self._free.put(helper)
            self._say(f"{helper.name} is here")


class _Helper:
    """One at a time speaks to it."""

    def __init__(self, connection: socket.socket, name: str, token: str) -> None:
        """Raises Gone, TimeoutError for one that does not know the token."""
        self.name = name
        self._channel = Channel[FromHelper](connection, FromHelper)
        until = time.monotonic() + INTRODUCING

        def check() -> None:
            if time.monotonic() > until:
                raise TimeoutError

        said = self._channel.receive(check)
        if not isinstance(said, Hello) or not hmac.compare_digest(said.token.encode(), token.encode()):
            raise Gone()

    def ask(self, asked: Asked, check: Callable[[], None]) -> Measured:
        """Raises Gone, and what `check` raises."""
        self._channel.send(asked)
        found = self._channel.receive(check)
        if not isinstance(found, Measured):
            raise Gone()
        return found

    def tell(self, frame: Meet) -> None:
        with suppress(Gone):  # it is missed where tensors are exchanged
            self._channel.send(frame)

    def close(self) -> None:
        self._channel.close()
