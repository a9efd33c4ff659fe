"""Differences between two texts, as `git diff` writes them, in bounded time.

The shortest script of changes is E. Myers' greedy algorithm ("An O(ND) Difference Algorithm", 1986), which takes time
by how much differs; past MAX_DIFFERENCES the middle is simply replaced. (The standard library's `difflib` can take
seconds over a thousand lines made for it.)
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

MAX_DIFFERENCES = 400  # lines of one file that were taken out or put in, until no shortest script is looked for
CONTEXT = 3  # lines around a change

Edit = tuple[int, int, int, int]
"""before[a:b] became after[c:d]; one of the two may be empty."""


def edits(before: Sequence[str], after: Sequence[str]) -> list[Edit]:
    """What differs, in order; what lies between is equal."""
    start, shortest = 0, min(len(before), len(after))
    while start < shortest and before[start] == after[start]:
        start += 1
    end = 0
    while end < shortest - start and before[-1 - end] == after[-1 - end]:
        end += 1
    old, new = before[start : len(before) - end], after[start : len(after) - end]
    if not old and not new:
        return []
    return [(a + start, b + start, c + start, d + start) for a, b, c, d in _shortest(old, new)]


def _shortest(old: Sequence[str], new: Sequence[str]) -> list[Edit]:
    """Myers' algorithm: `furthest[k]` is how far along `old` diagonal k was reached with so many differences."""
    furthest = {1: 0}
    trace: list[dict[int, int]] = []
    for count in range(min(len(old) + len(new), MAX_DIFFERENCES) + 1):
        trace.append(furthest.copy())
        for k in range(-count, count + 1, 2):
            down = k == -count or (k != count and furthest[k - 1] < furthest[k + 1])
            x = furthest[k + 1] if down else furthest[k - 1] + 1
            while x < len(old) and x - k < len(new) and old[x] == new[x - k]:
                x += 1
            furthest[k] = x
            if x >= len(old) and x - k >= len(new):
                return _walked(trace, len(old), len(new))
    return [(0, len(old), 0, len(new))]


def _walked(trace: list[dict[int, int]], x: int, y: int) -> list[Edit]:
    """The way back from the end: one edit for each step, neighbours joined."""
    found: list[Edit] = []
    for count in range(len(trace) - 1, 0, -1):
        furthest, k = trace[count], x - y
        down = k == -count or (k != count and furthest[k - 1] < furthest[k + 1])
        before = k + 1 if down else k - 1
        x, y = furthest[before], furthest[before] - before
        step = (x, x, y, y + 1) if down else (x, x + 1, y, y)
        if found and (step[1], step[3]) == (found[-1][0], found[-1][2]):
            last = found.pop()
            step = (step[0], last[1], step[2], last[3])
        found.append(step)
    return found[::-1]


def hunks(before: Sequence[str], after: Sequence[str]) -> Iterator[str]:
    """The lines of a unified diff, from "@@" on. Lines come in without their ends."""
    group: list[Edit] = []
    for edit in edits(before, after):
        if group and edit[0] - group[-1][1] > 2 * CONTEXT:
            yield from _hunk(before, after, group)
            group = []
        group.append(edit)
    if group:
        yield from _hunk(before, after, group)


def _hunk(before: Sequence[str], after: Sequence[str], group: list[Edit]) -> Iterator[str]:
    start, end = max(group[0][0] - CONTEXT, 0), min(group[-1][1] + CONTEXT, len(before))
    shift, last = group[0][2] - group[0][0], group[-1][3] - group[-1][1]
    yield f"@@ -{_span(start, end)} +{_span(start + shift, end + last)} @@"
    at = start
    for a, b, c, d in group:
        yield from (f" {line}" for line in before[at:a])
        yield from (f"-{line}" for line in before[a:b])
        yield from (f"+{line}" for line in after[c:d])
        at = b
    yield from (f" {line}" for line in before[at:end])


def _span(start: int, end: int) -> str:
    """As unified diffs count: from 1, the length left out when it is one; an empty one names the line before it."""
    length = end - start
    if length == 1:
        return str(start + 1)
    return f"{start + 1 if length else start},{length}"
