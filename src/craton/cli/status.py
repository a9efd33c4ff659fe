"""`craton status`."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path
from typing import Any

import click

from craton.cli.connection import connect, connection_options
from craton.cli.errors import NoServer
from craton.cli.output import hint, human_bytes, human_span, json_option, print_fields, print_json, print_table

PATIENCE = 10.0  # seconds


@click.command()
@connection_options
@json_option
def status(url: str | None, key: str | None, as_json: bool) -> None:
    """Show the server, and its loaded models with memory and queue.

    \b
    craton status
    craton status --json | jq .loaded

    Ends with 3 when no server runs.
    """
    try:
        connection = connect(url, key)
        found = connection.get("/api/craton/v1/status", timeout=PATIENCE)
    except NoServer:
        if as_json:
            print_json({"running": False})
        raise
    loaded = [model | {"bytes_used": _resident(model["pid"], found["pid"])} for model in found["loaded"]]
    if as_json:
        print_json({"running": True, "url": connection.url} | found | {"loaded": loaded})
        return
    up = human_span(found["uptime_seconds"])
    broken = found["blobs"]["broken"]
    lost = f"{broken:,} damaged or missing: craton blobs scrub" if broken else ""
    print_fields(
        {"Server": connection.url, "Version": found["version"], "Process": found["pid"], "Up for": up, "Blobs": lost}
    )
    click.echo()
    rows = [row for worker in loaded for row in _rows(worker)]
    empty = "No model is loaded; the first request for one loads it: craton chat"
    print_table(
        ("MODEL", "ENGINE", "MEMORY", "RUNNING", "WAITING"), rows, empty, right=("MEMORY", "RUNNING", "WAITING")
    )
    if any(worker["finishing"] for worker in loaded):
        hint("\nOld ones finish what they have begun; others with more adapters have taken their place.")
    if loaded:
        hint("\nRUNNING: requests now, of as many as run at once. `craton models unload NAME` frees memory.")


def loaded_models(status: dict[str, Any]) -> set[str]:
    """Names of the models that answer without being loaded first."""
    workers = [worker for worker in status["loaded"] if not worker["finishing"]]
    return {model["model"] for worker in workers for model in worker.get("adapters") or [worker]}


def _rows(worker: dict[str, Any]) -> list[tuple[Any, ...]]:
    """A worker, and the adapters that share it."""
    name = worker["model"] + (" (old)" if worker["finishing"] else "")
    running = f"{worker['running']}/{worker['concurrency']}"
    return [
        (name, worker["engine"], _memory(worker), running, worker["waiting"]),
        *(
            (f"  + {it['model']}", "adapter", f"~{human_bytes(it['bytes'])}", it["running"], it["waiting"])
            for it in worker.get("adapters", ())
        ),
    ]


def _memory(model: dict[str, Any]) -> str:
    if model["bytes_used"] is not None:
        return human_bytes(model["bytes_used"])
    return f"~{human_bytes(model['bytes_needed'])}" if model["bytes_needed"] else "-"


def _resident(worker: int | None, server: int) -> int | None:
    """Bytes of memory that a worker holds now, where that can be seen: on this machine, under Linux."""
    with suppress(OSError, ValueError, IndexError):
        if worker is not None and _parent(worker) == server:
            pages = int(Path(f"/proc/{worker}/statm").read_text("ascii").split()[1])
            return pages * os.sysconf("SC_PAGE_SIZE")
    return None


def _parent(process: int) -> int:
    """Guards against another machine's process number, which may be anything's here."""
    return int(Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[1])
