"""Knowledge bases, jobs and buckets."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "buckets_buckets",
        sa.Column("tenant", sa.String(length=64), nullable=False),
        sa.Column("name", sa.String(length=63), nullable=False),
        sa.Column("created", sa.Float(), nullable=False),
        sa.Column("value", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("tenant", "name", name=op.f("pk_buckets_buckets")),
    )
    op.create_table(
        "buckets_objects",
        sa.Column("tenant", sa.String(length=64), nullable=False),
        sa.Column("bucket", sa.String(length=63), nullable=False),
        sa.Column("key", sa.String(length=1024), nullable=False),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.Column("modified", sa.BigInteger(), nullable=False),
        sa.Column("etag", sa.String(length=64), nullable=False),
        sa.Column("headers", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("tenant", "bucket", "key", name=op.f("pk_buckets_objects")),
    )
    op.create_table(
        "buckets_parts",
        sa.Column("tenant", sa.String(length=64), nullable=False),
        sa.Column("upload", sa.String(length=64), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("file", sa.String(length=64), nullable=False),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.Column("etag", sa.String(length=64), nullable=False),
        sa.Column("modified", sa.Float(), nullable=False),
        sa.Column("checksums", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("tenant", "upload", "number", name=op.f("pk_buckets_parts")),
    )
    op.create_table(
        "buckets_uploads",
        sa.Column("tenant", sa.String(length=64), nullable=False),
        sa.Column("bucket", sa.String(length=63), nullable=False),
        sa.Column("id", sa.String(length=64), nullable=False),
        sa.Column("key", sa.String(length=1024), nullable=False),
        sa.Column("created", sa.Float(), nullable=False),
        sa.Column("headers", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("tenant", "bucket", "id", name=op.f("pk_buckets_uploads")),
    )
    op.create_table(
        "jobs_events",
        sa.Column("tenant", sa.String(length=64), nullable=False),
        sa.Column("job", sa.String(length=32), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("time", sa.Float(), nullable=False),
        sa.Column("level", sa.String(length=8), nullable=False),
        sa.Column("message", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("tenant", "job", "number", name=op.f("pk_jobs_events")),
    )
    op.create_table(
        "jobs_jobs",
        sa.Column("tenant", sa.String(length=64), nullable=False),
        sa.Column("id", sa.String(length=32), nullable=False),
        sa.Column("kind", sa.String(length=32), nullable=False),
        sa.Column("subject", sa.Text(), nullable=False),
        sa.Column("arguments", sa.Text(), nullable=False),
        sa.Column("exclusive", sa.String(length=200), nullable=True),
        sa.Column("status", sa.String(length=16), nullable=False),
        sa.Column("attempt", sa.Integer(), nullable=False),
        sa.Column("crashes", sa.Integer(), nullable=False),
        sa.Column("furthest", sa.BigInteger(), nullable=False),
        sa.Column("fence", sa.BigInteger(), nullable=False),
        sa.Column("lease_until", sa.Float(), nullable=True),
        sa.Column("owner", sa.String(length=200), nullable=True),
        sa.Column("cancelling", sa.Boolean(), nullable=False),
        sa.Column("created", sa.Float(), nullable=False),
        sa.Column("started", sa.Float(), nullable=True),
        sa.Column("ended", sa.Float(), nullable=True),
        sa.Column("progress", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), nullable=True),
        sa.Column("result", sa.Text(), nullable=True),
        sa.Column("error", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("tenant", "id", name=op.f("pk_jobs_jobs")),
    )
    op.create_index("ix_jobs_jobs_id", "jobs_jobs", ["id"], unique=False)
    op.create_index("ix_jobs_jobs_status", "jobs_jobs", ["status", "created"], unique=False)
    op.create_index("ix_jobs_jobs_tenant", "jobs_jobs", ["tenant", "created"], unique=False)
    op.create_index("uq_jobs_jobs_exclusive", "jobs_jobs", ["tenant", "exclusive"], unique=True)
    op.create_table(
        "knowledge_bases",
        sa.Column("tenant", sa.String(length=64), nullable=False),
        sa.Column("id", sa.String(length=10), nullable=False),
        sa.Column("name", sa.String(length=100), nullable=False),
        sa.Column("status", sa.String(length=16), nullable=False),
        sa.Column("created", sa.Float(), nullable=False),
        sa.Column("updated", sa.Float(), nullable=False),
        sa.Column("value", sa.Text(), nullable=False),
        sa.Column("epoch", sa.Integer(), nullable=False),
        sa.Column("indexed", sa.BigInteger(), nullable=False),
        sa.Column("removed", sa.BigInteger(), nullable=False),
        sa.Column("next_epoch", sa.Integer(), nullable=False),
        sa.Column("next_indexed", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("tenant", "id", name=op.f("pk_knowledge_bases")),
    )
    op.create_index("uq_knowledge_bases_name", "knowledge_bases", ["tenant", "name"], unique=True)
    op.create_table(
        "knowledge_chunks",
        sa.Column("number", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=True, nullable=False),
        sa.Column("tenant", sa.String(length=64), nullable=False),
        sa.Column("base", sa.String(length=10), nullable=False),
        sa.Column("document", sa.String(length=32), nullable=False),
        sa.Column("generation", sa.BigInteger(), nullable=False),
        sa.Column("start", sa.BigInteger(), nullable=False),
        sa.Column("end", sa.BigInteger(), nullable=False),
        sa.Column("page", sa.Integer(), nullable=True),
        sa.Column("heading", sa.Text(), nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("number", name=op.f("pk_knowledge_chunks")),
        sqlite_autoincrement=True,
    )
    op.create_index(
        "ix_knowledge_chunks_document", "knowledge_chunks", ["tenant", "document", "generation"], unique=False
    )
    op.create_table(
        "knowledge_direct",
        sa.Column("number", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=True, nullable=False),
        sa.Column("tenant", sa.String(length=64), nullable=False),
        sa.Column("base", sa.String(length=10), nullable=False),
        sa.Column("source", sa.String(length=10), nullable=False),
        sa.Column("key_digest", sa.String(length=64), nullable=False),
        sa.Column("value", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("number", name=op.f("pk_knowledge_direct")),
        sqlite_autoincrement=True,
    )
    op.create_index(
        "ix_knowledge_direct_number", "knowledge_direct", ["tenant", "base", "source", "number"], unique=False
    )
    op.create_index(
        "uq_knowledge_direct_key", "knowledge_direct", ["tenant", "base", "source", "key_digest"], unique=True
    )
    op.create_table(
        "knowledge_documents",
        sa.Column("tenant", sa.String(length=64), nullable=False),
        sa.Column("id", sa.String(length=32), nullable=False),
        sa.Column("base", sa.String(length=10), nullable=False),
        sa.Column("source", sa.String(length=10), nullable=False),
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("key_digest", sa.String(length=64), nullable=False),
        sa.Column("status", sa.String(length=24), nullable=False),
        sa.Column("updated", sa.Float(), nullable=False),
        sa.Column("generation", sa.BigInteger(), nullable=False),
        sa.Column("pending", sa.BigInteger(), nullable=False),
        sa.Column("last", sa.BigInteger(), nullable=False),
        sa.Column("next", sa.Text(), nullable=False),
        sa.Column("etag", sa.Text(), nullable=False),
        sa.Column("metadata_etag", sa.Text(), nullable=False),
        sa.Column("digest", sa.String(length=64), nullable=False),
        sa.Column("versions", sa.String(length=64), nullable=False),
        sa.Column("seen", sa.String(length=10), nullable=False),
        sa.Column("value", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("tenant", "id", name=op.f("pk_knowledge_documents")),
    )
    op.create_index(
        "ix_knowledge_documents_base", "knowledge_documents", ["tenant", "base", "source", "id"], unique=False
    )
    op.create_index(
        "ix_knowledge_documents_pending", "knowledge_documents", ["tenant", "base", "pending"], unique=False
    )
    op.create_index(
        "uq_knowledge_documents_key", "knowledge_documents", ["tenant", "base", "source", "key_digest"], unique=True
    )
    op.create_table(
        "knowledge_ingestions",
        sa.Column("tenant", sa.String(length=64), nullable=False),
        sa.Column("base", sa.String(length=10), nullable=False),
        sa.Column("source", sa.String(length=10), nullable=False),
        sa.Column("id", sa.String(length=10), nullable=False),
        sa.Column("job", sa.String(length=32), nullable=False),
        sa.Column("started", sa.Float(), nullable=False),
        sa.Column("ended", sa.Boolean(), nullable=False),
        sa.Column("value", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("tenant", "base", "source", "id", name=op.f("pk_knowledge_ingestions")),
    )
    op.create_index(
        "ix_knowledge_ingestions_ended", "knowledge_ingestions", ["tenant", "base", "source", "ended"], unique=False
    )
    op.create_table(
        "knowledge_pieces",
        sa.Column("number", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=True, nullable=False),
        sa.Column("tenant", sa.String(length=64), nullable=False),
        sa.Column("base", sa.String(length=10), nullable=False),
        sa.Column("chunk", sa.BigInteger(), nullable=False),
        sa.Column("document", sa.String(length=32), nullable=False),
        sa.Column("generation", sa.BigInteger(), nullable=False),
        sa.Column("start", sa.Integer(), nullable=False),
        sa.Column("end", sa.Integer(), nullable=False),
        sa.Column("embedded", sa.String(length=64), nullable=False),
        sa.Column("vector", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("number", name=op.f("pk_knowledge_pieces")),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_knowledge_pieces_base", "knowledge_pieces", ["tenant", "base", "number"], unique=False)
    op.create_index("ix_knowledge_pieces_chunk", "knowledge_pieces", ["chunk"], unique=False)
    op.create_index(
        "ix_knowledge_pieces_document", "knowledge_pieces", ["tenant", "document", "generation"], unique=False
    )
    op.create_index("ix_knowledge_pieces_embedded", "knowledge_pieces", ["tenant", "embedded"], unique=False)
    op.create_table(
        "knowledge_proficiencies",
        sa.Column("tenant", sa.String(length=64), nullable=False),
        sa.Column("model", sa.String(length=512), nullable=False),
        sa.Column("revision", sa.String(length=64), nullable=False),
        sa.Column("measured", sa.Float(), nullable=False),
        sa.Column("value", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("tenant", "model", "revision", name=op.f("pk_knowledge_proficiencies")),
    )
    op.create_table(
        "knowledge_removals",
        sa.Column("number", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=True, nullable=False),
        sa.Column("tenant", sa.String(length=64), nullable=False),
        sa.Column("base", sa.String(length=10), nullable=False),
        sa.Column("piece", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("number", name=op.f("pk_knowledge_removals")),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_knowledge_removals_base", "knowledge_removals", ["tenant", "base", "number"], unique=False)
    op.create_table(
        "knowledge_sessions",
        sa.Column("tenant", sa.String(length=64), nullable=False),
        sa.Column("id", sa.String(length=36), nullable=False),
        sa.Column("created", sa.Float(), nullable=False),
        sa.Column("updated", sa.Float(), nullable=False),
        sa.Column("value", sa.Text(), nullable=False),
        sa.Column("closed", sa.Boolean(), nullable=False),
        sa.PrimaryKeyConstraint("tenant", "id", name=op.f("pk_knowledge_sessions")),
    )
    op.create_table(
        "knowledge_sources",
        sa.Column("tenant", sa.String(length=64), nullable=False),
        sa.Column("base", sa.String(length=10), nullable=False),
        sa.Column("id", sa.String(length=10), nullable=False),
        sa.Column("name", sa.String(length=100), nullable=False),
        sa.Column("status", sa.String(length=16), nullable=False),
        sa.Column("created", sa.Float(), nullable=False),
        sa.Column("updated", sa.Float(), nullable=False),
        sa.Column("value", sa.Text(), nullable=False),
        sa.Column("cursor", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("tenant", "base", "id", name=op.f("pk_knowledge_sources")),
    )
    op.create_index("uq_knowledge_sources_name", "knowledge_sources", ["tenant", "base", "name"], unique=True)
    op.create_table(
        "knowledge_sql_proficiencies",
        sa.Column("tenant", sa.String(length=64), nullable=False),
        sa.Column("model", sa.String(length=512), nullable=False),
        sa.Column("revision", sa.String(length=64), nullable=False),
        sa.Column("measured", sa.Float(), nullable=False),
        sa.Column("value", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("tenant", "model", "revision", name=op.f("pk_knowledge_sql_proficiencies")),
    )
    op.create_table(
        "knowledge_tokens",
        sa.Column("tenant", sa.String(length=64), nullable=False),
        sa.Column("operation", sa.String(length=64), nullable=False),
        sa.Column("token", sa.String(length=256), nullable=False),
        sa.Column("request", sa.String(length=64), nullable=False),
        sa.Column("result", sa.Text(), nullable=False),
        sa.Column("created", sa.Float(), nullable=False),
        sa.PrimaryKeyConstraint("tenant", "operation", "token", name=op.f("pk_knowledge_tokens")),
    )
    op.create_table(
        "access_bookkeeping",
        sa.Column("tenant", sa.String(length=64), nullable=False),
        sa.Column("kind", sa.String(length=32), nullable=False),
        sa.Column("name", sa.String(length=256), nullable=False),
        sa.Column("created", sa.Float(), nullable=False),
        sa.Column("value", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["tenant"], ["access_tenants.name"], name=op.f("fk_access_bookkeeping_tenant")),
        sa.PrimaryKeyConstraint("tenant", "kind", "name", name=op.f("pk_access_bookkeeping")),
    )
