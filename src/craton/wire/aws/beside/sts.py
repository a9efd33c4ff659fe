"""STS: who is calling."""

from __future__ import annotations

from typing import Any

from craton.core.access import KeyRole
from craton.wire.aws.account import account_of, arn_of
from craton.wire.http import Request

REAL = frozenset({"GetCallerIdentity"})


class Sts:
    """Handlers by operation name. Blocking."""

    def __init__(self) -> None:
        self.handlers = {"GetCallerIdentity": self.identity}

    def identity(self, request: Request, _value: dict[str, Any]) -> dict[str, Any]:
        caller = request.authenticated
        account = account_of(caller.tenant)
        user = account if caller.role is KeyRole.ROOT else caller.key_id
        return {"UserId": user, "Account": account, "Arn": arn_of(caller)}
