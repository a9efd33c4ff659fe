"""The rows of runs: one of facts for each, and its points."""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, Float, Index, Integer, String, Table, Text

from craton.store.schema import metadata

runs = Table(
    "training_runs",
    metadata,
    Column("tenant", String(64), primary_key=True),
    Column("job", String(32), primary_key=True),
    Column("facts", Text, nullable=False),  # JSON: environment, parameters, timings
    Column("dataset", String(200), nullable=False),  # namespace/name, "" without one
    Column("dataset_revision", String(64), nullable=False),
    Column("model", String(200), nullable=False),  # namespace/name, "" until it is published
    Column("model_revision", String(64), nullable=False),
    Column("created", Float, nullable=False),
    Index("ix_training_runs_dataset", "tenant", "dataset", "dataset_revision"),
    Index("ix_training_runs_model", "tenant", "model", "model_revision"),
)

points = Table(
    "training_points",
    metadata,
    Column("tenant", String(64), primary_key=True),
    Column("job", String(32), primary_key=True),
    Column("number", Integer, primary_key=True),  # in the order in which they were told
    Column("name", String(200), nullable=False),
    Column("step", BigInteger),  # NULL: a figure of the whole run
    Column("value", Float),  # NULL: not a number
    Column("time", Float, nullable=False),
    Index("ix_training_points_curve", "tenant", "job", "name", "step"),
)
