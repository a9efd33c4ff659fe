"""`craton ask`: an answer from a knowledge base, and where it stands."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import closing
from typing import Any

import click
import msgspec

from craton.cli.answering import Piece
from craton.cli.chat import default_model
from craton.cli.completion import complete_model
from craton.cli.connection import Connection, connect, connection_options, error_sentence
from craton.cli.errors import ServerError
from craton.cli.output import hint, json_option, print_json, printable, say
from craton.cli.screen import Screen

QUOTED = 160  # characters of a quotation below the answer
HOW = {
    "extractive": "Quoted from the sources: {model} is below the measured bar for answering from documents.",
    "abstained": "Nothing in the sources answers it.",
}


@click.command()
@click.argument("name")
@click.argument("question")
@click.option("--model", "-m", metavar="MODEL", shell_complete=complete_model, help="Default: the starter model.")
@click.option("--top", type=click.IntRange(1, 100), default=5, show_default=True, metavar="N", help="Passages to read.")
@click.option("--session", default="", metavar="ID", help="Go on with an earlier conversation.")
@click.option("--extract", "answering", flag_value="extract", help="Quote the sources, whatever the model.")
@click.option("--generate", "answering", flag_value="generate", help="Let the model write, however weak it is.")
@connection_options
@json_option
def ask(
    name: str,
    question: str,
    model: str | None,
    top: int,
    session: str,
    answering: str | None,
    url: str | None,
    key: str | None,
    as_json: bool,
) -> None:
    """Answer QUESTION from the knowledge base NAME, with sources.

    \b
    craton ask handbook "How do I rotate a key?"
    """
    connection = connect(url, key)
    body = {
        "question": question,
        "model": model or default_model(connection),
        "retrieval": {"knowledge_base": "", "query": "", "top": top},
        "session": session,
        "answering": answering or "auto",
    }
    if as_json:
        print_json(_whole(connection, name, body))
    else:
        show_answer(connection, name, body)


def answer_events(connection: Connection, base: str, body: dict[str, Any]) -> Generator[dict[str, Any]]:
    """The events of `core.knowledge.AnswerEvent` as JSON. Raises NoServer, ServerError."""
    import httpx

    try:
        with (
            connection.client() as client,
            client.stream("POST", f"/api/craton/v1/kb/{base}/ask", json=body) as response,
        ):
            if not response.is_success:
                raise ServerError(error_sentence(response.status_code, response.read()))
            for line in response.iter_lines():
                event = msgspec.json.decode(line)
                if "error" in event:
                    raise ServerError(str(event["error"]["message"]))
                yield event
    except httpx.HTTPError as error:
        raise connection.failure(error) from error


def _whole(connection: Connection, base: str, body: dict[str, Any]) -> dict[str, Any]:
    text: list[str] = []
    citations = []
    started: dict[str, Any] = {}
    for event in answer_events(connection, base, body):
        if event["type"] == "started":
            started = event
        elif event["type"] == "text":
            text.append(event["text"])
        elif event["type"] == "citation":
            citations.append(event)
    return {
        "answer": "".join(text),
        "how": started["how"],
        "model": started.get("model", ""),
        "session": started["session"],
        "citations": citations,
    }


def show_answer(connection: Connection, base: str, body: dict[str, Any]) -> None:
    """Writes the answer to stdout as it arrives, and its sources below it. body: an `AskRequest` as JSON."""
    screen = Screen(body["model"])
    citations: list[dict[str, Any]] = []
    sources: dict[str, int] = {}
    started: dict[str, Any] = {}
    try:
        with closing(answer_events(connection, base, body)) as events:
            for event in events:
                if event["type"] == "started":
                    started = event
                elif event["type"] == "text":
                    screen.write(Piece("text", event["text"]))
                elif event["type"] == "citation" and event["references"]:
                    citations.append(event)
                    screen.write(Piece("text", _marks(event, sources)))
    finally:
        screen.end_line()
        screen.close()
    _show_sources(citations, sources)
    if started["how"] in HOW:
        say(HOW[started["how"]].format(model=body["model"]), dim=True)
    hint(f"Go on: craton ask {base} --session {started['session']} ...")


def _marks(citation: dict[str, Any], sources: dict[str, int]) -> str:
    """ " [1][3]": the numbers of the sources, given as they come."""
    uris = [reference["passage"]["location"]["uri"] for reference in citation["references"]]
    numbers = [sources.setdefault(uri, len(sources) + 1) for uri in uris]
    return " " + "".join(f"[{number}]" for number in dict.fromkeys(numbers))


def _show_sources(citations: list[dict[str, Any]], sources: dict[str, int]) -> None:
    if not sources:
        return
    click.echo()
    for uri, number in sources.items():
        click.echo(f"[{number}] {printable(uri)}")
        quotes = {
            reference["passage"]["text"][reference["start"] : reference["end"]]: reference["passage"]
            for citation in citations
            for reference in citation["references"]
            if reference["passage"]["location"]["uri"] == uri
        }
        for quote, passage in quotes.items():
            words = " ".join(printable(quote).split())
            where = f"page {passage['page']}: " if passage.get("page") else ""
            click.echo(f"    {where}“{words[:QUOTED]}{'…' if len(words) > QUOTED else ''}”")
