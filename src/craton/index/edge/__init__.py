"""The embedded index: Qdrant Edge in a child process that alone owns its files.

from craton.index.edge import EdgeIndexes, EdgeSettings
"""

from craton.index.edge.indexes import EdgeIndexes
from craton.index.edge.settings import EdgeSettings

__all__ = ["EdgeIndexes", "EdgeSettings"]
