"""The rows of jobs and of their logs."""

from __future__ import annotations

from sqlalchemy import BigInteger, Boolean, Column, Float, Index, Integer, String, Table, Text

from craton.store.schema import metadata

jobs = Table(
    "jobs_jobs",
    metadata,
    Column("tenant", String(64), primary_key=True),
    Column("id", String(32), primary_key=True),
    Column("kind", String(32), nullable=False),
    Column("subject", Text, nullable=False),
    Column("arguments", Text, nullable=False),  # JSON
    Column("exclusive", String(200)),  # unique among the unfinished; NULL when finished or not exclusive
    Column("status", String(16), nullable=False),
    Column("attempt", Integer, nullable=False),
    Column("crashes", Integer, nullable=False),  # processes in a row that ended without a word and got no further
    Column("furthest", BigInteger, nullable=False),  # the most that was ever done, for telling who got further
    Column("fence", BigInteger, nullable=False),  # grows with every lease; a write under an older one is refused
    Column("lease_until", Float),  # running: until then its process need not be heard; queued: not to be run before
    Column("owner", String(200)),  # running: which process that is (jobs.identity)
    Column("cancelling", Boolean, nullable=False),
    Column("created", Float, nullable=False),
    Column("started", Float),
    Column("ended", Float),
    Column("progress", Text, nullable=False),  # JSON
    Column("state", Text),  # JSON: what an attempt leaves for the next one
    Column("result", Text),  # JSON
    Column("error", Text, nullable=False),
    Index("uq_jobs_jobs_exclusive", "tenant", "exclusive", unique=True),
    Index("ix_jobs_jobs_status", "status", "created"),
    Index("ix_jobs_jobs_tenant", "tenant", "created"),
    Index("ix_jobs_jobs_id", "id"),
)

events = Table(
    "jobs_events",
    metadata,
    Column("tenant", String(64), primary_key=True),
    Column("job", String(32), primary_key=True),
    Column("number", Integer, primary_key=True),
    Column("time", Float, nullable=False),
    Column("level", String(8), nullable=False),
    Column("message", Text, nullable=False),
)
