"""The job that has a base's index built again: the server does it (`knowledge.syncing`), the job asks and follows."""

from __future__ import annotations

import asyncio
from typing import cast

from sqlalchemy import Connection, select
from sqlalchemy import func as sql

from craton.core.chat import Json
from craton.core.errors import NotFound
from craton.core.job import Progress, Running
from craton.knowledge.syncing import marks as rows
from craton.knowledge.tables import pieces
from craton.store.database import Database

POLL = 0.5  # seconds


async def reindex(running: Running, arguments: Json, database: Database) -> Json:
    """How many pieces the new index has. Cancelling it does not stop what was asked for."""
    tenant, base = running.job.tenant, str(arguments["base"])
    state = running.load()
    if state is None:
        state = await asyncio.to_thread(_begin, running, tenant, base)
    while True:
        running.check()
        progress, over = await asyncio.to_thread(_progress, database, tenant, base, int(state["epoch"]))
        running.report(progress)
        if over:
            return {"pieces": progress.done}
        await asyncio.sleep(POLL)


def _begin(running: Running, tenant: str, base: str) -> Json:
    with running.writing() as connection:
        state: Json = {"epoch": rows.begin_next(cast("Connection", connection), tenant, base)}
    running.save(state)
    return state


def _progress(database: Database, tenant: str, base: str, epoch: int) -> tuple[Progress, bool]:
    marks = rows.read(database, tenant, base)
    if marks is None or marks.base.status == "deleting":
        raise NotFound("knowledge base", base)
    over = marks.epoch >= epoch and marks.next_epoch == 0
    seen = marks.indexed if over else marks.next_indexed
    query = select(sql.count(), sql.count().filter(pieces.c.number <= seen)).where(
        pieces.c.tenant == tenant, pieces.c.base == base
    )
    with database.read() as connection:
        total, done = connection.execute(query).one()
    return Progress(done, total, "pieces"), over
