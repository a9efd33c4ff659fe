"""InvokeModelWithResponseStream's events: each a `chunk` that holds one piece of the answer in its family's words.

The last one tells Bedrock's own figures too: https://docs.aws.amazon.com/bedrock/latest/APIReference/
API_runtime_InvokeModelWithResponseStream.html
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from craton.core.chat import Json
from craton.core.events import Event, Stop, Usage
from craton.wire.http import encode_json

METRICS = b'"amazon-bedrock-invocationMetrics"'


class ChunkWriter:
    """pieces: the JSON objects, encoded, that an event of the answer is to its family.

    What a Stop says waits for what comes next, for it may be the last that there is to say.
    """

    def __init__(self, pieces: Callable[[Event], list[bytes]]) -> None:
        self._pieces = pieces
        self._held: list[bytes] = []
        self._first: int | None = None  # milliseconds until the first piece

    def write(self, event: Event, milliseconds: int) -> Iterator[tuple[str, Json]]:
        """`chunk` events. milliseconds: since the request came in."""
        pieces = self._held + self._pieces(event)
        self._held = []
        if isinstance(event, Stop):
            self._held, pieces = pieces, []
        if pieces and self._first is None:
            self._first = milliseconds
        if isinstance(event, Usage):
            pieces[-1] = _with_metrics(pieces[-1], self._metrics(event, milliseconds))
        for piece in pieces:
            yield "chunk", {"bytes": piece}

    def _metrics(self, usage: Usage, milliseconds: int) -> Json:
        cached = (usage.cached_input or 0) + (usage.cache_write or 0)
        metrics = {
            "inputTokenCount": usage.input - cached,
            "outputTokenCount": usage.output,
            "invocationLatency": milliseconds,
            "firstByteLatency": self._first,
        }
        if usage.cached_input is not None:
            metrics["cacheReadInputTokenCount"] = usage.cached_input
        if usage.cache_write is not None:
            metrics["cacheWriteInputTokenCount"] = usage.cache_write
        return metrics


def _with_metrics(piece: bytes, metrics: Json) -> bytes:
    """piece: an object with members."""
    return b"%b,%b:%b}" % (piece[:-1], METRICS, encode_json(metrics))
