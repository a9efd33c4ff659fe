"""The tokens of the Xet routes: tickets for one repository, to read or to write, and for one run of stored chunks.

A client asks the Hub for the first kind with its key, and sends them to the routes below /xet, which take nothing else.
The second kind stands in the query of the addresses that a reconstruction gives out, since clients fetch those without
any header of theirs.
"""

from __future__ import annotations

import msgspec
from msgspec import Struct

from craton.access.tickets import Ticket, Tickets, is_ticket
from craton.core.access import Caller, KeyRole
from craton.core.errors import Forbidden, Unauthenticated
from craton.core.repo import RepoId
from craton.wire.http import Request

PREFIX = "/xet"
SECONDS = 3600  # that a token lasts; clients ask for a new one in time
READ, WRITE, RANGE = "xet read", "xet write", "xet range"


class Grant(Struct, frozen=True, array_like=True):
    """A repository: whose it is, its row's id, its name. commit: of somebody else's, the revision that may be read."""

    owner: str
    id: str
    repo: RepoId
    commit: str = ""


class RangeGrant(Struct, frozen=True, array_like=True):
    """The stored bytes of a blob from first to last, both included."""

    blob: str
    first: int
    last: int


class XetPasses:
    """Makes and checks them."""

    def __init__(self, tickets: Tickets) -> None:
        self._tickets = tickets

    def caller(self, request: Request) -> Caller | None:
        """Whose pass it is: one to read makes nobody more than a reader."""
        if not request.path.startswith(PREFIX + "/") or not is_ticket(_sent(request)):
            return None
        ticket, holder = self._tickets.check(_sent(request))
        role = holder.role if ticket.purpose == WRITE else KeyRole.READER
        return msgspec.structs.replace(holder, role=role)

    def issue(self, caller: Caller, purpose: str, grant: Grant | RangeGrant) -> tuple[str, int]:
        """The token, and when it ends in seconds since the epoch."""
        return self._tickets.issue(caller, purpose, msgspec.msgpack.encode(grant), SECONDS)

    def grant(self, request: Request, *, write: bool = False) -> Grant:
        """What the request's token allows. Raises Unauthenticated; Forbidden when it is not one to write with."""
        ticket = self._ticket(request, (READ, WRITE))
        if write and ticket.purpose != WRITE:
            raise Forbidden("write", KeyRole.READER.value)
        return msgspec.msgpack.decode(ticket.content, type=Grant)

    def range(self, request: Request) -> RangeGrant:
        return msgspec.msgpack.decode(self._ticket(request, (RANGE,)).content, type=RangeGrant)

    def _ticket(self, request: Request, purposes: tuple[str, ...]) -> Ticket:
        sent = _sent(request)
        if is_ticket(sent):
            ticket, _ = self._tickets.check(sent)
            if ticket.purpose in purposes:
                return ticket
        raise Unauthenticated(
            "This route takes a Xet token; the repository's xet-read-token and xet-write-token give one."
        )


def _sent(request: Request) -> str:
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    return token.strip() if scheme.lower() == "bearer" else request.query_params().get("ticket", "")
