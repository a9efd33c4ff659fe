"""Keys: one key is a bearer token and an AWS-style key pair.

A secret is derived from the installation's master and the key's id, never stored: a stolen database opens nothing.
A token's secret is checked before its row is looked up, so a made-up token never reaches the database, and an
unknown key id fails exactly as a wrong secret does.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
import secrets
import time
from collections.abc import Callable

from msgspec import Struct
from sqlalchemy import Connection, RowMapping, insert, select, update

from craton.access import tables
from craton.access.names import check_label
from craton.access.tenants import tenant_exists
from craton.core.access import Caller, KeyRole
from craton.core.errors import InvalidRequest, NotFound, Unauthenticated
from craton.store.database import Database

CACHE_SECONDS = 1.0  # how long another process's revocation may go unnoticed
CACHE_SIZE = 4096
_KEY_ID = re.compile(r"CRTN[A-Z2-7]{16}")
_TOKEN = re.compile(rf"craton-({_KEY_ID.pattern})-([A-Za-z0-9_-]{{43}})")


class Key(Struct, frozen=True):
    """A key as it is listed. Times are seconds since the epoch."""

    key_id: str
    tenant: str
    name: str
    role: KeyRole
    created: float
    expires_at: float | None
    revoked_at: float | None


class NewKey(Struct, frozen=True):
    """A key with its secrets, shown once. token: for `Authorization: Bearer`; key_id and secret: for SigV4."""

    key_id: str
    secret: str
    token: str
    tenant: str
    name: str
    role: KeyRole
    expires_at: float | None


class Keys:
    """Blocking, safe in threads. clock: seconds since the epoch; random_bytes: unguessable."""

    def __init__(
        self,
        database: Database,
        master: bytes,
        clock: Callable[[], float] = time.time,
        random_bytes: Callable[[int], bytes] = secrets.token_bytes,
    ) -> None:
        self.database = database
        self._master, self._clock, self._random_bytes = master, clock, random_bytes
        self._cache: dict[str, tuple[float, Key]] = {}
        self.fingerprint = self._derive("the fingerprint of the master").hex()[:16]

    def create(self, tenant: str, name: str, role: KeyRole, expires_at: float | None = None) -> NewKey:
        """Raises InvalidRequest, NotFound (no such tenant)."""
        with self.database.write() as connection:
            return self.create_within(connection, tenant, name, role, expires_at)

    def create_within(
        self, connection: Connection, tenant: str, name: str, role: KeyRole, expires_at: float | None = None
    ) -> NewKey:
        """`create` as a part of the caller's transaction."""
        now = self._clock()
        if expires_at is not None and not now < expires_at < float("inf"):
            raise InvalidRequest("must lie in the future", "expires_at")
        if not tenant_exists(connection, tenant):
            raise NotFound("tenant", tenant)
        key_id = "CRTN" + base64.b32encode(self._random_bytes(10)).decode()
        connection.execute(
            insert(tables.keys).values(
                tenant=tenant,
                key_id=key_id,
                name=check_label(name),
                role=role.value,
                created=now,
                expires_at=expires_at,
                master=self.fingerprint,
            )
        )
        secret = self._secret(key_id)
        return NewKey(key_id, secret, f"craton-{key_id}-{secret}", tenant, name, role, expires_at)

    def verify_token(self, token: str) -> Caller:
        """Who holds this bearer token. Raises Unauthenticated."""
        if not token:
            raise Unauthenticated("No key was sent.", "missing")
        match = _TOKEN.fullmatch(token)
        if match is None:
            raise _invalid()
        key_id, secret = match.groups()
        if not hmac.compare_digest(self._secret(key_id), secret):
            raise _invalid()
        return self._caller(key_id)

    def signing(self, access_key_id: str) -> tuple[str, Caller]:
        """The secret that this key's owner signs with. Trust the caller only once the signature fits.

        Raises Unauthenticated.
        """
        if not access_key_id:
            raise Unauthenticated("No key was sent.", "missing")
        if not _KEY_ID.fullmatch(access_key_id):
            raise _invalid()
        return self._secret(access_key_id), self._caller(access_key_id)

    def holder(self, key_id: str) -> Caller:
        """Who holds this key now, for what was signed with `subkey` in its name. Raises Unauthenticated."""
        return self._caller(key_id)

    def subkey(self, purpose: str) -> bytes:
        """A secret of this installation for one purpose. purpose: words, which no key's id can be."""
        return self._derive(f"the secret of {purpose}")

    def list(self, tenant: str) -> list[Key]:
        """Oldest first; revoked ones too."""
        query = select(tables.keys).where(tables.keys.c.tenant == tenant)
        with self.database.read() as connection:
            rows = connection.execute(query.order_by(tables.keys.c.created, tables.keys.c.key_id)).mappings().all()
        return [_key(row) for row in rows]

    def revoke(self, tenant: str, key_id: str) -> None:
        """At once here, within CACHE_SECONDS in other processes; revoking again is harmless.

        Raises NotFound, also for another tenant's key.
        """
        if not _KEY_ID.fullmatch(key_id):
            raise NotFound("key", key_id[:20])
        mine = (tables.keys.c.tenant == tenant) & (tables.keys.c.key_id == key_id)
        with self.database.write() as connection:
            if connection.execute(select(tables.keys.c.key_id).where(mine)).first() is None:
                raise NotFound("key", key_id)
            change = update(tables.keys).where(mine, tables.keys.c.revoked_at.is_(None))
            connection.execute(change.values(revoked_at=self._clock()))
        self._cache.pop(key_id, None)

    def _caller(self, key_id: str) -> Caller:
        now = self._clock()
        key = self._look_up(key_id, now)
        if key is None or key.revoked_at is not None:
            raise _invalid()
        if key.expires_at is not None and key.expires_at <= now:
            raise Unauthenticated("The key has expired.", "expired")
        return Caller(key.tenant, key.key_id, key.role, key.name)

    def _look_up(self, key_id: str, now: float) -> Key | None:
        read_at, key = self._cache.get(key_id, (0.0, None))
        if key is not None and 0 <= now - read_at < CACHE_SECONDS:
            return key
        query = select(tables.keys).where(tables.keys.c.key_id == key_id, tables.keys.c.master == self.fingerprint)
        with self.database.read() as connection:
            row = connection.execute(query).mappings().first()
        if row is None:
            return None
        if len(self._cache) >= CACHE_SIZE:
            self._cache.clear()
        self._cache[key_id] = (now, key := _key(row))
        return key

    def _secret(self, key_id: str) -> str:
        return base64.urlsafe_b64encode(self._derive(key_id)).rstrip(b"=").decode()

    def _derive(self, text: str) -> bytes:
        return hmac.digest(self._master, text.encode(), hashlib.sha256)


def _key(row: RowMapping) -> Key:
    return Key(
        row["key_id"],
        row["tenant"],
        row["name"],
        KeyRole(row["role"]),
        row["created"],
        row["expires_at"],
        row["revoked_at"],
    )


def _invalid() -> Unauthenticated:
    return Unauthenticated("The key is not valid.", "invalid")
