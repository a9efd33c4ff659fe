"""Which sequences are computed next: small requests first, large ones in turn, everything in batches of like length."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Sequence

import numpy as np
from msgspec import Struct

from craton.core.errors import Throttled
from craton.engines.bert.arrays import Array, Ids

_LARGE_TURN = 4
"""While both kinds wait, every fourth batch is a large request's: none starves."""
_LOOK_AHEAD = 64
_MOST_PADDING = 1.5


class Piece(Struct, frozen=True):
    """Some of a job's sequences, by index. longest and tokens (real ones, no padding) count tokens."""

    indices: list[int]
    longest: int
    tokens: int


class Job:
    """One request. vectors is filled in the order of the rows; done is set when all are there.

    pieces: what nobody has begun to compute, shortest first.
    """

    def __init__(self, rows: list[Ids], pieces: list[Piece], dimensions: int, done: asyncio.Future[None]) -> None:
        self.rows, self.pieces, self.done = rows, pieces, done
        self.vectors: Array = np.empty((len(rows), dimensions), dtype=np.float32)
        self._missing = len(rows)

    @property
    def waiting_tokens(self) -> int:
        return sum(piece.tokens for piece in self.pieces)

    def fill(self, piece: Piece, vectors: Array) -> None:
        self.vectors[piece.indices] = vectors
        self._missing -= len(piece.indices)
        if not self._missing and not self.done.done():
            self.done.set_result(None)

    def fail(self, error: Exception) -> None:
        if not self.done.done():
            self.done.set_exception(error)


Batch = list[tuple[Job, Piece]]


def cut(rows: Sequence[Ids], batch_tokens: int) -> list[Piece]:
    """Pieces of like length, none over batch_tokens with its padding (but for a single longer row), shortest first."""
    pieces: list[Piece] = []
    order = sorted(range(len(rows)), key=lambda index: len(rows[index]), reverse=True)
    start = 0
    while start < len(order):
        longest = len(rows[order[start]])
        indices = order[start : start + max(1, batch_tokens // longest)]
        pieces.append(Piece(indices, longest, sum(len(rows[index]) for index in indices)))
        start += len(indices)
    pieces.reverse()
    return pieces


class Queue:
    """Waiting work. Not thread-safe: it belongs to one event loop.

    batch_tokens: the most tokens of a batch, padding included. capacity: the most tokens that may wait; an empty
    queue takes any one request. most_jobs: the most requests that may wait.
    """

    def __init__(self, batch_tokens: int, capacity: int, most_jobs: int = 4096) -> None:
        self._batch_tokens, self._capacity, self._most_jobs = batch_tokens, capacity, most_jobs
        self._small: deque[Job] = deque()  # of one piece
        self._large: deque[Job] = deque()
        self._turn = 0
        self.waiting_tokens = 0

    def add(self, job: Job) -> None:
        """Raises Throttled when the queue is full."""
        tokens = job.waiting_tokens
        full = self.waiting_tokens and self.waiting_tokens + tokens > self._capacity
        if full or len(self._small) + len(self._large) >= self._most_jobs:
            raise Throttled("Too many texts are waiting for this embedding model.")
        self.waiting_tokens += tokens
        (self._small if len(job.pieces) == 1 else self._large).append(job)

    def take(self) -> Batch:
        """The next batch; empty when nothing waits."""
        if not self._small and not self._large:
            return []
        self._turn += 1
        large = self._large and (not self._small or self._turn % _LARGE_TURN == 0)
        batch = [self._take_large()] if large else self._take_small()
        self.waiting_tokens -= sum(piece.tokens for _, piece in batch)
        return batch

    def drop(self, job: Job) -> None:
        """Forgets what still waits of the job, if anything."""
        if job.pieces:
            (self._small if job in self._small else self._large).remove(job)
            self.waiting_tokens -= job.waiting_tokens
            job.pieces.clear()

    def clear(self) -> list[Job]:
        """Empties the queue; returns the jobs that waited."""
        jobs = [*self._small, *self._large]
        for job in jobs:
            self.drop(job)
        return jobs

    def _take_large(self) -> tuple[Job, Piece]:
        job = self._large.popleft()
        piece = job.pieces.pop()
        if job.pieces:
            self._large.append(job)
        return job, piece

    def _take_small(self) -> Batch:
        """The oldest small request, and those behind it that fit into its batch without much padding."""
        job = self._small.popleft()
        piece = job.pieces.pop()
        batch, passed = [(job, piece)], list[Job]()
        count, longest, tokens = len(piece.indices), piece.longest, piece.tokens
        while self._small and len(passed) < _LOOK_AHEAD:
            job = self._small.popleft()
            piece = job.pieces[0]
            padded = (count + len(piece.indices)) * max(longest, piece.longest)
            if padded > self._batch_tokens or padded > _MOST_PADDING * (tokens + piece.tokens):
                passed.append(job)
                continue
            batch.append((job, job.pieces.pop()))
            count, longest = count + len(piece.indices), max(longest, piece.longest)
            tokens += piece.tokens
        self._small.extendleft(reversed(passed))
        return batch
