"""Which server the command line talks to, and with which key."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import click
import msgspec
from msgspec import Struct

from craton.app.address import running
from craton.app.config import Home
from craton.cli.errors import NoServer, ServerError
from craton.core.errors import InvalidRequest

if TYPE_CHECKING:
    import httpx

DEFAULT_URL = "http://127.0.0.1:8000"
TIMEOUT = 600.0  # seconds; a first request may load a model


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

    def client(self, timeout: float = TIMEOUT) -> httpx.Client:
        """An HTTP client that sends the key and knows no proxies."""
        import httpx

        headers = {"authorization": f"Bearer {self.token}"}
        certificates = self.url.startswith("https://")  # reading them costs more than a request does
        return httpx.Client(base_url=self.url, headers=headers, timeout=timeout, trust_env=False, verify=certificates)

    def get(self, path: str, *, timeout: float = TIMEOUT, **query: Any) -> Any:
        """The JSON at this path. Raises NoServer, ServerError."""
        return self._ask("GET", path, timeout, params=query)

    def post(self, path: str, body: Any) -> Any:
        return self._ask("POST", path, TIMEOUT, json=body)

    def send(self, path: str, content: bytes, content_type: str, accept: str) -> Any:
        headers = {"content-type": content_type, "accept": accept}
        return self._ask("POST", path, TIMEOUT, content=content, headers=headers)

    def delete(self, path: str) -> Any:
        return self._ask("DELETE", path, TIMEOUT)

    def _ask(self, method: str, path: str, timeout: float, **options: Any) -> Any:
        import httpx

        try:
            with self.client(timeout) as client:
                response = client.request(method, path, **options)
        except httpx.HTTPError as error:
            raise self.failure(error) from error
        if not response.is_success:
            raise ServerError(error_sentence(response.status_code, response.content))
        try:
            return msgspec.json.decode(response.content)
        except msgspec.DecodeError as error:
            raise ServerError(f"What answers at {self.url} is not Craton.") from error

    def failure(self, error: httpx.HTTPError) -> NoServer | ServerError:
        """What a broken connection means."""
        import httpx

        if isinstance(error, httpx.ConnectError | httpx.ConnectTimeout):
            return NoServer(f"No server answers at {self.url}. Start one with `craton serve`.")
        return ServerError(f"The connection to {self.url} broke off ({type(error).__name__}).")


def error_sentence(status: int, body: bytes) -> str:
    """What the server said went wrong."""
    try:
        said = msgspec.json.decode(body)
        error = said["error"] if "error" in said else said["message"]  # Bedrock's routes say it without a frame
        return error if isinstance(error, str) else str(error["message"])  # and so do the Hub's
    except (msgspec.DecodeError, KeyError, TypeError):
        return f"The server answered with status {status}."


def connect(url: str | None = None, key: str | None = None) -> Connection:
    """Explicit arguments, else CRATON_URL and CRATON_API_KEY, else the server and root key of CRATON_HOME.

    Raises InvalidRequest for an unusable URL or key, NoServer when there is none because no server ever started.
    """
    home = Home.from_environment()
    url = named_url(url)
    if url is None:
        found = running(home.server)
        url = found.url if found else DEFAULT_URL
    if not url.startswith(("http://", "https://")):
        raise InvalidRequest(f"{url!r} does not begin with http:// or https://", "url")
    token = named_token(key) or _root_token(home)
    if not token.startswith("craton-") or token.count("-") < 2:
        raise InvalidRequest("not a Craton key (craton-ID-SECRET); `craton keys create` makes one", "key")
    return Connection(url.rstrip("/"), token)


def connect_if_running(url: str | None = None, key: str | None = None) -> Connection | None:
    """The server that was named, or the one that runs here; None when a command may work on CRATON_HOME itself."""
    if named_url(url) is None and running(Home.from_environment().server) is None:
        return None
    return connect(url, key)


def named_url(url: str | None) -> str | None:
    return url or os.environ.get("CRATON_URL") or None


def named_token(key: str | None) -> str | None:
    return key or os.environ.get("CRATON_API_KEY") or None


def _root_token(home: Home) -> str:
    try:
        return home.root_key.read_text("ascii").strip()
    except OSError:
        raise NoServer(
            f"No server ever ran in {home.path}. Start one with `craton serve`; "
            "for one elsewhere set CRATON_URL and CRATON_API_KEY."
        ) from None


def key_option(command: Any) -> Any:
    """Adds --key."""
    return click.option("--key", metavar="KEY", help="A Craton key. Default: CRATON_API_KEY, or the root key.")(command)


def connection_options(command: Any) -> Any:
    """Adds --url and --key."""
    return click.option("--url", metavar="URL", help="The server. Default: CRATON_URL, or the one running here.")(
        key_option(command)
    )
