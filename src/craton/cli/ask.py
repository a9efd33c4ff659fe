"""`craton ask`: an answer from a knowledge base, and where it stands."""

from __future__ import annotations

import re
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
from craton.cli.marking import UNSUPPORTED, Marking
from craton.cli.output import hint, json_option, print_json, printable, say
from craton.cli.screen import Screen

QUOTED = 160  # characters of a quotation below the answer
_HEADING = re.compile(r"^#{1,6}\s+", re.MULTILINE)
_BOLD = re.compile(r"\*\*(\w(?:[^*]*\w)?)\*\*")
_SPACES = re.compile(r"\s+")
HOW = {
    "extractive": "Quoted from the sources: {model} is below the measured bar for answering from documents.",
    "abstained": "Nothing in the sources answers it.",
}


@click.command()
@click.argument("name")
@click.argument("question")
@click.option("--model", "-m", metavar="MODEL", shell_complete=complete_model, help="Default: the starter model.")
@click.option("--top", type=click.IntRange(1, 100), default=5, show_default=True, metavar="N", help="Passages to read.")
@click.option("--max-tokens", type=click.IntRange(1), metavar="N", help="The longest answer that a model writes.")
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
    max_tokens: int | None,
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
        "sampling": {} if max_tokens is None else {"max_tokens": max_tokens},
        "session": session,
        "answering": answering or "auto",
    }
    if as_json:
        print_json(_whole(connection, name, body))
    else:
        show_answer(connection, name, body)


def answer_events(connection: Connection, base: str, body: dict[str, Any]) -> Generator[dict[str, Any]]:
    """The events of `core.knowledge.AnswerEvent` as JSON; before them {"type": "asked", "request_id": ...}.

    Raises NoServer, ServerError."""
    import httpx

    try:
        with (
            connection.client() as client,
            client.stream("POST", f"/api/craton/v1/kb/{base}/ask", json=body) as response,
        ):
            if not response.is_success:
                raise ServerError(error_sentence(response.status_code, response.read()))
            request_id = response.headers.get("x-request-id", "")
            yield {"type": "asked", "request_id": request_id}
            last = ""
            for line in response.iter_lines():
                event = msgspec.json.decode(line)
                if "error" in event:
                    raise ServerError(str(event["error"]["message"]))
                last = event["type"]
                yield event
            if last != "ended":
                raise ServerError(f"The answer broke off. See: craton trace {request_id}")
    except httpx.HTTPError as error:
        raise connection.failure(error) from error


def _whole(connection: Connection, base: str, body: dict[str, Any]) -> dict[str, Any]:
    text: list[str] = []
    citations = []
    asked: dict[str, Any] = {}
    started: dict[str, Any] = {}
    for event in answer_events(connection, base, body):
        if event["type"] == "asked":
            asked = event
        elif event["type"] == "started":
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
        "request_id": asked["request_id"],
        "citations": citations,
    }


def show_answer(connection: Connection, base: str, body: dict[str, Any]) -> None:
    """Writes the answer to stdout as it arrives, and its sources below it. body: an `AskRequest` as JSON."""
    screen = Screen(body["model"])
    asked: dict[str, Any] = {}
    started: dict[str, Any] = {}

    def write(text: str) -> None:
        screen.write(Piece("text", plain(text) if started.get("how") == "extractive" else text))

    marking = Marking(write)
    try:
        with closing(answer_events(connection, base, body)) as events:
            for event in events:
                if event["type"] == "asked":
                    asked = event
                elif event["type"] == "started":
                    started = event
                elif event["type"] == "text":
                    marking.text(event["text"])
                elif event["type"] == "citation":
                    marking.citation(event)
    finally:
        marking.end()
        screen.end_line()
        screen.close()
    _show_sources(marking, quoted=started["how"] == "extractive")
    if started["how"] in HOW:
        say(HOW[started["how"]].format(model=body["model"]), dim=True)
    hint(f"What was read for it: craton trace {asked['request_id']}")
    hint(f"Go on: craton ask {base} --session {started['session']} ...")


def plain(quote: str) -> str:
    """A quotation without its source's line breaks and Markdown marks for headings and bold text. A line break before
    it stays: it parts quotations."""
    begins = "\n" if quote.startswith("\n") else ""
    return begins + _SPACES.sub(" ", _BOLD.sub(r"\1", _HEADING.sub("", quote[len(begins) :])))


def _show_sources(marking: Marking, *, quoted: bool) -> None:
    """quoted: the answer shows their words already, so only the places follow."""
    if marking.numbers or marking.unsupported:
        click.echo()
    for uri, number in marking.numbers.items():
        click.echo(f"[{number}] {printable(uri)}")
        found = {
            (passage["start"] + reference["start"], passage["start"] + reference["end"]): (passage, reference)
            for citation in marking.citations
            for reference in citation["references"]
            if (passage := {"start": 0, **reference["passage"]})["location"]["uri"] == uri
        }
        for (start, end), (passage, reference) in found.items():
            page = f"page {passage['page']}: " if passage.get("page") else ""
            if quoted:
                click.echo(f"    {page}characters {start:,} to {end:,}")
            else:
                words = plain(printable(passage["text"][reference["start"] : reference["end"]])).strip()
                click.echo(f"    {page}“{words[:QUOTED]}{'…' if len(words) > QUOTED else ''}”")
    if marking.unsupported:
        click.echo(f"{UNSUPPORTED} Nothing that was read supports it.")
