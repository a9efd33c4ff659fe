"""`craton jobs export`: a run that has ended, as a run of an MLflow server."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any

import click
import msgspec
from msgspec import Struct

from craton.cli.answering import events_data
from craton.cli.connection import Connection, connect, connection_options, error_sentence
from craton.cli.errors import ServerError
from craton.cli.output import hint, json_option, print_json, say
from craton.core.errors import InvalidRequest

ROUTE = "/api/craton/v1/runs"
ENDED = {"succeeded": "FINISHED", "failed": "FAILED", "cancelled": "KILLED"}
EXPERIMENT = "craton"
SOURCE_KEYS = {"commit": "mlflow.source.git.commit", "branch": "mlflow.source.git.branch"}


class MLflowRun(Struct, frozen=True):
    """began, ended: milliseconds. data: name and revision."""

    id: str
    name: str
    status: str
    began: int
    ended: int
    parameters: dict[str, str]
    tags: dict[str, str]
    data: tuple[str, str] | None = None


@click.command()
@click.argument("run_id", metavar="RUN")
@click.option("--mlflow", "server", metavar="URL", help="The MLflow server.  [default: MLFLOW_TRACKING_URI]")
@click.option("--experiment", default=EXPERIMENT, show_default=True, help="Made where it does not exist.")
@connection_options
@json_option
def export(run_id: str, server: str | None, experiment: str, url: str | None, key: str | None, as_json: bool) -> None:
    """Send the run RUN to an MLflow server: parameters, figures, curves, data, where it ran, and the files that it left
    for people (model card, report, signature), which become artifacts.

    One that is there already is not sent again. MLFLOW_TRACKING_TOKEN, or MLFLOW_TRACKING_USERNAME and
    MLFLOW_TRACKING_PASSWORD, are its credentials.

    \b
    craton jobs export b91fc1 --mlflow http://127.0.0.1:5000
    """
    from craton.cli.jobs_files import files
    from craton.cli.mlflow import MLflow

    address = server or os.environ.get("MLFLOW_TRACKING_URI", "")
    if not address.startswith(("http://", "https://")):
        raise InvalidRequest("name an MLflow server, http://... or https://...", "--mlflow")
    connection = connect(url, key)
    run = connection.get(f"{ROUTE}/{run_id}")
    if run["status"] not in ENDED:
        raise InvalidRequest(f"the run {run['id']} has not ended; it is {run['status']}", "RUN")
    with MLflow(address) as mlflow:
        sent = mlflow.export(experiment, translated(run), points(connection, run["id"]), files(connection, run))
    if as_json:
        print_json({"run": run["id"], "mlflow_run": sent.id, "made": sent.made, "files": sent.files})
        return
    count = f", with {sent.files} files" if sent.files else ""
    say(f"{run['id']} is the run {sent.id} there{count if sent.made else ' already'}.")
    if sent.elsewhere and run["model"]:
        hint(f"That server keeps artifacts at {sent.elsewhere} and takes none itself: files were not sent.")


def points(connection: Connection, run: str) -> Iterator[dict[str, Any]]:
    """All that the run told, as metrics of MLflow: milliseconds, and a step for each."""
    import httpx

    try:
        with connection.client() as client, client.stream("GET", f"{ROUTE}/{run}/live") as response:
            if not response.is_success:
                raise ServerError(error_sentence(response.status_code, response.read()))
            for data in events_data(response.iter_bytes()):
                point = msgspec.json.decode(data)
                if "number" in point:  # the last event is the run
                    when = int(point["time"] * 1000)
                    said = {"key": point["name"], "value": point["value"], "step": point["step"] or 0}
                    yield said | {"timestamp": when}
    except httpx.HTTPError as error:
        raise connection.failure(error) from error


def translated(run: dict[str, Any]) -> MLflowRun:
    """Facts of the machine are tags; all that was chosen is a parameter."""
    facts = run["facts"]
    source = facts.get("source") or {}
    environment = {name: value for name, value in facts.get("environment", {}).items() if name != "libraries"}
    tags = {
        "craton.run": run["id"],
        "craton.model": f"{run['model']}@{run['model_revision']}" if run["model"] else "",
        "craton.error": run["error"],
        "mlflow.source.name": run["specification"].get("command", ""),
        **{tag: str(source.get(name, "")) for name, tag in SOURCE_KEYS.items()},
        **flat(environment, "environment"),
        **flat(facts.get("cost", {}), "cost"),
    }
    name, _, revision = run["data"].partition("@")
    return MLflowRun(
        id=run["id"],
        name=run["subject"],
        status=ENDED[run["status"]],
        began=int((run["started"] or run["created"]) * 1000),
        ended=int((run["ended"] or run["created"]) * 1000),
        parameters=flat(run["specification"]) | flat(facts.get("parameters", {})),
        tags={tag: value for tag, value in tags.items() if value},
        data=(name, revision) if name else None,
    )


def flat(value: Any, path: str = "") -> dict[str, str]:
    """{"model": {"use": "svm"}} -> {"model.use": "svm"}; what is no text is written as JSON."""
    if isinstance(value, dict):
        found: dict[str, str] = {}
        for name, inner in value.items():
            found |= flat(inner, f"{path}.{name}" if path else str(name))
        return found
    return {path: value if isinstance(value, str) else msgspec.json.encode(value).decode()}
