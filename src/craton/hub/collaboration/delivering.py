"""Delivers what waits for webhooks, off every request's path: at least once, with patience, in bounded numbers.

A delivery is taken by moving its due time ahead; whoever took it and dies leaves it to be taken again.
"""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from typing import Any, Protocol

import msgspec
from msgspec import Struct
from sqlalchemy import delete, select, update
from sqlalchemy.sql.elements import ColumnElement

from craton.core.errors import CratonError
from craton.hub.collaboration.outbox import Happening
from craton.hub.collaboration.tables import deliveries, webhooks
from craton.hub.collaboration.webhooks import Webhook, Webhooks
from craton.store.database import Database

log = logging.getLogger("craton.webhooks")

MAX_ATTEMPTS = 8  # then it is given up: some 9 hours after the first
FIRST_RETRY, RETRY_FACTOR = 5.0, 4.0  # seconds after the first failure, and how much longer after each
LEASE = 60.0  # seconds until a delivery that was taken and not finished is taken again
AT_ONCE, AT_ONCE_TO_ONE = 16, 1  # so one webhook hears things in their order, as long as none fails
KEPT, SWEEP_EVERY = 7 * 86400.0, 3600.0  # seconds: nothing is kept for longer, whatever became of it
MAX_FAILURE = 300  # characters


class Due(Struct, frozen=True):
    tenant: str
    id: str
    webhook: str
    payload: str
    attempts: int


class Post(Protocol):
    """Sends a happening to a webhook. Raises for whatever is no success; the message says why."""

    async def __call__(self, webhook: Webhook, happening: Happening, delivery: str) -> None: ...


class Deliverer:
    """One loop of the server. idle: seconds between looks at the queue; clock: seconds since the epoch."""

    def __init__(
        self,
        database: Database,
        webhooks: Webhooks,
        post: Post,
        clock: Callable[[], float],
        *,
        idle: float = 0.5,
        first_retry: float = FIRST_RETRY,
    ) -> None:
        self._database, self._webhooks, self._post, self._clock = database, webhooks, post, clock
        self._idle, self._first_retry = idle, first_retry
        self._loop: asyncio.Task[None] | None = None
        self._busy: dict[asyncio.Task[None], str] = {}
        self._settled = asyncio.Event()
        self._swept = 0.0

    def start(self) -> None:
        self._loop = asyncio.create_task(self._run())

    async def stop(self) -> None:
        """What is under way is left: it is delivered again."""
        tasks = [*self._busy, *([self._loop] if self._loop else [])]
        for task in tasks:
            task.cancel()
        for task in tasks:
            with suppress(asyncio.CancelledError):
                await task

    async def _run(self) -> None:
        while True:
            self._settled.clear()
            try:
                found = await asyncio.to_thread(self._take, AT_ONCE - len(self._busy), Counter(self._busy.values()))
                for due in found:
                    task = asyncio.create_task(self._deliver(due))
                    self._busy[task] = due.webhook
                    task.add_done_callback(self._forget)
            except Exception:
                log.exception("the queue of webhooks cannot be read")
            with suppress(TimeoutError):
                async with asyncio.timeout(self._idle):
                    await self._settled.wait()

    def _forget(self, task: asyncio.Task[None]) -> None:
        self._busy.pop(task, None)
        self._settled.set()

    def _take(self, places: int, busy: Counter[str]) -> list[Due]:
        """Those that are due, oldest first, no more to one webhook than it may have at once."""
        now, table = self._clock(), deliveries.c
        full = [webhook for webhook, count in busy.items() if count >= AT_ONCE_TO_ONE]
        query = (
            select(table.tenant, table.id, table.webhook, table.payload, table.attempts)
            .join_from(deliveries, webhooks, (table.tenant == webhooks.c.tenant) & (table.webhook == webhooks.c.id))
            .where(table.due <= now, webhooks.c.disabled.is_(False), table.webhook.not_in(full))
            .order_by(table.created, table.id)
            .limit(AT_ONCE * AT_ONCE_TO_ONE)
        )
        with self._database.read() as connection:
            nothing = places <= 0 or connection.execute(query).first() is None
        if nothing and now - self._swept < SWEEP_EVERY:
            return []
        with self._database.write() as connection:
            if now - self._swept >= SWEEP_EVERY:
                self._swept = now
                connection.execute(delete(deliveries).where(table.created < now - KEPT))
            taken: list[Due] = []
            for row in connection.execute(query).all():
                if len(taken) < places and busy[row.webhook] < AT_ONCE_TO_ONE:
                    busy[row.webhook] += 1
                    taken.append(Due(*row))
                    values = {"due": now + LEASE, "attempts": row.attempts + 1}
                    connection.execute(update(deliveries).where(_is(taken[-1])).values(values))
            return taken

    async def _deliver(self, due: Due) -> None:
        try:
            webhook = await asyncio.to_thread(self._webhooks.get, due.tenant, due.webhook)
            happening = msgspec.json.decode(due.payload, type=Happening)
            await asyncio.wait_for(self._post(webhook, happening, due.id), LEASE / 2)
        except asyncio.CancelledError:
            raise
        except Exception as error:
            failure = str(error) if isinstance(error, CratonError) else f"{type(error).__name__}: {error}"
            await asyncio.to_thread(self._fail, due, failure)
        else:
            await asyncio.to_thread(self._settle, due)

    def _settle(self, due: Due) -> None:
        with self._database.write() as connection:
            connection.execute(delete(deliveries).where(_is(due)))

    def _fail(self, due: Due, failure: str) -> None:
        attempts = due.attempts + 1
        given_up = attempts >= MAX_ATTEMPTS
        wait = self._first_retry * RETRY_FACTOR ** (attempts - 1)
        values: dict[str, Any] = {
            "due": None if given_up else self._clock() + wait,
            "failure": failure.replace("\0", "")[:MAX_FAILURE],
        }
        log.warning(
            "a webhook was not delivered%s",
            "; it is given up" if given_up else "",
            extra={"tenant": due.tenant, "webhook": due.webhook, "attempts": attempts, "reason": failure[:MAX_FAILURE]},
        )
        with self._database.write() as connection:
            connection.execute(update(deliveries).where(_is(due)).values(values))


def _is(due: Due) -> ColumnElement[bool]:
    return (deliveries.c.tenant == due.tenant) & (deliveries.c.id == due.id)
