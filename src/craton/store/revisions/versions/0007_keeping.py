"""What keeps blobs: quotas, scrubbing, collection, scans."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("hub_stored", sa.Column("used", sa.Float(), nullable=False, server_default="0"))
    op.create_index("ix_hub_stored_digest", "hub_stored", ["digest"], unique=False)
    op.create_table(
        "hub_usage",
        sa.Column("tenant", sa.String(length=64), nullable=False),
        sa.Column("bytes", sa.BigInteger(), nullable=False),
        sa.Column("files", sa.BigInteger(), nullable=False),
        sa.Column("xorbs", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("tenant", name=op.f("pk_hub_usage")),
    )
    op.execute(
        "INSERT INTO hub_usage (tenant, bytes, files, xorbs) "
        "SELECT tenant, SUM(size), COUNT(*), 0 FROM hub_stored GROUP BY tenant"
    )
    op.create_table(
        "hub_quotas",
        sa.Column("tenant", sa.String(length=64), nullable=False),
        sa.Column("bytes", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("tenant", name=op.f("pk_hub_quotas")),
    )
    op.create_table(
        "hub_condemned",
        sa.Column("digest", sa.String(length=64), nullable=False),
        sa.Column("since", sa.Float(), nullable=False),
        sa.Column("removed", sa.Float(), nullable=True),
        sa.PrimaryKeyConstraint("digest", name=op.f("pk_hub_condemned")),
    )
    op.create_index("ix_hub_condemned_since", "hub_condemned", ["removed", "since"], unique=False)
    op.create_table(
        "hub_damaged",
        sa.Column("digest", sa.String(length=64), nullable=False),
        sa.Column("found", sa.Float(), nullable=False),
        sa.Column("missing", sa.Integer(), nullable=False),
        sa.Column("repaired", sa.Float(), nullable=True),
        sa.PrimaryKeyConstraint("digest", name=op.f("pk_hub_damaged")),
    )
    op.create_table(
        "hub_scans",
        sa.Column("digest", sa.String(length=64), nullable=False),
        sa.Column("format", sa.String(length=16), nullable=False),
        sa.Column("scanner", sa.Integer(), nullable=False),
        sa.Column("status", sa.String(length=16), nullable=False),
        sa.Column("detail", sa.Text(), nullable=False),
        sa.Column("scanned", sa.Float(), nullable=False),
        sa.PrimaryKeyConstraint("digest", "format", name=op.f("pk_hub_scans")),
    )
    op.create_table(
        "hub_scans_due",
        sa.Column("tenant", sa.String(length=64), nullable=False),
        sa.Column("repository", sa.String(length=32), nullable=False),
        sa.Column("revision", sa.String(length=40), nullable=False),
        sa.Column("noted", sa.Float(), nullable=False),
        sa.PrimaryKeyConstraint("tenant", "repository", "revision", name=op.f("pk_hub_scans_due")),
    )
    op.create_index("ix_hub_scans_due_noted", "hub_scans_due", ["noted"], unique=False)
    op.execute(
        "INSERT INTO hub_scans_due (tenant, repository, revision, noted) "
        "SELECT DISTINCT tenant, repository, revision, 0 FROM hub_refs"
    )
