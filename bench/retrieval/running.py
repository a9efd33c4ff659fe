"""The tables."""

from __future__ import annotations

import argparse
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from msgspec.structs import replace

from bench.retrieval import head
from bench.retrieval.collections import Collection, own_words, scifact, squad
from bench.retrieval.latency import measure
from bench.retrieval.legs import Desk, Legs, legs_of
from bench.retrieval.measures import Grades, Matrix, each_ndcg, mean_recall, orders, recall
from bench.retrieval.variants import min_max, shipped, variants
from craton.core.knowledge import Chunking
from craton.knowledge.decomposing import by_rules

FOLDS = 5
_MODEL, _CACHE = Path("build/starters/all-MiniLM-L6-v2"), Path("build/retrieval-bench")


def main(given: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description="Every way to rank that was tried.")
    parser.add_argument("--data", type=Path, default=Path("../shared/data"), help="holds scifact/ and squad/")
    parser.add_argument("--model", type=Path, default=_MODEL)
    parser.add_argument("--sizes", action="store_true", help="also other sizes of chunks; embeds each anew")
    parser.add_argument("--latency", type=int, default=200, help="questions that are timed; 0: none")
    arguments = parser.parse_args(given)
    if not (arguments.data / "scifact").is_dir():
        print("SciFact is not here; --data says where it is.")
        return
    desk = Desk(arguments.model, _CACHE)
    collections = [scifact(arguments.data / "scifact"), own_words(Path())]
    if (found := next(iter(sorted((arguments.data / "squad").glob("*.json"))), None)) is not None:
        collections.append(squad(found))
    all_legs = [legs_of(collection, desk) for collection in collections]
    for legs in all_legs:
        print(
            f"{legs.collection.name}: {len(legs.collection.texts)} documents, {len(legs.pieces)} pieces, "
            f"{len(legs.sentences)} sentences, {len(legs.collection.questions)} questions"
        )
    if arguments.sizes:
        _sizes(collections, desk)
    _compare(all_legs)
    _heads(all_legs)
    _decomposed(collections[-1], desk)
    desk.close()
    if arguments.latency:
        print(f"\nRetrieve over {all_legs[0].collection.name}, in process")
        print("\n".join(measure(all_legs[0], arguments.model.parent, arguments.latency)))


def _sizes(collections: Sequence[Collection], desk: Desk) -> None:
    print("\nnDCG@10 by the size of chunks, shared tokens a fifth of it: nearest piece / as shipped")
    print(f"{'':22s} train           test           ", "           ".join(one.name for one in collections[1:]))
    for name, chunking in (
        ("default", Chunking()),
        ("128 tokens", Chunking(max_tokens=128)),
        ("200 tokens", Chunking(max_tokens=200)),
        ("300 tokens", Chunking(max_tokens=300)),
        ("600 tokens", Chunking(max_tokens=600)),
        ("1500 tokens of 254", Chunking("hierarchical", max_tokens=254)),
    ):
        values: list[float] = []
        for collection in collections:
            legs = legs_of(collection, desk, chunking)
            final = shipped(legs)
            for rows in filter(None, (collection.train, collection.test)):
                values += [_rows(legs.dense, collection.grades, rows), _rows(final, collection.grades, rows)]
        told = " ".join(f"{dense:.4f}/{final:.4f} " for dense, final in zip(values[::2], values[1::2], strict=True))
        print(f"{name:22s} {told}", flush=True)


def _compare(all_legs: Sequence[Legs]) -> None:
    main_legs, *others = all_legs
    folds = fold_of(main_legs.collection)
    print(
        f"\nnDCG@10; R@100 of scifact's test questions; ms of ranking one question\n{'':46s} cv     train  test   ",
        end="",
    )
    print(" ".join(f"{legs.collection.name:6s}" for legs in others), "R@100  ms")
    for family, settings in variants().items():
        results: dict[str, tuple[list[float], str]] = {}
        for name, variant in settings.items():
            begin = time.perf_counter()
            scores = variant(main_legs)
            spent = 1000 * (time.perf_counter() - begin) / len(scores)
            train = each_ndcg(scores, main_legs.collection.grades, main_legs.collection.train)
            measured = [
                _mean(scores, main_legs.collection),
                *(_mean(variant(legs), legs.collection) for legs in others),
            ]
            found = mean_recall(scores, main_legs.collection.grades, main_legs.collection.test)
            results[name] = train, " ".join(f"{value:.4f}" for value in measured) + f" {found:.4f} {spent:5.2f}"
        chosen = max(results, key=lambda name: float(np.mean(results[name][0])))
        validated = _validated([train for train, _ in results.values()], folds)
        for name, (train, rest) in results.items():
            mark = f"{validated:.4f}" if name == chosen else "      "
            print(f"{family + ': ' + name:46s} {mark} {np.mean(train):.4f} {rest}", flush=True)


def _mean(scores: Matrix, collection: Collection) -> float:
    return float(np.mean(each_ndcg(scores, collection.grades, collection.test)))


def _validated(results: Sequence[Sequence[float]], folds: Sequence[int]) -> float:
    """What comes out when each fold is ranked with the setting that was best on the others."""
    table, number = np.array(results), np.array(folds)
    picked = np.empty(table.shape[1])
    for fold in range(FOLDS):
        picked[number == fold] = table[table[:, number != fold].mean(axis=1).argmax(), number == fold]
    return float(picked.mean())


def fold_of(collection: Collection) -> list[int]:
    """Of each training question. Questions that share a document, directly or by way of others, share a fold."""
    group = {row: row for row in collection.train}
    owner: dict[int, int] = {}

    def root(row: int) -> int:
        while group[row] != row:
            row = group[row]
        return row

    for row in collection.train:
        for document in collection.grades[row]:
            group[root(owner.setdefault(document, row))] = root(row)
    roots = sorted({root(row) for row in collection.train})
    shuffled = dict(zip(np.random.default_rng(0).permutation(roots).tolist(), range(len(roots)), strict=True))
    return [shuffled[root(row)] % FOLDS for row in collection.train]


def _heads(all_legs: Sequence[Legs]) -> None:
    """Honest and dishonest figures of a trained head, side by side."""
    legs, *others = all_legs
    collection = legs.collection
    known = {document for row in collection.train for document in collection.grades[row]}
    unseen = [row for row in collection.test if not known.intersection(collection.grades[row])]
    plain = min_max(legs, 200, 0.5)
    print(
        f"\nlinear head; unseen: the {len(unseen)} of {len(collection.test)} test questions that ask for documents "
        "of no training question"
    )
    print(f"{'':30s} cv     test   unseen", *(f"{other.collection.name:6s}" for other in others))
    rest = [_mean(min_max(other, 200, 0.5), other.collection) for other in others]
    _line("none", _rows(plain, collection.grades, collection.train), plain, collection, unseen, rest)
    folds = np.array(fold_of(collection))
    for decay, steps, rate in ((1.0, 60, 0.003), (30.0, 30, 0.001), (300.0, 30, 0.0003)):
        validated: list[float] = []
        for fold in range(FOLDS):
            inside = [row for row, its in zip(collection.train, folds, strict=True) if its != fold]
            outside = [row for row, its in zip(collection.train, folds, strict=True) if its == fold]
            weights = head.train(legs, inside, decay, steps, rate)
            validated += each_ndcg(head.applied(legs, weights), collection.grades, outside)
        weights = head.train(legs, collection.train, decay, steps, rate)
        rest = [_mean(head.applied(other, weights), other.collection) for other in others]
        name = f"decay {decay:g}, {steps} steps of {rate:g}"
        _line(name, float(np.mean(validated)), head.applied(legs, weights), collection, unseen, rest)


def _decomposed(collection: Collection, desk: Desk, count: int = 200) -> None:
    """Two questions asked as one: what splitting them again is worth. And how many single ones are split."""
    chosen = np.random.default_rng(0).choice(len(collection.questions), (count, 2), replace=False).tolist()
    wholes = [f"{collection.questions[one]} {collection.questions[other]}" for one, other in chosen]
    singles = [collection.questions[row] for pair in chosen for row in pair]
    grades: list[Grades] = [collection.grades[one] | collection.grades[other] for one, other in chosen]
    asked = replace(
        collection, questions=[*wholes, *singles], grades=grades + [{0: 1}] * len(singles), test=list(range(count))
    )
    scores = shipped(legs_of(asked, desk))
    merged, ranks = scores[:count].copy(), np.zeros_like(scores[:count])
    for row, whole in enumerate(wholes):
        rows = [row, *([count + 2 * row, count + 2 * row + 1] if len(by_rules(whole)) == 2 else [])]
        merged[row] = scores[rows].max(axis=0)  # `retrieval.candidates.merged`
        for order in orders(scores[rows]):
            ranks[row, order] += 1 / (60 + np.arange(1, len(order) + 1))
    split = sum(len(by_rules(whole)) == 2 for whole in wholes)
    wrong = sum(bool(by_rules(question)) for question in collection.questions)
    print(f"\ntwo questions of {collection.name} asked as one: {split} of {count} are split in two; of single ones")
    print(f"{wrong} of {len(collection.questions)} are split. Both documents among the first five, nDCG@10:")
    for name, table in (("whole", scores[:count]), ("decomposed", merged), ("by reciprocal ranks", ranks)):
        both = np.mean([recall(order, grades[row], 5) == 1 for row, order in enumerate(orders(table).tolist())])
        print(f"{name:30s} {both:.3f}  {np.mean(each_ndcg(table, grades, range(count))):.4f}")


def _rows(scores: Matrix, grades: Sequence[Grades], rows: Sequence[int]) -> float:
    return float(np.mean(each_ndcg(scores, grades, rows)))


def _line(
    name: str, validated: float, scores: Matrix, collection: Collection, unseen: Sequence[int], rest: Sequence[float]
) -> None:
    values = [validated, _mean(scores, collection), _rows(scores, collection.grades, unseen), *rest]
    print(f"{name:30s}", " ".join(f"{value:.4f}" for value in values), flush=True)
