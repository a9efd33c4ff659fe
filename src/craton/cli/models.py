"""`craton models`."""

from __future__ import annotations

import sys
from contextlib import suppress
from typing import Any

import click
import msgspec

from craton.cli.completion import complete_model
from craton.cli.connection import connect, connect_if_running, connection_options, key_option
from craton.cli.errors import CommandError
from craton.cli.home import caller, opened
from craton.cli.models_convert import convert
from craton.cli.models_export import export
from craton.cli.models_pull import pull
from craton.cli.models_quantize import quantize
from craton.cli.models_show import show
from craton.cli.output import human_bytes, json_option, print_json, print_table, say
from craton.cli.pushing import push_command
from craton.cli.status import loaded_models
from craton.core.errors import CratonError

COLUMNS = ("MODEL", "DOES", "ENGINE", "SIZE", "CONTEXT", "LOADED")


@click.group()
def models() -> None:
    """List, fetch, send, inspect, unload and delete models."""


models.add_command(pull)
models.add_command(push_command("model"))
models.add_command(show)
models.add_command(convert)
models.add_command(quantize)
models.add_command(export)


@models.command("list")
@connection_options
@json_option
def list_models(url: str | None, key: str | None, as_json: bool) -> None:
    """List the models that you may use. Without a server: those that are stored."""
    connection = connect_if_running(url, key)
    loaded: set[str] = set()
    if connection is not None:
        found = connection.get("/api/craton/v1/models")["models"]
        with suppress(CommandError):  # only operators see what is loaded
            loaded = loaded_models(connection.get("/api/craton/v1/status"))
    else:
        with opened() as platform:
            found = msgspec.to_builtins(platform.catalog.list(caller(platform, key).tenant))
    if as_json:
        kept = [{name: value for name, value in model.items() if name != "chat_template"} for model in found]
        print_json([model | {"loaded": model["id"] in loaded} for model in kept])
        return
    rows = [(*_row(model), "yes" if model["id"] in loaded else "") for model in found]
    empty = "No models. Fetch the starters: craton models pull --starters"
    print_table(COLUMNS, rows, empty, right=("SIZE", "CONTEXT"))


def _row(model: dict[str, Any]) -> tuple[str, ...]:
    size, context = model.get("size_bytes"), model.get("context_length")
    return (
        model["id"],
        ", ".join(model["verbs"]) or "-",
        model["engine"] or "-",
        human_bytes(size) if size else "-",
        f"{context:,}" if context else "-",
    )


@models.command()
@click.argument("name", shell_complete=complete_model)
@connection_options
@json_option
def unload(name: str, url: str | None, key: str | None, as_json: bool) -> None:
    """End the worker of the model NAME: its memory is free.

    The next request loads it again."""
    answer = connect(url, key).delete(f"/api/craton/v1/loaded/{name}")
    if as_json:
        print_json({"model": name, "unloaded": answer["unloaded"]})
    else:
        say(f"{name} is unloaded." if answer["unloaded"] else f"{name} was not loaded.")


@models.command()
@click.argument("name", shell_complete=complete_model)
@click.option("--yes", "-y", is_flag=True, help="Do not ask.")
@key_option
@json_option
def delete(name: str, yes: bool, key: str | None, as_json: bool) -> None:
    """Delete the model NAME with all its revisions."""
    from craton.access.policy import authorize
    from craton.core.access import SHARED_TENANT, Action
    from craton.core.errors import Forbidden
    from craton.core.repo import RepoId

    if "@" in name:
        raise click.UsageError("A model is deleted whole: leave the @revision away.")
    with opened() as platform:
        who = caller(platform, key)
        found = platform.catalog.resolve(who.tenant, name)
        info, owner = found.info, found.owner
        repo = RepoId("model", *info.repo.split("/", 1))
        if owner not in {who.tenant, SHARED_TENANT}:
            raise Forbidden(f"delete {info.id}, which belongs to somebody else")
        authorize(who, Action.WRITE if owner == who.tenant else Action.OPERATE)
        if not yes:
            _confirm(f"Delete {info.id} ({human_bytes(info.size_bytes)})?")
        _unload_quietly(info.id, key)  # first: a server cannot find what is deleted
        platform.hub.delete(owner, repo)
    print_json({"deleted": info.id}) if as_json else say(f"{info.id} is deleted.")


def _confirm(question: str) -> None:
    if not sys.stdin.isatty():
        raise click.UsageError("Nobody can be asked here: say --yes.")
    click.confirm(question, abort=True, err=True)


def _unload_quietly(name: str, key: str | None) -> None:
    """A server that runs here lets the deleted model go. It may not have it, or be gone itself."""
    with suppress(CratonError):
        connection = connect_if_running(None, key)
        if connection is not None:
            connection.delete(f"/api/craton/v1/loaded/{name}")
