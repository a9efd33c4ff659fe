"""How well models write SQL, measured."""

from __future__ import annotations

from sqlalchemy import Column, Float, String, Table, Text

from craton.store.schema import metadata

proficiencies = Table(
    "knowledge_sql_proficiencies",
    metadata,
    Column("tenant", String(64), primary_key=True),
    Column("model", String(512), primary_key=True),
    Column("revision", String(64), primary_key=True),  # "" for a model that has none: it is measured as it is now
    Column("measured", Float, nullable=False),
    Column("value", Text, nullable=False),  # JSON of knowledge.structured.proficiency.SqlProficiency
)
