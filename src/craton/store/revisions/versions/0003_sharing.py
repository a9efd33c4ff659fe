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
    op.add_column("hub_repositories", sa.Column("folded", sa.String(length=193), nullable=False, server_default=""))
    op.execute("UPDATE hub_repositories SET folded = lower(namespace || '/' || name)")
    op.create_index("ix_hub_repositories_folded", "hub_repositories", ["kind", "folded"])
    op.create_index("ix_hub_repositories_shared", "hub_repositories", ["kind", "namespace", "name", "private"])
    op.create_table(
        "hub_moved",
        sa.Column("tenant", sa.String(length=64), nullable=False),
        sa.Column("kind", sa.String(length=16), nullable=False),
        sa.Column("namespace", sa.String(length=96), nullable=False),
        sa.Column("name", sa.String(length=96), nullable=False),
        sa.Column("repository", sa.String(length=32), nullable=False),
        sa.PrimaryKeyConstraint("tenant", "kind", "namespace", "name", name=op.f("pk_hub_moved")),
    )
    op.create_index("ix_hub_moved_name", "hub_moved", ["kind", "namespace", "name"], unique=False)
    op.create_table(
        "hub_cards",
        sa.Column("tenant", sa.String(length=64), nullable=False),
        sa.Column("repository", sa.String(length=32), nullable=False),
        sa.Column("revision", sa.String(length=40), nullable=False),
        sa.Column("reader", sa.Integer(), nullable=False),
        sa.Column("pipeline", sa.String(length=255), nullable=False),
        sa.Column("card", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("tenant", "repository", name=op.f("pk_hub_cards")),
    )
    op.create_table(
        "hub_tags",
        sa.Column("tenant", sa.String(length=64), nullable=False),
        sa.Column("repository", sa.String(length=32), nullable=False),
        sa.Column("tag", sa.String(length=255), nullable=False),
        sa.PrimaryKeyConstraint("tenant", "repository", "tag", name=op.f("pk_hub_tags")),
    )
    op.create_index("ix_hub_tags_tag", "hub_tags", ["tag"], unique=False)
    op.create_table(
        "hub_downloads",
        sa.Column("tenant", sa.String(length=64), nullable=False),
        sa.Column("repository", sa.String(length=32), nullable=False),
        sa.Column("day", sa.Integer(), nullable=False),
        sa.Column("count", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("tenant", "repository", "day", name=op.f("pk_hub_downloads")),
    )
