"""Discussions, likes, collections, webhooks, requests for access."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "hub_access_requests",
        sa.Column("tenant", sa.String(length=64), nullable=False),
        sa.Column("repository", sa.String(length=32), nullable=False),
        sa.Column("applicant", sa.String(length=64), nullable=False),
        sa.Column("id", sa.String(length=24), nullable=False),
        sa.Column("status", sa.String(length=16), nullable=False),
        sa.Column("created", sa.Float(), nullable=False),
        sa.Column("fields", sa.Text(), nullable=True),
        sa.Column("granted", sa.Boolean(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("tenant", "repository", "applicant", name=op.f("pk_hub_access_requests")),
    )
    op.create_index("ix_hub_access_requests_applicant", "hub_access_requests", ["applicant"], unique=False)
    op.create_table(
        "hub_collection_items",
        sa.Column("tenant", sa.String(length=64), nullable=False),
        sa.Column("collection", sa.String(length=24), nullable=False),
        sa.Column("id", sa.String(length=24), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("kind", sa.String(length=16), nullable=False),
        sa.Column("owner", sa.String(length=64), nullable=False),
        sa.Column("target", sa.String(length=32), nullable=False),
        sa.Column("note", sa.Text(), nullable=True),
        sa.Column("created", sa.Float(), nullable=False),
        sa.PrimaryKeyConstraint("tenant", "collection", "id", name=op.f("pk_hub_collection_items")),
    )
    op.create_index("ix_hub_collection_items_target", "hub_collection_items", ["owner", "target"], unique=False)
    op.create_table(
        "hub_collections",
        sa.Column("tenant", sa.String(length=64), nullable=False),
        sa.Column("id", sa.String(length=24), nullable=False),
        sa.Column("namespace", sa.String(length=96), nullable=False),
        sa.Column("title", sa.String(length=255), nullable=False),
        sa.Column("description", sa.Text(), nullable=True),
        sa.Column("theme", sa.String(length=16), nullable=False),
        sa.Column("private", sa.Boolean(), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("modified", sa.Float(), nullable=False),
        sa.PrimaryKeyConstraint("tenant", "id", name=op.f("pk_hub_collections")),
    )
    op.create_index("ix_hub_collections_id", "hub_collections", ["id"], unique=True)
    op.create_index("ix_hub_collections_modified", "hub_collections", ["modified"], unique=False)
    op.create_index("ix_hub_collections_title", "hub_collections", ["tenant", "namespace", "title"], unique=False)
    op.create_table(
        "hub_discussion_events",
        sa.Column("tenant", sa.String(length=64), nullable=False),
        sa.Column("repository", sa.String(length=32), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("id", sa.String(length=24), nullable=False),
        sa.Column("author", sa.String(length=64), nullable=False),
        sa.Column("created", sa.Float(), nullable=False),
        sa.Column("content", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("tenant", "repository", "number", "position", name=op.f("pk_hub_discussion_events")),
    )
    op.create_index(
        "ix_hub_discussion_events_id", "hub_discussion_events", ["tenant", "repository", "id"], unique=False
    )
    op.create_table(
        "hub_discussions",
        sa.Column("tenant", sa.String(length=64), nullable=False),
        sa.Column("repository", sa.String(length=32), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("author", sa.String(length=64), nullable=False),
        sa.Column("title", sa.Text(), nullable=False),
        sa.Column("status", sa.String(length=16), nullable=False),
        sa.Column("created", sa.Float(), nullable=False),
        sa.Column("is_pull", sa.Boolean(), nullable=False),
        sa.Column("events", sa.Integer(), nullable=False),
        sa.Column("comments", sa.Integer(), nullable=False),
        sa.Column("target", sa.String(length=255), nullable=False),
        sa.Column("base", sa.String(length=40), nullable=True),
        sa.Column("merged", sa.String(length=40), nullable=True),
        sa.PrimaryKeyConstraint("tenant", "repository", "number", name=op.f("pk_hub_discussions")),
    )
    op.create_table(
        "hub_likes",
        sa.Column("tenant", sa.String(length=64), nullable=False),
        sa.Column("repository", sa.String(length=32), nullable=False),
        sa.Column("user", sa.String(length=64), nullable=False),
        sa.Column("created", sa.Float(), nullable=False),
        sa.PrimaryKeyConstraint("tenant", "repository", "user", name=op.f("pk_hub_likes")),
    )
    op.create_index("ix_hub_likes_user", "hub_likes", ["user", "created"], unique=False)
    op.create_table(
        "hub_webhook_deliveries",
        sa.Column("tenant", sa.String(length=64), nullable=False),
        sa.Column("id", sa.String(length=32), nullable=False),
        sa.Column("webhook", sa.String(length=24), nullable=False),
        sa.Column("payload", sa.Text(), nullable=False),
        sa.Column("created", sa.Float(), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("due", sa.Float(), nullable=True),
        sa.Column("failure", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("tenant", "id", name=op.f("pk_hub_webhook_deliveries")),
    )
    op.create_index("ix_hub_webhook_deliveries_due", "hub_webhook_deliveries", ["due"], unique=False)
    op.create_index("ix_hub_webhook_deliveries_webhook", "hub_webhook_deliveries", ["tenant", "webhook"], unique=False)
    op.create_table(
        "hub_webhook_watched",
        sa.Column("tenant", sa.String(length=64), nullable=False),
        sa.Column("webhook", sa.String(length=24), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("kind", sa.String(length=16), nullable=False),
        sa.Column("name", sa.String(length=255), nullable=False),
        sa.PrimaryKeyConstraint("tenant", "webhook", "position", name=op.f("pk_hub_webhook_watched")),
    )
    op.create_index("ix_hub_webhook_watched_name", "hub_webhook_watched", ["name", "kind"], unique=False)
    op.create_table(
        "hub_webhooks",
        sa.Column("tenant", sa.String(length=64), nullable=False),
        sa.Column("id", sa.String(length=24), nullable=False),
        sa.Column("url", sa.Text(), nullable=False),
        sa.Column("secret", sa.LargeBinary(), nullable=True),
        sa.Column("repo_domain", sa.Boolean(), nullable=False),
        sa.Column("discussion_domain", sa.Boolean(), nullable=False),
        sa.Column("disabled", sa.Boolean(), nullable=False),
        sa.Column("created", sa.Float(), nullable=False),
        sa.PrimaryKeyConstraint("tenant", "id", name=op.f("pk_hub_webhooks")),
    )
