"""`craton predict`: rows of a file through a trained model."""

from __future__ import annotations

import csv
import io
import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from itertools import chain, islice
from pathlib import Path
from typing import Any, TextIO

import click
import msgspec

from craton.cli.completion import complete_model
from craton.cli.connection import Connection, connect, connection_options
from craton.cli.output import hint, json_option, print_json, print_table, printable, say

VERBS = ("predict", "predict_proba", "transform", "act")
BATCH = 1000  # rows of one request
SHOWN = 20  # rows of a table

Row = dict[str, Any]


@click.command()
@click.argument("model", shell_complete=complete_model)
@click.argument("file", type=click.Path(exists=True, dir_okay=False, allow_dash=True, path_type=Path))
@click.option("--verb", type=click.Choice(VERBS), help="What is asked.  [default: predict, or what the model can do]")
@click.option(
    "--output", "-o", type=click.Path(dir_okay=False, path_type=Path), help="Write the rows and their answers as CSV."
)
@connection_options
@json_option
def predict(
    model: str, file: Path, verb: str | None, output: Path | None, url: str | None, key: str | None, as_json: bool
) -> None:
    """Ask the trained MODEL for each row of FILE (- is stdin): CSV with a header, a JSON list, or JSON lines.

    Columns that the model does not take are left out, and named.

    \b
    craton predict acme/churn churn.csv
    craton predict acme/churn new.csv --verb predict_proba -o scored.csv
    echo '[{"age": 31, "plan": "pro"}]' | craton predict acme/churn -
    """
    connection = connect(url, key)
    known = connection.get(f"/v1/models/{model}/signature")
    asked = verb or next((name for name in VERBS if name in known["verbs"]), "predict")
    inputs = [field["name"] for field in known["signature"]["inputs"]]
    answers: dict[str, list[Any]] = {}
    with ExitStack() as stack:
        rows = _rows(stack, file)
        first = next(rows, None)
        if first is None:
            raise click.UsageError(f"{file} holds no rows.")
        _say_left_out(first, inputs)
        target = stack.enter_context(output.open("w", newline="", encoding="utf-8")) if output else None
        done = 0
        for batch in _batches(chain([first], rows)):
            outputs = _ask(connection, f"/v1/models/{model}/{asked}", batch, inputs)
            if target is not None:
                _write(target, batch, outputs, header=not done)
            else:
                for name, values in outputs.items():
                    answers.setdefault(name, []).extend(values)
            done += len(batch)
            if done > BATCH and sys.stderr.isatty():
                say(f"{done:,} rows")
    if output:
        say(f"{done:,} rows with their answers in {output}.")
    elif as_json:
        print_json({"model": known["model"], "revision": known["revision"], "rows": done, "outputs": answers})
    else:
        _show(answers, done)


def _rows(stack: ExitStack, file: Path) -> Iterator[Row]:
    """Values of CSV are texts, None where a cell is empty; those of JSON are what they are."""
    source: TextIO
    source = sys.stdin if str(file) == "-" else stack.enter_context(file.open(newline="", encoding="utf-8-sig"))
    start = source.readline()
    while start and not start.strip():
        start = source.readline()
    lines = chain([start], source)
    if start.lstrip().startswith("["):
        return map(_object, _decoded("".join(lines)))
    if start.lstrip().startswith("{"):
        return (_object(_decoded(line)) for line in lines if line.strip())
    return ({name: value or None for name, value in row.items() if name} for row in csv.DictReader(lines))


def _decoded(text: str) -> Any:
    try:
        return msgspec.json.decode(text)
    except msgspec.DecodeError as error:
        raise click.UsageError(f"The file is not proper JSON: {error}") from error


def _object(value: Any) -> Row:
    if not isinstance(value, dict):
        raise click.UsageError("Each row must be an object: column -> value.")
    return value


def _say_left_out(row: Row, inputs: Sequence[str]) -> None:
    left_out = [name for name in row if name not in inputs]
    if left_out:
        say(f"Not asked about, because the model does not take it: {printable(', '.join(left_out))}", dim=True)


def _batches(rows: Iterator[Row]) -> Iterator[list[Row]]:
    while batch := list(islice(rows, BATCH)):
        yield batch


def _ask(connection: Connection, path: str, batch: list[Row], inputs: Sequence[str]) -> dict[str, list[Any]]:
    """Texts go as CSV: there the server reads numbers and dates out of them, as the signature says."""
    columns = [name for name in inputs if name in batch[0]]
    if all(value is None or isinstance(value, str) for row in batch for value in row.values()):
        body = io.StringIO()
        writer = csv.writer(body)
        writer.writerow(columns)
        writer.writerows([["" if row.get(name) is None else row[name] for name in columns] for row in batch])
        answer = connection.send(path, body.getvalue().encode(), "text/csv", accept="application/json")
    else:
        answer = connection.post(
            path, {"rows": [{name: row[name] for name in columns if name in row} for row in batch]}
        )
    outputs: dict[str, list[Any]] = answer["outputs"]
    return outputs


def _write(target: TextIO, batch: list[Row], outputs: dict[str, list[Any]], *, header: bool) -> None:
    writer = csv.writer(target)
    columns = list(batch[0])
    if header:
        writer.writerow([*columns, *outputs])
    for row, *answers in zip(batch, *outputs.values(), strict=True):
        writer.writerow([*(row.get(name) for name in columns), *map(_written, answers)])


def _written(value: Any) -> Any:
    return msgspec.json.encode(value).decode() if isinstance(value, list) else value


def _show(answers: dict[str, list[Any]], rows: int) -> None:
    lines = [(number, *map(_short, values)) for number, values in enumerate(zip(*answers.values(), strict=True), 1)]
    print_table(("ROW", *answers), lines[:SHOWN], "No answers.", right=("ROW",))
    if rows > SHOWN:
        say(f"... and {rows - SHOWN:,} more rows.")
        hint("All of them: --output answers.csv, or --json")


def _short(value: Any) -> str:
    if isinstance(value, list):
        numbers = " ".join(_short(item) for item in value[:5])
        return f"{numbers} ..." if len(value) > 5 else numbers
    return f"{value:.6g}" if isinstance(value, float) else str(value)
