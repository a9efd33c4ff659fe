"""What each request of a batch used, as `serve` tells it of any request."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from craton.serve.metering import Record


@dataclass(slots=True)
class Used:
    """Tokens that the model read and wrote."""

    read: int = 0
    written: int = 0


class Usages:
    """`serve.inference.Tracer`."""

    def __init__(self) -> None:
        self._open: dict[str, Used] = {}

    @contextmanager
    def of(self, request: str) -> Iterator[Used]:
        """Filled while the block runs."""
        used = self._open[request] = Used()
        try:
            yield used
        finally:
            del self._open[request]

    def finished(self, record: Record) -> None:
        used = self._open.get(record.id)
        if used is not None and record.usage is not None:
            used.read += record.usage.input
            used.written += record.usage.output
