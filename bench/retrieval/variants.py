"""Ways to make one order of both legs. Each takes the legs and gives scores, (questions, documents).

Sources: reciprocal ranks: Cormack et al., 2009. Score fusion: Bruch et al., 2023. Rocchio, 1971; RM3: Abdul-Jaleel et
al., 2004. Diffusion over neighbours: Diaz, 2005. Hubs (CSLS): Conneau et al., 2018. All-but-the-top: Mu et al., 2018.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
from msgspec.structs import replace

from bench.retrieval.legs import Legs, Vectors
from bench.retrieval.measures import Matrix
from craton.index.analysis import K1, query_terms
from craton.index.protocol import Found, Hit
from craton.knowledge.ranking import late
from craton.knowledge.ranking.late import DENSE_SHARE, SENTENCE_SHARE
from craton.knowledge.ranking.second import LOOKED, covered
from craton.knowledge.retrieval.candidates import Candidate, looked, ranked

Variant = Callable[[Legs], Matrix]


def variants() -> dict[str, dict[str, Variant]]:
    """Family -> setting -> variant. The families' settings are chosen between by cross-validation."""
    shares, depths = (0.4, 0.5, 0.6), (50, 100, 200, 400)
    return {
        "BM25": {"pieces": lambda legs: legs.lexical},
        "dense": {
            "pieces": lambda legs: legs.dense,
            "sentences": lambda legs: legs.nearest_sentence,
            "both": _late,
        },
        "reciprocal ranks": {
            f"constant {constant}, dense {share}": _of(reciprocal_ranks, constant, share)
            for constant in (10, 60)
            for share in shares
        },
        "raw sum": {f"cosine x {scale}": _of(raw_sum, scale) for scale in (20, 40, 60, 80)},
        "min-max": {
            f"depth {depth}, dense {share}": _of(min_max, depth, share) for depth in depths for share in shares
        },
        "z-score": {
            f"depth {depth}, dense {share}": _of(z_score, depth, share) for depth in (100, 200) for share in shares
        },
        "arctan": {f"scale {scale}, dense {share}": _of(arctan, scale, share) for scale in (5, 10) for share in shares},
        "Rocchio": {
            f"{count} documents, share {share}": _of(rocchio, count, share)
            for count in (2, 5, 10)
            for share in (0.2, 0.4)
        },
        "RM3": {
            f"{count} documents, {terms} terms, share {share}": _of(rm3, count, terms, share)
            for count, terms, share in ((3, 10, 0.2), (5, 20, 0.3), (5, 20, 0.1))
        },
        "diffusion": {
            f"{count} documents, share {share}": _of(diffusion, count, share)
            for count in (20, 50)
            for share in (0.2, 0.4)
        },
        "centred": {f"{directions} directions removed": _of(centred, directions) for directions in (0, 1, 3)},
        "hubs": {f"share {share}": _of(hubs, share) for share in (0.2, 0.4)},
        "sentences in": {f"share {share}": _of(sentences_in, share) for share in (0.3, 0.5)},
        "fused": {"chunks": fused_chunks},
        "second look": {
            f"{count} results, share {share}": _of(second_look, count, share)
            for count, share in ((10, 0.5), (20, 0.3), (20, 0.5), (20, 0.7), (50, 0.5))
        },
        "second look, whole chunks": {
            f"20 results, share {share}": _of(second_look_at_chunks, 20, share) for share in (0.3, 0.5, 0.7)
        },
        "reranked": {f"{count} results": _of(reranked, count) for count in (10, 20, 50, 100)},
        "Craton": {"as shipped": shipped},
    }


def _of(function: Callable[..., Matrix], *settings: float) -> Variant:
    return lambda legs: function(legs, *settings)


def shipped(legs: Legs) -> Matrix:
    """`knowledge.retrieval`'s own code, fed with the hits that an exact index would give."""
    return _ordered(legs, lambda row, found: _looked_again(legs, row, found, LOOKED))


def fused_chunks(legs: Legs) -> Matrix:
    """The same without its second look."""
    return _ordered(legs, lambda row, found: found)


def second_look(legs: Legs, count: int, share: float) -> Matrix:
    """The same with other settings of it: see `knowledge.ranking.second`."""

    def again(row: int, found: list[Candidate]) -> list[Candidate]:
        parts = covered(legs.collection.questions[row], [legs.texts[one.chunk] for one in found[:count]])
        first = [_scored(one, share, (one.cosine + part) / 2) for one, part in zip(found, parts, strict=False)]
        return sorted(first, key=_rank) + [_scored(one, share, 0.0) for one in found[count:]]

    return _ordered(legs, again)


def second_look_at_chunks(legs: Legs, count: int, share: float) -> Matrix:
    """By the words of whole chunks, as `knowledge.reranking` weighs them, instead of the best sentence's."""

    def again(row: int, found: list[Candidate]) -> list[Candidate]:
        parts = late.lexical(legs.collection.questions[row], [legs.texts[one.chunk] for one in found[:count]])
        first = [_scored(one, share, late.combined(one.cosine, part)) for one, part in zip(found, parts, strict=False)]
        return sorted(first, key=_rank) + [_scored(one, share, 0.0) for one in found[count:]]

    return _ordered(legs, again)


def _looked_again(legs: Legs, row: int, found: list[Candidate], count: int) -> list[Candidate]:
    return looked(legs.collection.questions[row], found, [legs.texts[one.chunk] for one in found[:count]])


def _scored(candidate: Candidate, share: float, close: float) -> Candidate:
    return replace(candidate, score=(1 - share) * candidate.score + share * close)


def _rank(candidate: Candidate) -> tuple[float, int]:
    return -candidate.score, candidate.chunk


def _ordered(legs: Legs, order: Callable[[int, list[Candidate]], list[Candidate]]) -> Matrix:
    scores = np.full(legs.dense.shape, -1.0)
    current = dict(enumerate(legs.chunks.tolist()))
    for row in range(len(scores)):
        found = Found(_hits(legs, legs.dense_pieces[row]), _hits(legs, legs.lexical_pieces[row], 0.0))
        for candidate in reversed(order(row, ranked(found, current))):
            scores[row, legs.of[candidate.chunk]] = candidate.score
    return scores


def _hits(legs: Legs, scores: Matrix, above: float = -math.inf, depth: int = 200) -> tuple[Hit, ...]:
    best = np.argsort(-scores, kind="stable")[:depth]
    return tuple(Hit(int(one), float(scores[one])) for one in best if scores[one] > above)


def reciprocal_ranks(legs: Legs, constant: int, share: float, depth: int = 100) -> Matrix:
    def part(scores: Matrix) -> Matrix:
        ranks = np.argsort(np.argsort(-scores, axis=1, kind="stable"), axis=1, kind="stable")
        return np.where((ranks < depth) & (scores > 0), 1 / (constant + 1 + ranks), 0.0)

    return share * part(legs.dense) + (1 - share) * part(legs.lexical)


def raw_sum(legs: Legs, scale: float) -> Matrix:
    summed: Matrix = scale * legs.dense + legs.lexical
    return summed


def _stretched(scores: Matrix, depth: int) -> Matrix:
    depth = min(depth, scores.shape[1] - 1)
    floor = -np.partition(-scores, depth, axis=1)[:, depth : depth + 1]
    stretched: Matrix = np.maximum(scores - floor, 0) / np.maximum(scores.max(axis=1, keepdims=True) - floor, 1e-9)
    return stretched


def fused(dense: Matrix, lexical: Matrix, depth: int = 200, share: float = 0.5) -> Matrix:
    return share * _stretched(dense, depth) + (1 - share) * _stretched(lexical, depth)


def min_max(legs: Legs, depth: int, share: float) -> Matrix:
    return fused(legs.dense, legs.lexical, depth, share)


def z_score(legs: Legs, depth: int, share: float) -> Matrix:
    def part(scores: Matrix) -> Matrix:
        top = -np.partition(-scores, min(depth, scores.shape[1] - 1), axis=1)[:, :depth]
        spread = np.maximum(top.std(axis=1, keepdims=True), 1e-9)
        scaled: Matrix = (np.maximum(scores, top.min(axis=1, keepdims=True)) - top.mean(axis=1, keepdims=True)) / spread
        return scaled

    return share * part(legs.dense) + (1 - share) * part(legs.lexical)


def arctan(legs: Legs, scale: float, share: float) -> Matrix:
    summed: Matrix = share * legs.dense + (1 - share) * 2 / math.pi * np.arctan(legs.lexical / scale)
    return summed


def _documents(legs: Legs) -> Vectors:
    summed = np.add.reduceat(legs.pieces, legs.starts, axis=0)
    unit: Vectors = summed / np.linalg.norm(summed, axis=1, keepdims=True)
    return unit


def rocchio(legs: Legs, count: int, share: float) -> Matrix:
    """The question moved towards the first documents."""
    documents, base = _documents(legs), min_max(legs, 200, 0.5)
    top = np.argsort(-base, axis=1)[:, :count]
    weights = np.take_along_axis(base, top, axis=1)
    weights /= np.maximum(weights.sum(axis=1, keepdims=True), 1e-9)
    moved = (1 - share) * legs.questions + share * np.einsum("qk,qkd->qd", weights, documents[top])
    moved /= np.linalg.norm(moved, axis=1, keepdims=True)
    return fused(np.maximum.reduceat(moved @ legs.pieces.T, legs.starts, axis=1), legs.lexical)


def rm3(legs: Legs, count: int, terms: int, share: float) -> Matrix:
    """The question's words joined by telling words of the first documents."""
    base, total = min_max(legs, 200, 0.5), len(legs.terms)
    having: dict[int, list[int]] = {}
    for row, weights in enumerate(legs.terms):
        for term in weights:
            having.setdefault(term, []).append(row)
    rarity = {term: math.log(1 + (total - len(rows) + 0.5) / (len(rows) + 0.5)) for term, rows in having.items()}
    more = np.zeros_like(legs.lexical)
    for row, question in enumerate(legs.collection.questions):
        found: dict[int, float] = {}
        for document in np.argsort(-base[row], kind="stable")[:count]:
            for term, weight in legs.terms[document].items():
                found[term] = found.get(term, 0.0) + base[row, document] * weight * rarity[term]
        own = set(query_terms(question))
        chosen = sorted((weight, term) for term, weight in found.items() if term not in own)[-terms:]
        whole = sum(weight for weight, _ in chosen) or 1.0
        for weight, term in chosen:
            rows = having[term]
            more[row, rows] += weight / whole * rarity[term] * np.array([legs.terms[other][term] for other in rows])
    words = np.array([[max(1, len(query_terms(question)))] for question in legs.collection.questions])
    return fused(legs.dense, (1 - share) * legs.lexical + share * words * more)


def diffusion(legs: Legs, count: int, share: float, neighbours: int = 5) -> Matrix:
    """Scores of the first documents mixed with those of the ones most like them."""
    documents, base = _documents(legs), min_max(legs, 200, 0.5)
    scores = base * 1e-3 - 1
    for row in range(len(base)):
        top = np.argsort(-base[row], kind="stable")[:count]
        like = documents[top] @ documents[top].T
        np.fill_diagonal(like, 0)
        like[like < -np.sort(-like, axis=1)[:, neighbours - 1 : neighbours]] = 0
        like = np.maximum(like, 0) / np.maximum(like.sum(axis=1, keepdims=True), 1e-9)
        scores[row, top] = (1 - share) * base[row, top] + share * like @ base[row, top]
    return scores


def centred(legs: Legs, directions: int) -> Matrix:
    """Without the mean of all vectors, and without the directions in which they differ most."""
    mean = legs.pieces.mean(axis=0)
    pieces, questions = legs.pieces - mean, legs.questions - mean
    if directions:
        main = np.linalg.svd(pieces, full_matrices=False)[2][:directions]
        pieces, questions = pieces - pieces @ main.T @ main, questions - questions @ main.T @ main
    pieces /= np.linalg.norm(pieces, axis=1, keepdims=True)
    questions /= np.linalg.norm(questions, axis=1, keepdims=True)
    return fused(np.maximum.reduceat(questions @ pieces.T, legs.starts, axis=1), legs.lexical)


def hubs(legs: Legs, share: float) -> Matrix:
    """Less for pieces that are near to everything."""
    sample = legs.sentences[:: max(1, len(legs.sentences) // 3000)]
    near = np.sort(legs.pieces @ sample.T, axis=1)[:, -10:].mean(axis=1)
    return fused(np.maximum.reduceat(legs.dense_pieces - share * near, legs.starts, axis=1), legs.lexical)


def _late(legs: Legs) -> Matrix:
    return (1 - SENTENCE_SHARE) * legs.dense + SENTENCE_SHARE * legs.nearest_sentence


def sentences_in(legs: Legs, share: float) -> Matrix:
    return fused((1 - share) * legs.dense + share * legs.nearest_sentence, legs.lexical)


def _among(legs: Legs, row: int, top: list[int]) -> Matrix:
    """`ranking.late.lexical` for these documents, from terms that are counted already."""
    terms = query_terms(legs.collection.questions[row])
    weights = [legs.terms[document] for document in top]
    rarity = {}
    for term in terms:
        having = sum(term in weight for weight in weights)
        rarity[term] = math.log(1 + (len(top) - having + 0.5) / (having + 0.5))
    most = (K1 + 1) * sum(rarity.values()) or 1.0
    return np.array([sum(rarity[term] * weight.get(term, 0.0) for term in terms) / most for weight in weights])


def reranked(legs: Legs, count: int) -> Matrix:
    """`knowledge.reranking`'s scores for the first results."""
    base, close = min_max(legs, 200, 0.5), _late(legs)
    scores = base * 1e-3 - 1
    for row in range(len(base)):
        top = np.argsort(-base[row], kind="stable")[:count].tolist()
        scores[row, top] = DENSE_SHARE * close[row, top] + (1 - DENSE_SHARE) * _among(legs, row, top)
    return scores
