"""`craton batches`: many records through a model in the background; through the server's Bedrock routes."""

from __future__ import annotations

import secrets
import time
from datetime import datetime
from pathlib import Path
from typing import Any

import click

from craton.cli.batches_objects import Objects
from craton.cli.completion import complete_model
from craton.cli.connection import Connection, connect, connection_options
from craton.cli.errors import ServerError
from craton.cli.jobs_screen import following
from craton.cli.output import hint, human_time, json_option, print_fields, print_json, print_table, say

ROUTE = "/model-invocation-job"
ROLE = "arn:aws:iam::000000000000:role/craton"  # the API asks for one; nothing here looks at it
BUCKET = "batches"
GOING = {"Submitted", "Scheduled", "Validating", "InProgress", "Stopping"}
MODES = {"converse": "Converse", "invoke": "InvokeModel"}
FOLLOW_EVERY = 0.5  # seconds


@click.group()
def batches() -> None:
    """Ask a model all records of a file; list, show, stop and pull batches."""


@batches.command()
@click.option("--model", required=True, shell_complete=complete_model, help="The model that answers.")
@click.option(
    "--in",
    "source",
    required=True,
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help='JSON lines: {"recordId": ..., "modelInput": {...}}.',
)
@click.option("--out", type=click.Path(dir_okay=False, path_type=Path), help="Wait, and write the answers there.")
@click.option(
    "--mode",
    type=click.Choice(tuple(MODES)),
    default="converse",
    show_default=True,
    help="What modelInput is a body of.",
)
@click.option("--bucket", default=BUCKET, show_default=True, help="Where they are kept; made if missing.")
@click.option("--name", help="Default: the file's.")
@connection_options
@json_option
def create(
    model: str,
    source: Path,
    out: Path | None,
    mode: str,
    bucket: str,
    name: str | None,
    url: str | None,
    key: str | None,
    as_json: bool,
) -> None:
    """Start a batch.

    \b
    craton batches create --model smollm2-135m-instruct --in questions.jsonl --out answers.jsonl
    craton batches create --model acme/churn --mode invoke --in rows.jsonl

    What breaks off here does not end it: `craton batches pull` fetches the answers.
    """
    connection = connect(url, key)
    objects = Objects(connection, bucket)
    objects.create_bucket()
    begun = secrets.token_hex(6)
    objects.put(f"in/{begun}/{_plain(source.stem)}.jsonl", source)
    made = connection.post(
        ROUTE,
        {
            "jobName": name or _plain(source.stem)[:63],
            "roleArn": ROLE,
            "clientRequestToken": begun,
            "modelId": model,
            "modelInvocationType": MODES[mode],
            "inputDataConfig": {"s3InputDataConfig": {"s3Uri": f"s3://{bucket}/in/{begun}/"}},
            "outputDataConfig": {"s3OutputDataConfig": {"s3Uri": f"s3://{bucket}/out/"}},
        },
    )
    batch = made["jobArn"].rpartition("/")[2]
    if out is None:
        if as_json:
            print_json({"batch": batch})
        else:
            say(f"The batch {batch} is begun.")
            hint(f"craton batches pull {batch} --out FILE waits for its answers.")
        return
    _pull(connection, batch, out, as_json)


@batches.command("list")
@click.option("--limit", default=50, show_default=True, type=click.IntRange(1, 1000), help="The newest so many.")
@connection_options
@json_option
def list_batches(limit: int, url: str | None, key: str | None, as_json: bool) -> None:
    """List batches, the newest first."""
    found = connect(url, key).get("/model-invocation-jobs", maxResults=limit)["invocationJobSummaries"]
    if as_json:
        print_json(found)
        return
    rows = [
        (_id(one), one["jobName"], one["modelId"], one["status"], _done(one), _time(one["submitTime"])) for one in found
    ]
    print_table(("BATCH", "NAME", "MODEL", "STATUS", "DONE", "CREATED"), rows, "No batches.", whole=("BATCH",))


@batches.command()
@click.argument("batch", metavar="ID")
@connection_options
@json_option
def show(batch: str, url: str | None, key: str | None, as_json: bool) -> None:
    """Show the batch ID."""
    found = connect(url, key).get(f"{ROUTE}/{batch}")
    if as_json:
        print_json(found)
        return
    print_fields(
        {
            "Batch": _id(found),
            "Name": found["jobName"],
            "Model": found["modelId"],
            "Status": found["status"],
            "Done": _done(found),
            "Failed": found["errorRecordCount"] or "",
            "From": found["inputDataConfig"]["s3InputDataConfig"]["s3Uri"],
            "To": _output(found),
            "Created": _time(found["submitTime"]),
            "Ended": _time(found.get("endTime")),
            "Error": found.get("message", ""),
        }
    )


@batches.command()
@click.argument("batch", metavar="ID")
@connection_options
def stop(batch: str, url: str | None, key: str | None) -> None:
    """Stop the batch ID: what is answered by then is written."""
    connect(url, key).post(f"{ROUTE}/{batch}/stop", {})
    say(f"{batch} is asked to stop.")


@batches.command()
@click.argument("batch", metavar="ID")
@click.option("--out", required=True, type=click.Path(dir_okay=False, path_type=Path), help="Where the answers go.")
@connection_options
@json_option
def pull(batch: str, out: Path, url: str | None, key: str | None, as_json: bool) -> None:
    """Wait for the batch ID, and write its answers to a file."""
    _pull(connect(url, key), batch, out, as_json)


def _pull(connection: Connection, batch: str, out: Path, as_json: bool) -> None:
    found = _wait(connection, batch)
    bucket, _, folder = _output(found).removeprefix("s3://").partition("/")
    objects = Objects(connection, bucket)
    with out.open("wb") as target:
        for key in objects.keys(folder):
            if key.endswith(".jsonl.out"):
                objects.append(key, target)
    if as_json:
        print_json(found)
    else:
        failed = found["errorRecordCount"]
        say(f"{found['processedRecordCount']:,} records{f', {failed:,} of them failed' if failed else ''}: {out}.")
    if found["status"] != "Completed":
        raise ServerError(f"The batch {batch} ended as {found['status']}. {found.get('message', '')}".rstrip())


def _wait(connection: Connection, batch: str) -> dict[str, Any]:
    """The batch at its end; shows how far it is."""

    from craton.jobs.rate import Rate

    rate = Rate()
    with following() as show:
        while True:
            found: dict[str, Any] = connection.get(f"{ROUTE}/{batch}")
            if found["status"] not in GOING:
                return found
            done, total = found["processedRecordCount"], found.get("totalRecordCount")
            eta = rate.eta(time.monotonic(), done, total)
            progress = {"done": done, "total": total, "eta": eta, "unit": "records", "message": ""}
            status = "running" if found["status"] == "InProgress" else found["status"].lower()
            show(found["jobName"], status, progress)
            time.sleep(FOLLOW_EVERY)


def _plain(name: str) -> str:
    """Letters, digits and hyphens: what names of jobs and keys may have."""
    return "".join(letter if letter.isascii() and letter.isalnum() else "-" for letter in name).strip("-") or "records"


def _id(found: dict[str, Any]) -> str:
    return str(found["jobArn"].rpartition("/")[2])


def _output(found: dict[str, Any]) -> str:
    place: str = found["outputDataConfig"]["s3OutputDataConfig"]["s3Uri"]
    return f"{place.rstrip('/')}/{_id(found)}/"


def _time(moment: str | None) -> str:
    return "" if moment is None else human_time(datetime.fromisoformat(moment).timestamp())


def _done(found: dict[str, Any]) -> str:
    total = f" of {found['totalRecordCount']:,}" if "totalRecordCount" in found else ""
    return f"{found['processedRecordCount']:,}{total} records"
