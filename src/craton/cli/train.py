"""`craton train`: a specification becomes a job, and the job a model."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from craton.cli.connection import Connection, connect, connection_options
from craton.cli.jobs import follow_job
from craton.cli.output import hint, json_option, print_fields, print_json, print_table, printable, say

ROUTE = "/api/craton/v1/trainings"


@click.command()
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--explain", is_flag=True, help="Say what would run and why; run nothing.")
@click.option("--wait/--no-wait", default=True, help="Follow the run to its end.  [default: wait]")
@connection_options
@json_option
def train(file: Path, explain: bool, wait: bool, url: str | None, key: str | None, as_json: bool) -> None:
    """Train a model as FILE says (a specification, in YAML or JSON).

    The run is a job: it goes on when this command is interrupted. The exit code is 0 only if it succeeds.

    \b
    craton train examples/churn.yaml --explain
    craton train examples/churn.yaml
    """
    from craton.training.specification.reading import document_of, parse, read

    document = document_of(read(parse(file.read_bytes())))
    connection = connect(url, key)
    if explain:
        show_explanation(connection.post(f"{ROUTE}/explain", document), as_json)
        return
    job = connection.post(ROUTE, document)
    if not wait:
        print_json(job) if as_json else say(f"The run is the job {job['id']}: craton jobs logs {job['id']} --follow")
        return
    finish(connection, job["id"], as_json)


def show_explanation(explanation: dict[str, Any], as_json: bool) -> None:
    if as_json:
        print_json(explanation)
        return
    rows = [(line["what"], line["how"], line["why"]) for line in explanation["lines"]]
    print_table(("WHAT", "HOW", "WHY"), rows, "Nothing would run.", whole=("WHAT",))


def finish(connection: Connection, job_id: str, as_json: bool) -> None:
    """Follows the run, shows what came of it, and exits with 1 unless it succeeded."""
    job = follow_job(connection, job_id, _write_line)
    if as_json:
        print_json(job)
    elif job["status"] == "succeeded":
        _show_result(job["result"])
    else:
        say(f"The run {job['status']}{': ' + printable(job['error']) if job['error'] else '.'}", fg="red")
    if job["status"] != "succeeded":
        raise SystemExit(1)


def _show_result(result: dict[str, Any]) -> None:
    figures = {name: f"{value:.6g}" for name, value in sorted(result.get("metrics", {}).items())}
    model = f"{result['model']}, revision {result['revision'][:12]}" if result.get("revision") else ""
    print_fields({"Model": model, "Data": result.get("data", ""), **figures})
    if model:
        hint(f"Ask it: craton predict {result['model']} rows.csv")


def _write_line(event: dict[str, Any]) -> None:
    """On stderr: stdout is for the result."""
    colour = {"warning": "yellow", "error": "red"}.get(event["level"])
    say(printable(event["message"]), fg=colour)
