"""What a knowledge base over a SQL database is told of it: `KnowledgeBase.storage` holds the database's registered name
under "register" and these options under "structured"."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

import msgspec
from msgspec import Meta, Struct
from msgspec.structs import replace

from craton.core.errors import InvalidRequest, Unsupported
from craton.core.knowledge import KnowledgeBase
from craton.data.sql.words import Readable, TableInfo

Name = Annotated[str, Meta(min_length=1, max_length=200)]


class Curated(Struct, frozen=True):
    """A question with the SQL that answers it: an example for the model."""

    question: Annotated[str, Meta(min_length=1, max_length=2000)]
    sql: Annotated[str, Meta(min_length=1, max_length=10_000)]


class Structured(Struct, frozen=True, forbid_unknown_fields=True):
    """tables: "schema.table"; none for all in the schemas. hidden: "schema.table", or "schema.table.column": neither
    the model nor a query sees it. descriptions: of such names, instead of the database's own comments. model: writes
    the SQL, "" for the operator's choice."""

    schemas: Annotated[tuple[Name, ...], Meta(min_length=1, max_length=20)] = ("public",)
    tables: Annotated[tuple[Name, ...], Meta(max_length=200)] = ()
    hidden: Annotated[tuple[Name, ...], Meta(max_length=500)] = ()
    descriptions: Annotated[dict[Name, Annotated[str, Meta(max_length=1000)]], Meta(max_length=500)] = {}
    curated: Annotated[tuple[Curated, ...], Meta(max_length=20)] = ()
    model: Annotated[str, Meta(max_length=512)] = ""


def read_structured(base: KnowledgeBase) -> tuple[str, Structured]:
    """The registered name of its database, and the options. Raises Unsupported for a knowledge base of documents,
    InvalidRequest."""
    if base.kind != "sql":
        raise Unsupported("Writing SQL for a knowledge base of documents", "Retrieve searches it.")
    database = base.storage.get("register")
    if not isinstance(database, str) or not database:
        raise InvalidRequest("a knowledge base over SQL names a registered database", "storage.register")
    try:
        return database, msgspec.convert(base.storage.get("structured", {}), Structured)
    except msgspec.ValidationError as error:
        raise InvalidRequest(str(error), "storage.structured") from error


def visible(tables: Sequence[TableInfo], options: Structured) -> tuple[TableInfo, ...]:
    """What the model is shown: without what is hidden, with what is said of it."""
    hidden, told = frozenset(options.hidden), options.descriptions
    shown = []
    for table in tables:
        name = f"{table.schema}.{table.name}"
        if name in hidden or (options.tables and name not in options.tables):
            continue
        columns = tuple(
            replace(column, comment=told.get(f"{name}.{column.name}", column.comment))
            for column in table.columns
            if f"{name}.{column.name}" not in hidden
        )
        if columns:
            shown.append(replace(table, columns=columns, comment=told.get(name, table.comment)))
    return tuple(shown)


def readable(all_tables: Sequence[TableInfo], shown: Sequence[TableInfo]) -> tuple[Readable, ...]:
    """What a query may read. The columns are named only where some are hidden."""
    whole = {(table.schema, table.name): len(table.columns) for table in all_tables}
    return tuple(
        Readable(
            table.schema,
            table.name,
            None
            if len(table.columns) == whole[table.schema, table.name]
            else tuple(column.name for column in table.columns),
        )
        for table in shown
    )
