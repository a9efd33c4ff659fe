"""The rows of buckets: where each really lives, and what files cannot say of their objects."""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, Float, Integer, String, Table, Text

from craton.store.schema import metadata

buckets = Table(
    "buckets_buckets",
    metadata,
    Column("tenant", String(64), primary_key=True),
    Column("name", String(63), primary_key=True),
    Column("created", Float, nullable=False),
    Column("value", Text, nullable=False),  # JSON: the folder, or the store's endpoint and its credential's name
)

objects = Table(
    "buckets_objects",
    metadata,
    Column("tenant", String(64), primary_key=True),
    Column("bucket", String(63), primary_key=True),
    Column("key", String(1024), primary_key=True),
    Column("size", BigInteger, nullable=False),
    Column("modified", BigInteger, nullable=False),  # nanoseconds: of the file that this row describes
    Column("etag", String(64), nullable=False),
    Column("headers", Text, nullable=False),  # JSON: content type, user metadata and the like
)

uploads = Table(
    "buckets_uploads",
    metadata,
    Column("tenant", String(64), primary_key=True),
    Column("bucket", String(63), primary_key=True),
    Column("id", String(64), primary_key=True),
    Column("key", String(1024), nullable=False),
    Column("created", Float, nullable=False),
    Column("headers", Text, nullable=False),
)

parts = Table(
    "buckets_parts",
    metadata,
    Column("tenant", String(64), primary_key=True),
    Column("upload", String(64), primary_key=True),
    Column("number", Integer, primary_key=True),
    Column("file", String(64), nullable=False),  # its name in the upload's folder
    Column("size", BigInteger, nullable=False),
    Column("etag", String(64), nullable=False),
    Column("modified", Float, nullable=False),
    Column("checksums", Text, nullable=False),  # JSON
)
