"""Landmarks: the few chunks by which a client may ask what its tenant has uploaded already, from wherever.

One chunk in 1,024 is one, and the first of every file. The answer names the whole xorb's chunks.
"""

from __future__ import annotations

from collections.abc import Iterable

from sqlalchemy import Connection, insert, select

from craton.formats.xet.hashes import to_text
from craton.hub.xet.tables import chunks

ONE_IN = 1024


def is_landmark(hash: bytes) -> bool:
    return int.from_bytes(hash[24:], "little") % ONE_IN == 0


def note_chunks(connection: Connection, tenant: str, xorb: str, landmarks: Iterable[bytes]) -> None:
    """Notes which xorb has them. A chunk that is known stays with the xorb that it was found in first."""
    wanted = {to_text(hash) for hash in landmarks}
    mine = (chunks.c.tenant == tenant) & chunks.c.hash.in_(wanted)
    known = set(connection.scalars(select(chunks.c.hash).where(mine))) if wanted else set()
    new = [{"tenant": tenant, "hash": hash, "xorb": xorb} for hash in wanted - known]
    if new:
        connection.execute(insert(chunks), new)


def find_chunk(connection: Connection, tenant: str, hash: str) -> str | None:
    """The xorb that has it, of those that the tenant uploaded."""
    return connection.scalar(select(chunks.c.xorb).where(chunks.c.tenant == tenant, chunks.c.hash == hash))
