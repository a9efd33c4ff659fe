"""Idempotency: a caller's token, and what its first call made. Read and written in that call's own transaction."""

from __future__ import annotations

from sqlalchemy import Connection, delete, insert, select

from craton.core.errors import Conflict, InvalidRequest
from craton.knowledge.rows import digest, encode
from craton.knowledge.tables import tokens

KEPT = 24 * 3600.0  # seconds
MAX_TOKEN = 256  # characters


class Token:
    """One call's token. request: everything that the caller asked for, as values that JSON can say."""

    def __init__(self, tenant: str, operation: str, token: str, request: object, now: float) -> None:
        """Raises InvalidRequest for a token that is too long."""
        if len(token) > MAX_TOKEN:
            raise InvalidRequest(f"it has at most {MAX_TOKEN} characters", "token")
        self._tenant, self._operation, self._token, self._now = tenant, operation, token, now
        self._request = digest(encode(request)) if token else ""

    def known(self, connection: Connection) -> str | None:
        """What `remember` was given by the first call, None when this is it.

        Raises Conflict when the token came with another request.
        """
        if not self._token:
            return None
        row = connection.execute(
            select(tokens.c.request, tokens.c.result).where(
                tokens.c.tenant == self._tenant,
                tokens.c.operation == self._operation,
                tokens.c.token == self._token,
                tokens.c.created > self._now - KEPT,
            )
        ).one_or_none()
        if row is None:
            return None
        if row.request != self._request:
            raise Conflict("token", self._token, "it came with another request before")
        result: str = row.result
        return result

    def remember(self, connection: Connection, result: str) -> None:
        if not self._token:
            return
        connection.execute(delete(tokens).where(tokens.c.tenant == self._tenant, tokens.c.created <= self._now - KEPT))
        connection.execute(
            insert(tokens).values(
                tenant=self._tenant,
                operation=self._operation,
                token=self._token,
                request=self._request,
                result=result,
                created=self._now,
            )
        )
