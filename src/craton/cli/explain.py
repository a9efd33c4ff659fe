"""`craton explain`: looking inside a model."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from craton.cli.completion import complete_model
from craton.cli.connection import Connection, connect, connection_options
from craton.cli.errors import ServerError
from craton.cli.output import hint, json_option, print_fields, print_json, print_table, printable, say

STARTER = "smollm2-135m-instruct"
BARS = 30  # characters
SHOWN = 3  # tokens that a token looks at most

model_option = click.option(
    "--model", "-m", default=STARTER, show_default=True, metavar="NAME", shell_complete=complete_model
)


@click.group()
def explain() -> None:
    """Look inside a model: its tokens, its attention, its next token.

    \b
    craton explain tokens "Tokenisation cuts words."
    craton explain next "The capital of France is"
    craton explain attention "The cat sat because it was tired" --out attention.png
    """


@explain.command()
@click.argument("text")
@model_option
@connection_options
@json_option
def tokens(text: str, model: str, url: str | None, key: str | None, as_json: bool) -> None:
    """Show how TEXT is cut into tokens, with their ids, their number and what reading them costs.

    The model need not be loaded.
    """
    found = connect(url, key).post(f"/v1/models/{model}/tokens", {"text": text})
    if as_json:
        print_json(found)
        return
    rows = [
        (number, it["id"], _quoted(it["text"]), "mark" if it.get("special") else "")
        for number, it in enumerate(found["pieces"], 1)
    ]
    print_table(("", "ID", "TEXT", ""), rows, "It has no tokens.", right=("", "ID"))
    cost = "" if found["cost"] is None else f"{found['cost']:.8f}".rstrip("0")
    click.echo()
    print_fields({"Model": found["model"], "Tokens": found["count"], "Characters": found["characters"], "Cost": cost})
    if found["cost"] is None:
        hint(f"No price is set for {found['model']}: [prices] in craton.toml.")


@explain.command()
@click.argument("text")
@model_option
@click.option("--layer", type=click.IntRange(min=0), metavar="N", help="This layer alone; the first is 0.")
@click.option("--head", type=click.IntRange(min=0), metavar="N", help="This head alone; the first is 0.")
@click.option(
    "--out", "-o", type=click.Path(dir_okay=False, writable=True, path_type=Path), help="Write a picture (PNG)."
)
@connection_options
@json_option
def attention(
    text: str,
    model: str,
    layer: int | None,
    head: int | None,
    out: Path | None,
    url: str | None,
    key: str | None,
    as_json: bool,
) -> None:
    """Show which tokens of TEXT each layer and head looks at. The server needs craton[train] for it.

    \b
    craton explain attention "The cat sat because it was tired" --layer 3 --out layer3.png
    craton explain attention "The cat sat" --layer 3 --head 1
    craton explain attention "The cat sat" --json | jq '.attention[0].weights'
    """
    connection = connect(url, key)
    path = f"/v1/models/{model}/attention"
    body = {"text": text} | {name: value for name, value in (("layer", layer), ("head", head)) if value is not None}
    if out is not None:
        out.write_bytes(_picture(connection, path, body))
        say(f"{out}: each row is a token, each column one that it looks at.")
    if out is not None and not as_json:
        return
    found = connection.post(path, body)
    if as_json:
        print_json(found)
    else:
        _show(found)


@explain.command("next")
@click.argument("text")
@model_option
@click.option("--top", type=click.IntRange(1, 200), default=10, show_default=True, help="How many.")
@connection_options
@json_option
def next_(text: str, model: str, top: int, url: str | None, key: str | None, as_json: bool) -> None:
    """Show which tokens may come after TEXT, and how likely each is.

    TEXT is continued as it stands: no chat template is put around it.
    """
    found = connect(url, key).post(f"/v1/models/{model}/next", {"text": text, "top": top})
    if as_json:
        print_json(found)
        return
    rows = [
        (it["id"], _quoted(it["text"]), f"{it['probability']:.1%}", "#" * round(BARS * it["probability"]))
        for it in found["tokens"]
    ]
    print_table(("ID", "NEXT", "LIKELY", ""), rows, "Nothing.", right=("ID", "LIKELY"))
    rest = 1 - sum(it["probability"] for it in found["tokens"])
    hint(f"\nAll others together: {max(rest, 0.0):.1%}")


def _picture(connection: Connection, path: str, body: dict[str, Any]) -> bytes:
    import httpx

    from craton.cli.connection import error_sentence

    try:
        with connection.client() as client:
            answer = client.post(path, json=body, headers={"accept": "image/png"})
    except httpx.HTTPError as error:
        raise connection.failure(error) from error
    if not answer.is_success:
        raise ServerError(error_sentence(answer.status_code, answer.content))
    return answer.content


def _show(found: dict[str, Any]) -> None:
    """For each token those that it looks at most: averaged over the heads that were asked for."""
    grids = [grid["weights"] for grid in found["attention"]]
    names = [_quoted(it["text"]) for it in found["pieces"]]
    rows = []
    for place, name in enumerate(names):
        shares = [sum(grid[place][other] for grid in grids) / len(grids) for other in range(len(names))]
        most = sorted(range(len(names)), key=lambda other: -shares[other])[:SHOWN]
        rows.append((name, "  ".join(f"{names[other]} {shares[other]:.0%}" for other in most if shares[other] > 0)))
    print_table(("TOKEN", "LOOKS MOST AT"), rows, "It has no tokens.", whole=("TOKEN",))
    which = f"{len(grids)} of {found['layers']} x {found['heads']} heads (layers x heads)"
    hint(f"\nThe mean of {which}. All numbers: --json; a picture: --out attention.png")


def _quoted(text: str) -> str:
    """With its spaces to be seen: a token often begins with one."""
    shown = text.replace("\n", "\\n").replace("\t", "\\t")
    return f"\u2039{printable(shown)}\u203a"
