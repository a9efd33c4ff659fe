"""Batches beside the jobs that run them: what was asked, and the counts that a job has no place for."""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, Float, Index, LargeBinary, String, Table, Text

from craton.store.schema import metadata

batches = Table(
    "batch_batches",
    metadata,
    Column("tenant", String(64), primary_key=True),
    Column("id", String(16), primary_key=True),
    Column("kind", String(16), nullable=False),
    Column("job", String(32), nullable=False),
    Column("name", String(128), nullable=False),
    Column("created", Float, nullable=False),
    Column("updated", Float, nullable=False),
    Column("expires", Float, nullable=False),
    Column("phase", String(16), nullable=False),  # how far its job says it is, and what it came to
    Column("total", BigInteger),  # records, once they are counted
    Column("succeeded", BigInteger, nullable=False),
    Column("failed", BigInteger, nullable=False),
    Column("input_tokens", BigInteger, nullable=False),
    Column("output_tokens", BigInteger, nullable=False),
    Column("value", Text, nullable=False),  # JSON: the order
    Column("body", LargeBinary),  # of a single invocation: what the model is told
    Column("token", String(256)),  # the client's, for as long as it means this call; unique in its tenant and kind
    Column("digest", String(64), nullable=False),  # of everything that was asked with the token
    Index("uq_batch_batches_token", "tenant", "kind", "token", unique=True),
    Index("ix_batch_batches_created", "tenant", "kind", "created", "id"),
    Index("ix_batch_batches_job", "tenant", "job"),
)
