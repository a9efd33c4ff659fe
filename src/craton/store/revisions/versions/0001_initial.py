"""The first tables: access, hub, serve."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None


def upgrade() -> None:
    op.create_table(
        "access_tenants",
        sa.Column("name", sa.String(length=64), nullable=False),
        sa.Column("created", sa.Float(), nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_access_tenants")),
    )
    op.create_table(
        "hub_models",
        sa.Column("tenant", sa.String(length=64), nullable=False),
        sa.Column("repository", sa.String(length=32), nullable=False),
        sa.Column("revision", sa.String(length=40), nullable=False),
        sa.Column("reader", sa.Integer(), nullable=False),
        sa.Column("info", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("tenant", "repository", "revision", name=op.f("pk_hub_models")),
    )
    op.create_table(
        "hub_objects",
        sa.Column("tenant", sa.String(length=64), nullable=False),
        sa.Column("repository", sa.String(length=32), nullable=False),
        sa.Column("digest", sa.String(length=64), nullable=False),
        sa.Column("content", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("tenant", "repository", "digest", name=op.f("pk_hub_objects")),
    )
    op.create_table(
        "hub_refs",
        sa.Column("tenant", sa.String(length=64), nullable=False),
        sa.Column("repository", sa.String(length=32), nullable=False),
        sa.Column("kind", sa.String(length=16), nullable=False),
        sa.Column("name", sa.String(length=255), nullable=False),
        sa.Column("revision", sa.String(length=40), nullable=False),
        sa.PrimaryKeyConstraint("tenant", "repository", "kind", "name", name=op.f("pk_hub_refs")),
    )
    op.create_table(
        "hub_repositories",
        sa.Column("tenant", sa.String(length=64), nullable=False),
        sa.Column("id", sa.String(length=32), nullable=False),
        sa.Column("kind", sa.String(length=16), nullable=False),
        sa.Column("namespace", sa.String(length=96), nullable=False),
        sa.Column("name", sa.String(length=96), nullable=False),
        sa.Column("created", sa.Float(), nullable=False),
        sa.PrimaryKeyConstraint("tenant", "id", name=op.f("pk_hub_repositories")),
    )
    op.create_index(
        "uq_hub_repositories_path", "hub_repositories", ["tenant", "kind", "namespace", "name"], unique=True
    )
    op.create_table(
        "hub_revisions",
        sa.Column("tenant", sa.String(length=64), nullable=False),
        sa.Column("repository", sa.String(length=32), nullable=False),
        sa.Column("id", sa.String(length=40), nullable=False),
        sa.Column("parent", sa.String(length=40), nullable=True),
        sa.Column("tree", sa.String(length=64), nullable=False),
        sa.Column("message", sa.Text(), nullable=False),
        sa.Column("author", sa.String(length=255), nullable=False),
        sa.Column("created", sa.Float(), nullable=False),
        sa.PrimaryKeyConstraint("tenant", "repository", "id", name=op.f("pk_hub_revisions")),
    )
    op.create_table(
        "hub_stored",
        sa.Column("tenant", sa.String(length=64), nullable=False),
        sa.Column("digest", sa.String(length=64), nullable=False),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.Column("git_oid", sa.String(length=40), nullable=False),
        sa.PrimaryKeyConstraint("tenant", "digest", name=op.f("pk_hub_stored")),
    )
    op.create_table(
        "requests",
        sa.Column("tenant", sa.String(length=64), nullable=False),
        sa.Column("id", sa.String(length=64), nullable=False),
        sa.Column("key_id", sa.String(length=64), nullable=False),
        sa.Column("started", sa.Float(), nullable=False),
        sa.Column("dialect", sa.String(length=32), nullable=False),
        sa.Column("operation", sa.String(length=128), nullable=False),
        sa.Column("model", sa.String(length=512), nullable=False),
        sa.Column("resolved", sa.String(length=512), nullable=False),
        sa.Column("revision", sa.String(length=64), nullable=False),
        sa.Column("engine", sa.String(length=32), nullable=False),
        sa.Column("status", sa.String(length=16), nullable=False),
        sa.Column("error", sa.String(length=64), nullable=False),
        sa.Column("stop", sa.String(length=32), nullable=False),
        sa.Column("input_tokens", sa.BigInteger(), nullable=False),
        sa.Column("output_tokens", sa.BigInteger(), nullable=False),
        sa.Column("cached_tokens", sa.BigInteger(), nullable=True),
        sa.Column("estimated", sa.Boolean(), nullable=False),
        sa.Column("first_token_seconds", sa.Float(), nullable=True),
        sa.Column("seconds", sa.Float(), nullable=False),
        sa.Column("cost", sa.Float(), nullable=True),
        sa.PrimaryKeyConstraint("tenant", "id", name=op.f("pk_requests")),
    )
    op.create_index("ix_requests_tenant_started", "requests", ["tenant", "started"], unique=False)
    op.create_table(
        "traces",
        sa.Column("tenant", sa.String(length=64), nullable=False),
        sa.Column("request_id", sa.String(length=64), nullable=False),
        sa.Column("created", sa.Float(), nullable=False),
        sa.Column("request", sa.Text(), nullable=False),
        sa.Column("answer", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("tenant", "request_id", name=op.f("pk_traces")),
    )
    op.create_index(op.f("ix_traces_created"), "traces", ["created"], unique=False)
    op.create_table(
        "access_credentials",
        sa.Column("tenant", sa.String(length=64), nullable=False),
        sa.Column("name", sa.String(length=64), nullable=False),
        sa.Column("sealed", sa.LargeBinary(), nullable=False),
        sa.Column("created", sa.Float(), nullable=False),
        sa.ForeignKeyConstraint(["tenant"], ["access_tenants.name"], name=op.f("fk_access_credentials_tenant")),
        sa.PrimaryKeyConstraint("tenant", "name", name=op.f("pk_access_credentials")),
    )
    op.create_table(
        "access_keys",
        sa.Column("tenant", sa.String(length=64), nullable=False),
        sa.Column("key_id", sa.String(length=20), nullable=False),
        sa.Column("name", sa.String(length=64), nullable=False),
        sa.Column("role", sa.String(length=16), nullable=False),
        sa.Column("created", sa.Float(), nullable=False),
        sa.Column("expires_at", sa.Float(), nullable=True),
        sa.Column("revoked_at", sa.Float(), nullable=True),
        sa.Column("master", sa.String(length=16), nullable=False, comment="which master the secret is derived from"),
        sa.ForeignKeyConstraint(["tenant"], ["access_tenants.name"], name=op.f("fk_access_keys_tenant")),
        sa.PrimaryKeyConstraint("tenant", "key_id", name=op.f("pk_access_keys")),
        sa.UniqueConstraint("key_id", name=op.f("uq_access_keys_key_id")),
    )
