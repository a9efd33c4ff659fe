"""Which role may do what: the one table. What is not in it is refused."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from craton.core.access import Action, Caller, KeyRole
from craton.core.errors import Forbidden

_READER = frozenset({Action.PUBLIC, Action.READ})
_INVOKER = _READER | {Action.INVOKE}
_DEVELOPER = _INVOKER | {Action.WRITE}
_ADMIN = _DEVELOPER | {Action.ADMINISTER}
_ROOT = _ADMIN | {Action.OPERATE}

ALLOWED: Mapping[KeyRole, frozenset[Action]] = MappingProxyType(
    {
        KeyRole.READER: _READER,
        KeyRole.INVOKER: _INVOKER,
        KeyRole.DEVELOPER: _DEVELOPER,
        KeyRole.ADMIN: _ADMIN,
        KeyRole.ROOT: _ROOT,
    }
)


def authorize(caller: Caller, action: Action) -> None:
    """Raises Forbidden unless the caller's role allows the action (inside its own tenant)."""
    if action not in ALLOWED.get(caller.role, frozenset()):
        raise Forbidden(action.value, caller.role.value)


def authorize_grant(caller: Caller, tenant: str, role: KeyRole) -> None:
    """May the caller make or revoke keys of this role in this tenant? Others' tenants and root keys are the
    operator's. Raises Forbidden."""
    authorize(caller, Action.ADMINISTER)
    if tenant != caller.tenant or role is KeyRole.ROOT:
        authorize(caller, Action.OPERATE)
