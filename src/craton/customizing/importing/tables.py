"""The rows of import jobs, of the models that they brought in, and of copies."""

from __future__ import annotations

from sqlalchemy import Column, Float, Index, String, Table, Text

from craton.store.schema import metadata

jobs = Table(
    "importing_jobs",
    metadata,
    Column("tenant", String(64), primary_key=True),
    Column("id", String(12), primary_key=True),
    Column("name", String(63), nullable=False),
    Column("output", String(63), nullable=False),  # the name of the model that it makes
    Column("job", String(32), nullable=False),  # the row of the queue
    Column("status", String(16), nullable=False),
    Column("created", Float, nullable=False),
    Column("value", Text, nullable=False),  # JSON of importing.values.ImportJob
    Index("uq_importing_jobs_name", "tenant", "name", unique=True),
    Index("ix_importing_jobs_job", "tenant", "job"),
)

models = Table(
    "importing_models",
    metadata,
    Column("tenant", String(64), primary_key=True),
    Column("id", String(12), primary_key=True),
    Column("name", String(63), nullable=False),
    Column("created", Float, nullable=False),
    Column("value", Text, nullable=False),  # JSON of importing.values.ImportedModel
    Index("uq_importing_models_name", "tenant", "name", unique=True),
)

copies = Table(
    "importing_copies",
    metadata,
    Column("tenant", String(64), primary_key=True),
    Column("id", String(12), primary_key=True),
    Column("name", String(63), nullable=False),  # of the copy
    Column("source", String(12), nullable=False),  # a custom model's id
    Column("status", String(16), nullable=False),
    Column("created", Float, nullable=False),
    Column("value", Text, nullable=False),  # JSON of importing.values.CopyJob
    Index("uq_importing_copies_name", "tenant", "name", unique=True),
)
