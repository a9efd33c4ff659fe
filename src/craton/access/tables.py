"""The tables of tenants, their keys, their sealed credentials, and what is kept for other services.

No secret stands in any of them in the clear.
"""

from __future__ import annotations

from sqlalchemy import Column, Float, ForeignKey, LargeBinary, String, Table, Text

from craton.store.schema import metadata

tenants = Table(
    "access_tenants",
    metadata,
    Column("name", String(64), primary_key=True),
    Column("created", Float, nullable=False),
)

keys = Table(
    "access_keys",
    metadata,
    Column("tenant", String(64), ForeignKey("access_tenants.name"), primary_key=True),
    Column("key_id", String(20), primary_key=True, unique=True),
    Column("name", String(64), nullable=False),
    Column("role", String(16), nullable=False),
    Column("created", Float, nullable=False),
    Column("expires_at", Float),
    Column("revoked_at", Float),
    Column("master", String(16), nullable=False, comment="which master the secret is derived from"),
)

credentials = Table(
    "access_credentials",
    metadata,
    Column("tenant", String(64), ForeignKey("access_tenants.name"), primary_key=True),
    Column("name", String(64), primary_key=True),
    Column("sealed", LargeBinary, nullable=False),
    Column("created", Float, nullable=False),
)

bookkeeping = Table(
    "access_bookkeeping",
    metadata,
    Column("tenant", String(64), ForeignKey("access_tenants.name"), primary_key=True),
    Column("kind", String(32), primary_key=True),
    Column("name", String(256), primary_key=True),
    Column("created", Float, nullable=False),
    Column("value", Text, nullable=False),
)
