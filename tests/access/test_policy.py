"""The one table, written out again by hand."""

from __future__ import annotations

import pytest

from craton.access.policy import ALLOWED, authorize, authorize_grant
from craton.core.access import Action, Caller, KeyRole
from craton.core.errors import Forbidden

TABLE = {
    #                   PUBLIC, READ, INVOKE, WRITE, ADMINISTER, OPERATE
    KeyRole.READER: "yy----",
    KeyRole.INVOKER: "yyy---",
    KeyRole.DEVELOPER: "yyyy--",
    KeyRole.ADMIN: "yyyyy-",
    KeyRole.ROOT: "yyyyyy",
}


@pytest.mark.parametrize("role", KeyRole)
@pytest.mark.parametrize(("place", "action"), list(enumerate(Action)))
def test_a_role_may_do_what_the_table_says(role: KeyRole, place: int, action: Action) -> None:
    caller = Caller("default", "CRTN", role)
    if TABLE[role][place] == "y":
        authorize(caller, action)
    else:
        with pytest.raises(Forbidden) as caught:
            authorize(caller, action)
        assert (caught.value.action, caught.value.role) == (action.value, role.value)


def test_the_table_cannot_be_changed() -> None:
    with pytest.raises(TypeError):
        ALLOWED[KeyRole.READER] = frozenset(Action)  # type: ignore[index]  # that is what is tested


@pytest.mark.parametrize(
    ("role", "tenant", "granted", "may"),
    [
        (KeyRole.ADMIN, "default", KeyRole.ADMIN, True),
        (KeyRole.ADMIN, "default", KeyRole.ROOT, False),
        (KeyRole.ADMIN, "other", KeyRole.READER, False),
        (KeyRole.DEVELOPER, "default", KeyRole.READER, False),
        (KeyRole.ROOT, "other", KeyRole.ADMIN, True),
        (KeyRole.ROOT, "default", KeyRole.ROOT, True),
    ],
)
def test_nobody_grants_more_than_they_have(role: KeyRole, tenant: str, granted: KeyRole, may: bool) -> None:
    caller = Caller("default", "CRTN", role)
    if may:
        authorize_grant(caller, tenant, granted)
    else:
        with pytest.raises(Forbidden):
            authorize_grant(caller, tenant, granted)
