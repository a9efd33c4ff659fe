"""Which server the command line talks to, and with which key."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import click
import msgspec
from msgspec import Struct

from craton.app.config import Home
from craton.app.server import running
from craton.core.errors import CratonError, InvalidRequest

if TYPE_CHECKING:
    import httpx

DEFAULT_URL = "http://127.0.0.1:8000"
TIMEOUT = 600.0  # seconds; a first request may load a model


class ServerError(CratonError):
    """The server answered with an error, or not at all."""

    def __init__(self, sentence: str) -> None:
        super().__init__(sentence)
        self.sentence = sentence

    def __str__(self) -> str:
        return self.sentence


class Connection(Struct, frozen=True):
    """token: a Craton key, "craton-ID-SECRET"."""

    url: str
    token: str

    @property
    def access_key_id(self) -> str:
        return self.token.split("-", 2)[1]

    @property
    def secret_access_key(self) -> str:
        return self.token.split("-", 2)[2]

    def client(self) -> httpx.Client:
        """An HTTP client that sends the key and knows no proxies."""
        import httpx

        headers = {"authorization": f"Bearer {self.token}"}
        return httpx.Client(base_url=self.url, headers=headers, timeout=TIMEOUT, trust_env=False)

    def get(self, path: str, **query: Any) -> Any:
        """The JSON at this path. Raises ServerError."""
        return self._ask("GET", path, params=query)

    def post(self, path: str, body: Any) -> Any:
        return self._ask("POST", path, json=body)

    def delete(self, path: str) -> Any:
        return self._ask("DELETE", path)

    def _ask(self, method: str, path: str, **options: Any) -> Any:
        import httpx

        try:
            with self.client() as client:
                response = client.request(method, path, **options)
        except httpx.HTTPError as error:
            raise ServerError(f"No server answers at {self.url}. Start one with `craton serve`.") from error
        if response.is_success:
            return response.json()
        raise ServerError(error_sentence(response.status_code, response.content))


def error_sentence(status: int, body: bytes) -> str:
    """What the server said went wrong."""
    try:
        return str(msgspec.json.decode(body)["error"]["message"])
    except (msgspec.DecodeError, KeyError, TypeError):
        return f"The server answered with status {status}."


def connect(url: str | None = None, key: str | None = None) -> Connection:
    """Explicit arguments, else CRATON_URL and CRATON_API_KEY, else the server and root key of CRATON_HOME.

    Raises InvalidRequest when there is no usable key.
    """
    home = Home.from_environment()
    found = running(home.server)
    url = url or os.environ.get("CRATON_URL") or (found.url if found else DEFAULT_URL)
    token = key or os.environ.get("CRATON_API_KEY") or _root_token(home)
    if not token.startswith("craton-") or token.count("-") < 2:
        raise InvalidRequest("not a Craton key (craton-ID-SECRET); `craton keys create` makes one", "key")
    return Connection(url.rstrip("/"), token)


def _root_token(home: Home) -> str:
    try:
        return home.root_key.read_text("ascii").strip()
    except OSError:
        raise InvalidRequest(
            f"there is none in {home.path}; `craton serve` makes one at its first start, or set CRATON_API_KEY", "key"
        ) from None


def connection_options(command: Any) -> Any:
    """Adds --url and --key."""
    command = click.option("--key", metavar="KEY", help="A Craton key. Default: CRATON_API_KEY, or the root key.")(
        command
    )
    return click.option("--url", metavar="URL", help="The server. Default: CRATON_URL, or the one running here.")(
        command
    )
