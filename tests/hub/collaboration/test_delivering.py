"""What waits for webhooks: delivered at least once, in order, given up in the end; on both databases."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field

import pytest
from sqlalchemy import select

from craton.core.repo import RepoId
from craton.hub.changes import Created, Place
from craton.hub.collaboration.delivering import LEASE, MAX_ATTEMPTS, Deliverer
from craton.hub.collaboration.outbox import Happening, Outbox
from craton.hub.collaboration.tables import deliveries, watched, webhooks
from craton.hub.collaboration.webhooks import NewWebhook, Watched, Webhook, Webhooks
from craton.hub.tables import repositories
from craton.store.database import Database
from craton.store.schema import metadata

pytestmark = pytest.mark.anyio


class Plain:
    """Seals nothing."""

    def seal(self, tenant: str, name: str, value: str) -> bytes:
        return f"{tenant}/{name}/{value}".encode()

    def unseal(self, tenant: str, name: str, sealed: bytes) -> str:
        return sealed.decode().removeprefix(f"{tenant}/{name}/")


@dataclass
class Queue:
    """now: the clock, moved by hand. behave: what becomes of a call."""

    database: Database
    now: float = 1_700_000_000.0
    heard: list[tuple[str, str]] = field(default_factory=list)
    behave: Callable[[str], None] = lambda _: None

    def __post_init__(self) -> None:
        self.webhooks = Webhooks(self.database, Plain(), self.clock, lambda _: None)

    def clock(self) -> float:
        return self.now

    async def post(self, webhook: Webhook, happening: Happening, delivery: str) -> None:
        self.heard.append((webhook.url, happening.name))
        self.behave(webhook.url)

    def happen(self, *names: str) -> None:
        for name in names:
            self.now += 0.001
            with self.database.write() as connection:
                place = Place("alice", "1", RepoId("model", "alice", name), True)
                Outbox(self.clock).changed(connection, Created(place))

    def hook(self, url: str) -> str:
        return self.webhooks.create("alice", NewWebhook(url, (Watched("user", "alice"),))).id

    async def work(self, seconds: float = 0.3) -> None:
        """Runs a deliverer for a moment of real time."""
        deliverer = Deliverer(self.database, self.webhooks, self.post, self.clock, idle=0.02)
        deliverer.start()
        await asyncio.sleep(seconds)
        await deliverer.stop()

    def waiting(self) -> list[tuple[int, float | None]]:
        with self.database.read() as connection:
            query = select(deliveries.c.attempts, deliveries.c.due).order_by(deliveries.c.created)
            return [(row.attempts, row.due) for row in connection.execute(query)]


@pytest.fixture
def queue(database: Database) -> Queue:
    metadata.create_all(database.engine, tables=[webhooks, watched, deliveries, repositories])
    return Queue(database)


async def test_things_are_told_once_and_in_their_order(queue: Queue) -> None:
    queue.hook("one")
    names = [f"model-{number}" for number in range(8)]
    queue.happen(*names)
    await queue.work(0.8)
    assert queue.heard == [("one", f"alice/{name}") for name in names]
    assert queue.waiting() == []


@pytest.mark.slow
async def test_a_failure_is_tried_again_ever_later_and_given_up(queue: Queue) -> None:
    def fail(url: str) -> None:
        raise OSError("nobody is there")

    queue.hook("one")
    queue.happen("model")
    queue.behave = fail
    waits = []
    for attempt in range(1, MAX_ATTEMPTS + 1):
        await queue.work(0.6)
        assert len(queue.heard) == attempt
        [(attempts, due)] = queue.waiting()
        assert attempts == attempt
        if due is None:
            break
        waits.append(due - queue.now)
        queue.now = due
    assert waits == pytest.approx([5 * 4**number for number in range(MAX_ATTEMPTS - 1)])
    assert queue.waiting() == [(MAX_ATTEMPTS, None)]
    queue.now += 8 * 86400
    await queue.work(0.6)
    assert queue.waiting() == []
    assert len(queue.heard) == MAX_ATTEMPTS


async def test_what_was_taken_by_one_who_died_is_taken_again(queue: Queue) -> None:
    async def hang(webhook: Webhook, happening: Happening, delivery: str) -> None:
        queue.heard.append((webhook.url, "taken"))
        await asyncio.sleep(60)

    queue.hook("one")
    queue.happen("model")
    deliverer = Deliverer(queue.database, queue.webhooks, hang, queue.clock, idle=0.02)
    deliverer.start()
    await asyncio.sleep(0.2)
    await deliverer.stop()  # it leaves what is under way, as one that is killed does
    await queue.work(0.6)
    assert queue.heard == [("one", "taken")]
    queue.now += LEASE
    await queue.work(0.6)
    assert queue.heard == [("one", "taken"), ("one", "alice/model")]
    assert queue.waiting() == []


async def test_one_that_hangs_holds_nobody_up(queue: Queue) -> None:
    release = asyncio.Event()

    async def post(webhook: Webhook, happening: Happening, delivery: str) -> None:
        if webhook.url == "slow":
            await release.wait()
        queue.heard.append((webhook.url, happening.name))

    queue.hook("slow")
    queue.happen(*(f"model-{number}" for number in range(40)))  # more than are taken at once
    queue.hook("quick")
    queue.happen("last")
    deliverer = Deliverer(queue.database, queue.webhooks, post, queue.clock, idle=0.02)
    deliverer.start()
    await asyncio.sleep(0.3)
    await deliverer.stop()
    assert queue.heard == [("quick", "alice/last")]


async def test_one_that_is_disabled_hears_nothing_and_a_deleted_one_is_forgotten(queue: Queue) -> None:
    id = queue.hook("one")
    queue.happen("before")
    queue.webhooks.switch("alice", id, disabled=True)
    queue.happen("meanwhile")
    await queue.work(0.6)
    assert queue.heard == []
    queue.webhooks.switch("alice", id, disabled=False)
    await queue.work(0.6)
    assert queue.heard == [("one", "alice/before")]
    queue.happen("after")
    queue.webhooks.delete("alice", id)
    assert queue.waiting() == []


def test_what_is_undone_is_not_told(queue: Queue) -> None:
    queue.hook("one")
    place = Place("alice", "1", RepoId("model", "alice", "model"), True)

    def undone() -> None:
        with queue.database.write() as connection:
            Outbox(queue.clock).changed(connection, Created(place))
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        undone()
    assert queue.waiting() == []
