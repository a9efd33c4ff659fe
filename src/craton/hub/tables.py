"""The hub's rows: repositories, their refs and revisions, the objects that trees are made of, stored files, models."""

from __future__ import annotations

from sqlalchemy import BigInteger, Boolean, Column, Float, Index, Integer, LargeBinary, String, Table, Text, true
from sqlalchemy.engine.default import DefaultExecutionContext

from craton.store.schema import metadata


def _folded(context: DefaultExecutionContext) -> str:
    named: dict[str, str] = context.get_current_parameters()  # type: ignore[no-untyped-call]
    return fold(named["namespace"], named["name"])


def fold(namespace: str, name: str) -> str:
    """A repository's name as those see it who do not mind case: clients of the Hub may write it either way."""
    return f"{namespace}/{name}".lower()


repositories = Table(
    "hub_repositories",
    metadata,
    Column("tenant", String(64), primary_key=True),
    Column("id", String(32), primary_key=True),
    Column("kind", String(16), nullable=False),
    Column("namespace", String(96), nullable=False),
    Column("name", String(96), nullable=False),
    Column("created", Float, nullable=False),
    Column("modified", Float, nullable=False, server_default="0"),  # when its last commit was made
    Column("private", Boolean, nullable=False, server_default=true()),  # False: every tenant of this server may read it
    Column("gated", String(8), nullable=False, server_default=""),
    Column("folded", String(193), nullable=False, server_default="", default=_folded),
    Index("ix_hub_repositories_folded", "kind", "folded"),
    Index("uq_hub_repositories_path", "tenant", "kind", "namespace", "name", unique=True),
    Index("ix_hub_repositories_shared", "kind", "namespace", "name", "private"),
)

refs = Table(
    "hub_refs",
    metadata,
    Column("tenant", String(64), primary_key=True),
    Column("repository", String(32), primary_key=True),
    Column("kind", String(16), primary_key=True),  # "branch", "tag", "pr" or "convert"
    Column("name", String(255), primary_key=True),
    Column("revision", String(40), nullable=False),
)

revisions = Table(
    "hub_revisions",
    metadata,
    Column("tenant", String(64), primary_key=True),
    Column("repository", String(32), primary_key=True),
    Column("id", String(40), primary_key=True),
    Column("parent", String(40)),
    Column("tree", String(64), nullable=False),  # digest of the root folder's object
    Column("message", Text, nullable=False),
    Column("author", String(255), nullable=False),
    Column("created", Float, nullable=False),
)

objects = Table(
    "hub_objects",
    metadata,
    Column("tenant", String(64), primary_key=True),
    Column("repository", String(32), primary_key=True),
    Column("digest", String(64), primary_key=True),  # sha256 of content
    Column("content", LargeBinary, nullable=False),  # a folder or a page of one: hub/trees.py
)

stored = Table(  # which blobs a tenant has brought in: knowing a digest is no right to its content
    "hub_stored",
    metadata,
    Column("tenant", String(64), primary_key=True),
    Column("digest", String(64), primary_key=True),
    Column("size", BigInteger, nullable=False),
    Column("git_oid", String(40), nullable=False),
    Column("used", Float, nullable=False, server_default="0"),  # when it was last uploaded, or put into a tree
    Index("ix_hub_stored_digest", "digest"),
)

moved = Table(  # names that repositories had before
    "hub_moved",
    metadata,
    Column("tenant", String(64), primary_key=True),
    Column("kind", String(16), primary_key=True),
    Column("namespace", String(96), primary_key=True),
    Column("name", String(96), primary_key=True),
    Column("repository", String(32), nullable=False),
    Index("ix_hub_moved_name", "kind", "namespace", "name"),
)

cards = Table(  # what the main branch says about itself; can be dropped and read again
    "hub_cards",
    metadata,
    Column("tenant", String(64), primary_key=True),
    Column("repository", String(32), primary_key=True),
    Column("revision", String(40), nullable=False),  # of main, that was read
    Column("reader", Integer, nullable=False),
    Column("pipeline", String(255), nullable=False),
    Column("card", Text, nullable=False),  # JSON: hub/cards
)

tags = Table(
    "hub_tags",
    metadata,
    Column("tenant", String(64), primary_key=True),
    Column("repository", String(32), primary_key=True),
    Column("tag", String(255), primary_key=True),
    Index("ix_hub_tags_tag", "tag"),
)

downloads = Table(  # by day, so that those of the last 30 are known
    "hub_downloads",
    metadata,
    Column("tenant", String(64), primary_key=True),
    Column("repository", String(32), primary_key=True),
    Column("day", Integer, primary_key=True),  # days since the epoch
    Column("count", BigInteger, nullable=False),
)

models = Table(  # what was read from a revision's files; can be dropped and read again
    "hub_models",
    metadata,
    Column("tenant", String(64), primary_key=True),
    Column("repository", String(32), primary_key=True),
    Column("revision", String(40), primary_key=True),
    Column("reader", Integer, nullable=False),
    Column("info", Text, nullable=False),
)
