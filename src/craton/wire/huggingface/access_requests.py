"""Who may read a repository's files, on the wire: the question, and requests for access to gated ones."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any, Literal
from urllib.parse import parse_qsl

import msgspec
from msgspec import Struct

from craton.core.access import Action
from craton.core.errors import InvalidRequest, NotFound
from craton.hub.admission import Admission
from craton.hub.collaboration.access import AccessRequest, AccessRequests, AccessStatus
from craton.hub.reaching import Need, Reached, Reaching
from craton.wire.body import read_body
from craton.wire.http import Handler, Reply, Request, Route, decode_json, json_reply
from craton.wire.huggingface.naming import api_patterns, file_patterns, hub_route, repo_of
from craton.wire.huggingface.people import cursor_of, limit_of, page_of, write_page
from craton.wire.huggingface.values import write_time

STATUSES: dict[str, AccessStatus] = {"pending": "pending", "accepted": "accepted", "rejected": "rejected"}


class Handling(Struct, frozen=True, rename="camel"):
    status: Literal["pending", "accepted", "rejected"]
    user: str | None = None
    request_id: str | None = None
    rejection_reason: str | None = None


class Granting(Struct, frozen=True):
    user: str


_HANDLING = msgspec.json.Decoder(Handling)
_GRANTING = msgspec.json.Decoder(Granting)


class AccessRequestRoutes:
    """Lists and answers are the owner's; asking is for everybody who sees the repository."""

    def __init__(self, reaching: Reaching, requests: AccessRequests, admission: Admission) -> None:
        self._reaching, self._requests, self._admission = reaching, requests, admission

    def routes(self) -> list[Route]:
        return [*self._routes()]

    def _routes(self) -> Iterator[Route]:
        def owner(method: str, rest: str, operation: str, handler: Handler, action: Action) -> Iterator[Route]:
            for pattern in api_patterns(f"/user-access-request{rest}"):
                yield hub_route(method, pattern, operation, handler, action)

        for pattern in file_patterns("/ask-access"):
            yield hub_route("POST", pattern, "AskForAccess", self._ask, Action.WRITE, max_body=64 * 1024)
        for pattern in api_patterns("/auth-check"):
            yield hub_route("GET", pattern, "CheckAccess", self._check, Action.READ)
            yield hub_route("GET", f"{pattern}/write", "CheckWriteAccess", self._check_write, Action.WRITE)
        yield from owner("GET", "/{status}", "ListAccessRequests", self._list, Action.READ)
        yield from owner("POST", "/handle", "HandleAccessRequest", self._handle, Action.WRITE)
        yield from owner("POST", "/grant", "GrantAccess", self._grant, Action.WRITE)

    async def _ask(self, request: Request) -> Reply:
        who, reached = await self._reach(request, "see")
        status = await asyncio.to_thread(self._requests.ask, who, reached, _fields(request))
        return json_reply(200, {"status": status})

    async def _check(self, request: Request) -> Reply:
        who, reached = await self._reach(request, "see")
        await asyncio.to_thread(self._admission.check, who, reached)
        return json_reply(200, {})

    async def _check_write(self, request: Request) -> Reply:
        await self._reach(request, "write")
        return json_reply(200, {})

    async def _list(self, request: Request) -> Reply:
        _, reached = await self._reach(request, "write")
        status = STATUSES.get(request.params["status"])
        if status is None:
            raise NotFound("list of access requests", request.params["status"][:40])
        limit = limit_of(request)
        after = cursor_of(request)
        asked = await asyncio.to_thread(self._requests.list, reached, status, after, limit + 1)
        found, more = page_of(asked, limit)
        return write_page(request, [_request(it) for it in found], found[-1].applicant if more else None)

    async def _handle(self, request: Request) -> Reply:
        _, reached = await self._reach(request, "write")
        asked = read_body(_HANDLING, request.body, {})
        reason = asked.rejection_reason or ""
        if reason and asked.status != "rejected":
            raise InvalidRequest("only a rejection has a reason", "rejectionReason")
        await asyncio.to_thread(
            lambda: self._requests.handle(
                reached, asked.status, user=asked.user, request=asked.request_id, reason=reason
            )
        )
        return json_reply(200, {})

    async def _grant(self, request: Request) -> Reply:
        _, reached = await self._reach(request, "write")
        user = read_body(_GRANTING, request.body, {}).user
        await asyncio.to_thread(self._requests.grant, reached, user)
        return json_reply(200, {})

    async def _reach(self, request: Request, need: Need) -> tuple[str, Reached]:
        who = request.authenticated.tenant
        return who, await asyncio.to_thread(self._reaching.reach, who, repo_of(request), need)


def _fields(request: Request) -> dict[str, str]:
    """What the applicant filled in: a form, as browsers send it, or a JSON object."""
    body = request.body.strip()
    if not body:
        return {}
    if not body.startswith(b"{"):
        try:
            return dict(parse_qsl(body.decode(), keep_blank_values=True, max_num_fields=100))
        except ValueError as error:
            raise InvalidRequest("the form cannot be read", "fields") from error
    found = decode_json(body)
    if not all(isinstance(value, str | bool | int) for value in found.values()):
        raise InvalidRequest("fields are text, numbers or yes and no", "fields")
    return {name: str(value) for name, value in found.items()}


def _request(found: AccessRequest) -> dict[str, Any]:
    """No e-mail address: tenants have none."""
    body: dict[str, Any] = {
        "requestId": found.id,
        "user": {"user": found.applicant, "fullname": found.applicant, "type": "user"},
        "status": found.status,
        "timestamp": write_time(found.created),
    }
    if found.fields:
        body["fields"] = found.fields
    if found.reason:
        body["rejectionReason"] = found.reason
    if found.granted:
        body["grantedBy"] = {"type": "user"}
    return body
