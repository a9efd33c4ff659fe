"""A question becomes a checked statement: a model writes it, what is wrong with it is told to the model once."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import TypeVar

import msgspec
from msgspec import Struct

from craton.core.chat import ChatRequest
from craton.core.errors import InvalidRequest, TooLarge
from craton.core.events import fold_stream
from craton.core.streams import closing
from craton.data.sql.checking import check
from craton.data.sql.words import Checked, Readable, TableInfo
from craton.knowledge.answering.models import Calls
from craton.knowledge.structured.options import Curated
from craton.knowledge.structured.prompting import again, prompt
from craton.serve.inference import Serving

ATTEMPTS = 2
MAX_QUESTION = 5000  # characters

T = TypeVar("T")


class Material(Struct, frozen=True):
    """tables: what the model is shown; readable: the same as the check holds it. limit: rows."""

    tables: tuple[TableInfo, ...]
    readable: tuple[Readable, ...]
    limit: int
    curated: tuple[Curated, ...] = ()
    schema: str = "public"


class _Answer(Struct, frozen=True):
    sql: str


async def answer_by_query(
    serving: Serving,
    calls: Calls,
    model: str,
    question: str,
    material: Material,
    use: Callable[[Checked], Awaitable[T]],
) -> tuple[Checked, T]:
    """The statement, and what `use` (to run it, or only to plan it) makes of it.

    What PostgreSQL says against it is told to the model too. Raises InvalidRequest when no allowed statement came of
    it, and what `Serving.chat` and `use` raise.
    """
    if not question.strip():
        raise InvalidRequest("must not be empty", "question")
    if len(question) > MAX_QUESTION:
        raise TooLarge("A question", MAX_QUESTION, len(question), "characters")
    request = prompt(model, question, material.tables, material.curated)
    for attempt in range(1, ATTEMPTS + 1):
        answer = await _ask(serving, calls, request)
        try:
            checked = await asyncio.to_thread(_read, answer, material.readable, material.limit, material.schema)
            return checked, await use(checked)
        except (InvalidRequest, TooLarge) as error:
            if attempt == ATTEMPTS:
                raise
            request = again(request, answer, str(error))
    raise AssertionError("the last attempt returns or raises")


async def _ask(serving: Serving, calls: Calls, request: ChatRequest) -> str:
    async with closing(serving.chat(calls.named("sql"), request)) as events:
        return (await fold_stream(events)).choices[0].text()


def _read(answer: str, readable: Sequence[Readable], limit: int, schema: str) -> Checked:
    try:
        sql = msgspec.json.decode(answer, type=_Answer).sql
    except msgspec.MsgspecError as error:
        raise InvalidRequest("the model did not answer with a query", "question") from error
    if not sql.strip():
        raise InvalidRequest("the model found no query that answers it from these tables", "question")
    return check(sql, readable, limit, schema)
