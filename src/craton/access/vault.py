"""Other providers' API keys, sealed: a stolen database without the master gives none away.

AES-256-GCM (NIST SP 800-38D) with a random 96-bit nonce, under a key derived from the master by HKDF-SHA256
(RFC 5869). Tenant and name are authenticated with each value, so a row copied to another tenant does not open.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable
from typing import TYPE_CHECKING

from sqlalchemy import ColumnElement, delete, insert, select

from craton.access import tables
from craton.access.names import check_label
from craton.access.tenants import tenant_exists
from craton.core.errors import Damaged, InvalidRequest, NotFound, TooLarge
from craton.store.database import Database

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

MAX_VALUE = 64 * 1024
_NONCE = 12
_FORMAT = b"\x01"  # of `sealed`: this byte, the nonce, the ciphertext with its tag


class Vault:
    """Blocking, safe in threads. clock: seconds since the epoch; random_bytes: never the same twice."""

    def __init__(
        self,
        database: Database,
        master: bytes,
        clock: Callable[[], float] = time.time,
        random_bytes: Callable[[int], bytes] = secrets.token_bytes,
    ) -> None:
        self._database, self._master, self._clock, self._random_bytes = database, master, clock, random_bytes

    def put(self, tenant: str, name: str, value: str) -> None:
        """Stores or replaces. Raises InvalidRequest, TooLarge, NotFound (no such tenant)."""
        check_label(name)
        sealed = self.seal(tenant, name, value)
        with self._database.write() as connection:
            if not tenant_exists(connection, tenant):
                raise NotFound("tenant", tenant)
            connection.execute(delete(tables.credentials).where(_is(tenant, name)))
            connection.execute(
                insert(tables.credentials).values(tenant=tenant, name=name, sealed=sealed, created=self._clock())
            )

    def get(self, tenant: str, name: str) -> str:
        """Raises InvalidRequest, NotFound, Damaged (another master, or a row that was tampered with)."""
        check_label(name)
        with self._database.read() as connection:
            row = connection.execute(select(tables.credentials.c.sealed).where(_is(tenant, name))).first()
        if row is None:
            raise NotFound("credential", name)
        return self.unseal(tenant, name, row.sealed)

    def list(self, tenant: str) -> list[str]:
        """Names only, sorted."""
        names = select(tables.credentials.c.name).where(tables.credentials.c.tenant == tenant)
        with self._database.read() as connection:
            return sorted(connection.execute(names).scalars())

    def delete(self, tenant: str, name: str) -> None:
        """Raises InvalidRequest, NotFound."""
        check_label(name)
        with self._database.write() as connection:
            if connection.execute(delete(tables.credentials).where(_is(tenant, name))).rowcount == 0:
                raise NotFound("credential", name)

    def seal(self, tenant: str, name: str, value: str) -> bytes:
        """For others' rows: only `unseal` with the same tenant and name opens it. Raises InvalidRequest, TooLarge."""
        data = value.encode()
        if not data:
            raise InvalidRequest("must not be empty", "value")
        if len(data) > MAX_VALUE:
            raise TooLarge("A credential", MAX_VALUE, len(data))
        nonce = self._random_bytes(_NONCE)
        return _FORMAT + nonce + self._seal().encrypt(nonce, data, _bound_to(tenant, name))

    def unseal(self, tenant: str, name: str, sealed: bytes) -> str:
        """Raises Damaged (another master, or bytes that were tampered with)."""
        from cryptography.exceptions import InvalidTag

        nonce, ciphertext = sealed[1 : 1 + _NONCE], sealed[1 + _NONCE :]
        try:
            if sealed[:1] != _FORMAT:
                raise ValueError("unknown format")
            return self._seal().decrypt(nonce, ciphertext, _bound_to(tenant, name)).decode()
        except (InvalidTag, ValueError) as error:
            raise Damaged(f"The credential {name!r}", "it cannot be opened with this master key.") from error

    def _seal(self) -> AESGCM:
        # Imported here: a server without upstream models never needs it.
        from cryptography.hazmat.primitives.ciphers.aead import AESGCM
        from cryptography.hazmat.primitives.hashes import SHA256
        from cryptography.hazmat.primitives.kdf.hkdf import HKDF

        return AESGCM(HKDF(SHA256(), 32, salt=None, info=b"craton vault 1").derive(self._master))


def _is(tenant: str, name: str) -> ColumnElement[bool]:
    return (tables.credentials.c.tenant == tenant) & (tables.credentials.c.name == name)


def _bound_to(tenant: str, name: str) -> bytes:
    return f"{tenant}\0{name}".encode()
