"""The rows of what is made of foundation models: jobs, models, deployments, provisioned throughput, tags."""

from __future__ import annotations

from sqlalchemy import Boolean, Column, Float, Index, String, Table, Text

from craton.store.schema import metadata

jobs = Table(
    "customizing_jobs",
    metadata,
    Column("tenant", String(64), primary_key=True),
    Column("id", String(12), primary_key=True),
    Column("name", String(63), nullable=False),
    Column("output", String(63), nullable=False),  # the name of the model that it makes
    Column("job", String(32), nullable=False),  # the row of the queue
    Column("status", String(16), nullable=False),  # as it ended; until then the queue's row says more
    Column("ended", Boolean, nullable=False),
    Column("created", Float, nullable=False),
    Column("value", Text, nullable=False),  # JSON of customizing.values.Customization
    Index("uq_customizing_jobs_name", "tenant", "name", unique=True),
    Index("ix_customizing_jobs_job", "tenant", "job"),
)

models = Table(
    "customizing_models",
    metadata,
    Column("tenant", String(64), primary_key=True),
    Column("id", String(12), primary_key=True),
    Column("name", String(63), nullable=False),
    Column("base", String(200), nullable=False),  # the name of the model that it was made from, "" for none
    Column("job", String(32), nullable=False),  # the row of the queue that brings it in, "" for none
    Column("status", String(16), nullable=False),
    Column("created", Float, nullable=False),
    Column("value", Text, nullable=False),  # JSON of customizing.values.CustomModel
    Index("uq_customizing_models_name", "tenant", "name", unique=True),
    Index("ix_customizing_models_job", "tenant", "job"),
)

deployments = Table(
    "customizing_deployments",
    metadata,
    Column("tenant", String(64), primary_key=True),
    Column("id", String(12), primary_key=True),
    Column("name", String(63), nullable=False),
    Column("model", String(12), nullable=False),  # a custom model's id
    Column("status", String(16), nullable=False),
    Column("created", Float, nullable=False),
    Column("value", Text, nullable=False),  # JSON of customizing.values.Deployment
    Index("uq_customizing_deployments_name", "tenant", "name", unique=True),
    Index("ix_customizing_deployments_model", "tenant", "model"),
)

throughputs = Table(
    "customizing_throughputs",
    metadata,
    Column("tenant", String(64), primary_key=True),
    Column("id", String(12), primary_key=True),
    Column("name", String(63), nullable=False),
    Column("model", String(12), nullable=False),  # a custom model's id, "" for a foundation model
    Column("status", String(16), nullable=False),
    Column("created", Float, nullable=False),
    Column("value", Text, nullable=False),  # JSON of customizing.values.Throughput
    Index("uq_customizing_throughputs_name", "tenant", "name", unique=True),
    Index("ix_customizing_throughputs_model", "tenant", "model"),
)

tags = Table(
    "customizing_tags",
    metadata,
    Column("tenant", String(64), primary_key=True),
    Column("resource", String(100), primary_key=True),  # "custom-model/ID"
    Column("key", String(128), primary_key=True),
    Column("value", String(256), nullable=False),
)
