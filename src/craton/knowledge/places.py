"""Where a knowledge base's index lives, and what it is called there."""

from __future__ import annotations

from craton.core.knowledge import KnowledgeBase
from craton.index.protocol import IndexSpec


def place(base: KnowledgeBase) -> str:
    """ "edge", "qdrant" or "postgres" for the only (or default) server of that kind, "qdrant:NAME" for a registered
    one."""
    register = str(base.storage.get("register", ""))
    return f"{base.index}:{register}" if register else base.index


def index_spec(base: KnowledgeBase, epoch: int) -> IndexSpec:
    """epoch: counts the rebuilds of the index, from 1."""
    return IndexSpec(base.tenant, f"{base.id.lower()}-{epoch}", base.dimensions)
