"""`craton embed`."""

from __future__ import annotations

import math
import sys
from collections.abc import Sequence

import click

from craton.cli.completion import complete_model
from craton.cli.connection import Connection, connect, connection_options
from craton.cli.output import hint, json_option, print_json, print_table, printable

STARTER = "all-minilm-l6-v2"
BATCH = 256  # texts of one request
SHOWN = 5  # numbers of a vector
MATRIX = 9  # texts whose matrix fits 80 columns

Vector = list[float]


@click.command()
@click.argument("texts", nargs=-1)
@click.option("--model", "-m", default=STARTER, show_default=True, metavar="NAME", shell_complete=complete_model)
@connection_options
@json_option
def embed(texts: tuple[str, ...], model: str, url: str | None, key: str | None, as_json: bool) -> None:
    """Turn TEXTS into vectors. With two or more, show how alike they are (cosine similarity).

    \b
    craton embed "a cat" "a kitten" "a tax form"
    craton embed --json - < lines.txt             one text a line
    """
    if texts == ("-",) or (not texts and not sys.stdin.isatty()):
        texts = tuple(line for line in sys.stdin.read().splitlines() if line.strip())
    if not texts:
        raise click.UsageError("Give some TEXTS, or - and one on each line of stdin.")
    vectors, tokens = _embed(connect(url, key), model, texts)
    if as_json:
        print_json({"model": model, "dimensions": len(vectors[0]), "tokens": tokens, "vectors": vectors})
        return
    click.echo(f"{len(vectors)} x {len(vectors[0])} dimensions\n")
    rows = [
        (number, _short(text), " ".join(f"{value:+.3f}" for value in vector[:SHOWN]) + " ...")
        for number, (text, vector) in enumerate(zip(texts, vectors, strict=True), 1)
    ]
    print_table(("", "TEXT", "VECTOR"), rows, "", right=("",))
    if len(vectors) > 1:
        click.echo()
        _print_matrix(vectors) if len(vectors) <= MATRIX else _print_nearest(texts, vectors)
    hint("\nAll numbers: --json")


def _embed(connection: Connection, model: str, texts: Sequence[str]) -> tuple[list[Vector], int]:
    vectors: list[Vector] = []
    tokens = 0
    for start in range(0, len(texts), BATCH):
        answer = connection.post("/v1/embeddings", {"model": model, "input": list(texts[start : start + BATCH])})
        vectors += [item["embedding"] for item in answer["data"]]
        tokens += answer["usage"]["prompt_tokens"]
    return vectors, tokens


def cosine(left: Vector, right: Vector) -> float:
    """From -1 to 1; 0 when one of them is all zeros."""
    lengths = math.hypot(*left) * math.hypot(*right)
    return sum(map(float.__mul__, left, right)) / lengths if lengths else 0.0


def _print_matrix(vectors: list[Vector]) -> None:
    numbers = tuple(str(number) for number in range(1, len(vectors) + 1))
    rows = [
        (number, *(f"{cosine(vector, other):.3f}" for other in vectors))
        for number, vector in zip(numbers, vectors, strict=True)
    ]
    print_table(("", *numbers), rows, "", right=("", *numbers))


def _print_nearest(texts: Sequence[str], vectors: list[Vector]) -> None:
    rows = []
    for place, vector in enumerate(vectors):
        likeness, nearest = max((cosine(vector, other), i) for i, other in enumerate(vectors) if i != place)
        rows.append((place + 1, f"{likeness:.3f}", f"{nearest + 1} {_short(texts[nearest])}"))
    print_table(("", "COSINE", "NEAREST"), rows, "", right=("", "COSINE"))


def _short(text: str, width: int = 30) -> str:
    line = " ".join(printable(text).split())
    return line if len(line) <= width else line[: width - 1] + "…"
