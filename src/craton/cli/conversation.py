"""A conversation in the terminal. Ctrl-C stops an answer, Ctrl-D leaves."""

from __future__ import annotations

from collections.abc import Callable

import click

from craton.cli.chat import Settings, chat_models, stream_answer
from craton.cli.connection import Connection
from craton.cli.errors import NoServer, ServerError
from craton.cli.output import say

HELP = """\
/new            forget what was said
/model [NAME]   talk to another model; without NAME: what there is
/system [TEXT]  tell the model this first; without TEXT: nothing
/help           this list
Ctrl-C stops an answer, Ctrl-D leaves. A line that ends with \\ goes on below."""


class Conversation:
    """Turns are kept here and sent whole with every question: a server remembers nothing."""

    def __init__(self, connection: Connection, settings: Settings) -> None:
        self._connection = connection
        self._settings = settings
        self._messages: list[dict[str, str]] = []
        self._commands: dict[str, Callable[[str], None]] = {
            "/new": self._new,
            "/model": self._choose_model,
            "/system": self._set_system,
            "/help": lambda _: say(HELP),
        }

    def run(self) -> None:
        """Until the end of input. Raises NoServer when the server has gone."""
        say(f"{self._settings.model}. /help lists commands, Ctrl-D leaves.", dim=True)
        while True:
            try:
                line = _read()
            except EOFError:
                click.echo()
                return
            except KeyboardInterrupt:
                say("\n(Ctrl-D leaves)", dim=True)
                continue
            name, _, rest = line.partition(" ")
            if name in self._commands:
                self._try(lambda: self._commands[name](rest.strip()))  # noqa: B023 - called at once
            elif line.startswith("/") and name[1:].isalpha():
                say(f"There is no {name}. /help lists the commands.")
            elif line:
                self._say(line)

    def _say(self, line: str) -> None:
        question = {"role": "user", "content": line}
        said: list[str] = []
        body = self._settings.body([*self._messages, question])
        self._try(lambda: stream_answer(self._connection, body, said))
        if said:  # a question without any answer is forgotten: two in a row would break the turns
            self._messages += [question, {"role": "assistant", "content": "".join(said)}]

    def _try(self, action: Callable[[], None]) -> None:
        """An error, or Ctrl-C, ends the answer, not the conversation."""
        try:
            action()
        except NoServer:
            raise
        except ServerError as error:
            say(f"Error: {error}", fg="red")
        except KeyboardInterrupt:
            pass

    def _new(self, _: str) -> None:
        self._messages.clear()
        say("Forgotten.", dim=True)

    def _choose_model(self, name: str) -> None:
        names = chat_models(self._connection)
        if not name:
            say("\n".join(f"{'*' if known == self._settings.model else ' '} {known}" for known in names))
            return
        if name not in names:
            found = self._connection.get(f"/api/craton/v1/models/{name}")  # an alias, or a revision
            if "chat" not in found["verbs"]:
                raise ServerError(f"{name} does not chat.")
        self._settings.model = name
        say(f"Now talking to {name}.", dim=True)

    def _set_system(self, text: str) -> None:
        self._settings.system = text
        say("Told." if text else "Nothing is told first.", dim=True)


def _read() -> str:
    """One line, or several joined by a backslash at their ends."""
    import readline  # noqa: F401 - gives input() its line editing and history

    line = input("> ")
    while line.endswith("\\"):
        line = line[:-1] + "\n" + input(". ")
    return line.strip()
