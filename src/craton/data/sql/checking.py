"""Holds a statement that a model wrote against what may run. Such SQL is hostile until it is understood whole.

It is parsed; every node must be one that is allowed (`allowed`), every table one of those given; a limit is set. What
runs is not the text that came but SQL written from the parsed tree, all names quoted, every table with its schema, so
that two readings of one text (the parser's, PostgreSQL's) cannot differ to somebody's profit. Rights and a read-only
transaction in PostgreSQL itself stand behind this, not in its place (`running`).
"""

from __future__ import annotations

import logging
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

from craton.core.errors import InvalidRequest, TooLarge
from craton.data.sql.allowed import FUNCTIONS, NODES, PARTS, TYPES, UNITS
from craton.data.sql.words import Checked, Readable

if TYPE_CHECKING:
    from sqlglot.expressions import Expr, Query, Table

MAX_SQL = 10_000  # characters
MAX_BRACKETS = 200
MAX_TABLES = 16  # mentions of tables
MAX_NAME = 63  # bytes; PostgreSQL cuts longer ones
DIALECT = "postgres"
Key = tuple[str, str]

_WORD = re.compile(r"(?<=[a-z])(?=[A-Z])")

logging.getLogger("sqlglot").setLevel(logging.ERROR)  # it warns of what it cannot parse, with the text


def check(sql: str, readable: Sequence[Readable], limit: int, default_schema: str = "public") -> Checked:
    """limit: rows. default_schema: of tables that are named without one.

    Raises InvalidRequest saying what is not allowed, TooLarge. Takes milliseconds of CPU: call it in a thread.
    """
    tables = {(table.schema, table.name): table for table in readable}
    tree = _understood(sql)
    _check_tree(tree)
    used = _resolve(tree, tables, default_schema)
    _set_limit(tree, limit)
    shown = _written(tree)
    again = _parsed(shown)  # what will be read from what is written must be allowed too
    _check_tree(again)
    for table, key in _base_tables(again):
        _replace(table, tables[key])
    return Checked(_written(again), shown, tuple(sorted({f"{schema}.{name}" for schema, name in used})))


def _understood(sql: str) -> Query:
    if len(sql) > MAX_SQL:
        raise TooLarge("A query", MAX_SQL, len(sql), "characters")
    if sql.count("(") > MAX_BRACKETS or sql.count("[") > MAX_BRACKETS:
        raise _refused("it is nested too deeply")
    if "\0" in sql:
        raise _refused("it holds a NUL character")
    from sqlglot.optimizer.normalize_identifiers import normalize_identifiers

    tree = _parsed(sql)
    return normalize_identifiers(tree, dialect=DIALECT)


def _parsed(sql: str) -> Query:
    import sqlglot
    from sqlglot.errors import SqlglotError
    from sqlglot.expressions import Query, Semicolon

    try:
        statements = [tree for tree in sqlglot.parse(sql, read=DIALECT) if tree and not isinstance(tree, Semicolon)]
    except (SqlglotError, RecursionError, ValueError) as error:
        raise _refused("it cannot be parsed") from error
    if len(statements) != 1:
        raise _refused(f"it holds {len(statements)} statements; one is allowed")
    tree = statements[0]
    while type(tree).__name__ == "Subquery" and set(_parts(tree)) == {"this"}:
        tree = tree.this
    if not isinstance(tree, Query) or type(tree).__name__ not in {"Select", "Union", "Except", "Intersect"}:
        raise _refused("only SELECT is allowed")
    return tree


def _check_tree(tree: Query) -> None:
    tables = 0
    for node in tree.walk():
        name = type(node).__name__
        if name not in NODES:
            raise _refused(f"{_spoken(node)} is not allowed")
        allowed = PARTS.get(name)
        for part in _parts(node):
            if allowed is not None and part not in allowed:
                raise _refused(f"{part.strip('_').upper()} is not allowed here")
        _CHECKS.get(name, _nothing)(node)
        tables += name == "Table"
        if name == "With" and node.parent is not tree:
            raise _refused("WITH is allowed at the beginning only")
    if tables > MAX_TABLES:
        raise TooLarge("A query", MAX_TABLES, tables, "tables")


def _nothing(node: Expr) -> None:
    pass


def _check_identifier(node: Expr) -> None:
    if len(node.name.encode("utf-8", "replace")) > MAX_NAME:
        raise _refused("a name is too long")


def _check_table(node: Expr) -> None:
    if type(node.this).__name__ != "Identifier":
        raise _refused("a function in place of a table is not allowed")


def _check_function(node: Expr) -> None:
    if not isinstance(node.this, str) or node.this.lower() not in FUNCTIONS:
        raise _refused(f"the function {str(node.this)[:60]!r} is not allowed")


def _check_type(node: Expr) -> None:
    name = getattr(node.this, "name", "")
    if name not in TYPES or node.args.get("nested"):
        raise _refused(f"the type {str(node.this)[:60]!r} is not allowed")


def _check_word(node: Expr) -> None:
    """The only text that is written without quotes."""
    if node.name.upper() not in UNITS:
        raise _refused(f"{node.name[:60]!r} is not allowed here")


def _check_number(node: Expr) -> None:
    """LIMIT, FETCH and OFFSET count with whole numbers."""
    number = node.args.get("count") or node.args.get("expression")
    if number is None or type(number).__name__ != "Literal" or not re.fullmatch(r"[0-9]{1,9}", number.name):
        raise _refused(f"{type(node).__name__.upper()} must be a whole number")


_CHECKS = {
    "Identifier": _check_identifier,
    "Table": _check_table,
    "Anonymous": _check_function,
    "DataType": _check_type,
    "Var": _check_word,
    "Limit": _check_number,
    "Fetch": _check_number,
    "Offset": _check_number,
}


def _resolve(tree: Query, tables: Mapping[Key, Readable], default_schema: str) -> set[Key]:
    """Gives every table its schema, but those that WITH defines before they are used. Which tables are read.

    WITH stands at the beginning only and is not recursive: each of its names is known to what comes after it.
    """
    used: set[Key] = set()
    known: set[str] = set()
    clause = tree.args.get("with_")
    for defined in clause.expressions if clause is not None else ():
        used |= _qualify(_tables(defined), known, tables, default_schema)
        known.add(defined.alias)
    inside = {id(table) for table in _tables(clause)} if clause is not None else set()
    return used | _qualify((t for t in _tables(tree) if id(t) not in inside), known, tables, default_schema)


def _qualify(found: Iterable[Table], known: set[str], tables: Mapping[Key, Readable], default: str) -> set[Key]:
    from sqlglot.expressions import to_identifier

    used: set[Key] = set()
    for table in found:
        if not table.db and table.name in known:
            continue
        key = (table.db or default, table.name)
        if key not in tables:
            raise _refused(f"there is no table {'.'.join(key)!r} that may be read")
        table.set("db", to_identifier(key[0], quoted=True))
        if not table.alias:
            table.set("alias", _alias(table.name))
        used.add(key)
    return used


def _set_limit(tree: Query, limit: int) -> None:
    given = tree.args.get("limit")
    if given is not None:
        number = given.args.get("count") or given.args.get("expression")
        limit = min(limit, int(number.name))
    tree.set("limit", None)
    tree.limit(limit, copy=False)


def _base_tables(tree: Query) -> list[tuple[Table, Key]]:
    return [(table, (table.db, table.name)) for table in _tables(tree) if table.db]


def _replace(table: Table, readable: Readable) -> None:
    """With what may be seen of it."""
    import sqlglot
    from sqlglot.expressions import Subquery, column, select

    if readable.stand_in:
        query = sqlglot.parse_one(readable.stand_in, read=DIALECT)
    elif readable.columns is not None:
        whole = table.copy()
        whole.set("alias", None)
        query = select(*(column(name, quoted=True) for name in readable.columns)).from_(whole)
    else:
        return
    table.replace(Subquery(this=query, alias=table.args.get("alias")))


def _tables(tree: Expr) -> list[Table]:
    from sqlglot.expressions import Table

    return list(tree.find_all(Table))


def _alias(name: str) -> Expr:
    from sqlglot.expressions import TableAlias, to_identifier

    return TableAlias(this=to_identifier(name, quoted=True))


def _written(tree: Expr) -> str:
    return tree.sql(DIALECT, identify=True, comments=False)


def _parts(node: Expr) -> list[str]:
    return [name for name, value in node.args.items() if value not in (None, False, [], "")]


def _spoken(node: Expr) -> str:
    """ "CurrentUser" -> "CURRENT USER"."""
    return _WORD.sub(" ", type(node).__name__).upper()


def _refused(reason: str) -> InvalidRequest:
    return InvalidRequest(f"the query may not run: {reason}", "sql")
