"""What upstream's small files are called here: git names them by SHA-1 alone, Craton by their SHA-256."""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, String, Table

from craton.store.schema import metadata

learned = Table(
    "hub_mirror_learned",
    metadata,
    Column("tenant", String(64), primary_key=True),
    Column("git_oid", String(40), primary_key=True),
    Column("digest", String(64), nullable=False),
    Column("size", BigInteger, nullable=False),
)
