"""Other hubs, as the command line speaks with them: where `hf:` names lead, and where a push goes."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from msgspec import Struct

from craton.app.address import running
from craton.app.config import Home
from craton.cli.connection import named_url
from craton.core.errors import InvalidRequest, NotFound

if TYPE_CHECKING:
    import httpx

    from craton.app.platform import Platform
    from craton.hub.importing import Progress

HUB = "https://huggingface.co"
HUB_HOSTS = ("huggingface.co", "*.huggingface.co", "*.hf.co")  # the hub, and the storage that it redirects to
OWN_KEY = "craton-"


class NamedHub(Struct, frozen=True):
    """is_default: nobody named another one."""

    endpoint: str
    token: str
    is_default: bool


def named_hub() -> NamedHub:
    """The hub that HF_ENDPOINT names, or the well-known one, with HF_TOKEN.

    In a shell after `craton env` both are this server's: then they name no other hub, and the key stays here.
    """
    endpoint, token = (os.environ.get("HF_ENDPOINT") or "").rstrip("/"), os.environ.get("HF_TOKEN") or ""
    found = running(Home.from_environment().server)
    here = {(named_url(None) or "").rstrip("/"), found.url if found else ""}
    if not endpoint or endpoint in here or endpoint == HUB:
        return NamedHub(HUB, "" if token.startswith(OWN_KEY) else token, True)
    return NamedHub(endpoint, token, False)


def hub_client(platform: Platform, hub: NamedHub) -> httpx.AsyncClient:
    """Typing a hub's name is asking for it, so its hosts are allowed for this one command."""
    from craton.access.outgoing import outgoing
    from craton.app.upstreams import allowed_hosts

    parts = urlsplit(hub.endpoint)
    hosts = HUB_HOSTS if hub.is_default else (f"{parts.scheme}://{parts.netloc}",)
    return outgoing((*hosts, *allowed_hosts(platform.settings)))


def configured_hub(platform: Platform, name: str) -> tuple[str, str]:
    """Address and token of [hubs.NAME]. Raises NotFound, InvalidRequest when it has no credential."""
    from craton.access.tenants import DEFAULT_TENANT

    hub = platform.settings.hubs.get(name)
    if hub is None:
        names = ", ".join(sorted(platform.settings.hubs)) or "none"
        raise NotFound("hub", name, f"config.toml has these under [hubs]: {names}.")
    if not hub.credential:
        raise InvalidRequest("it has no credential, and what is pushed needs one", f"hubs.{name}")
    return hub.endpoint.rstrip("/"), platform.vault.get(DEFAULT_TENANT, hub.credential)


class Counting:
    """A mirror's `Watch` that shows what it counts."""

    def __init__(self, progress: Progress) -> None:
        self._progress, self._total, self._done = progress, 0, 0

    def expect(self, size: int) -> None:
        self._total += size
        self._progress("download", self._done, self._total)

    def arrived(self, size: int) -> None:
        self._done += size
        self._progress("download", self._done, self._total)
