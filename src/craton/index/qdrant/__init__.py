"""Indexes on a Qdrant server, over its REST API.

from craton.index.qdrant import QdrantIndexes
"""

from craton.index.qdrant.indexes import QdrantIndexes

__all__ = ["QdrantIndexes"]
