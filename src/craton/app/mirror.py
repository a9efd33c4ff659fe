"""The mirror of upstream hubs, put together from the settings: for the server, and for a pull on the command line."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from craton.access.tenants import DEFAULT_TENANT
from craton.access.vault import Vault
from craton.app.platform import Platform
from craton.core.errors import Damaged, NotFound, SourceFailed
from craton.core.repo import TreeEntry
from craton.hub.mirror.mirror import Mirror
from craton.hub.mirror.origin import Origin
from craton.hub.mirror.shelving import Shelving
from craton.hub.mirror.words import Upstream, Watch
from craton.hub.reaching import Mirrors, Reached, no_mirrors

if TYPE_CHECKING:
    import httpx

    from craton.app.config import MirrorSettings


class RunningMirror:
    """mirror: None where no hub is configured. Built once."""

    def __init__(self, platform: Platform, client: Callable[[], httpx.AsyncClient]) -> None:
        """client: gives the one outgoing client."""
        self._shelving = _shelving(platform)
        self._upstreams = [_upstream(name, it) for name, it in platform.settings.hubs.items()]
        self.mirror = open_mirror(platform, client)
        self.mirrors: Mirrors = no_mirrors if self.mirror is None else self.mirror.owners

    def start(self) -> None:
        """What is shared follows the settings of today, those of hubs that are gone, too."""
        self._shelving.open(self._upstreams)
        if self.mirror is not None:
            self.mirror.sweep(time.time())

    async def stop(self) -> None:
        if self.mirror is not None:
            await self.mirror.close()

    def coming(
        self, reached: Reached, commit: str, entry: TreeEntry, start: int, end: int
    ) -> AsyncIterator[bytes] | None:
        """The bytes of a mirrored file that are not here yet, as they come; None when they are. Blocking."""
        if self.mirror is None or not self.mirror.lacks(reached.owner, entry.digest):
            return None
        return self.mirror.content(reached.owner, reached.repo, commit, entry, start, end)


def open_mirror(
    platform: Platform, client: Callable[[], httpx.AsyncClient], watch: Watch | None = None
) -> Mirror | None:
    """None where no hub is configured: then nothing leaves. client: gives the one outgoing client."""
    hubs = platform.settings.hubs
    if not hubs:
        return None
    origins = [
        Origin(_upstream(name, it), client, _token(platform.vault, it.credential, name)) for name, it in hubs.items()
    ]
    return Mirror(platform.hub, _shelving(platform), origins, _partial(platform), watch)


def fetching_for(
    platform: Platform,
    tenant: str,
    client: Callable[[], httpx.AsyncClient],
    endpoint: str,
    token: str,
    watch: Watch | None = None,
) -> Mirror:
    """What brings a hub's repositories to a tenant as his own, whole, with the hub's commit ids."""
    upstream = Upstream(urlsplit(endpoint).hostname or endpoint, endpoint, ("*",), gated=True, keeper=tenant)
    return Mirror(
        platform.hub, _shelving(platform), [Origin(upstream, client, lambda: token)], _partial(platform), watch
    )


def _partial(platform: Platform) -> Path:
    return platform.home.path / "downloads" / "mirror"


def _shelving(platform: Platform) -> Shelving:
    return Shelving(platform.database, time.time, platform.hub.listeners)


def _upstream(name: str, settings: MirrorSettings) -> Upstream:
    return Upstream(
        name,
        settings.endpoint.rstrip("/"),
        settings.allow,
        settings.kinds,
        settings.tenants,
        settings.gated,
        settings.fresh,
    )


def _token(vault: Vault, credential: str, name: str) -> Callable[[], str]:
    def read() -> str:
        if not credential:
            return ""
        try:
            return vault.get(DEFAULT_TENANT, credential)
        except NotFound:
            hint = f"the operator's `craton keys credential set {credential}` does."
            raise SourceFailed(name, f"its token is not stored; {hint}") from None
        except Damaged as error:
            raise SourceFailed(name, "its token cannot be opened; the operator can store it again") from error

    return read
