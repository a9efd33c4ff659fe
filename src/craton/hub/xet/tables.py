"""Rows about xorbs and what is made of them.

A xorb's bytes are a blob that all tenants share; that a tenant may refer to its chunks is a row of that tenant's.
"""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, Float, Index, LargeBinary, String, Table

from craton.store.schema import metadata

xorbs = Table(  # what a tenant has uploaded
    "hub_xet_xorbs",
    metadata,
    Column("tenant", String(64), primary_key=True),
    Column("hash", String(64), primary_key=True),
    Column("digest", String(64), nullable=False),  # of the blob with the stored chunks
    Column("size", BigInteger, nullable=False),
    Column("layout", LargeBinary, nullable=False),  # formats/xet/xorbs.py, Layout
    Column("created", Float, nullable=False),
    Column("used", Float, nullable=False),  # when it was last uploaded, or named by a shard
    Index("ix_hub_xet_xorbs_digest", "digest"),
    Index("ix_hub_xet_xorbs_used", "used"),
)

files = Table(  # which files a tenant's shards have described, each proven to have the sha256
    "hub_xet_files",
    metadata,
    Column("tenant", String(64), primary_key=True),
    Column("hash", String(64), primary_key=True),
    Column("digest", String(64), nullable=False),
    Column("size", BigInteger, nullable=False),
    Column("segments", LargeBinary, nullable=False),  # hub/xet/segments.py
    Index("ix_hub_xet_files_digest", "tenant", "digest"),
)

uses = Table(  # which xorbs a file is made of
    "hub_xet_uses",
    metadata,
    Column("tenant", String(64), primary_key=True),
    Column("xorb", String(64), primary_key=True),
    Column("file", String(64), primary_key=True),
    Index("ix_hub_xet_uses_file", "tenant", "file"),
)

chunks = Table(  # by some chunks a client may find what its tenant uploaded from another machine
    "hub_xet_chunks",
    metadata,
    Column("tenant", String(64), primary_key=True),
    Column("hash", String(64), primary_key=True),
    Column("xorb", String(64), nullable=False),
    Index("ix_hub_xet_chunks_xorb", "tenant", "xorb"),
)

recipes = Table(  # blobs that are kept as chunks alone: like blobs they belong to nobody
    "hub_xet_recipes",
    metadata,
    Column("digest", String(64), primary_key=True),
    Column("size", BigInteger, nullable=False),
    Column("parts", LargeBinary, nullable=False),  # hub/xet/recipes.py
)

recipe_blobs = Table(  # which blobs the recipes need
    "hub_xet_recipe_blobs",
    metadata,
    Column("digest", String(64), primary_key=True),
    Column("blob", String(64), primary_key=True),
    Index("ix_hub_xet_recipe_blobs_blob", "blob"),
)

policies = Table(  # repositories that do not keep files the way the server's settings say
    "hub_xet_policies",
    metadata,
    Column("tenant", String(64), primary_key=True),
    Column("repository", String(32), primary_key=True),
    Column("keep", String(8), nullable=False),  # "plain" or "chunks"
)
