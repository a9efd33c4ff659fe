"""`craton serve`."""

from __future__ import annotations

import json
import logging
import os
import sys
from datetime import UTC, datetime
from typing import Any

import click

from craton.children.importing import uncollected
from craton.cli.home import show_new_root
from craton.cli.output import say
from craton.core.errors import InvalidRequest

SNIPPET = """\
Try it, in another terminal:

    craton chat "What is supervised learning?"
    craton exec -- python your_boto3_script.py     # with every endpoint and key

or with any client:

    curl {url}/v1/chat/completions \\
      -H "authorization: Bearer $(cat {root_key})" \\
      -d '{{"model": "{model}",
           "messages": [{{"role": "user", "content": "Hello"}}]}}'
"""


@click.command()
@click.option("--host", default="127.0.0.1", show_default=True, help="The address to listen on.")
@click.option("--port", default=8000, show_default=True, type=click.IntRange(0, 65535), help="0 picks a free one.")
@click.option("--log-level", default="warning", type=click.Choice(["debug", "info", "warning", "error"]))
@click.option("--log-format", default=None, type=click.Choice(["text", "json"]), help="Default: text on a terminal.")
def serve(host: str, port: int, log_level: str, log_format: str | None) -> None:
    """Serve models over the APIs of Bedrock, OpenAI and Anthropic.

    \b
    craton serve
    craton serve --host 0.0.0.0 --port 9000 --log-level info

    The first start makes a root key (CRATON_HOME/root.key) and shows it once.
    """
    with uncollected():
        from craton.app.build import Server
        from craton.app.config import Home
        from craton.app.platform import open_platform
        from craton.app.server import bind, run

    _set_up_logging(log_level, log_format or ("text" if sys.stderr.isatty() else "json"))
    home = Home.from_environment()
    try:
        listener = bind(host, port)
    except OSError as error:
        raise InvalidRequest(f"{error.strerror}; choose another with --port", f"{host}:{port}") from error
    platform = open_platform(home)
    show_new_root(platform)
    server = Server(platform, os.environ)

    def on_ready(url: str) -> None:
        say(f"Craton answers on {url}")
        if sys.stderr.isatty():
            say(SNIPPET.format(url=url, root_key=home.root_key, model="smollm2-135m-instruct"))

    try:
        run(server.gateway, listener, home.server, on_ready)
    finally:
        platform.close()


class JsonFormatter(logging.Formatter):
    """One JSON object a line. What callers attach with `extra=` becomes members."""

    _STANDARD = frozenset(vars(logging.makeLogRecord({}))) | {"message", "taskName"}

    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, Any] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        line |= {name: value for name, value in vars(record).items() if name not in self._STANDARD}
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return json.dumps(line, default=str)


def _set_up_logging(level: str, form: str) -> None:
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        JsonFormatter() if form == "json" else logging.Formatter("%(asctime)s %(levelname)s %(name)s: %(message)s")
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level.upper())
