"""Tickets: short-lived, narrow credentials that are derived from a key and end with it.

A ticket says what it is for and what it allows, and carries a MAC over both: nothing is stored. What it allows is its
purpose's own affair.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
from collections.abc import Callable

import msgspec
from msgspec import Struct

from craton.access.keys import Keys
from craton.core.access import Caller
from craton.core.errors import Unauthenticated

PREFIX = "ticket-"
MAX_LENGTH = 4096  # characters


class Ticket(Struct, frozen=True, array_like=True):
    """key_id: the key that it was made with. expires: seconds since the epoch. content: what it allows."""

    purpose: str
    key_id: str
    expires: int
    content: bytes


class Tickets:
    """Blocking (a key is looked up), safe in threads. clock: seconds since the epoch."""

    def __init__(self, keys: Keys, clock: Callable[[], float]) -> None:
        self._keys, self._clock = keys, clock
        self._secret = keys.subkey("tickets")

    def issue(self, caller: Caller, purpose: str, content: bytes, seconds: int) -> tuple[str, int]:
        """The ticket, and when it ends."""
        expires = int(self._clock()) + seconds
        body = msgspec.msgpack.encode(Ticket(purpose, caller.key_id, expires, content))
        return PREFIX + _text(body) + "." + _text(self._mac(body)), expires

    def check(self, text: str) -> tuple[Ticket, Caller]:
        """The ticket, and the holder of its key as he is now. Raises Unauthenticated."""
        try:
            body, mac = (_bytes(part) for part in text[:MAX_LENGTH].removeprefix(PREFIX).split("."))
        except (ValueError, binascii.Error):
            raise _invalid() from None
        if not hmac.compare_digest(self._mac(body), mac):
            raise _invalid()
        ticket = msgspec.msgpack.decode(body, type=Ticket)
        if ticket.expires <= self._clock():
            raise Unauthenticated("The ticket has expired.", "expired")
        return ticket, self._keys.holder(ticket.key_id)

    def _mac(self, body: bytes) -> bytes:
        return hmac.digest(self._secret, body, hashlib.sha256)


def is_ticket(text: str) -> bool:
    return text.startswith(PREFIX)


def _text(value: bytes) -> str:
    return base64.urlsafe_b64encode(value).rstrip(b"=").decode()


def _bytes(text: str) -> bytes:
    return base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)


def _invalid() -> Unauthenticated:
    return Unauthenticated("The ticket is not valid.", "invalid")
