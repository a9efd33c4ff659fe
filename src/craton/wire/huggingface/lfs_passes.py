"""The tickets in the addresses that large files are sent to: for one tenant, one digest and one size, for a while.

Clients send the bytes without any header of theirs, so the address alone says what may be done. A ticket ends with the
key that it was made with.
"""

from __future__ import annotations

import msgspec

from craton.access.tickets import Tickets, is_ticket
from craton.core.access import Caller
from craton.core.errors import Unauthenticated
from craton.hub.uploads import Upload
from craton.wire.http import Request

PREFIX = "/api/lfs"
SECONDS = 24 * 3600  # that an address lasts: a large file on a slow line takes hours
_PURPOSE = "lfs upload"


class LfsPasses:
    """Makes and checks them."""

    def __init__(self, tickets: Tickets) -> None:
        self._tickets = tickets

    def caller(self, request: Request) -> Caller | None:
        """Whose ticket it is; None without one: the key that came instead opens nothing here."""
        if not request.path.startswith(PREFIX + "/") or not is_ticket(_sent(request)):
            return None
        return self._check(request)[1]

    def issue(self, caller: Caller, upload: Upload) -> str:
        return self._tickets.issue(caller, _PURPOSE, msgspec.msgpack.encode(upload), SECONDS)[0]

    def upload(self, request: Request) -> Upload:
        """What the request's ticket allows to be sent. Raises Unauthenticated."""
        return self._check(request)[0]

    def _check(self, request: Request) -> tuple[Upload, Caller]:
        sent = _sent(request)
        if not is_ticket(sent):
            raise Unauthenticated("This address needs the ticket that it was given out with.")
        ticket, holder = self._tickets.check(sent)
        if ticket.purpose != _PURPOSE:
            raise Unauthenticated("The ticket is for something else.")
        upload = msgspec.msgpack.decode(ticket.content, type=Upload)
        if upload.digest != request.path.removeprefix(f"{PREFIX}/objects/").split("/", 1)[0]:
            raise Unauthenticated("The ticket is for another file.")
        return upload, holder


def _sent(request: Request) -> str:
    return request.query_params().get("ticket", "")
