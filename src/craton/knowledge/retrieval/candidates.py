"""From hits in an index to chunks in an order: pieces grouped by the chunk they are in, both legs fused, the first
looked at a second time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from msgspec import Struct
from msgspec.structs import replace

from craton.index.checks import MAX_LIMIT
from craton.index.protocol import Found, Hit
from craton.knowledge.ranking.fusion import stretched, weighted
from craton.knowledge.ranking.second import covered, looked_at, passed_over

DEPTH = 200
"""Hits of each leg. Twice as many changed nothing, half as many lost a little (`python -m bench retrieval`)."""

DEPTHS = (DEPTH, 1600, MAX_LIMIT)
"""Tried in turn, while hits that nobody may see take up the places of others."""

DENSE_SHARE = 0.5
_LEAST_SPREAD = 0.2  # of cosines: how far the best of a few hundred texts usually is above the last


class Candidate(Struct, frozen=True):
    """A chunk that was hit. score: 0 to 1, by the rule of `ranked`. pieces: the numbers of its pieces that were hit.
    cosine: of the nearest, 0 to 1; what the last of the dense leg has where that leg did not find the chunk."""

    chunk: int
    score: float
    pieces: tuple[int, ...]
    cosine: float = 0.0


def pieces_of(found: Found) -> set[int]:
    return {hit.id for leg in (found.dense, found.lexical) for hit in leg}


def is_full(found: Found, depth: int) -> bool:
    """Whether a leg may have more than it gave."""
    return max(len(found.dense), len(found.lexical)) >= depth


def ranked(found: Found, current: Mapping[int, int], depth: int = DEPTH) -> list[Candidate]:
    """The chunks of those hits that are in `current` (the pieces that may be seen, and the chunk of each), best
    first.

    A chunk counts as its best piece does. With both legs the score is half the cosine and half BM25, each stretched
    from 0 (the last that a leg of `depth` hits found, or what it would give to a text that has nothing of the question)
    to 1 (its best); with one leg that was asked, the cosine itself, or BM25 stretched.
    """
    dense = _best(found.dense, current)
    lexical = _best(found.lexical, current)
    if lexical and dense:
        scores = weighted(
            (
                (DENSE_SHARE, stretched(dense, found.dense[-1].score, _LEAST_SPREAD)),
                (1 - DENSE_SHARE, stretched(lexical, _floor(found.lexical, depth))),
            )
        )
    elif dense:
        scores = {chunk: _unit(score) for chunk, score in dense.items()}
    else:
        scores = stretched(lexical, _floor(found.lexical, depth))
    pieces: dict[int, dict[int, None]] = {}
    for hit in (*found.dense, *found.lexical):
        if hit.id in current:
            pieces.setdefault(current[hit.id], {})[hit.id] = None
    order = sorted(scores, key=lambda chunk: (-scores[chunk], chunk))
    far = found.dense[-1].score if found.dense else 0.0
    return [Candidate(chunk, scores[chunk], tuple(pieces[chunk]), _unit(dense.get(chunk, far))) for chunk in order]


def looked(query: str, candidates: Sequence[Candidate], texts: Sequence[str]) -> list[Candidate]:
    """The candidates after the second look at the first of them, whose texts are given. They stay
    before the others."""
    first, rest = candidates[: len(texts)], candidates[len(texts) :]
    scores = [
        looked_at(candidate.score, candidate.cosine, part)
        for candidate, part in zip(first, covered(query, texts), strict=True)
    ]
    again = [replace(candidate, score=score) for candidate, score in zip(first, scores, strict=True)]
    again.sort(key=lambda candidate: (-candidate.score, candidate.chunk))
    return again + [replace(candidate, score=passed_over(candidate.score)) for candidate in rest]


def merged(answers: Sequence[Sequence[Candidate]]) -> list[Candidate]:
    """The answers to several questions as one, best first. A chunk counts as it does for the question that it answers
    best. (Reciprocal ranks would put first what is halfway near to all of them: measured, far worse.)"""
    best: dict[int, Candidate] = {}
    pieces: dict[int, dict[int, None]] = {}
    for answer in answers:
        for candidate in answer:
            pieces.setdefault(candidate.chunk, {}).update(dict.fromkeys(candidate.pieces))
            known = best.get(candidate.chunk)
            if known is None or candidate.score > known.score:
                best[candidate.chunk] = candidate
    order = sorted(best.values(), key=lambda candidate: (-candidate.score, candidate.chunk))
    return [replace(candidate, pieces=tuple(pieces[candidate.chunk])) for candidate in order]


def _best(hits: Sequence[Hit], current: Mapping[int, int]) -> dict[int, float]:
    best: dict[int, float] = {}
    for hit in hits:
        chunk = current.get(hit.id)
        if chunk is not None and hit.score > best.get(chunk, float("-inf")):
            best[chunk] = hit.score
    return best


def _unit(cosine: float) -> float:
    return min(max(cosine, 0.0), 1.0)


def _floor(lexical: Sequence[Hit], depth: int) -> float:
    """A leg that is not full lacks only what shares no word with the question: that has BM25 0."""
    return lexical[-1].score if len(lexical) >= depth else 0.0
