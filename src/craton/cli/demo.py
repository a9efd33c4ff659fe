"""`craton demo`: what a bare model says, and what one says that reads first."""

from __future__ import annotations

import time
from pathlib import Path

import click

import craton
from craton.cli.ask import show_answer
from craton.cli.chat import default_model, stream_answer
from craton.cli.connection import Connection, connect, connection_options
from craton.cli.errors import CommandError, NoServer
from craton.cli.kb import ensure_base
from craton.cli.output import hint, say

BASE = "craton-docs"
QUESTION = "What is Amazon Bedrock?"
SECOND = "How do I rotate a key?"
POLL = 0.2  # seconds


@click.command()
@click.option(
    "--patience", type=click.FloatRange(0), default=0.0, metavar="SECONDS", help="Wait for a server to start."
)
@click.option("--tune", is_flag=True, help="Then tune the model on Python's documentation, for some minutes.")
@connection_options
def demo(patience: float, tune: bool, url: str | None, key: str | None) -> None:
    """Ask a bare model, then one that reads the documents first; and one that was tuned.

    \b
    craton demo
    craton demo --tune

    Makes the knowledge base `craton-docs` of Craton's own documents, where it is not there yet; with --tune the dataset
    and the model `demo/help-desk`, too.
    """
    connection = _connect_in(patience, url, key)
    model = default_model(connection)
    _step(1, f"{model} alone: {QUESTION}")
    asked = [{"role": "user", "content": QUESTION}]
    stream_answer(connection, {"model": model, "messages": asked, "max_tokens": 60, "temperature": 0})
    say("It sounds sure, and nothing in it says whether it is so.", dim=True)
    _step(2, "Reading Craton's own documents into a knowledge base")
    ensure_base(connection, BASE, documents())
    for number, question in enumerate((QUESTION, SECOND), 3):
        _step(number, f"The same, reading first: {question}" if number == 3 else question)
        show_answer(connection, BASE, {"question": question, "model": model})
    if tune:
        from craton.cli.demo_tuning import tune_and_ask

        _step(5, "Tuning it on questions about Python, answered as a help desk would")
        tune_and_ask(connection, model)
    hint(f'\nYour turn: craton ask {BASE} "..."; your own documents: craton kb create NAME --from FOLDER')


def documents() -> Path:
    """The folder of Craton's own documents: in a checkout, or in an installed package. Raises CommandError."""
    package = Path(craton.__file__).parent
    for folder in (package.parent.parent / "docs", package / "docs"):
        if (folder / "words.md").is_file():
            return folder
    raise CommandError("This installation has no documents to ask.")


def _step(number: int, title: str) -> None:
    click.secho(f"\n{number}. {title}", bold=True)


def _connect_in(patience: float, url: str | None, key: str | None) -> Connection:
    """The server, when it answers within so many seconds. Raises NoServer."""
    give_up = time.monotonic() + patience
    while True:
        try:
            connection = connect(url, key)
            connection.get("/readyz", timeout=1.0)
            return connection
        except NoServer:
            if time.monotonic() >= give_up:
                raise
            time.sleep(POLL)
