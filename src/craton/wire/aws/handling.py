"""What an operation's handler is, and what many of them share."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection

from craton.core.chat import Json
from craton.core.errors import Unsupported
from craton.knowledge.protocol import Page
from craton.serve.inference import Call
from craton.wire.aws.service import Operation
from craton.wire.http import Reply, Request

Handle = Callable[[Operation, Request, Json], Awaitable[Reply]]


def call_of(operation: Operation, request: Request) -> Call:
    return Call(request.authenticated, request.request_id, "aws", operation.name)


def page_of(value: Json) -> Page:
    """maxResults and nextToken, as nearly every listing has them."""
    return Page(size=value.get("maxResults", 100), cursor=value.get("nextToken", ""))


def next_token(cursor: str) -> Json:
    return {"nextToken": cursor} if cursor else {}


def refuse_members(value: Json, members: Collection[str], where: str, hint: str = "") -> None:
    """Raises Unsupported for a member that is understood and cannot be done: it must not be dropped in silence."""
    for name in members:
        if value.get(name):
            raise Unsupported(f"{where}.{name}" if where else name, hint)
