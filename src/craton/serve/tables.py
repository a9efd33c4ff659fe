"""What was asked and what it cost: one row a request, and its content beside it for as long as traces are kept."""

from __future__ import annotations

from sqlalchemy import BigInteger, Boolean, Column, Float, Index, String, Table, Text

from craton.store.schema import metadata

requests = Table(
    "requests",
    metadata,
    Column("tenant", String(64), primary_key=True),
    Column("id", String(64), primary_key=True),
    Column("key_id", String(64), nullable=False),
    Column("started", Float, nullable=False),
    Column("dialect", String(32), nullable=False),
    Column("operation", String(128), nullable=False),
    Column("model", String(512), nullable=False),
    Column("resolved", String(512), nullable=False),
    Column("revision", String(64), nullable=False),
    Column("engine", String(32), nullable=False),
    Column("status", String(16), nullable=False),
    Column("error", String(64), nullable=False),
    Column("stop", String(32), nullable=False),
    Column("input_tokens", BigInteger, nullable=False),
    Column("output_tokens", BigInteger, nullable=False),
    Column("cached_tokens", BigInteger, nullable=True),
    Column("estimated", Boolean, nullable=False),
    Column("first_token_seconds", Float, nullable=True),
    Column("seconds", Float, nullable=False),
    Column("cost", Float, nullable=True),
    Index("ix_requests_tenant_started", "tenant", "started"),
)
"""status: "ok", "error" or "cancelled"; error: the class of `core.errors`. started: seconds since the epoch.

estimated: an upstream provider reported no tokens; the numbers are guesses.
"""

traces = Table(
    "traces",
    metadata,
    Column("tenant", String(64), primary_key=True),
    Column("request_id", String(64), primary_key=True),
    Column("created", Float, nullable=False, index=True),
    Column("request", Text, nullable=False),
    Column("answer", Text, nullable=False),
)
"""request and answer are JSON of `core.chat` values, binary parts replaced by their size and digest."""
