"""Imported models and copies."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None


def _columns(*own: sa.Column[Any]) -> list[sa.Column[Any]]:
    return [
        sa.Column("tenant", sa.String(length=64), nullable=False),
        sa.Column("id", sa.String(length=12), nullable=False),
        sa.Column("name", sa.String(length=63), nullable=False),
        *own,
        sa.Column("created", sa.Float(), nullable=False),
        sa.Column("value", sa.Text(), nullable=False),
    ]


def upgrade() -> None:
    own = {
        "importing_jobs": [
            sa.Column("output", sa.String(length=63), nullable=False),
            sa.Column("job", sa.String(length=32), nullable=False),
            sa.Column("status", sa.String(length=16), nullable=False),
        ],
        "importing_models": [],
        "importing_copies": [
            sa.Column("source", sa.String(length=12), nullable=False),
            sa.Column("status", sa.String(length=16), nullable=False),
        ],
    }
    for name, columns in own.items():
        op.create_table(name, *_columns(*columns), sa.PrimaryKeyConstraint("tenant", "id", name=op.f(f"pk_{name}")))
        op.create_index(f"uq_{name}_name", name, ["tenant", "name"], unique=True)
    op.create_index("ix_importing_jobs_job", "importing_jobs", ["tenant", "job"])
