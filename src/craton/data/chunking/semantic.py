"""SEMANTIC: where the meaning turns. Each sentence is embedded with its neighbours; a turn lies between two sentences
whose embeddings are further apart than most of the document's are (Kamradt's percentile breakpoints)."""

from __future__ import annotations

from collections.abc import Sequence

from craton.core.errors import Internal
from craton.data.chunking.packing import Run
from craton.data.chunking.units import CHARACTERS_PER_TOKEN, Unit
from craton.data.documents import Embeds

_BATCH = 256  # windows that are embedded at a time


async def turns(text: str, units: Sequence[Unit], embeds: Embeds, room: int, buffer: int, percentile: int) -> list[Run]:
    """Runs of units that belong together, in order. buffer: neighbours on either side. percentile: of the distances;
    a heading always begins a run."""
    import numpy as np

    if len(units) < 2:
        return [(0, len(units))] if units else []
    last = None
    distances: list[float] = []
    for first in range(0, len(units), _BATCH):
        windows = [_window(text, units, index, room, buffer) for index in range(first, min(first + _BATCH, len(units)))]
        vectors = np.frombuffer(await embeds(windows), dtype=np.float32)
        if vectors.size % len(windows) or not vectors.size:
            raise Internal("")
        rows = vectors.reshape(len(windows), -1)
        joined = rows if last is None else np.vstack([last, rows])
        distances += (1.0 - np.einsum("ij,ij->i", joined[:-1], joined[1:])).tolist()
        last = rows[-1:].copy()
    bound = float(np.percentile(np.asarray(distances), percentile))
    cuts = [
        index + 1
        for index, distance in enumerate(distances)
        if not units[index].level and (distance > bound or units[index + 1].level)
    ]
    return list(zip([0, *cuts], [*cuts, len(units)], strict=True))


def _window(text: str, units: Sequence[Unit], index: int, room: int, buffer: int) -> str:
    """The sentence with as many neighbours as the embedder can read."""
    for width in range(buffer, 0, -1):
        first, last = max(0, index - width), min(len(units), index + width + 1)
        tokens = sum(unit.tokens for unit in units[first:last])
        span = units[last - 1].end - units[first].start
        # a sixteenth is left for what tokenizers add where texts are joined
        if tokens <= room - room // 16 and span <= room * CHARACTERS_PER_TOKEN:
            return text[units[first].start : units[last - 1].end]
    return text[units[index].start : units[index].end]
