"""From a request's credentials to its caller.

One key works in three forms: as a bearer token (`Authorization: Bearer`, `x-api-key`, `api-key`), as a SigV4 pair in
the Authorization header, and as a SigV4 pair in a presigned query. Some paths take passes as well: credentials that
were derived from a key for them alone.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from craton.access.keys import Keys
from craton.core.access import STRANGER, Caller, KeyRole
from craton.core.errors import Unauthenticated
from craton.wire.aws.sigv4 import Signature, claimed_key_id, is_signed, verify
from craton.wire.http import Request, Route

MAX_CREDENTIAL = 4096  # characters; longer ones are not looked at


class Passes(Protocol):
    """Credentials that a few paths take beside keys."""

    def caller(self, request: Request) -> Caller | None:
        """Whose pass it is; None when there is none, or none is taken here. Raises Unauthenticated for a bad one."""
        ...


class AnyPasses:
    """The passes of several sets of paths."""

    def __init__(self, *passes: Passes) -> None:
        self._passes = passes

    def caller(self, request: Request) -> Caller | None:
        found = (passes.caller(request) for passes in self._passes)
        return next((caller for caller in found if caller is not None), None)


class Authenticator:
    """Checks in two steps: `precheck` needs no body and turns most strangers away before one is read."""

    def __init__(
        self, keys: Keys, clock: Callable[[], float], passes: Passes | None = None, *, strangers: bool = False
    ) -> None:
        """strangers: whether routes that are open answer them. Wrong credentials are refused all the same."""
        self._strangers = strangers
        self._keys = keys
        self._clock = clock
        self._passes = passes

    def precheck(self, request: Request, route: Route | None = None) -> Caller | None:
        """The caller of a bearer token or a pass; None when a signature is yet to be verified against the body.

        Raises Unauthenticated, also for a signature by a key that does not exist.
        """
        passed = self._passes.caller(request) if self._passes else None
        if passed is not None:
            return passed
        if is_signed(request):
            self._keys.signing(claimed_key_id(request))
            return None
        if self._strangers and route is not None and route.open and not _has_credentials(request):
            return Caller(STRANGER, "", KeyRole.READER)
        return self._keys.verify_token(bearer_token(request))

    def verify_signature(self, request: Request) -> Signature:
        """The signature's caller and the AWS service that it was made for. The body must have been read."""
        return verify(request, self._keys.signing, self._clock())


def _has_credentials(request: Request) -> bool:
    return any(name in request.headers for name in ("authorization", "x-api-key", "api-key"))


def bearer_token(request: Request) -> str:
    """The bearer token of a request. Raises Unauthenticated when there is none."""
    headers = request.headers
    scheme, _, token = headers.get("authorization", "").partition(" ")
    if not (scheme.lower() == "bearer" and token):
        token = headers.get("x-api-key") or headers.get("api-key") or ""
    token = token.strip()
    if not token:
        raise Unauthenticated(
            "No API key was sent. Send `Authorization: Bearer KEY`, `x-api-key: KEY` or an AWS signature.", "missing"
        )
    if len(token) > MAX_CREDENTIAL:
        raise Unauthenticated("The API key is not valid.", "invalid")
    return token
