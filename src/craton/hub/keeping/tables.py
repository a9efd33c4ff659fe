"""Rows about stored bytes."""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, Float, Index, Integer, String, Table, Text

from craton.store.schema import metadata

usage = Table(  # what each tenant has stored: changed in the transaction that changes what is counted
    "hub_usage",
    metadata,
    Column("tenant", String(64), primary_key=True),
    Column("bytes", BigInteger, nullable=False),  # of hub_stored
    Column("files", BigInteger, nullable=False),
    Column("xorbs", BigInteger, nullable=False),  # bytes of hub_xet_xorbs
)

quotas = Table(  # as the operator's settings say; tenant "": of all others
    "hub_quotas",
    metadata,
    Column("tenant", String(64), primary_key=True),
    Column("bytes", BigInteger, nullable=False),
)

condemned = Table(  # blobs that a collection found in nobody's use
    "hub_condemned",
    metadata,
    Column("digest", String(64), primary_key=True),
    Column("since", Float, nullable=False),
    Column("removed", Float),  # when it was; the row stays for a while, as a warning to slow writers
    Index("ix_hub_condemned_since", "removed", "since"),
)

damaged = Table(  # blobs that were found damaged or missing
    "hub_damaged",
    metadata,
    Column("digest", String(64), primary_key=True),
    Column("found", Float, nullable=False),
    Column("missing", Integer, nullable=False),  # 1: there was nothing at all
    Column("repaired", Float),  # when it was brought back, or uploaded again
)

scans = Table(  # what a blob was found to be, by what reads it
    "hub_scans",
    metadata,
    Column("digest", String(64), primary_key=True),
    Column("format", String(16), primary_key=True),  # "pickle", "safetensors" or "gguf": as what it was read
    Column("scanner", Integer, nullable=False),
    Column("status", String(16), nullable=False),
    Column("detail", Text, nullable=False),  # JSON of keeping.scanning.Scan
    Column("scanned", Float, nullable=False),
)

scans_due = Table(  # revisions whose files are to be scanned
    "hub_scans_due",
    metadata,
    Column("tenant", String(64), primary_key=True),
    Column("repository", String(32), primary_key=True),
    Column("revision", String(40), primary_key=True),
    Column("noted", Float, nullable=False),
    Index("ix_hub_scans_due_noted", "noted"),
)
