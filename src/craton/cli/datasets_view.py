"""`craton datasets schema|rows|stats`: what is in a dataset, without fetching it."""

from __future__ import annotations

from typing import Any

import click

from craton.cli.connection import Connection, connect, connection_options
from craton.cli.output import human_bytes, json_option, print_json, print_table, say
from craton.core.errors import InvalidRequest

SHOWN = 60  # characters of a value
FREQUENT = 5  # values of a column


def split_options(command: Any) -> Any:
    """Adds --config, --split and --revision."""
    for option in (
        click.option("--revision", default="", metavar="REVISION", help="A branch, tag or commit. Default: main."),
        click.option("--split", default="", metavar="SPLIT", help="Default: the first."),
        click.option("--config", default="", metavar="NAME", help="The configuration. Default: the default one."),
    ):
        command = option(command)
    return command


@click.command()
@click.argument("name")
@split_options
@connection_options
@json_option
def schema(name: str, config: str, split: str, revision: str, url: str | None, key: str | None, as_json: bool) -> None:
    """Show the columns and splits of the dataset NAME (namespace/name)."""
    found = ask(connect(url, key), name, "schema", config=config, split=split, revision=revision)
    if as_json:
        print_json(found)
        return
    print_table(
        ("COLUMN", "TYPE"), [(column, worded(kind)) for column, kind in found["features"].items()], "No columns."
    )
    click.echo()
    sizes = [(one["name"], one["rows"], one["files"], human_bytes(one["bytes"])) for one in found["splits"]]
    waiting = [(one, "being made ready", "", "") for one in found["pending"]]
    broken = [(one["split"], one["reason"], "", "") for one in found["failed"]]
    print_table(
        ("SPLIT", "ROWS", "FILES", "PARQUET"), [*sizes, *waiting, *broken], "No splits.", right=("FILES", "PARQUET")
    )
    if found["partial"]:
        say("It is large: only the beginning of some files was read.")


@click.command()
@click.argument("name")
@split_options
@click.option("--offset", type=click.IntRange(0), default=0, show_default=True, metavar="N")
@click.option("--length", type=click.IntRange(1, 100), default=10, show_default=True, metavar="N")
@click.option(
    "--where", default="", metavar="SQL", help="A condition over the columns: \"age > 30 AND city = 'Bonn'\"."
)
@click.option("--order", default="", metavar="COLUMN", help="A column, with ASC or DESC.")
@click.option("--search", default="", metavar="WORDS", help="Rows that hold these words, best first.")
@connection_options
@json_option
def rows(
    name: str,
    config: str,
    split: str,
    revision: str,
    offset: int,
    length: int,
    where: str,
    order: str,
    search: str,
    url: str | None,
    key: str | None,
    as_json: bool,
) -> None:
    """Show rows of the dataset NAME (namespace/name).

    \b
    craton datasets rows acme/churn --where "calls > 10" --order "calls DESC"
    """
    query = {"offset": offset, "length": length, "where": where, "orderby": order, "search": search}
    place = {"config": config, "split": split, "revision": revision}
    found = ask(connect(url, key), name, "rows", **place, **query)
    if as_json:
        print_json(found)
        return
    columns = list(found["features"])
    lines = [(row["index"], *(_short(row["cells"].get(column)) for column in columns)) for row in found["rows"]]
    print_table(("ROW", *columns), lines, "No rows.", right=("ROW",))
    if found["total"] is not None and found["total"] > len(lines):
        say(f"{len(lines)} of {found['total']:,} rows.")


@click.command()
@click.argument("name")
@split_options
@connection_options
@json_option
def stats(name: str, config: str, split: str, revision: str, url: str | None, key: str | None, as_json: bool) -> None:
    """Sum up each column of the dataset NAME (namespace/name)."""
    found = ask(connect(url, key), name, "statistics", config=config, split=split, revision=revision)
    if as_json:
        print_json(found)
        return
    head = ("COLUMN", "KIND", "MISSING", "MIN", "MEAN", "MEDIAN", "MAX", "STD", "VALUES")
    lines = [_summary(column) for column in found["columns"]]
    print_table(head, lines, "No columns that can be summed up.", right=head[2:8])
    say(f"{found['rows']:,} rows.")


def ask(connection: Connection, name: str, what: str, **query: Any) -> Any:
    """Of the dataset, from the server. Raises InvalidRequest for a name without a namespace."""
    namespace, slash, short = name.partition("/")
    if not slash or not namespace or not short or "/" in short:
        raise InvalidRequest(f"{name!r} is not namespace/name", "name")
    asked = {field: value for field, value in query.items() if value != ""}
    return connection.get(f"/api/craton/v1/datasets/{namespace}/{short}/{what}", **asked)


def worded(kind: Any) -> str:
    """A column's type in a few words: "int64", "class: no, yes", "list of string"."""
    if not isinstance(kind, dict):
        return str(kind)
    said = kind.get("_type")
    if said == "Value":
        return str(kind["dtype"])
    if said == "ClassLabel":
        return f"class: {', '.join(map(str, kind.get('names') or ()))}"
    if said in {"List", "LargeList", "Sequence"}:
        return f"list of {worded(kind['feature'])}"
    if isinstance(said, str):
        return said.lower()
    return "{" + ", ".join(f"{name}: {worded(inner)}" for name, inner in kind.items()) + "}"


def _summary(column: dict[str, Any]) -> tuple[Any, ...]:
    values = column["values"]
    if values["type"] == "frequencies":
        counts = sorted(values["counts"].items(), key=lambda it: -it[1])
        listed = ", ".join(f"{_short(name)} ({count:,})" for name, count in counts[:FREQUENT])
        more = f" and {len(counts) - FREQUENT} more" if len(counts) > FREQUENT else ""
        return (column["name"], column["kind"], values["missing"], "", "", "", "", "", listed + more)
    numbers = (values.get(name) for name in ("min", "mean", "median", "max", "std"))
    kind = "lengths of texts" if column["kind"] == "string_text" else column["kind"]
    return (column["name"], kind, values["missing"], *numbers, "")


def _short(value: Any) -> str:
    text = "" if value is None else value if isinstance(value, str) else str(value)
    text = " ".join(text.split())
    return text if len(text) <= SHOWN else f"{text[: SHOWN - 1]}…"
