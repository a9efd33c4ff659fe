"""Rows of what people do around repositories. `tenant` is the repository's owner; `author` and the like name the tenant
who did it, which may be another one where the repository is shared."""

from __future__ import annotations

from sqlalchemy import Boolean, Column, Float, Index, Integer, LargeBinary, String, Table, Text

from craton.store.schema import metadata

access_requests = Table(
    "hub_access_requests",
    metadata,
    Column("tenant", String(64), primary_key=True),
    Column("repository", String(32), primary_key=True),
    Column("applicant", String(64), primary_key=True),
    Column("id", String(24), nullable=False),
    Column("status", String(16), nullable=False),  # "pending", "accepted" or "rejected"
    Column("created", Float, nullable=False),
    Column("fields", Text),  # JSON: what the applicant filled in
    Column("granted", Boolean, nullable=False),  # by the owner, without having been asked
    Column("reason", Text, nullable=False),  # of a rejection
    Index("ix_hub_access_requests_applicant", "applicant"),
)

discussions = Table(
    "hub_discussions",
    metadata,
    Column("tenant", String(64), primary_key=True),
    Column("repository", String(32), primary_key=True),
    Column("number", Integer, primary_key=True),
    Column("author", String(64), nullable=False),
    Column("title", Text, nullable=False),
    Column("status", String(16), nullable=False),  # "draft", "open", "closed" or "merged"
    Column("created", Float, nullable=False),
    Column("is_pull", Boolean, nullable=False),
    Column("events", Integer, nullable=False),  # how many there are
    Column("comments", Integer, nullable=False),
    Column("target", String(255), nullable=False),  # the branch that a pull request is for
    Column("base", String(40)),  # where the target stood when it was opened
    Column("merged", String(40)),  # the commit that merged it
)

events = Table(
    "hub_discussion_events",
    metadata,
    Column("tenant", String(64), primary_key=True),
    Column("repository", String(32), primary_key=True),
    Column("number", Integer, primary_key=True),
    Column("position", Integer, primary_key=True),
    Column("id", String(24), nullable=False),
    Column("author", String(64), nullable=False),
    Column("created", Float, nullable=False),
    Column("content", Text, nullable=False),  # JSON of one of `words.Content`
    Index("ix_hub_discussion_events_id", "tenant", "repository", "id"),
)

likes = Table(
    "hub_likes",
    metadata,
    Column("tenant", String(64), primary_key=True),
    Column("repository", String(32), primary_key=True),
    Column("user", String(64), primary_key=True),
    Column("created", Float, nullable=False),
    Index("ix_hub_likes_user", "user", "created"),
)

collections = Table(
    "hub_collections",
    metadata,
    Column("tenant", String(64), primary_key=True),
    Column("id", String(24), primary_key=True),
    Column("namespace", String(96), nullable=False),
    Column("title", String(255), nullable=False),
    Column("description", Text),
    Column("theme", String(16), nullable=False),
    Column("private", Boolean, nullable=False),
    Column("position", Integer, nullable=False),
    Column("modified", Float, nullable=False),
    Index("ix_hub_collections_id", "id", unique=True),
    Index("ix_hub_collections_title", "tenant", "namespace", "title"),
    Index("ix_hub_collections_modified", "modified"),
)

collection_items = Table(
    "hub_collection_items",
    metadata,
    Column("tenant", String(64), primary_key=True),
    Column("collection", String(24), primary_key=True),
    Column("id", String(24), primary_key=True),
    Column("position", Integer, nullable=False),
    Column("kind", String(16), nullable=False),  # "model", "dataset", "space" or "collection"
    Column("owner", String(64), nullable=False),  # whose the item is: not always the collection's
    Column("target", String(32), nullable=False),  # the repository's or collection's id: names change
    Column("note", Text),
    Column("created", Float, nullable=False),
    Index("ix_hub_collection_items_target", "owner", "target"),
)

webhooks = Table(
    "hub_webhooks",
    metadata,
    Column("tenant", String(64), primary_key=True),
    Column("id", String(24), primary_key=True),
    Column("url", Text, nullable=False),
    Column("secret", LargeBinary),  # sealed
    Column("repo_domain", Boolean, nullable=False),
    Column("discussion_domain", Boolean, nullable=False),
    Column("disabled", Boolean, nullable=False),
    Column("created", Float, nullable=False),
)

watched = Table(  # what a webhook watches
    "hub_webhook_watched",
    metadata,
    Column("tenant", String(64), primary_key=True),
    Column("webhook", String(24), primary_key=True),
    Column("position", Integer, primary_key=True),
    Column("kind", String(16), nullable=False),  # "model", "dataset" or "space", and "user" or "org" for a namespace
    Column("name", String(255), nullable=False),
    Index("ix_hub_webhook_watched_name", "name", "kind"),
)

deliveries = Table(  # what is still to be delivered, and what was given up
    "hub_webhook_deliveries",
    metadata,
    Column("tenant", String(64), primary_key=True),  # the webhook's
    Column("id", String(32), primary_key=True),
    Column("webhook", String(24), nullable=False),
    Column("payload", Text, nullable=False),  # JSON
    Column("created", Float, nullable=False),
    Column("attempts", Integer, nullable=False),
    Column("due", Float),  # when it is tried next; none when it was given up
    Column("failure", Text, nullable=False),  # why the last attempt failed
    Index("ix_hub_webhook_deliveries_due", "due"),
    Index("ix_hub_webhook_deliveries_webhook", "tenant", "webhook"),
)
