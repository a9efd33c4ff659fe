"""How to answer what no route claims: in the words that this client will most likely understand."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from craton.wire.http import ErrorWriter, Reply, Request


@dataclass(frozen=True, slots=True)
class Fallback:
    """spoken_services: names in a signature's scope that Craton answers; others are refused by name,
    so that nothing meant for them reaches the real AWS by accident."""

    aws: ErrorWriter
    anthropic: ErrorWriter
    openai: ErrorWriter
    spoken_services: frozenset[str]
    refuse_service: Callable[[str, Request], Reply]

    def error_writer(self, request: Request) -> ErrorWriter:
        if "x-amz-date" in request.headers or "X-Amz-Algorithm" in request.query:
            return self.aws
        if "anthropic-version" in request.headers:
            return self.anthropic
        return self.openai
