"""`craton evaluate`: what a model may be trusted with, measured."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import closing
from typing import Any

import click
import msgspec

from craton.cli.completion import complete_model
from craton.cli.connection import Connection, connect, connection_options, error_sentence
from craton.cli.errors import ServerError
from craton.cli.output import hint, json_option, notices, print_fields, print_json

TIMEOUT = 3600.0  # seconds between two answers of the model


@click.group()
def evaluate() -> None:
    """Measure what a model may be trusted with."""


@evaluate.command()
@click.argument("model", shell_complete=complete_model)
@click.option("--everybody", is_flag=True, help="Keep the figures for all tenants. Needs the root key.")
@connection_options
@json_option
def rag(model: str, everybody: bool, url: str | None, key: str | None, as_json: bool) -> None:
    """May MODEL write answers from documents?

    Asks it the built-in questions, each with a text that answers it or does not, and keeps the figures with the model's
    revision. A model below the bar, or never measured, quotes the documents instead.
    """
    body = {"model": model, "kind": "documents", "everybody": everybody}
    _show(_measured(connect(url, key), body), as_json, "It writes answers from now on.", "It quotes: it is too weak.")


@evaluate.command()
@click.argument("model", shell_complete=complete_model)
@click.option("--database", required=True, metavar="NAME", help="A registered PostgreSQL. Nothing is written in it.")
@click.option("--everybody", is_flag=True, help="Keep the figures for all tenants. Needs the root key.")
@connection_options
@json_option
def sql(model: str, database: str, everybody: bool, url: str | None, key: str | None, as_json: bool) -> None:
    """May MODEL write SQL for questions?

    Its queries are run on made-up tables, and their rows compared with the right ones.
    """
    body = {"model": model, "kind": "sql", "database": database, "everybody": everybody}
    _show(_measured(connect(url, key), body), as_json, "It may write SQL from now on.", "It may not write SQL.")


def _measured(connection: Connection, body: dict[str, Any]) -> dict[str, Any]:
    """The figures; a bar on stderr meanwhile."""
    from rich.progress import Progress

    figures: dict[str, Any] = {}
    with Progress(console=notices(), transient=True) as bars, closing(_lines(connection, body)) as lines:
        task = bars.add_task(f"asking {body['model']}", total=None)
        for line in lines:
            if "figures" in line:
                figures = line["figures"]
            else:
                bars.update(task, completed=line["done"], total=line["total"])
    return figures


def _lines(connection: Connection, body: dict[str, Any]) -> Generator[dict[str, Any]]:
    """Raises NoServer, ServerError."""
    import httpx

    try:
        with (
            connection.client(TIMEOUT) as client,
            client.stream("POST", "/api/craton/v1/proficiency", json=body) as response,
        ):
            if not response.is_success:
                raise ServerError(error_sentence(response.status_code, response.read()))
            for text in response.iter_lines():
                line = msgspec.json.decode(text)
                if "error" in line:
                    raise ServerError(str(line["error"]["message"]))
                yield line
    except httpx.HTTPError as error:
        raise connection.failure(error) from error


def _show(figures: dict[str, Any], as_json: bool, passed: str, failed: str) -> None:
    if as_json:
        print_json(figures)
        return
    shown = {name: value for name, value in figures.items() if name not in {"measured", "passes"}}
    print_fields({name: f"{value:.0%}" if isinstance(value, float) else value for name, value in shown.items()})
    hint(passed if figures["passes"] else failed)
