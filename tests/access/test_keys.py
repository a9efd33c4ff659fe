"""Keys: what is let in, what is not, and when that ends."""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
from typing import Any

import pytest
from sqlalchemy import event, text

from craton.access.keys import CACHE_SECONDS, Keys
from craton.core.access import Caller, KeyRole
from craton.core.errors import InvalidRequest, NotFound, Unauthenticated
from craton.store.database import Database


def refusal(keys: Keys, token: str) -> str:
    with pytest.raises(Unauthenticated) as caught:
        keys.verify_token(token)
    return caught.value.code


def test_one_key_is_a_bearer_token_and_a_key_pair(keys: Keys, master: bytes) -> None:
    new = keys.create("default", "laptop", KeyRole.DEVELOPER)
    assert re.fullmatch(r"CRTN[A-Z2-7]{16}", new.key_id)
    derived = hmac.digest(master, new.key_id.encode(), hashlib.sha256)
    assert new.secret == base64.urlsafe_b64encode(derived).rstrip(b"=").decode()
    assert new.token == f"craton-{new.key_id}-{new.secret}"
    caller = Caller("default", new.key_id, KeyRole.DEVELOPER, "laptop")
    assert keys.verify_token(new.token) == caller
    assert keys.signing(new.key_id) == (new.secret, caller)


def test_no_secret_is_stored(keys: Keys, rows: Database) -> None:
    new = keys.create("default", "laptop", KeyRole.DEVELOPER)
    with rows.read() as connection:
        stored = str(connection.execute(text("SELECT * FROM access_keys")).all())
    assert new.key_id in stored
    assert new.secret not in stored


HOSTILE = [
    "craton-",
    "' OR 1=1 --",
    "craton-CRTN' OR '1'='1-x",
    "craton-CRTNAAAAAAAAAAAAAAAA-" + "A" * 43,
    "craton-CRTNAAAAAAAAAAAAAAAA-" + "A" * 42 + "\n",
    "craton-CRTNAAAAAAAAAAAAAAAA-" + "A" * 42 + "\0",
    "craton-CRTNÀÀÀÀÀÀÀÀÀÀÀÀÀÀÀÀ-" + "A" * 43,
    "craton-CRTN" + "\N{FULLWIDTH DIGIT TWO}" * 16 + "-" + "A" * 43,
    "\ud800" * 71,
    "craton-" * 1_000_000,
    "\0",
]


def test_hostile_tokens_are_refused_and_never_reach_the_database(keys: Keys) -> None:
    keys.create("default", "laptop", KeyRole.DEVELOPER)
    statements: list[str] = []
    event.listen(keys.database.engine, "before_cursor_execute", lambda *args: statements.append(args[2]))
    for token in HOSTILE:
        assert refusal(keys, token) == "invalid", token[:80]
        with pytest.raises(Unauthenticated):
            keys.signing(token)
    assert statements == []


def test_no_token_is_missing(keys: Keys) -> None:
    assert refusal(keys, "") == "missing"
    with pytest.raises(Unauthenticated) as caught:
        keys.signing("")
    assert caught.value.code == "missing"


def test_a_wrong_secret_and_an_unknown_key_look_the_same(keys: Keys) -> None:
    new = keys.create("default", "laptop", KeyRole.DEVELOPER)
    messages = set()
    for token in (new.token[:-2] + "AA", new.token.replace(new.key_id, "CRTN" + "A" * 16)):
        with pytest.raises(Unauthenticated) as caught:
            keys.verify_token(token)
        messages.add((str(caught.value), caught.value.code))
    with pytest.raises(Unauthenticated) as caught:
        keys.signing("CRTN" + "A" * 16)
    messages.add((str(caught.value), caught.value.code))
    assert len(messages) == 1


def test_another_masters_keys_are_refused(keys: Keys, rows: Database) -> None:
    theirs = Keys(rows, b"x" * 32).create("default", "theirs", KeyRole.ADMIN)
    assert refusal(keys, theirs.token) == "invalid"
    with pytest.raises(Unauthenticated):
        keys.signing(theirs.key_id)


def test_a_key_ends_when_it_expires(keys: Keys, clock: Any) -> None:
    new = keys.create("default", "short", KeyRole.INVOKER, expires_at=clock.now + 10)
    clock.now += 9.9
    assert keys.verify_token(new.token).key_name == "short"
    clock.now += 0.1
    assert refusal(keys, new.token) == "expired"
    with pytest.raises(Unauthenticated):
        keys.signing(new.key_id)


def test_a_revoked_key_ends_at_once_here_and_within_the_second_elsewhere(
    keys: Keys, rows: Database, master: bytes, clock: Any
) -> None:
    elsewhere = Keys(rows, master, clock)
    new = keys.create("default", "lost", KeyRole.DEVELOPER)
    elsewhere.verify_token(new.token)
    keys.verify_token(new.token)
    keys.revoke("default", new.key_id)
    assert refusal(keys, new.token) == "invalid"
    clock.now += CACHE_SECONDS
    assert refusal(elsewhere, new.token) == "invalid"
    keys.revoke("default", new.key_id)
    assert keys.list("default")[0].revoked_at == clock.now - CACHE_SECONDS


def test_a_hot_key_is_read_once_a_second(keys: Keys, clock: Any) -> None:
    new = keys.create("default", "hot", KeyRole.DEVELOPER)
    selects: list[str] = []
    event.listen(keys.database.engine, "before_cursor_execute", lambda *args: selects.append(args[2]))
    for _ in range(100):
        keys.verify_token(new.token)
        clock.now += 0.015
    assert sum("access_keys" in statement for statement in selects) == 2


def test_a_tenant_sees_and_revokes_only_its_own_keys(keys: Keys) -> None:
    mine = keys.create("default", "mine", KeyRole.ADMIN)
    theirs = keys.create("other", "theirs", KeyRole.ADMIN)
    assert [key.key_id for key in keys.list("default")] == [mine.key_id]
    for foreign in (theirs.key_id, "CRTN" + "A" * 16, "x\0", "' OR 1=1 --"):
        with pytest.raises(NotFound):
            keys.revoke("default", foreign)
    assert keys.verify_token(theirs.token).tenant == "other"


def test_bad_names_are_refused(keys: Keys) -> None:
    for name in ("", " ", "-x", "x ", "a\nb", "ключ", "x" * 65, "'; DROP TABLE access_keys; --"):
        with pytest.raises(InvalidRequest):
            keys.create("default", name, KeyRole.READER)
    assert keys.list("default") == []


def test_a_key_needs_a_tenant_and_a_future(keys: Keys, clock: Any) -> None:
    with pytest.raises(NotFound):
        keys.create("nobody", "x", KeyRole.READER)
    for end in (clock.now, float("nan"), float("inf")):
        with pytest.raises(InvalidRequest):
            keys.create("default", "x", KeyRole.READER, expires_at=end)
    assert keys.list("default") == []
