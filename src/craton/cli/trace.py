"""`craton trace`: what was asked, what really ran, what it answered."""

from __future__ import annotations

import sys
import time
from typing import Any

import click

from craton.cli.connection import connect, connection_options
from craton.cli.output import (
    hint,
    human_span,
    human_time,
    json_option,
    print_fields,
    print_json,
    print_table,
    printable,
    wrapped,
)
from craton.cli.trace_lineage import names_repository, trace_repository

COLUMNS = ("REQUEST", "WHEN", "RESULT", "TIME", "MODEL")


@click.command()
@click.argument("request_id", metavar="[ID]", required=False)
@click.option(
    "--limit", "-n", default=20, show_default=True, type=click.IntRange(1, 1000), help="Without ID: how many."
)
@connection_options
@json_option
def trace(request_id: str | None, limit: int, url: str | None, key: str | None, as_json: bool) -> None:
    """Show what was asked, what really ran, and what it answered.

    Who asked and when, the model and revision, the exact messages, tokens, times and cost.

    \b
    craton trace                  the recent requests
    craton trace ID               one of them
    craton trace ID --json
    craton trace acme/churn@main            a trained model: its run, its data, its figures
    craton trace datasets/acme/churn        a dataset: the models that were trained on it

    ID is what every answer carries: the header x-request-id (x-amzn-requestid for AWS clients), or the id of
    an OpenAI or Anthropic answer.
    """
    connection = connect(url, key)
    if request_id is None:
        found = connection.get("/api/craton/v1/requests", limit=limit)
        print_json(found) if as_json else _print_recent(found["requests"])
        return
    if names_repository(request_id):
        trace_repository(connection, request_id, as_json)
        return
    found = connection.get(f"/api/craton/v1/requests/{plain_id(request_id)}")
    print_json(found) if as_json else _print_one(found)


def plain_id(text: str) -> str:
    """Without what OpenAI's and Anthropic's answers put before it."""
    plain = text.strip().removeprefix("chatcmpl-").removeprefix("msg_")
    if not plain.replace(".", "").isalnum():
        raise click.BadParameter(f"{text!r} is not the id of a request", param_hint="ID")
    return plain


def _print_recent(rows: list[dict[str, Any]]) -> None:
    table = [
        (
            row["id"],
            _when(row["started"]),
            _result(row),
            human_span(row["seconds"]),
            row["resolved"] or row["model"],
        )
        for row in rows
    ]
    print_table(COLUMNS, table, 'Nothing was asked yet. Try: craton chat "Hello"', right=("TIME",), whole=COLUMNS[:-1])
    if rows:
        hint("\nRESULT: tokens in + out. One of them in full: craton trace REQUEST")


def _result(row: dict[str, Any]) -> str:
    if row["status"] == "ok":
        return f"{row['input_tokens']}+{row['output_tokens']}"
    return str(row["error"] or {"cancelled": "stopped"}.get(row["status"], row["status"]))


def _when(started: float) -> str:
    """The time of day, or the day when it was another: short, so that a line fits."""
    now, then = human_time(time.time()), human_time(started)
    return then[11:16] if then[:10] == now[:10] else then[5:10]


def _print_one(found: dict[str, Any]) -> None:
    row = found["row"]
    ran = f"{row['resolved']} ({row['engine']})" if row["resolved"] else ""
    tokens = f"{row['input_tokens']} in, {row['output_tokens']} out"
    cached = "" if row["cached_tokens"] is None else f", {row['cached_tokens']} of the input from the cache"
    first = row["first_token_seconds"]
    print_fields(
        {
            "Request": row["id"],
            "When": human_time(row["started"]),
            "Key": f"{row['key_id']} of tenant {row['tenant']}",
            "Through": f"{row['dialect']} {row['operation']}",
            "Asked for": row["model"],
            "Ran": ran,
            "Revision": row["revision"],
            "Status": " ".join(filter(None, (row["status"], row["error"]))),
            "Stopped by": row["stop"],
            "Tokens": tokens + cached,
            "First token": None if first is None else f"after {human_span(first)}",
            "Took": human_span(row["seconds"]),
            "Cost": row["cost"],
        }
    )
    if found.get("parts"):
        _print_block("made on its way", "\n".join(f"craton trace {part}" for part in found["parts"]))
    if found["request"] is None:
        hint("\nThe content was not kept ([traces] in config.toml), or is older than its days.")
        return
    if "question" in found["request"]:
        _print_asked(found["request"])
    else:
        _print_request(found["request"])
    _print_answer(found["answer"])


def _print_request(request: dict[str, Any]) -> None:
    if "truncated" in request:
        _print_block("request (its beginning)", request["begins"])
        return
    settings = {**request.get("sampling", {}), **{name: request[name] for name in ("dimensions",) if name in request}}
    if settings:
        _print_block("settings", ", ".join(f"{name} {value}" for name, value in settings.items()))
    for tool in request.get("tools", ()):
        _print_block("tool", f"{tool['name']}: {tool.get('description', '')}")
    if request.get("system"):
        _print_block("system", _parts(request["system"]))
    for message in request.get("messages", ()):
        _print_block(message["role"], _parts(message["parts"]))
    for text in request.get("inputs", ()):
        _print_block("input", str(text))


def _print_asked(asked: dict[str, Any]) -> None:
    """A question to documents: what was searched for, what was found, what the answer rests on."""
    _print_block("question", asked["question"])
    if asked["query"] != asked["question"]:
        _print_block("searched for", asked["query"])
    sources = [
        f"{source['score']:.3f}  {source['uri']}  characters {source['start']} to {source['end']}"
        for source in asked["sources"]
    ]
    _print_block("found", "\n".join(sources) or "nothing")
    rests = [f"{cited['start']} to {cited['end']}: {_place(cited)}" for cited in asked["citations"]]
    _print_block(f"answered: {asked['how']}", "\n".join(["characters of the answer rest on", *rests] if rests else []))


def _place(cited: dict[str, Any]) -> str:
    if not cited["document"]:
        return "nothing"
    return f"document {cited['document']}, characters {cited['source_start']} to {cited['source_end']}"


def _print_answer(answer: Any) -> None:
    if isinstance(answer, dict) and "choices" in answer:
        for choice in answer["choices"]:
            _print_block("answer", _parts(choice["parts"]))
    elif isinstance(answer, list):  # it broke off: the events that there were
        _print_block("answer, broken off", "".join(event.get("text", "") for event in answer))
    elif isinstance(answer, dict):
        _print_block("answer (its beginning)", answer["begins"])


def _parts(parts: list[dict[str, Any]]) -> str:
    return "\n".join(_part(part) for part in parts)


def _part(part: dict[str, Any]) -> str:
    """One part in a line of its own kind; text as it is."""
    kind = part["type"]
    if kind == "text":
        return str(part["text"])
    if kind == "tool_result":
        return f"[result of {part['tool_use_id']}] {_parts(part['content'])}"
    rest = ", ".join(f"{name}: {value}" for name, value in part.items() if name not in {"type", "extra"})
    return f"[{kind}] {rest}"


def _print_block(title: str, text: str) -> None:
    click.echo()
    click.secho(title, bold=True)
    click.echo(wrapped(printable(text), sys.stdout))
