"""How often a model's SQL gives the right rows: measured by a probe, kept with its revision, held against a bar.

Execution accuracy: the statement that the model wrote and the one that is known to be right run on the same rows, and
their results are compared (column names and, where the question asks for none, the order do not count). The probe's
tables stand in the statements themselves (VALUES), so it runs on the registered PostgreSQL and writes nothing.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import msgspec
from msgspec import Struct
from sqlalchemy import delete, insert, select

from craton.core.access import SHARED_TENANT
from craton.core.errors import InvalidRequest, TooLarge
from craton.core.model import ModelInfo
from craton.data.sql.checking import check
from craton.data.sql.running import run
from craton.data.sql.words import Checked, Registered, Rows
from craton.knowledge.answering.models import Calls
from craton.knowledge.structured.probe import QUESTIONS, READABLE, SCHEMA, TABLES, VERSION, Question
from craton.knowledge.structured.tables import proficiencies
from craton.knowledge.structured.writing import Material, answer_by_query
from craton.serve.inference import Call, Serving
from craton.store.database import Database

BAR = 0.6
LIMIT = 1000


class SqlProficiency(Struct, frozen=True):
    """right: of so many questions the rows were right."""

    model: str
    revision: str
    probe: str
    measured: float
    questions: int
    right: int

    @property
    def accuracy(self) -> float:
        return self.right / self.questions

    @property
    def passes(self) -> bool:
        return self.accuracy >= BAR


class SqlProficiencies:
    """A tenant sees its own figures and those that the operator measured for everybody. Of older probes none count."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def get(self, tenant: str, info: ModelInfo) -> SqlProficiency | None:
        return await asyncio.to_thread(self._get, tenant, info.id, info.revision)

    async def put(self, tenant: str, measured: SqlProficiency) -> None:
        await asyncio.to_thread(self._put, tenant, measured)

    def _get(self, tenant: str, model: str, revision: str) -> SqlProficiency | None:
        mine = proficiencies.c.tenant.in_([tenant, SHARED_TENANT])
        which = (proficiencies.c.model == model) & (proficiencies.c.revision == revision)
        query = select(proficiencies.c.tenant, proficiencies.c.value).where(mine & which)
        with self._database.read() as connection:
            rows = {row.tenant: row.value for row in connection.execute(query)}
        value = rows.get(tenant) or rows.get(SHARED_TENANT)
        found = None if value is None else msgspec.json.decode(value, type=SqlProficiency)
        return found if found is not None and found.probe == VERSION else None

    def _put(self, tenant: str, measured: SqlProficiency) -> None:
        key = {"tenant": tenant, "model": measured.model, "revision": measured.revision}
        with self._database.write() as connection:
            connection.execute(delete(proficiencies).where(*(proficiencies.c[name] == key[name] for name in key)))
            value = msgspec.json.encode(measured).decode()
            connection.execute(insert(proficiencies).values(**key, measured=measured.measured, value=value))


async def measure(
    serving: Serving,
    call: Call,
    model: str,
    database: Registered,
    clock: Callable[[], float],
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> SqlProficiency:
    """Asks the model every question of the probe, one after the other; the caller keeps the figures. progress:
    (questions asked, questions in all). Raises what `Serving.chat` raises, and SourceFailed, Unsupported."""
    info = await serving.model(call.caller, model)
    material, calls = Material(TABLES, READABLE, LIMIT, schema=SCHEMA), Calls(call)

    async def ask(checked: Checked) -> Rows:
        return await run(database, checked)

    right = 0
    for number, question in enumerate(QUESTIONS):
        progress(number, len(QUESTIONS))
        expected = await ask(check(question.sql, READABLE, LIMIT, SCHEMA))
        try:
            _, rows = await answer_by_query(serving, calls, model, question.question, material, ask)
        except (InvalidRequest, TooLarge):
            continue
        right += same(expected, rows, question)
    progress(len(QUESTIONS), len(QUESTIONS))
    return SqlProficiency(info.id, info.revision, VERSION, clock(), len(QUESTIONS), right)


def same(expected: Rows, given: Rows, question: Question) -> bool:
    """Whether the rows are the same; numbers to six digits."""
    one, other = ([_row(row) for row in rows.rows] for rows in (expected, given))
    return one == other if question.ordered else sorted(one) == sorted(other)


def _row(row: dict[str, Any]) -> tuple[str, ...]:
    return tuple(_plain(value) for value in row.values())


def _plain(value: Any) -> str:
    if isinstance(value, bool) or value is None:
        return str(value)
    try:
        return f"{float(value):.6g}"
    except (TypeError, ValueError):
        return str(value).strip()
