"""Custom models, their deployments and provisioned throughput."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "customizing_jobs",
        sa.Column("tenant", sa.String(length=64), nullable=False),
        sa.Column("id", sa.String(length=12), nullable=False),
        sa.Column("name", sa.String(length=63), nullable=False),
        sa.Column("output", sa.String(length=63), nullable=False),
        sa.Column("job", sa.String(length=32), nullable=False),
        sa.Column("status", sa.String(length=16), nullable=False),
        sa.Column("ended", sa.Boolean(), nullable=False),
        sa.Column("created", sa.Float(), nullable=False),
        sa.Column("value", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("tenant", "id", name=op.f("pk_customizing_jobs")),
    )
    op.create_index("uq_customizing_jobs_name", "customizing_jobs", ["tenant", "name"], unique=True)
    op.create_index("ix_customizing_jobs_job", "customizing_jobs", ["tenant", "job"])
    op.create_table(
        "customizing_models",
        sa.Column("tenant", sa.String(length=64), nullable=False),
        sa.Column("id", sa.String(length=12), nullable=False),
        sa.Column("name", sa.String(length=63), nullable=False),
        sa.Column("base", sa.String(length=200), nullable=False),
        sa.Column("job", sa.String(length=32), nullable=False),
        sa.Column("status", sa.String(length=16), nullable=False),
        sa.Column("created", sa.Float(), nullable=False),
        sa.Column("value", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("tenant", "id", name=op.f("pk_customizing_models")),
    )
    op.create_index("uq_customizing_models_name", "customizing_models", ["tenant", "name"], unique=True)
    op.create_index("ix_customizing_models_job", "customizing_models", ["tenant", "job"])
    for name in ("customizing_deployments", "customizing_throughputs"):
        op.create_table(
            name,
            sa.Column("tenant", sa.String(length=64), nullable=False),
            sa.Column("id", sa.String(length=12), nullable=False),
            sa.Column("name", sa.String(length=63), nullable=False),
            sa.Column("model", sa.String(length=12), nullable=False),
            sa.Column("status", sa.String(length=16), nullable=False),
            sa.Column("created", sa.Float(), nullable=False),
            sa.Column("value", sa.Text(), nullable=False),
            sa.PrimaryKeyConstraint("tenant", "id", name=op.f(f"pk_{name}")),
        )
        op.create_index(f"uq_{name}_name", name, ["tenant", "name"], unique=True)
        op.create_index(f"ix_{name}_model", name, ["tenant", "model"])
    op.create_table(
        "customizing_tags",
        sa.Column("tenant", sa.String(length=64), nullable=False),
        sa.Column("resource", sa.String(length=100), nullable=False),
        sa.Column("key", sa.String(length=128), nullable=False),
        sa.Column("value", sa.String(length=256), nullable=False),
        sa.PrimaryKeyConstraint("tenant", "resource", "key", name=op.f("pk_customizing_tags")),
    )
