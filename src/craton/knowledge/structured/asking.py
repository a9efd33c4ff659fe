"""Knowledge bases over a SQL database: a question becomes a query, the query's rows become passages.

Refused unless the model that writes the SQL passed the probe (`proficiency`): wrong rows look like right ones.
"""

from __future__ import annotations

import hashlib
from collections.abc import Awaitable, Callable
from urllib.parse import quote

from msgspec import Struct

from craton.core.chat import Json
from craton.core.errors import InvalidRequest, Unsupported
from craton.core.knowledge import KnowledgeBase, Location, Passage, Retrieved, RetrieveRequest
from craton.data.sources.records import as_text
from craton.data.sql.running import plan, run
from craton.data.sql.schema import read_schema, with_samples
from craton.data.sql.words import Checked, Registered, Rows
from craton.knowledge.answering.models import Calls
from craton.knowledge.structured.options import Structured, read_structured, readable, visible
from craton.knowledge.structured.proficiency import BAR, SqlProficiencies, SqlProficiency, measure
from craton.knowledge.structured.writing import Material, answer_by_query
from craton.serve.inference import Call, Serving

MAX_ROWS = 100  # as many passages as one answer may hold
QUERY_ROWS = 1000  # the limit in a query that is only written
SCHEMA_SECONDS = 60.0  # how long what was read of a database is believed
KEPT_SCHEMAS = 64


Databases = Callable[[str, str], Awaitable[Registered]]
"""(tenant, registered name) -> the database. Raises NotFound when there is none, or not for this tenant."""


class Generated(Struct, frozen=True):
    """sql: checked, for people and for running elsewhere. tables: "schema.table". model: the one that wrote it."""

    sql: str
    tables: tuple[str, ...]
    model: str


class StructuredKnowledge:
    """The caller has found the knowledge base, of its own tenant. clock: seconds since the epoch."""

    def __init__(
        self,
        serving: Serving,
        databases: Databases,
        proficiencies: SqlProficiencies,
        clock: Callable[[], float],
    ) -> None:
        self._serving, self._databases = serving, databases
        self._proficiencies, self._clock = proficiencies, clock
        self._schemas: dict[tuple[str, str, float], tuple[float, Material]] = {}

    async def generate(self, call: Call, base: KnowledgeBase, question: str) -> Generated:
        """The SQL alone: it is planned and does not run. Raises NotFound, Unsupported (no model that passed, or a
        knowledge base of documents), InvalidRequest (no allowed query came of it), SourceFailed, TooLarge."""
        name, options = read_structured(base)
        database = await self._databases(base.tenant, name)
        model = await self._passed(call, options.model or database.model, database.name)
        material = await self._material(base, database, options, QUERY_ROWS)

        async def understand(checked: Checked) -> None:
            await plan(database, checked)

        checked, _ = await answer_by_query(self._serving, Calls(call), model, question, material, understand)
        return Generated(checked.shown, checked.tables, model)

    async def retrieve(self, call: Call, base: KnowledgeBase, request: RetrieveRequest) -> Retrieved:
        """Each row is a passage, with the query that gave it. Raises what `generate` raises, DeadlineExceeded."""
        _refuse_what_rows_lack(request)
        name, options = read_structured(base)
        database = await self._databases(base.tenant, name)
        model = await self._passed(call, options.model or database.model, database.name)
        material = await self._material(base, database, options, request.top)

        async def ask(checked: Checked) -> Rows:
            return await run(database, checked)

        checked, rows = await answer_by_query(self._serving, Calls(call), model, request.query, material, ask)
        passages = tuple(_passage(base, name, checked, number, row) for number, row in enumerate(rows.rows))
        return Retrieved(passages, queries=(checked.shown,))

    async def measure(
        self,
        call: Call,
        model: str,
        database: str,
        progress: Callable[[int, int], None] = lambda done, total: None,
        *,
        tenant: str = "",
    ) -> SqlProficiency:
        """Lets the model answer the probe on a registered database and keeps the figures, for the caller's tenant or
        the one that is named (`SHARED_TENANT`: for everybody)."""
        registered = await self._databases(call.caller.tenant, database)
        measured = await measure(self._serving, call, model, registered, self._clock, progress)
        await self._proficiencies.put(tenant or call.caller.tenant, measured)
        return measured

    async def _passed(self, call: Call, model: str, database: str) -> str:
        if not model:
            raise Unsupported(
                "Writing SQL without a model for it",
                f"The operator names one in config.toml: [databases.{database}] model = ...",
            )
        info = await self._serving.model(call.caller, model)
        figures = await self._proficiencies.get(call.caller.tenant, info)
        if figures is None:
            raise Unsupported(
                f"Writing SQL with {info.id}, which was not measured at it",
                f"It must first get {BAR:.0%} of the probe's questions right: "
                f"craton evaluate sql {info.id} --database {database}",
            )
        if not figures.passes:
            raise Unsupported(
                f"Writing SQL with {info.id}, which got {figures.right} of {figures.questions} questions right",
                f"At least {BAR:.0%} are asked for; name another model, and measure it: "
                f"craton evaluate sql MODEL --database {database}",
            )
        return model

    async def _material(self, base: KnowledgeBase, database: Registered, options: Structured, limit: int) -> Material:
        key, now = (base.tenant, base.id, base.updated), self._clock()
        known = self._schemas.get(key)
        if known is None or not 0 <= now - known[0] < SCHEMA_SECONDS:
            tables = await read_schema(database, options.schemas)
            shown = visible(tables, options)
            if not shown:
                raise InvalidRequest("the database's role may read no table of those that were named", "storage")
            allowed = readable(tables, shown)
            known = (
                now,
                Material(await with_samples(database, shown), allowed, 0, options.curated, options.schemas[0]),
            )
            while len(self._schemas) >= KEPT_SCHEMAS:
                self._schemas.pop(next(iter(self._schemas)))
            self._schemas[key] = known
        material = known[1]
        return Material(material.tables, material.readable, limit, material.curated, material.schema)


def _refuse_what_rows_lack(request: RetrieveRequest) -> None:
    if not 1 <= request.top <= MAX_ROWS:
        raise InvalidRequest(f"must be from 1 to {MAX_ROWS}", "top")
    if request.cursor:
        raise InvalidRequest("is not from an earlier page: rows come in one", "cursor")
    wanted = {
        "A metadata filter": request.filter,
        "A search mode": request.mode,
        "Reranking": request.reranking,
        "Decomposing the question": request.decompose or None,
    }
    for what, given in wanted.items():
        if given is not None:
            raise Unsupported(f"{what} over a SQL database", "Say it in the question.")


def _passage(base: KnowledgeBase, database: str, checked: Checked, number: int, row: Json) -> Passage:
    """The text is the row, "column: value" line by line. All rows of a result count the same."""
    mark = hashlib.sha256(checked.shown.encode()).hexdigest()[:16]
    text = "\n".join(f"{name}: {as_text(value)}" for name, value in row.items() if value is not None)
    return Passage(
        document=f"{base.id}-{mark}-{number}",
        chunk=number,
        text=text,
        location=Location("sql", f"postgresql://{quote(database)}/query?id={mark}#{number}"),
        score=1.0,
        knowledge_base=base.id,
        end=len(text),
        row=row,
        query=checked.shown,
    )
