"""Sessions: bounded, forgotten in time, and walls between tenants and users."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest

from craton.core.errors import NotFound
from craton.knowledge.sessions import IDLE_SECONDS, KEPT_CHARACTERS, KEPT_TURNS, Session, Sessions, Turn
from craton.store.database import Database
from tests.migrated import upgrade

pytestmark = pytest.mark.anyio


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def sessions(database: Database, clock: Clock) -> Sessions:
    upgrade(database)
    return Sessions(database, clock)


async def test_turns_come_back_in_order(sessions: Sessions) -> None:
    session = await sessions.open("acme", "")
    for number in range(3):
        await sessions.add("acme", session, Turn(f"q{number}", f"s{number}", f"a{number}"))
    opened = await sessions.open("acme", session.id)
    assert [turn.question for turn in opened.turns] == ["q0", "q1", "q2"]
    assert opened.id == session.id


async def test_a_session_without_a_turn_is_not_there_yet(sessions: Sessions) -> None:
    session = await sessions.open("acme", "")
    with pytest.raises(NotFound):
        await sessions.open("acme", session.id)


async def test_other_tenants_and_other_users_find_nothing(sessions: Sessions) -> None:
    session = await sessions.open("acme", "", "ann")
    await sessions.add("acme", session, Turn("q", "q", "secret"))
    for tenant, user in (("other", "ann"), ("acme", "bob"), ("acme", "")):
        with pytest.raises(NotFound):
            await sessions.open(tenant, session.id, user)
    await sessions.add("other", Session(session.id, "ann"), Turn("mine", "mine", ""))
    assert [turn.question for turn in (await sessions.open("acme", session.id, "ann")).turns] == ["q"]


async def test_the_oldest_turns_fall_out_and_long_texts_are_cut(sessions: Sessions) -> None:
    session = await sessions.open("acme", "")
    for number in range(KEPT_TURNS + 3):
        await sessions.add("acme", session, Turn(str(number), "s", "a\0" + "a" * KEPT_CHARACTERS))
    turns = (await sessions.open("acme", session.id)).turns
    assert [turn.question for turn in turns] == [str(number) for number in range(3, KEPT_TURNS + 3)]
    assert len(turns[0].answer) == KEPT_CHARACTERS


async def test_what_nobody_uses_is_forgotten(sessions: Sessions, clock: Clock) -> None:
    session = await sessions.open("acme", "")
    await sessions.add("acme", session, Turn("q", "q", "a"))
    clock.now += IDLE_SECONDS + 1
    with pytest.raises(NotFound):
        await sessions.open("acme", session.id)


async def test_a_closed_session_is_gone(sessions: Sessions) -> None:
    session = await sessions.open("acme", "")
    await sessions.add("acme", session, Turn("q", "q", "a"))
    with pytest.raises(NotFound):
        await sessions.close("other", session.id)
    await sessions.close("acme", session.id)
    with pytest.raises(NotFound):
        await sessions.open("acme", session.id)


def test_turns_at_once_are_all_kept(database: Database, clock: Clock) -> None:
    import asyncio

    upgrade(database)
    sessions = Sessions(database, clock)
    session = Session("s1", "")
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda number: asyncio.run(sessions.add("acme", session, Turn(str(number), "s", ""))), range(8)))
    kept = asyncio.run(sessions.open("acme", "s1")).turns
    assert sorted(turn.question for turn in kept) == sorted(str(number) for number in range(8))
