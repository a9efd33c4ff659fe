"""Requests for access to gated repositories: asked by others, answered by the owner. `admission` reads them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Literal

import msgspec
from msgspec import Struct
from sqlalchemy import Connection, Row, insert, select, update
from sqlalchemy.sql.elements import ColumnElement

from craton.core.errors import InvalidRequest, NotFound
from craton.hub.changes import Place
from craton.hub.collaboration.bounds import check_note
from craton.hub.collaboration.rows import check_there, new_id
from craton.hub.collaboration.tables import access_requests
from craton.hub.reaching import Reached
from craton.store.database import Database

AccessStatus = Literal["pending", "accepted", "rejected"]
MAX_REASON = 200  # characters
MAX_FIELDS, MAX_FIELD = 32, 2000  # how many, characters of each

_table = access_requests.c
_encode = msgspec.json.Encoder().encode


class AccessRequest(Struct, frozen=True):
    """fields: what the applicant filled in. granted: the owner let the applicant in without having been asked."""

    id: str
    applicant: str
    status: AccessStatus
    created: float
    fields: dict[str, str] | None
    granted: bool
    reason: str


class AccessRequests:
    """Blocking, safe in threads. Whoever calls answers for `reached` being the caller's own where only the owner may.

    is_tenant: whether there is a tenant of this name.
    """

    def __init__(self, database: Database, clock: Callable[[], float], is_tenant: Callable[[str], bool]) -> None:
        self._database, self._clock, self._is_tenant = database, clock, is_tenant

    def ask(self, who: str, reached: Reached, fields: Mapping[str, str]) -> AccessStatus:
        """What became of it. Asking again changes nothing: what the owner decided stands.

        Raises InvalidRequest where there is nothing to ask for.
        """
        _check_gated(reached)
        if reached.own:
            raise InvalidRequest("the repository is your own", "repo")
        filled = _check_fields(fields)
        with self._database.write() as connection:
            check_there(connection, Place.of(reached))
            known = _find(connection, reached, _table.applicant == who)
            if known is not None:
                return known.status
            status: AccessStatus = "accepted" if reached.gated == "auto" else "pending"
            self._insert(connection, reached, who, status, filled, granted=False)
            return status

    def grant(self, reached: Reached, user: str) -> None:
        """Lets a user in who has not asked, or whose request waits or was rejected.

        Raises NotFound (no such user), InvalidRequest when the user is in already.
        """
        _check_gated(reached)
        if not self._is_tenant(user):
            raise NotFound("user", user[:64])
        if user == reached.owner:
            raise InvalidRequest("the owner has access already", "user")
        with self._database.write() as connection:
            check_there(connection, Place.of(reached))
            known = _find(connection, reached, _table.applicant == user)
            if known is None:
                self._insert(connection, reached, user, "accepted", None, granted=True)
            elif known.status == "accepted":
                raise InvalidRequest(f"{user!r} has access already", "user")
            else:
                _set(connection, reached, known.applicant, "accepted", "")

    def handle(
        self, reached: Reached, status: AccessStatus, *, user: str | None, request: str | None, reason: str = ""
    ) -> None:
        """Moves a request, named by its user or its id, to a status; "pending" takes access away.

        Raises NotFound when there is none, or when it has that status.
        """
        _check_gated(reached)
        if (user is None) == (request is None):
            raise InvalidRequest("name either the user or the request", "user")
        reason = check_note(reason, "rejectionReason", MAX_REASON)
        which = _table.applicant == user if user is not None else _table.id == request
        with self._database.write() as connection:
            known = _find(connection, reached, which)
            if known is None:
                raise NotFound("access request", (user or request or "")[:64])
            if known.status == status:
                raise NotFound("access request", known.applicant, f"It is {status} already.")
            _set(connection, reached, known.applicant, status, reason)

    def list(self, reached: Reached, status: AccessStatus, after: str, limit: int) -> list[AccessRequest]:
        """By user's name, those behind `after`."""
        query = select(access_requests).where(_of(reached), _table.status == status, _table.applicant > after)
        with self._database.read() as connection:
            found = connection.execute(query.order_by(_table.applicant).limit(limit))
            return [_request(row) for row in found]

    def _insert(
        self,
        connection: Connection,
        reached: Reached,
        who: str,
        status: AccessStatus,
        fields: dict[str, str] | None,
        *,
        granted: bool,
    ) -> None:
        connection.execute(
            insert(access_requests).values(
                tenant=reached.owner,
                repository=reached.id,
                applicant=who,
                id=new_id(),
                status=status,
                created=self._clock(),
                fields=_encode(fields).decode() if fields else None,
                granted=granted,
                reason="",
            )
        )


def _check_gated(reached: Reached) -> None:
    if not reached.gated:
        raise InvalidRequest(f"{reached.repo.path} is not gated", "repo")


def _check_fields(fields: Mapping[str, str]) -> dict[str, str]:
    if len(fields) > MAX_FIELDS:
        raise InvalidRequest(f"there may be {MAX_FIELDS} fields", "fields")
    return {check_note(name, "fields", 200): check_note(value, name[:40], MAX_FIELD) for name, value in fields.items()}


def _of(reached: Reached) -> ColumnElement[bool]:
    return (_table.tenant == reached.owner) & (_table.repository == reached.id)


def _find(connection: Connection, reached: Reached, which: ColumnElement[bool]) -> AccessRequest | None:
    row = connection.execute(select(access_requests).where(_of(reached), which)).one_or_none()
    return None if row is None else _request(row)


def _set(connection: Connection, reached: Reached, applicant: str, status: AccessStatus, reason: str) -> None:
    mine = _of(reached) & (_table.applicant == applicant)
    connection.execute(update(access_requests).where(mine).values(status=status, reason=reason))


def _request(row: Row[Any]) -> AccessRequest:
    fields = msgspec.json.decode(row.fields, type=dict[str, str]) if row.fields else None
    return AccessRequest(row.id, row.applicant, row.status, row.created, fields, row.granted, row.reason)
