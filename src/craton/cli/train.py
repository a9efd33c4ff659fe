"""`craton train`: a specification becomes a job, and the job a model."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import click

from craton.cli.connection import Connection, connect, connection_options
from craton.cli.jobs import follow_job
from craton.cli.output import hint, json_option, print_fields, print_json, print_table, printable, say

ROUTE = "/api/craton/v1/trainings"
COMMAND = "craton.command"  # where the words after -- are kept while options are read


class Train(click.Command):
    """What follows `--` is a command of the user's own, and none of its words are options of this one."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        if "--" in args:
            at = args.index("--")
            ctx.meta[COMMAND] = args[at + 1 :]
            args = args[:at]
        return super().parse_args(ctx, args)


@click.command(cls=Train, options_metavar="[OPTIONS]")
@click.argument("file", required=False, type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--explain", is_flag=True, help="Say what would run and why; run nothing.")
@click.option("--wait/--no-wait", default=True, help="Follow the run to its end.  [default: wait]")
@click.option("--on", metavar="CLUSTER", default="", help="Run it on a cluster of the operator's: ray.")
@click.option("--output", metavar="MODEL", default="", help="Of a command: what its output folder is kept as.")
@click.option("--data", metavar="DATASET", default="", help="Of a command: the dataset that it reads, for its lineage.")
@click.option("--name", default="", help="Of a command: what the run is called.  [default: the command]")
@connection_options
@json_option
@click.pass_context
def train(
    ctx: click.Context,
    file: Path | None,
    explain: bool,
    wait: bool,
    on: str,
    output: str,
    data: str,
    name: str,
    url: str | None,
    key: str | None,
    as_json: bool,
) -> None:
    """Train a model as FILE says (a specification, in YAML or JSON), or track a COMMAND of your own.

    The run is a job: with FILE it goes on when this command is interrupted. The exit code is 0 only if it succeeds.

    \b
    craton train examples/churn.yaml --explain
    craton train examples/churn.yaml
    craton train --output acme/mine --data acme/churn@main -- python train.py --rate 0.1

    A COMMAND runs here, with your rights; the server keeps what it tells. It tells by lines of its output

    \b
    craton-metric {"loss": 0.31, "step": 10}
    craton-parameter {"rate": 0.1}

    and finds CRATON_RUN_ID, CRATON_RUN_FOLDER, CRATON_OUTPUT_FOLDER (which becomes the model if it ends well) and
    CRATON_DATA in its environment, beside what `craton exec` sets.
    """
    command = ctx.meta.get(COMMAND)
    if (file is None) == (command is None):
        raise click.UsageError("Name a file, or a command after --.")
    connection = connect(url, key)
    if command is not None:
        if on:
            raise click.UsageError("A command runs here; --on goes with a file.")
        _run_command(connection, command, output, data, name, as_json)
    elif file is not None:
        if output or data or name:
            raise click.UsageError("What a file says is not said again: --output, --data and --name go with a command.")
        _train_file(connection, file, explain, wait, on, as_json)


def _run_command(connection: Connection, command: list[str], output: str, data: str, name: str, as_json: bool) -> None:
    from craton.cli.train_script import Asked, run_script

    if not command:
        raise click.UsageError("Which command? It stands after --.")
    raise SystemExit(run_script(connection, Asked(command, output, data, name), as_json))


def _train_file(connection: Connection, file: Path, explain: bool, wait: bool, on: str, as_json: bool) -> None:
    from craton.training.specification.reading import document_of, parse, read_any

    document = document_of(read_any(parse(file.read_bytes())))
    if explain:
        show_explanation(connection.post(f"{ROUTE}/explain", document), as_json)
        return
    from craton.cli.source import source_of

    source = source_of(file.absolute().parent)
    asked = {"on": on, "commit": source.get("commit"), "changed": source.get("changed")}
    query = urlencode({name: value for name, value in asked.items() if value})
    job = connection.post(f"{ROUTE}?{query}" if query else ROUTE, document)
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
        asking = (
            f"craton chat {result['model']}" if result.get("tuned") else f"craton predict {result['model']} rows.csv"
        )
        hint(f"Ask it: {asking}")


def _write_line(event: dict[str, Any]) -> None:
    """On stderr: stdout is for the result."""
    colour = {"warning": "yellow", "error": "red"}.get(event["level"])
    say(printable(event["message"]), fg=colour)
