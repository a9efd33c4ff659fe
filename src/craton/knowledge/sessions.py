"""Conversations with documents: the turns so far, kept in rows.

A session belongs to a tenant, and to the user that it was begun for: anybody else's is NotFound. It is bounded: the
oldest turns fall out, long texts are cut, and what nobody used for a day is forgotten.
"""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Callable

import msgspec
from msgspec import Struct
from sqlalchemy import delete, insert, select, update

from craton.core.errors import NotFound
from craton.knowledge.tables import sessions
from craton.store.database import Database

KEPT_TURNS = 20
KEPT_CHARACTERS = 4_000  # of a question or an answer
IDLE_SECONDS = 86_400.0


class Turn(Struct, frozen=True, array_like=True):
    """question: as it was asked. query: what was searched for instead. answer: "" when there was none."""

    question: str
    query: str
    answer: str


class Session(Struct, frozen=True):
    id: str
    user: str
    turns: tuple[Turn, ...] = ()


class _Kept(Struct, frozen=True):
    user: str
    turns: tuple[Turn, ...]


class Sessions:
    def __init__(
        self, database: Database, clock: Callable[[], float], new_id: Callable[[], str] = lambda: str(uuid.uuid4())
    ) -> None:
        self._database, self._clock, self._new_id = database, clock, new_id

    async def open(self, tenant: str, session: str, user: str = "") -> Session:
        """session "": a new one, of which there is no row before its first turn. Raises NotFound."""
        if not session:
            return Session(self._new_id(), user)
        kept = await asyncio.to_thread(self._load, tenant, session)
        if kept is None or kept.user != user:
            raise NotFound("session", session[:100])
        return Session(session, user, kept.turns)

    async def add(self, tenant: str, session: Session, turn: Turn) -> None:
        """Committed when this returns. Two turns at once are both kept."""
        short = Turn(
            *(text[:KEPT_CHARACTERS].replace("\0", "\ufffd") for text in (turn.question, turn.query, turn.answer))
        )
        await asyncio.to_thread(self._add, tenant, session, short)

    async def close(self, tenant: str, session: str, user: str = "") -> None:
        """Forgets it. Raises NotFound."""
        await self.open(tenant, session, user)
        await asyncio.to_thread(self._forget, tenant, session)

    def _load(self, tenant: str, session: str) -> _Kept | None:
        mine = (sessions.c.tenant == tenant) & (sessions.c.id == session)
        fresh = (sessions.c.updated >= self._clock() - IDLE_SECONDS) & ~sessions.c.closed
        with self._database.read() as connection:
            value = connection.execute(select(sessions.c.value).where(mine & fresh)).scalar()
        return None if value is None else msgspec.json.decode(value, type=_Kept)

    def _add(self, tenant: str, session: Session, turn: Turn) -> None:
        now = self._clock()
        mine = (sessions.c.tenant == tenant) & (sessions.c.id == session.id)
        with self._database.write() as connection:
            connection.execute(
                delete(sessions).where((sessions.c.tenant == tenant) & (sessions.c.updated < now - IDLE_SECONDS))
            )
            value = connection.execute(select(sessions.c.value).where(mine)).scalar()
            before = session.turns if value is None else msgspec.json.decode(value, type=_Kept).turns
            kept = msgspec.json.encode(_Kept(session.user, (*before, turn)[-KEPT_TURNS:])).decode()
            if value is None:
                row = {"tenant": tenant, "id": session.id, "created": now, "updated": now, "closed": False}
                connection.execute(insert(sessions).values(**row, value=kept))
            else:
                connection.execute(update(sessions).where(mine).values(updated=now, value=kept))

    def _forget(self, tenant: str, session: str) -> None:
        with self._database.write() as connection:
            connection.execute(delete(sessions).where((sessions.c.tenant == tenant) & (sessions.c.id == session)))
