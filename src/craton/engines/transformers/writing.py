"""From tokens to text: half letters wait for their other half, what may become a stop string is held back, and thoughts
between <think> and </think> are a part of their own."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Literal

from craton.core.events import Delta, Event, PartEnded, PartStarted, TokenLogprob

OPEN, CLOSE = "<think>", "</think>"
Kind = Literal["text", "reasoning"]


class Writer:
    """Of one answer. Feed it text; `stopped` is the stop string that it met."""

    def __init__(self, stop: Sequence[str], *, thinking: bool) -> None:
        """thinking: whether the prompt has opened the thoughts already."""
        self._stop = tuple(stop)
        self._kind: Kind = "reasoning" if thinking else "text"
        self._marks: tuple[str, ...] = (CLOSE,) if thinking else (OPEN,)
        self._held = ""
        self._waiting: tuple[TokenLogprob, ...] = ()
        self._index = -1
        self._fresh = False
        self._open: Kind | None = None
        self.stopped: str | None = None

    def feed(self, text: str, probabilities: tuple[TokenLogprob, ...] = ()) -> Iterator[Event]:
        self._held += text
        self._waiting += probabilities
        while self.stopped is None and (found := self._first()) is not None:
            at, word = found
            before, self._held = self._held[:at], self._held[at + len(word) :]
            yield from self._say(before)
            if word in self._marks:
                yield from self._switch()
            else:
                self.stopped = word
        if self.stopped is None:
            safe = len(self._held) - self._promising()
            ready, self._held = self._held[:safe], self._held[safe:]
            yield from self._say(ready)

    def finish(self) -> Iterator[Event]:
        """What was held back, unless a stop string was met."""
        if self.stopped is None:
            yield from self._say(self._held)
        if self._waiting and self._open is not None:
            yield self._delta("")
        if self._open is not None:
            yield PartEnded(index=self._index)

    def _first(self) -> tuple[int, str] | None:
        places = [(self._held.find(word), word) for word in (*self._stop, *self._marks)]
        return min((place for place in places if place[0] >= 0), default=None)

    def _promising(self) -> int:
        """Characters at the end that may be the beginning of a word that is looked for."""
        words = (*self._stop, *self._marks)
        longest = min(len(self._held), max((len(word) - 1 for word in words), default=0))
        return next((n for n in range(longest, 0, -1) if any(word.startswith(self._held[-n:]) for word in words)), 0)

    def _switch(self) -> Iterator[Event]:
        """The thoughts begin, or they end and the answer comes; there is one such place in an answer."""
        self._kind, self._marks = ("reasoning", (CLOSE,)) if self._marks == (OPEN,) else ("text", ())
        if self._open is not None:
            yield PartEnded(index=self._index)
            self._open = None
        self._fresh = True

    def _say(self, text: str) -> Iterator[Event]:
        if self._fresh and self._kind == "text":  # of an answer that comes after thoughts
            text = text.lstrip("\n")
        if not text:
            return
        self._fresh = False
        if self._open != self._kind:
            self._index += 1
            self._open = self._kind
            yield PartStarted(index=self._index, kind=self._kind)
        yield self._delta(text)

    def _delta(self, text: str) -> Delta:
        waiting, self._waiting = self._waiting, ()
        return Delta(index=self._index, text=text, logprobs=waiting)
