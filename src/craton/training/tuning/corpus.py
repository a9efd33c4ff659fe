"""Tokens of many samples in files that are mapped into memory: a corpus may be larger than memory is."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from craton.core.errors import InvalidRequest
from craton.training.tuning.sampling import Sample

if TYPE_CHECKING:
    import numpy as np

    Numbers = np.ndarray[Any, np.dtype[np.integer[Any]]]


class Corpus:
    """Samples, by their numbers. spans: of each, where its tokens begin and end. cut, left_out: how many were longer
    than the length, and what became of them."""

    def __init__(self, ids: Numbers, learned: Numbers, spans: Numbers) -> None:
        self._ids, self._learned, self._spans = ids, learned, spans
        self.cut = self.left_out = 0

    def __len__(self) -> int:
        return len(self._spans)

    @property
    def lengths(self) -> Numbers:
        found: Numbers = self._spans[:, 1] - self._spans[:, 0]
        return found

    @property
    def tokens(self) -> int:
        return int(self.lengths.sum())

    @property
    def learned(self) -> float:
        """The share of all tokens, about: of the whole that this is a part of."""
        return float(self._learned.mean()) if len(self) else 0.0

    def first(self, count: int) -> Corpus:
        return Corpus(self._ids, self._learned, self._spans[:count])

    def sample(self, number: int) -> tuple[Numbers, Numbers]:
        """Its ids, and which of them are learned (0 or 1; never the first)."""
        start, end = self._spans[number]
        return self._ids[start:end], self._learned[start:end]

    def split(self, share: float, seed: int | None) -> tuple[Corpus, Corpus]:
        """Without, and only, a share of the samples: drawn at random, or (no seed) the last ones. At least one each,
        where there are two."""
        import numpy as np

        count = min(len(self) - 1, max(1, round(share * len(self)))) if share else 0
        order = np.arange(len(self)) if seed is None else np.random.default_rng(seed).permutation(len(self))
        kept, held = (np.sort(part) for part in np.split(order, [len(self) - count]))
        return Corpus(self._ids, self._learned, self._spans[kept]), Corpus(self._ids, self._learned, self._spans[held])


def gather(samples: Iterable[Sample], folder: Path, name: str, length: int) -> Corpus:
    """Each sample by itself; a longer one is cut, and left out where no answer would remain. Raises InvalidRequest
    when nothing does."""
    writing = _Writing(folder, name)
    cut = left_out = 0
    for sample in samples:
        fitting = sample.cut(length)
        if fitting.answers:
            writing.add(fitting)
            cut += len(sample.ids) > length
        else:
            left_out += 1
    found = writing.done()
    found.cut, found.left_out = cut, left_out
    if not len(found):
        raise InvalidRequest(f"no answer begins within {length:,} tokens, so there is nothing to learn", "train.length")
    return found


def gather_blocks(samples: Iterable[Sample], folder: Path, name: str, length: int) -> Corpus:
    """Texts one after the other, cut into sequences of one length: nothing is lost, the last one may be shorter."""
    writing = _Writing(folder, name)
    held = Sample([], [])
    for sample in samples:
        held = Sample(held.ids + sample.ids, held.learned + sample.learned)
        while len(held.ids) >= length:
            writing.add(held.cut(length))
            held = Sample(held.ids[length:], held.learned[length:])
    if held.answers:
        writing.add(held)
    found = writing.done()
    if not len(found):
        raise InvalidRequest("holds no text to learn from", "data.ref")
    return found


class _Writing:
    def __init__(self, folder: Path, name: str) -> None:
        self._paths = (folder / f"{name}.ids", folder / f"{name}.learned")
        self._files = tuple(path.open("wb") for path in self._paths)
        self._starts = [0]

    def add(self, sample: Sample) -> None:
        import numpy as np

        self._files[0].write(np.array(sample.ids, np.int32).tobytes())
        self._files[1].write(np.array([False, *sample.learned[1:]], np.uint8).tobytes())
        self._starts.append(self._starts[-1] + len(sample.ids))

    def done(self) -> Corpus:
        import numpy as np

        for file in self._files:
            file.close()
        starts = np.array(self._starts)
        spans = np.stack([starts[:-1], starts[1:]], axis=1)
        if not len(spans):
            return Corpus(starts, starts, spans)
        ids, learned = self._paths
        return Corpus(np.memmap(ids, np.int32, "r"), np.memmap(learned, np.uint8, "r"), spans)
