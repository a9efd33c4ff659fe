"""Webhooks: a tenant's URLs that are told what happens to repositories and in their discussions."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal, Protocol

from msgspec import Struct
from msgspec.structs import replace
from sqlalchemy import Connection, Row, delete, func, insert, select, update
from sqlalchemy.sql.elements import ColumnElement

from craton.core.errors import Conflict, InvalidRequest, NotFound
from craton.hub.collaboration.rows import new_id
from craton.hub.collaboration.tables import deliveries, watched, webhooks
from craton.store.database import Database

MAX_WEBHOOKS = 100  # of one tenant
MAX_WATCHED = 100  # by one webhook
MAX_URL, MAX_SECRET = 2000, 500  # characters

WatchedKind = Literal["user", "org", "model", "dataset", "space"]
Domain = Literal["repo", "discussion"]


class Sealing(Protocol):
    """Keeps secrets unreadable in rows: `access.vault.Vault` is one."""

    def seal(self, tenant: str, name: str, value: str) -> bytes: ...

    def unseal(self, tenant: str, name: str, sealed: bytes) -> str: ...


class Watched(Struct, frozen=True):
    """A repository by namespace/name, or everything in a namespace ("user" or "org": the same here)."""

    type: WatchedKind
    name: str


class Webhook(Struct, frozen=True):
    id: str
    url: str
    watched: tuple[Watched, ...]
    domains: tuple[Domain, ...]
    secret: str | None
    disabled: bool


class NewWebhook(Struct, frozen=True):
    url: str
    watched: tuple[Watched, ...]
    domains: tuple[Domain, ...] = ("repo", "discussion")
    secret: str | None = None


class WebhookChange(Struct, frozen=True):
    """What is None stays."""

    url: str | None = None
    watched: tuple[Watched, ...] | None = None
    domains: tuple[Domain, ...] | None = None
    secret: str | None = None


class Webhooks:
    """Blocking, safe in threads. check_url: raises OutgoingRefused for what the operator does not let out."""

    def __init__(
        self, database: Database, sealing: Sealing, clock: Callable[[], float], check_url: Callable[[str], None]
    ) -> None:
        self._database, self._sealing, self._clock, self._check_url = database, sealing, clock, check_url

    def create(self, tenant: str, new: NewWebhook) -> Webhook:
        """Raises InvalidRequest, OutgoingRefused, Conflict."""
        made = Webhook(new_id(), new.url, new.watched, new.domains, new.secret, disabled=False)
        self._check(made)
        table = webhooks.c
        with self._database.write() as connection:
            count = connection.scalar(select(func.count()).select_from(webhooks).where(table.tenant == tenant)) or 0
            if count >= MAX_WEBHOOKS:
                raise Conflict("webhook", made.url, f"there may be {MAX_WEBHOOKS}")
            connection.execute(
                insert(webhooks).values(
                    tenant=tenant, id=made.id, created=self._clock(), disabled=False, **self._values(tenant, made)
                )
            )
            _watch(connection, tenant, made)
        return made

    def get(self, tenant: str, id: str) -> Webhook:
        """Raises NotFound."""
        with self._database.read() as connection:
            return self._find(connection, tenant, id)

    def list(self, tenant: str) -> list[Webhook]:
        """Oldest first."""
        table = webhooks.c
        with self._database.read() as connection:
            query = select(webhooks).where(table.tenant == tenant).order_by(table.created, table.id)
            return [self._webhook(connection, row) for row in connection.execute(query).all()]

    def change(self, tenant: str, id: str, change: WebhookChange) -> Webhook:
        values = {name: value for name in change.__struct_fields__ if (value := getattr(change, name)) is not None}
        with self._database.write() as connection:
            made = replace(self._find(connection, tenant, id), **values)
            self._check(made)
            connection.execute(update(webhooks).where(_is(tenant, id)).values(self._values(tenant, made)))
            connection.execute(delete(watched).where(watched.c.tenant == tenant, watched.c.webhook == id))
            _watch(connection, tenant, made)
        return made

    def switch(self, tenant: str, id: str, *, disabled: bool) -> Webhook:
        """What waits for one that is disabled is kept for a week."""
        with self._database.write() as connection:
            self._find(connection, tenant, id)
            connection.execute(update(webhooks).where(_is(tenant, id)).values(disabled=disabled))
            return self._find(connection, tenant, id)

    def delete(self, tenant: str, id: str) -> None:
        """With what waits to be delivered."""
        with self._database.write() as connection:
            self._find(connection, tenant, id)
            connection.execute(delete(deliveries).where(deliveries.c.tenant == tenant, deliveries.c.webhook == id))
            connection.execute(delete(watched).where(watched.c.tenant == tenant, watched.c.webhook == id))
            connection.execute(delete(webhooks).where(_is(tenant, id)))

    def _check(self, made: Webhook) -> None:
        if not 1 <= len(made.url) <= MAX_URL:
            raise InvalidRequest(f"use 1 to {MAX_URL} characters", "url")
        self._check_url(made.url)
        if not 1 <= len(made.watched) <= MAX_WATCHED:
            raise InvalidRequest(f"name 1 to {MAX_WATCHED} things to watch", "watched")
        for item in made.watched:
            whole = item.type in ("user", "org")
            if not 1 <= len(item.name) <= 200 or ("/" in item.name) is whole:
                raise InvalidRequest(f"{item.name[:100]!r} is not the name of a {item.type}", "watched")
        if not made.domains:
            raise InvalidRequest('use "repo", "discussion" or both', "domains")
        if made.secret is not None and not (
            made.secret.isascii() and made.secret.isprintable() and 1 <= len(made.secret.strip()) <= MAX_SECRET
        ):
            raise InvalidRequest(f"use 1 to {MAX_SECRET} printable ASCII characters", "secret")

    def _values(self, tenant: str, made: Webhook) -> dict[str, object]:
        secret = None if made.secret is None else self._sealing.seal(tenant, _sealed_as(made.id), made.secret)
        return {
            "url": made.url,
            "secret": secret,
            "repo_domain": "repo" in made.domains,
            "discussion_domain": "discussion" in made.domains,
        }

    def _find(self, connection: Connection, tenant: str, id: str) -> Webhook:
        row = connection.execute(select(webhooks).where(_is(tenant, id))).one_or_none()
        if row is None:
            raise NotFound("webhook", id[:64])
        return self._webhook(connection, row)

    def _webhook(self, connection: Connection, row: Row[tuple[object, ...]]) -> Webhook:
        table, found = watched.c, row._mapping
        tenant, id = str(found["tenant"]), str(found["id"])
        query = select(table.kind, table.name).where(table.tenant == tenant, table.webhook == id)
        items = tuple(Watched(it.kind, it.name) for it in connection.execute(query.order_by(table.position)))
        domains: tuple[Domain, ...] = ()
        domains += ("repo",) if found["repo_domain"] else ()
        domains += ("discussion",) if found["discussion_domain"] else ()
        sealed = found["secret"]
        secret = self._sealing.unseal(tenant, _sealed_as(id), bytes(sealed)) if isinstance(sealed, bytes) else None
        return Webhook(id, str(found["url"]), items, domains, secret, bool(found["disabled"]))


def _sealed_as(id: str) -> str:
    return f"webhook {id}"


def _watch(connection: Connection, tenant: str, made: Webhook) -> None:
    connection.execute(
        insert(watched),
        [
            {"tenant": tenant, "webhook": made.id, "position": position, "kind": item.type, "name": item.name}
            for position, item in enumerate(made.watched)
        ],
    )


def _is(tenant: str, id: str) -> ColumnElement[bool]:
    return (webhooks.c.tenant == tenant) & (webhooks.c.id == id)
