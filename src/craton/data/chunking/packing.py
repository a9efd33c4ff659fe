"""Runs of units to spans of at most so many tokens. A run is (first, last): units[first:last]."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from craton.data.chunking.counting import Counter
from craton.data.chunking.units import CHARACTERS_PER_TOKEN, Unit

Run = tuple[int, int]

_WORTH = 3  # a heading begins a new chunk when the one before is at least a third full
_LITTLE = 5  # a last run with less than a fifth of its own is a mere rest


def pack(units: Sequence[Unit], run: Run, limit: int, overlap: int = 0) -> Iterator[Run]:
    """Runs of at most `limit` tokens, filled in order. A heading stays with what follows it and, when enough stands
    before it, begins a run. Neighbours share whole units of at most `overlap` tokens, but never across a heading that
    begins a run. A unit longer than the limit is a run of its own."""
    first, last = run
    start = first
    at = first  # the first unit that no run holds yet
    while at < last:
        tokens = sum(units[index].tokens for index in range(start, at))
        end = at
        while end < last and (end == at or _fits(units, start, end, tokens, limit)):
            if end > at and units[end].level and not units[end - 1].level and tokens * _WORTH >= limit:
                break
            tokens += units[end].tokens
            end += 1
        if end < last:
            while end - 1 > at and units[end - 1].level:
                end -= 1
        yield start, end
        at, start = end, _shared(units, start, end, overlap, limit, last)


def _fits(units: Sequence[Unit], start: int, end: int, tokens: int, limit: int) -> bool:
    return (
        tokens + units[end].tokens <= limit
        and units[end].end - units[start].start <= max(limit, 1) * CHARACTERS_PER_TOKEN
    )


def _shared(units: Sequence[Unit], start: int, end: int, overlap: int, limit: int, last: int) -> int:
    """Where the next run begins: at `end`, or so many units before it as may be shared and leave room for a new one."""
    if end >= last or units[end].level:
        return end
    begin, tokens = end, 0
    while begin - 1 > start and not units[begin - 1].level:
        tokens += units[begin - 1].tokens
        if tokens > overlap or tokens + units[end].tokens > limit:
            break
        begin -= 1
    return begin


def fitting(text: str, units: Sequence[Unit], runs: Sequence[Run], counter: Counter, limit: int) -> list[Run]:
    """The runs, halved where their units together take more than `limit` tokens: never where counts add up, and
    checked with the tokenizer wherever they might not."""
    runs = list(runs)
    while True:
        doubtful = [run for run in runs if not _adds_up(units, run, counter)]
        counts = counter.count([text[units[first].start : units[last - 1].end] for first, last in doubtful])
        over = {run for run, count in zip(doubtful, counts, strict=True) if count > limit}
        if not over:
            return runs
        halved: set[Run] = set()
        for first, last in runs:
            middle = (first + last) // 2
            halved |= {(first, middle), (middle, last)} if (first, last) in over else {(first, last)}
        runs = list(_outermost(halved))


def _outermost(runs: set[Run]) -> Iterator[Run]:
    """In order, without those that lie within another (halves of runs that overlap may)."""
    reached = -1
    for first, last in sorted(runs, key=lambda run: (run[0], -run[1])):
        if last > reached:
            yield first, last
            reached = last


def levelled(units: Sequence[Unit], runs: Sequence[Run], limit: int, overlap: int) -> list[Run]:
    """The runs of one `pack`, the last two filled evenly where the last would hold a mere rest that the one before it
    does not: less than a fifth of the limit, and under no heading of its own."""
    if len(runs) < 2:
        return list(runs)
    (first, reached), (_, last) = runs[-2:]
    rest = sum(unit.tokens for unit in units[reached:last])
    if rest * _LITTLE >= limit or units[reached].level:
        return list(runs)
    total = sum(unit.tokens for unit in units[first:last])
    both = list(pack(units, (first, last), min(limit, (total + overlap) // 2 + limit // 8), overlap))
    return [*runs[:-2], *(both if len(both) == 2 else runs[-2:])]


def reaching_back(units: Sequence[Unit], runs: Sequence[Run], limit: int) -> list[Run]:
    """The runs, the last filled up with what stands before it: a rest of three words is no piece to match by, and the
    others stay as full as they can be. (Measured: filled evenly, they are found later.)"""
    if len(runs) < 2:
        return list(runs)
    start, last = runs[-1]
    least = runs[-2][0] + 1
    tokens = sum(unit.tokens for unit in units[start:last])
    while start > least and tokens + units[start - 1].tokens <= limit:
        if units[last - 1].end - units[start - 1].start > limit * CHARACTERS_PER_TOKEN:
            break
        start -= 1
        tokens += units[start].tokens
    return [*runs[:-1], (start, last)]


def _adds_up(units: Sequence[Unit], run: Run, counter: Counter) -> bool:
    """Units between which there is no white space may take more or fewer tokens together."""
    first, last = run
    if last - first == 1:
        return True
    return counter.adds_up and all(units[index - 1].end < units[index].start for index in range(first + 1, last))
