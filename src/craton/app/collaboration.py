"""What people do around repositories, put together for the server."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from craton.access.destinations import Destinations
from craton.access.tenants import tenant_exists
from craton.app.address import running
from craton.app.platform import Platform
from craton.core.errors import InvalidRequest
from craton.hub.admission import Admission
from craton.hub.collaboration.access import AccessRequests
from craton.hub.collaboration.collections import Collections
from craton.hub.collaboration.delivering import Deliverer
from craton.hub.collaboration.discussions import Discussions
from craton.hub.collaboration.likes import Likes
from craton.hub.collaboration.outbox import Outbox
from craton.hub.collaboration.pulls import PullRequests
from craton.hub.collaboration.users import Users
from craton.hub.collaboration.webhooks import Webhooks
from craton.hub.reaching import Reaching
from craton.wire.huggingface.access_requests import AccessRequestRoutes
from craton.wire.huggingface.calling import Caller
from craton.wire.huggingface.collections import CollectionRoutes
from craton.wire.huggingface.dialect import Part
from craton.wire.huggingface.discussions import DiscussionRoutes
from craton.wire.huggingface.likes import LikeRoutes
from craton.wire.huggingface.users import UserRoutes
from craton.wire.huggingface.webhooks import WebhookRoutes

if TYPE_CHECKING:
    import httpx


class RunningCollaboration:
    """Built once. `parts` are its routes, `pulls` and `admission` what others ask."""

    def __init__(self, platform: Platform, reaching: Reaching, client: Callable[[], httpx.AsyncClient]) -> None:
        """client: gives the one outgoing client."""
        database, clock = platform.database, time.time
        allowed = Destinations(platform.settings.outgoing.allow)

        def is_tenant(name: str) -> bool:
            with database.read() as connection:
                return tenant_exists(connection, name)

        def base() -> str:
            found = running(platform.home.server)
            return found.url if found else ""

        self.admission = Admission(database)
        discussions = Discussions(database, self.admission, clock, Outbox(clock).said)
        self.pulls = PullRequests(platform.hub, discussions)
        users = Users(database, is_tenant)

        def check_url(url: str) -> None:
            """Not `allowed_hosts`: what the operator's own servers are let to is no place for tenants' requests."""
            check_webhook(allowed, url)

        webhooks = Webhooks(database, platform.vault, clock, check_url)
        self._deliverer = Deliverer(database, webhooks, Caller(client, base, check_url), clock)
        self.parts: list[Part] = [
            DiscussionRoutes(reaching, discussions, self.pulls),
            LikeRoutes(reaching, Likes(database, clock), users),
            CollectionRoutes(reaching, Collections(database, clock)),
            WebhookRoutes(webhooks),
            AccessRequestRoutes(reaching, AccessRequests(database, clock, is_tenant), self.admission),
            UserRoutes(users),
        ]

    def start(self) -> None:
        self._deliverer.start()

    async def stop(self) -> None:
        await self._deliverer.stop()


def check_webhook(allowed: Destinations, url: str) -> None:
    """Raises InvalidRequest for what is no http(s) address, OutgoingRefused for one that is not allowed."""
    try:
        parts = urlsplit(url)
        host, port = parts.hostname or "", parts.port
        if not host or parts.username or parts.password or not url.isascii() or not url.isprintable() or " " in url:
            raise ValueError(url)
    except ValueError as error:
        raise InvalidRequest("it is not an http(s) address without a user in it", "url") from error
    allowed.check(parts.scheme, host, port)
