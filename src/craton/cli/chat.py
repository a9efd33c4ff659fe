"""`craton chat`: one question, or a conversation."""

from __future__ import annotations

import sys
from contextlib import closing
from typing import Any

import click
from msgspec import Struct

from craton.cli.answering import Finished, Piece, ask
from craton.cli.completion import complete_model
from craton.cli.connection import Connection, connect, connection_options
from craton.cli.errors import CommandError, ServerError
from craton.cli.output import hint, json_option, print_json, say
from craton.cli.screen import Screen

STARTER = "smollm2-135m-instruct"


class Settings(Struct):
    """What goes with every question. sampling: members of OpenAI's request."""

    model: str
    system: str
    sampling: dict[str, Any]

    def body(self, messages: list[dict[str, str]]) -> dict[str, Any]:
        system = [{"role": "system", "content": self.system}] if self.system else []
        return {"model": self.model, "messages": [*system, *messages], **self.sampling}


@click.command()
@click.argument("prompt", required=False)
@click.option("--model", "-m", metavar="NAME", shell_complete=complete_model, help=f"Default: {STARTER}.")
@click.option("--system", "-s", default="", metavar="TEXT", help="What the model is told before the conversation.")
@click.option("--max-tokens", type=click.IntRange(1), metavar="N", help="The longest answer.")
@click.option("--temperature", type=click.FloatRange(0, 2), metavar="T", help="0 is always the likeliest word.")
@click.option("--seed", type=int, metavar="N", help="The same seed gives the same answer.")
@connection_options
@json_option
def chat(
    prompt: str | None,
    model: str | None,
    system: str,
    max_tokens: int | None,
    temperature: float | None,
    seed: int | None,
    url: str | None,
    key: str | None,
    as_json: bool,
) -> None:
    """Talk to a model on the running server.

    \b
    craton chat                                   a conversation
    craton chat "What is supervised learning?"    one question
    git diff | craton chat -s "Write a commit message."
    craton chat "Name a colour." --json | jq -r .text

    With PROMPT, or with text piped in, the answer alone goes to stdout.
    """
    interactive = prompt is None and sys.stdin.isatty()
    if interactive and (as_json or not sys.stdout.isatty()):
        raise click.UsageError("A conversation needs a terminal. Give a PROMPT, or pipe one in.")
    if prompt is None and not interactive:
        prompt = sys.stdin.read()
    if prompt is not None and not prompt.strip():
        raise click.UsageError("The prompt is empty.")
    connection = connect(url, key)
    given = {"max_tokens": max_tokens, "temperature": temperature, "seed": seed}
    sampling = {name: value for name, value in given.items() if value is not None}
    settings = Settings(model or default_model(connection), system, sampling)
    if prompt is None:
        from craton.cli.conversation import Conversation

        Conversation(connection, settings).run()
    elif as_json:
        _print_whole(connection, settings.body([{"role": "user", "content": prompt}]))
    else:
        _print_streamed(connection, settings.body([{"role": "user", "content": prompt}]))


def chat_models(connection: Connection) -> list[str]:
    """What can be talked to; the echo, which understands nothing, comes last."""
    models = [model for model in connection.get("/api/craton/v1/models")["models"] if "chat" in model["verbs"]]
    return [model["id"] for model in sorted(models, key=lambda model: model["engine"] == "echo")]


def default_model(connection: Connection) -> str:
    """The starter model when it is there, else the first. Raises CommandError."""
    names = chat_models(connection)
    if STARTER in names:
        return STARTER
    if not names:
        raise CommandError("There is no model to talk to. Fetch the starters: craton models pull --starters")
    if names[0] == "echo":
        say("Only `echo` is here, which repeats. Fetch a model: craton models pull --starters", fg="yellow")
    return names[0]


def _print_whole(connection: Connection, body: dict[str, Any]) -> None:
    text: list[str] = []
    with closing(ask(connection, body)) as events:
        for event in events:
            if isinstance(event, Piece) and event.kind == "text":
                text.append(event.text)
            elif isinstance(event, Finished):
                usage = {"input_tokens": event.input_tokens, "output_tokens": event.output_tokens}
                answer = {"model": body["model"], "request_id": event.request_id, "text": "".join(text)}
                print_json(answer | {"stop": event.stop, "usage": usage, "seconds": round(event.seconds, 3)})


def _print_streamed(connection: Connection, body: dict[str, Any]) -> None:
    try:
        stream_answer(connection, body)
    except KeyboardInterrupt:
        raise SystemExit(130) from None


def stream_answer(connection: Connection, body: dict[str, Any], said: list[str] | None = None) -> None:
    """Writes the answer to stdout as it arrives, and what it took to stderr.

    said: takes the pieces of the answer, so that they are kept when this raises: KeyboardInterrupt, ServerError.
    """
    said = [] if said is None else said
    screen = Screen(body["model"])
    request_id = ""
    try:
        with closing(ask(connection, body)) as events:
            for event in events:
                if isinstance(event, Piece):
                    screen.write(event)
                    if event.kind == "text":
                        said.append(event.text)
                elif isinstance(event, Finished):
                    screen.end_line()
                    hint(summary(event))
                else:
                    request_id = event.request_id
    except KeyboardInterrupt:
        screen.end_line()
        hint("(stopped)" + (f" craton trace {request_id}" if request_id else ""))
        raise
    except ServerError:
        screen.end_line()
        raise
    finally:
        screen.close()


def summary(answer: Finished) -> str:
    """ "128 tokens · 3.2 s · 40.1/s · craton trace ID", at most 80 columns. The speed leaves the waiting out."""
    parts = [f"{answer.output_tokens} tokens", f"{answer.seconds:.1f} s"]
    if answer.output_tokens > 1 and answer.writing_seconds > 0:
        parts.append(f"{(answer.output_tokens - 1) / answer.writing_seconds:.1f}/s")
    cut = "(cut off by the limit of tokens)\n" if answer.stop == "length" else ""
    return cut + " · ".join([*parts, f"craton trace {answer.request_id}"])
