"""The first start: the master that all secrets are derived from, and the operator's root key."""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable
from pathlib import Path

from sqlalchemy import insert, select

from craton.access import tables
from craton.access.keys import Keys, NewKey
from craton.access.tenants import DEFAULT_TENANT, tenant_exists
from craton.core.access import KeyRole
from craton.core.errors import Damaged
from craton.store.files import PRIVATE_FILE, Files, make_folders, write_file

MASTER_FILE = "master.key"
ROOT_FILE = "root.key"
MASTER_BYTES = 32


def load_master(
    home: Path, files: Files | None = None, random_bytes: Callable[[int], bytes] = secrets.token_bytes
) -> bytes:
    """The master in home, made at the first start; several processes that start at once get the same one.

    Raises Damaged, StorageFull, OSError.
    """
    files = files or Files()
    path = home / MASTER_FILE
    if not path.exists():
        make_folders(files, home)
        write_file(files, path, random_bytes(MASTER_BYTES).hex().encode() + b"\n", replace=False)
    if path.stat().st_mode & 0o077:  # restored from a backup that lost the mode
        path.chmod(PRIVATE_FILE)
    try:
        master = bytes.fromhex(path.read_text("ascii").strip())
    except ValueError as error:
        raise Damaged(MASTER_FILE, "it is not hexadecimal.") from error
    if len(master) != MASTER_BYTES:
        raise Damaged(MASTER_FILE, f"it does not hold {MASTER_BYTES} bytes.")
    return master


def ensure_root(
    home: Path, keys: Keys, files: Files | None = None, clock: Callable[[], float] = time.time
) -> NewKey | None:
    """Makes the default tenant and its root key where there is none that is not revoked, and writes its token to
    home/root.key. Returns the key only when this call made it.

    Raises Damaged when the keys here were made with another master, StorageFull, OSError.
    """
    files = files or Files()
    root = (tables.keys.c.role == KeyRole.ROOT.value) & tables.keys.c.revoked_at.is_(None)
    with keys.database.write() as connection:
        masters = set(connection.execute(select(tables.keys.c.master).where(root)).scalars())
        if keys.fingerprint in masters:
            return None
        if masters:
            raise Damaged(MASTER_FILE, "the keys in this database were made with another one.")
        if not tenant_exists(connection, DEFAULT_TENANT):
            connection.execute(insert(tables.tenants).values(name=DEFAULT_TENANT, created=clock()))
        new = keys.create_within(connection, DEFAULT_TENANT, "root", KeyRole.ROOT)
        write_file(files, home / ROOT_FILE, new.token.encode() + b"\n", replace=True)
    return new
