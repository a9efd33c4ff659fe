"""Chunks, xorbs and the files that are made of them."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "hub_xet_chunks",
        sa.Column("tenant", sa.String(length=64), nullable=False),
        sa.Column("hash", sa.String(length=64), nullable=False),
        sa.Column("xorb", sa.String(length=64), nullable=False),
        sa.PrimaryKeyConstraint("tenant", "hash", name=op.f("pk_hub_xet_chunks")),
    )
    op.create_index("ix_hub_xet_chunks_xorb", "hub_xet_chunks", ["tenant", "xorb"], unique=False)
    op.create_table(
        "hub_xet_files",
        sa.Column("tenant", sa.String(length=64), nullable=False),
        sa.Column("hash", sa.String(length=64), nullable=False),
        sa.Column("digest", sa.String(length=64), nullable=False),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.Column("segments", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("tenant", "hash", name=op.f("pk_hub_xet_files")),
    )
    op.create_index("ix_hub_xet_files_digest", "hub_xet_files", ["tenant", "digest"], unique=False)
    op.create_table(
        "hub_xet_policies",
        sa.Column("tenant", sa.String(length=64), nullable=False),
        sa.Column("repository", sa.String(length=32), nullable=False),
        sa.Column("keep", sa.String(length=8), nullable=False),
        sa.PrimaryKeyConstraint("tenant", "repository", name=op.f("pk_hub_xet_policies")),
    )
    op.create_table(
        "hub_xet_recipe_blobs",
        sa.Column("digest", sa.String(length=64), nullable=False),
        sa.Column("blob", sa.String(length=64), nullable=False),
        sa.PrimaryKeyConstraint("digest", "blob", name=op.f("pk_hub_xet_recipe_blobs")),
    )
    op.create_index("ix_hub_xet_recipe_blobs_blob", "hub_xet_recipe_blobs", ["blob"], unique=False)
    op.create_table(
        "hub_xet_recipes",
        sa.Column("digest", sa.String(length=64), nullable=False),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.Column("parts", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("digest", name=op.f("pk_hub_xet_recipes")),
    )
    op.create_table(
        "hub_xet_uses",
        sa.Column("tenant", sa.String(length=64), nullable=False),
        sa.Column("xorb", sa.String(length=64), nullable=False),
        sa.Column("file", sa.String(length=64), nullable=False),
        sa.PrimaryKeyConstraint("tenant", "xorb", "file", name=op.f("pk_hub_xet_uses")),
    )
    op.create_index("ix_hub_xet_uses_file", "hub_xet_uses", ["tenant", "file"], unique=False)
    op.create_table(
        "hub_xet_xorbs",
        sa.Column("tenant", sa.String(length=64), nullable=False),
        sa.Column("hash", sa.String(length=64), nullable=False),
        sa.Column("digest", sa.String(length=64), nullable=False),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.Column("layout", sa.LargeBinary(), nullable=False),
        sa.Column("created", sa.Float(), nullable=False),
        sa.Column("used", sa.Float(), nullable=False),
        sa.PrimaryKeyConstraint("tenant", "hash", name=op.f("pk_hub_xet_xorbs")),
    )
    op.create_index("ix_hub_xet_xorbs_digest", "hub_xet_xorbs", ["digest"], unique=False)
    op.create_index("ix_hub_xet_xorbs_used", "hub_xet_xorbs", ["used"], unique=False)
