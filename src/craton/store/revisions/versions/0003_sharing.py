"""Repositories that other tenants may read, settings and what is searched."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("hub_repositories", sa.Column("modified", sa.Float(), nullable=False, server_default="0"))
    op.add_column("hub_repositories", sa.Column("private", sa.Boolean(), nullable=False, server_default=sa.true()))
    op.add_column("hub_repositories", sa.Column("gated", sa.String(length=8), nullable=False, server_default=""))
    op.create_index("ix_hub_repositories_shared", "hub_repositories", ["kind", "namespace", "name", "private"])
