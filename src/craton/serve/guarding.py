"""The guarding stage of the stream.

An event transformer that may hold events back, rewrite them, or end the stream with its own stop reason and cancel the
engine. Guardrails are not built yet: this is the identity, and a request that names a guardrail is refused
(`serve.refusals`). It stands in the path from the first day so that no answer will ever go around it.
"""

from __future__ import annotations

from collections.abc import AsyncIterator

from craton.core.events import Event
from craton.core.knowledge import Passage


def guard(events: AsyncIterator[Event]) -> AsyncIterator[Event]:
    """The events that may leave."""
    return events


def guard_passages(passages: tuple[Passage, ...]) -> tuple[Passage, ...]:
    """The passages that a model may read and an answer may quote."""
    return passages
