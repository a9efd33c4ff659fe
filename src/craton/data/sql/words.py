"""What is known of a database that may be asked."""

from __future__ import annotations

from msgspec import Struct

from craton.core.chat import Json


class Registered(Struct, frozen=True):
    """A PostgreSQL that the operator registered. url: with credentials, never repeated. role: taken on for every
    question (SET ROLE), "" for the one that logs in; it must not be able to write. seconds: of one statement. model:
    writes the SQL, where a knowledge base names no model."""

    name: str
    url: str
    role: str = ""
    seconds: float = 30.0
    model: str = ""


class Column(Struct, frozen=True, omit_defaults=True):
    """samples: a few of its values, as text."""

    name: str
    type: str
    comment: str = ""
    nullable: bool = True
    samples: tuple[str, ...] = ()


class ForeignKey(Struct, frozen=True):
    columns: tuple[str, ...]
    schema: str
    table: str
    references: tuple[str, ...]


class TableInfo(Struct, frozen=True, omit_defaults=True):
    schema: str
    name: str
    columns: tuple[Column, ...]
    comment: str = ""
    key: tuple[str, ...] = ()
    foreign_keys: tuple[ForeignKey, ...] = ()


class Readable(Struct, frozen=True, omit_defaults=True):
    """A table that a statement may read. columns: which of them, None for all. stand_in: trusted SQL that is read
    in its place, "" for the table itself."""

    schema: str
    name: str
    columns: tuple[str, ...] | None = None
    stand_in: str = ""


class Checked(Struct, frozen=True):
    """A statement that may run: written anew from what was understood of it. shown: the same for people, as it was
    meant (tables by their names). tables: "schema.table", sorted."""

    sql: str
    shown: str
    tables: tuple[str, ...]


class Rows(Struct, frozen=True):
    """rows: column -> JSON value (what JSON cannot hold exactly is text). truncated: there were more."""

    columns: tuple[str, ...]
    rows: tuple[Json, ...]
    truncated: bool = False
