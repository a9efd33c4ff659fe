"""`craton trace` of a model or a dataset: what it came from, what came of it."""

from __future__ import annotations

import re
from typing import Any

import click

from craton.cli.connection import Connection
from craton.cli.output import human_time, print_fields, print_json, print_table, say

ROUTE = "/api/craton/v1/lineage"
SHOWN = 20  # libraries
_NAMED = re.compile(r"(?P<kind>datasets/|models/)?(?P<path>\w[\w.-]*/\w[\w.-]*)(?:@(?P<revision>\S+))?")


def names_repository(text: str) -> bool:
    """Whether this is "acme/churn@main" or "datasets/acme/churn", and not the id of a request."""
    return _NAMED.fullmatch(text) is not None


def trace_repository(connection: Connection, text: str, as_json: bool) -> None:
    found = _NAMED.fullmatch(text)
    assert found is not None
    kind = (found["kind"] or "models/").rstrip("/")
    answer = connection.get(f"{ROUTE}/{kind}/{found['path']}", revision=found["revision"] or "")
    if as_json:
        print_json(answer)
    elif kind == "datasets":
        _show_models(answer)
    else:
        _show_origin(answer)


def _show_models(answer: dict[str, Any]) -> None:
    rows = [
        (
            f"{link['model']}@{link['model_revision'][:12]}" if link["model"] else "(nothing published)",
            link["dataset_revision"][:12],
            link["run"],
            human_time(link["created"]),
        )
        for link in answer["models"]
    ]
    columns = ("MODEL", "DATA'S REVISION", "RUN", "WHEN")
    print_table(columns, rows, f"Nothing was trained on {answer['dataset']} here.", whole=columns)


def _show_origin(answer: dict[str, Any]) -> None:
    link, run, stated = answer["origin"], answer["run"], answer["stated"]
    fields: dict[str, Any] = {"Model": answer["model"], "Revision": answer["revision"]}
    if link is None and not stated:
        print_fields(fields)
        say("No run of yours made this revision: it was uploaded, or it came from elsewhere.")
        return
    fields |= {"Run": stated.get("run"), "Data": stated.get("dataset"), "Made of": stated.get("models")}
    if link is None:
        say("No run of yours made this revision; this is what its model.json says.", fg="yellow")
    else:
        fields["Run"] = link["run"]
        if link["dataset"]:
            fields["Data"] = f"datasets/{link['dataset']}@{link['dataset_revision']}"
    if run is not None:
        environment = run["facts"].get("environment", {})
        known = [*environment.get("libraries", {}).items()]
        more = f" and {len(known) - SHOWN} more (--json)" if len(known) > SHOWN else ""
        libraries = ", ".join(f"{name} {version}" for name, version in known[:SHOWN]) + more
        fields |= {
            "Method": run["specification"].get("method"),
            "Learner": (run["specification"].get("model") or {}).get("use"),
            "Command": run["specification"].get("command"),
            "Source": _source(run["facts"].get("source") or {}) or ("" if fields["Data"] else run["data"]),
            "Seed": None if "command" in run["specification"] else run["specification"].get("seed", 0),
            "When": human_time(run["created"]),
            "Figures": "\n".join(f"{name} {value}" for name, value in run["figures"].items()),
            "Machine": f"{environment.get('processor', '')}, {environment.get('cores', '?')} cores",
            "Software": f"Python {environment['python']}, {libraries}" if "python" in environment else "",
        }
    print_fields(fields)
    if link is not None and link["dataset"]:
        click.echo()
        say(f"What else was trained on it: craton trace datasets/{link['dataset']}", dim=True)


def _source(source: dict[str, Any]) -> str:
    """The git commit of a program's folder."""
    if "commit" not in source:
        return ""
    changed = f", with {source['changed']} changed files" if source.get("changed") else ""
    return f"commit {source['commit']}{changed}"
