"""A step's samples as one row of tokens, and the loss of those that are learned.

A good part of a language model's work is the logits, a number for each word of the vocabulary at each token. Here they
are computed only where an answer is predicted.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from craton.children.frames import Frame
from craton.training.tuning.attention import Segments
from craton.training.tuning.corpus import Corpus

if TYPE_CHECKING:
    import torch
    from torch import Tensor


@dataclass(frozen=True, slots=True)
class Batch:
    """ids, positions: a row of tokens. places: those after which a learned token comes; wanted: that token."""

    ids: Tensor
    positions: Tensor
    places: Tensor
    wanted: Tensor
    lengths: list[int]


class Row(Frame, frozen=True):
    """The same as bytes (int32; 0 or 1), which any process makes its batch of. Samples lie one after the other."""

    ids: bytes
    learned: bytes
    lengths: list[int]

    @property
    def tokens(self) -> int:
        return sum(self.lengths)

    @property
    def counted(self) -> int:
        """Tokens that are learned."""
        return self.learned.count(1)

    def batch(self, device: torch.device) -> Batch:
        import numpy as np
        import torch

        ids = np.frombuffer(self.ids, np.int32).astype(np.int64)
        positions = np.concatenate([np.arange(length) for length in self.lengths])
        after = np.flatnonzero(np.frombuffer(self.learned, np.uint8))  # never the first: the one before is its own
        rows = [torch.from_numpy(row).to(device) for row in (ids, positions, after - 1, ids[after])]
        return Batch(rows[0][None], rows[1][None], rows[2], rows[3], self.lengths)


def row_of(corpus: Corpus, numbers: list[int]) -> Row:
    import numpy as np

    samples = [corpus.sample(number) for number in numbers]
    ids = np.concatenate([ids for ids, _ in samples]).astype(np.int32)
    learned = np.concatenate([learned for _, learned in samples]).astype(np.uint8)
    return Row(ids.tobytes(), learned.tobytes(), [len(ids) for ids, _ in samples])


def joined(rows: Sequence[Row]) -> Row:
    lengths = [length for row in rows for length in row.lengths]
    return Row(b"".join(row.ids for row in rows), b"".join(row.learned for row in rows), lengths)


class LanguageLoss:
    """Cross-entropy of the learned tokens, summed."""

    def __init__(self, model: Any, segments: Segments) -> None:
        self._model, self._segments = model, segments

    def __call__(self, batch: Batch) -> Tensor:
        from torch.nn import functional

        return functional.cross_entropy(self.logits(batch).float(), batch.wanted, reduction="sum")

    def logits(self, batch: Batch) -> Tensor:
        """(learned tokens, vocabulary)."""
        import torch

        if self._segments.apart:
            return torch.cat([self._computed(one) for one in _apart(batch)])
        return self._computed(batch)

    def _computed(self, batch: Batch) -> Tensor:
        self._segments.lengths = batch.lengths
        found: Tensor = self._model(
            input_ids=batch.ids, position_ids=batch.positions, logits_to_keep=batch.places, use_cache=False
        ).logits[0]
        return found


def _apart(batch: Batch) -> Iterator[Batch]:
    """Each sample in which something is learned, by itself."""
    start = 0
    for length in batch.lengths:
        mine = (batch.places >= start) & (batch.places < start + length)
        row = slice(start, start + length)
        if bool(mine.any()):
            places, wanted = batch.places[mine] - start, batch.wanted[mine]
            yield Batch(batch.ids[:, row], batch.positions[:, row], places, wanted, [length])
        start += length
