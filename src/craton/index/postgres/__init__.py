"""Indexes in a PostgreSQL with pgvector, with a lexical leg of their own.

from craton.index.postgres import PostgresIndexes
"""

from craton.index.postgres.indexes import PostgresIndexes

__all__ = ["PostgresIndexes"]
