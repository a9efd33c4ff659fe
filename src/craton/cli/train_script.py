"""`craton train -- COMMAND`: a program of one's own as a tracked run.

It runs here, with the rights of whoever types it; the server keeps what is told of it, and its output folder.
"""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from craton.cli.connection import Connection
from craton.cli.environment import cleared, variables
from craton.cli.errors import NoServer, ServerError
from craton.cli.output import hint, print_fields, print_json, printable, say
from craton.cli.script_child import Child
from craton.cli.script_machine import ChildCost, machine_of
from craton.cli.script_telling import ROUTE, Teller
from craton.cli.source import source_of
from craton.core.errors import CratonError, InvalidRequest, NotFound
from craton.training.tracking.telling import Begin, End, told_by

PATIENCE = 60.0  # seconds for which the end of a run is told to a server that does not answer
NOT_FOUND, NOT_STARTED = 127, 126  # exit codes, as shells have them


@dataclass(frozen=True)
class Asked:
    """output: namespace/name of the model that the output folder becomes, "" to leave it where it is."""

    command: Sequence[str]
    output: str = ""
    data: str = ""
    name: str = ""
    private: bool | None = None


def run_script(connection: Connection, asked: Asked, as_json: bool) -> int:
    """The command's exit code; when that is 0 and the run fails nevertheless, 1.

    Raises NotFound for a command or data that is not there; InvalidRequest, NoServer and ServerError before the
    command runs."""
    if shutil.which(asked.command[0]) is None:
        raise NotFound("command", asked.command[0])
    if asked.output and asked.output.count("/") != 1:
        raise InvalidRequest("must be namespace/name", "--output")
    begin = Begin(
        command=[*asked.command],
        name=asked.name,
        data=asked.data,
        output=asked.output,
        environment=machine_of(asked.command),
        source=source_of(Path.cwd()),
    )
    job = connection.post(ROUTE, msgspec.to_builtins(begin))
    say(f"The run {job['id']} begins: craton jobs logs {job['id']} --follow")
    folder = Path(tempfile.mkdtemp(prefix="craton-run-"))
    output = folder / "output"
    output.mkdir()
    code, ended = _work(connection, asked, job, output, as_json)
    job = _tell_end(connection, job["id"], ended)
    _clean(folder, output, kept=not ended.model)
    _show(job, as_json)
    return code or (0 if job["status"] == "succeeded" else 1)


def _work(connection: Connection, asked: Asked, job: dict[str, Any], output: Path, as_json: bool) -> tuple[int, End]:
    """The exit code for the shell, and what is told of the end."""
    cost, teller = ChildCost(), Teller(connection, job["id"])
    try:
        code, cancelled = _run(asked, _environment(connection, job, output), teller, as_json)
    except OSError as error:
        teller.close(PATIENCE)
        return NOT_STARTED, End(NOT_STARTED, error=f"{asked.command[0]} could not be started: {error.strerror}")
    if not teller.close(PATIENCE):
        say(f"Not all that the run told could be kept. {printable(teller.lost)}", fg="yellow")
    ended = End(code, cancelled=cancelled, cost=cost.so_far())
    if code == 0 and not cancelled and asked.output and any(output.iterdir()):
        try:
            revision = _published(connection, asked, job["id"], output, as_json)
            ended = msgspec.structs.replace(ended, model=asked.output, revision=revision)
        except CratonError as error:
            ended = msgspec.structs.replace(ended, error=f"Its output could not be kept: {error}"[:2000])
    return (128 - code if code < 0 else code), ended


def _run(asked: Asked, environment: Mapping[str, str], teller: Teller, as_json: bool) -> tuple[int, bool]:
    """Its exit code, and whether somebody stopped it."""

    def hear(line: str) -> None:
        try:
            told = told_by(line)
        except InvalidRequest as error:
            say(f"{line[:200]!r} says nothing to the run: it {error}", fg="yellow")
            told = None
        if told is None:
            teller.line(line)
        else:
            teller.tell(told)

    out = (sys.stderr if as_json else sys.stdout).buffer
    child = Child(asked.command, environment, hear, out, sys.stderr.buffer)
    code = child.wait(teller.cancelled)
    return code, (child.interrupted or teller.cancelled.is_set()) and code != 0


def _environment(connection: Connection, job: dict[str, Any], output: Path) -> dict[str, str]:
    """As `craton exec` sets it, and what this run is."""
    kept = {name: value for name, value in os.environ.items() if name not in cleared(os.environ)}
    return {
        "PYTHONUNBUFFERED": "1",  # or nothing is heard until the end
        **kept,
        **variables(connection),
        "CRATON_RUN_ID": job["id"],
        "CRATON_RUN_FOLDER": str(output.parent),
        "CRATON_OUTPUT_FOLDER": str(output),
        "CRATON_DATA": job["data"],
    }


def _published(connection: Connection, asked: Asked, run: str, output: Path, as_json: bool) -> str:
    """The revision: main holds exactly these files then."""
    from craton.cli.pushing import hub_api, hub_errors, quiet

    with hub_errors(connection.url):
        hub = hub_api(connection.url, connection.token)
        quiet(as_json)
        visibility: dict[str, Any] = {} if asked.private is None else {"private": asked.private}
        hub.create_repo(asked.output, exist_ok=True, **visibility)
        made = hub.upload_folder(
            repo_id=asked.output, folder_path=output, commit_message=f"Made by run {run}", delete_patterns="*"
        )
        return made.oid or str(hub.repo_info(asked.output).sha)


def _tell_end(connection: Connection, run: str, ended: End) -> dict[str, Any]:
    """The job as it is then. A server that is away for a moment is waited for."""
    give_up = time.monotonic() + PATIENCE
    while True:
        try:
            job: dict[str, Any] = connection.post(f"{ROUTE}/{run}/end", msgspec.to_builtins(ended))
            return job
        except NoServer:
            if time.monotonic() > give_up:
                raise
            time.sleep(1)
        except ServerError as error:
            say(f"The end of the run could not be kept: {printable(str(error))}", fg="yellow")
            found: dict[str, Any] = connection.get(f"/api/craton/v1/jobs/{run}")
            return found


def _clean(folder: Path, output: Path, *, kept: bool) -> None:
    """What was not published stays where it is, if there is anything."""
    if kept and (any(output.iterdir()) or any(path != output for path in folder.iterdir())):
        say(f"What the run left is in {folder}.")
        return
    shutil.rmtree(folder, ignore_errors=True)


def _show(job: dict[str, Any], as_json: bool) -> None:
    if as_json:
        print_json(job)
        return
    result = job["result"] or {}
    figures = dict(sorted(result.get("metrics", {}).items()))
    model = f"{result['model']}, revision {result['revision'][:12]}" if result.get("revision") else ""
    print_fields({"Run": job["id"], "Status": job["status"], "Error": job["error"], "Model": model, **figures})
    hint(f"Beside another one: craton jobs compare {job['id'][:8]} OTHER")
