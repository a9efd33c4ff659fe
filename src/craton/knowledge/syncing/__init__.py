"""Carrying the truth into the indexes: see `loop.Syncing`."""

from craton.knowledge.syncing.loop import Syncing

__all__ = ["Syncing"]
