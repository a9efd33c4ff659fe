"""What happened, put into the queue of every webhook that watches, in the transaction in which it happened.

So nothing is told that was undone, and nothing that was done is forgotten, whatever ends the process after that.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable
from typing import Any, Literal

import msgspec
from msgspec import Struct
from sqlalchemy import Connection, and_, insert, or_, select

from craton.core.access import SHARED_TENANT
from craton.core.repo import RepoKind
from craton.hub.changes import Change, Configured, Created, Deleted, Moved, Place, Updated
from craton.hub.collaboration.discussions import Said
from craton.hub.collaboration.tables import access_requests, deliveries, watched, webhooks
from craton.hub.collaboration.words import Comment, Status
from craton.hub.refs import Refs
from craton.hub.tables import repositories

Scope = Literal["repo", "repo.content", "repo.config", "discussion", "discussion.comment"]
Action = Literal["create", "delete", "move", "update"]


class Moving(Struct, frozen=True):
    ref: str
    old: str | None
    new: str | None


class Talk(Struct, frozen=True):
    """A discussion. target: of a pull request."""

    number: int
    author: str
    title: str
    status: Status
    target: str | None
    merged: str | None


class Remark(Struct, frozen=True):
    id: str
    author: str
    text: str
    hidden: bool


class Happening(Struct, frozen=True, omit_defaults=True):
    """owner and repository name whose it is by tenant and id; name: namespace/name; head: where main stands."""

    scope: Scope
    action: Action
    owner: str
    repository: str
    kind: RepoKind
    name: str
    private: bool
    head: str | None = None
    refs: tuple[Moving, ...] = ()
    config: dict[str, Any] | None = None
    moved_to: str | None = None
    discussion: Talk | None = None
    comment: Remark | None = None


_encode = msgspec.json.Encoder().encode


class Outbox:
    """A listener of `hub.changes` and of discussions. clock: seconds since the epoch."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock

    def changed(self, connection: Connection, change: Change) -> None:
        place = change.place
        if isinstance(change, Created):
            self._post(connection, place, _happening(place, "repo", "create"))
        elif isinstance(change, Deleted):
            self._post(connection, place, _happening(place, "repo", "delete"))
        elif isinstance(change, Moved):
            self._post(connection, place, _happening(place, "repo", "move", moved_to=change.to.path))
        elif isinstance(change, Configured):
            config = {} if change.private is None else {"private": change.private}
            self._post(connection, place, _happening(place, "repo.config", "update", config=config))
        elif isinstance(change, Updated):
            refs = tuple(Moving(it.ref, it.old, it.new) for it in change.refs)
            head = Refs(connection, place.owner, place.id).get("branch", "main")
            self._post(connection, place, _happening(place, "repo.content", "update", refs=refs, head=head))

    def said(self, connection: Connection, said: Said) -> None:
        """A new discussion comes with its first comment and is one event, as on the Hub."""
        found = said.discussion
        talk = Talk(
            found.number,
            found.author,
            found.title,
            found.status,
            found.pull.target if found.pull else None,
            found.pull.merged if found.pull else None,
        )
        remark = None
        if said.comment is not None and isinstance(said.comment.content, Comment):
            content = said.comment.content
            remark = Remark(said.comment.id, said.comment.author, content.text, bool(content.hidden_by))
        opened = said.new and found.comments == 0
        scope: Scope = "discussion" if remark is None or opened else "discussion.comment"
        action: Action = "create" if said.new else "update"
        self._post(
            connection,
            said.place,
            _happening(said.place, scope, action, discussion=talk, comment=remark),
            restricted=True,
        )

    def _post(self, connection: Connection, place: Place, it: Happening, *, restricted: bool = False) -> None:
        """restricted: it quotes what only those hear who were let in, where the repository is gated."""
        now = self._clock()
        waiting = [
            {
                "tenant": row.tenant,
                "id": secrets.token_hex(16),
                "webhook": row.id,
                "payload": _encode(it).decode(),
                "created": now,
                "attempts": 0,
                "due": now,
                "failure": "",
            }
            for row in connection.execute(_watching(place, it))
            if not restricted or _admitted(connection, place, row.tenant)
        ]
        if waiting:
            connection.execute(insert(deliveries), waiting)


def _watching(place: Place, it: Happening) -> Any:
    """The webhooks that are to hear of it: of tenants that may see the repository."""
    hook, item = webhooks.c, watched.c
    named = or_(
        and_(item.kind == place.repo.kind, item.name == place.repo.path),
        and_(item.kind.in_(("user", "org")), item.name == place.repo.namespace),
    )
    query = (
        select(hook.tenant, hook.id)
        .join_from(watched, webhooks, (item.tenant == hook.tenant) & (item.webhook == hook.id))
        .where(named, hook.disabled.is_(False))
        .distinct()
    )
    query = query.where((hook.repo_domain if it.scope.startswith("repo") else hook.discussion_domain).is_(True))
    if place.private and place.owner != SHARED_TENANT:
        query = query.where(hook.tenant == place.owner)
    return query


def _admitted(connection: Connection, place: Place, tenant: str) -> bool:
    """As `admission` says it, inside this transaction."""
    repository, request = repositories.c, access_requests.c
    gated = select(repository.gated).where(repository.tenant == place.owner, repository.id == place.id)
    if tenant == place.owner or not connection.scalar(gated):
        return True
    mine = (request.tenant == place.owner) & (request.repository == place.id) & (request.applicant == tenant)
    return connection.scalar(select(request.status).where(mine)) == "accepted"


def _happening(place: Place, scope: Scope, action: Action, **rest: Any) -> Happening:
    return Happening(scope, action, place.owner, place.id, place.repo.kind, place.repo.path, place.private, **rest)
