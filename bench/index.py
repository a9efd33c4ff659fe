"""The embedded index against Qdrant Edge used directly, in one run: rates of writing, times of searching, recall.

    python -m bench index [--points 5000 100000] [--dimensions 384]

The vectors are synthetic and lie in clusters, as embeddings do. Recall counts against exact search with numpy over the
same vectors. Directly: the same shard, opened in a process of its own, with the same queries and parameters.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from craton.core.knowledge import Access
from craton.index.edge import EdgeIndexes, EdgeSettings
from craton.index.edge.files import read_current
from craton.index.protocol import IndexSpec, Point, Search

BATCH = 512
LIMIT = 50
QUERIES = 200
CLUSTER_POINTS = 500
WORDS = 30_000
TEXT_WORDS = 100
QUERY_WORDS = 8
RAW_SAMPLE = 20_000  # points, for the rate of writing directly

Vectors = np.ndarray[Any, np.dtype[np.float32]]


def main(given: list[str] | None = None) -> None:
    arguments = _arguments(given)
    if arguments.raw:
        _raw(Path(arguments.raw), arguments.dimensions)
        return
    for points in arguments.points:
        with tempfile.TemporaryDirectory(prefix="craton-bench-index-") as folder:
            asked, words = _questions(points, arguments.dimensions)
            result = asyncio.run(_measure(Path(folder), points, asked, words))
            _compare(Path(folder), result, asked, words)
            print(json.dumps(result, indent=2), flush=True)


def _arguments(given: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--points", type=int, nargs="+", default=[5_000, 100_000])
    parser.add_argument("--dimensions", type=int, default=384)
    parser.add_argument("--raw", default="", help=argparse.SUPPRESS)
    return parser.parse_args(given)


# --- synthetic data -------------------------------------------------------------------------------------------


def vectors(seed: int, count: int, dimensions: int, clusters: int) -> Vectors:
    """Shape (count, dimensions), unit length. The same seed, the same vectors; the clusters do not depend on it."""
    centers = _unit(np.random.default_rng(1).standard_normal((clusters, dimensions)))
    random = np.random.default_rng(1000 + seed)
    spread = random.standard_normal((count, dimensions)) * (0.6 / np.sqrt(dimensions))
    return _unit(centers[random.integers(0, clusters, count)] + spread)


def texts(seed: int, count: int, words: int) -> list[str]:
    """Words as rare and as common as words are (a power law)."""
    drawn = np.random.default_rng(5000 + seed).pareto(0.9, (count, words)) * 8
    return [" ".join(f"w{number}x" for number in row) for row in np.minimum(drawn.astype(int), WORDS)]


def _unit(given: np.ndarray[Any, Any]) -> Vectors:
    made: Vectors = (given / np.linalg.norm(given, axis=1, keepdims=True)).astype("<f4")
    return made


def _points(count: int, dimensions: int) -> Iterator[list[Point]]:
    for start in range(0, count, BATCH):
        size = min(BATCH, count - start)
        made = vectors(start, size, dimensions, _clusters(count))
        words = texts(start, size, TEXT_WORDS)
        yield [Point(start + i + 1, made[i].tobytes(), words[i], {}, Access()) for i in range(size)]


def _clusters(points: int) -> int:
    return max(10, points // CLUSTER_POINTS)


# --- through the index process -----------------------------------------------------------------------------------


def _questions(points: int, dimensions: int) -> tuple[Vectors, list[str]]:
    return vectors(10**9, QUERIES, dimensions, _clusters(points)), texts(10**9, QUERIES, QUERY_WORDS)


async def _measure(folder: Path, count: int, asked: Vectors, words: list[str]) -> dict[str, Any]:
    dimensions = asked.shape[1]
    spec = IndexSpec("bench", "bench", dimensions)
    indexes = EdgeIndexes(folder / "index", EdgeSettings(optimise_after=10**9))
    index = await indexes.open(spec)
    result: dict[str, Any] = {"points": count}
    try:
        writing = 0.0
        for batch in _points(count, dimensions):
            started = time.perf_counter()
            await index.upsert(batch)
            writing += time.perf_counter() - started
        result["points_per_second"] = round(count / writing)
        result["before_optimising_ms"] = await _times(index, asked[:50], words[:50])
        started = time.perf_counter()
        await index.optimise()
        result["optimise_seconds"] = round(time.perf_counter() - started, 1)
        result["optimised_ms"] = await _times(index, asked, words)
        result["recall_at_10"] = await _recall(index, asked, count, dimensions)
        assert indexes.pid is not None
        result["memory_mib"] = _memory(indexes.pid)
    finally:
        await indexes.close()
    return result


def _compare(folder: Path, result: dict[str, Any], asked: Vectors, words: list[str]) -> None:
    """Adds the size on the disk, and the same searches and writes done directly."""
    dimensions = asked.shape[1]
    path = next(folder.glob("index/*/bench"))
    result["disk_mib"] = sum(file.stat().st_blocks for file in path.rglob("*")) * 512 >> 20
    current = read_current(path)
    assert current is not None
    np.save(folder / "asked.npy", asked)
    (folder / "words.json").write_text(json.dumps(words))
    (folder / "raw").symlink_to(path / current.generation)
    command = [sys.executable, "-m", "bench", "index", "--raw", str(folder), "--dimensions", str(dimensions)]
    raw = json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout.splitlines()[-1])
    result["directly"] = raw
    result["ratio"] = {
        "hybrid time, index process / directly": round(result["optimised_ms"]["hybrid"] / raw["hybrid_ms"], 2),
        "points a second, index process / directly": round(result["points_per_second"] / raw["points_per_second"], 2),
    }


async def _times(index: Any, asked: Vectors, words: list[str]) -> dict[str, float]:
    """Medians."""
    times: dict[str, list[float]] = {"hybrid": [], "dense": [], "lexical": []}
    for vector, text in zip(asked, words, strict=True):
        for name, search in {
            "hybrid": Search("bench", LIMIT, vector=vector.tobytes(), text=text),
            "dense": Search("bench", LIMIT, vector=vector.tobytes()),
            "lexical": Search("bench", LIMIT, text=text),
        }.items():
            started = time.perf_counter()
            await index.search(search)
            times[name].append(time.perf_counter() - started)
    return {name: round(1000 * statistics.median(taken), 2) for name, taken in times.items()}


async def _recall(index: Any, asked: Vectors, count: int, dimensions: int) -> float:
    """Against exact search, block by block."""
    scores = np.empty((len(asked), 0), "f4")
    numbers = np.empty((len(asked), 0), np.int64)
    for start in range(0, count, BATCH):
        block = vectors(start, min(BATCH, count - start), dimensions, _clusters(count))
        scores = np.hstack([scores, asked @ block.T])
        numbers = np.hstack(
            [numbers, np.broadcast_to(np.arange(start + 1, start + len(block) + 1), (len(asked), len(block)))]
        )
        best = np.argsort(-scores, axis=1)[:, :10]
        scores, numbers = np.take_along_axis(scores, best, 1), np.take_along_axis(numbers, best, 1)
    found = [await index.search(Search("bench", 10, vector=vector.tobytes())) for vector in asked]
    shared = [
        len({hit.id for hit in one.dense} & set(exact)) / 10 for one, exact in zip(found, numbers.tolist(), strict=True)
    ]
    return round(statistics.mean(shared), 4)


def _memory(pid: int) -> int:
    """Resident, MiB: mapped files count as far as they are in memory."""
    line = next(one for one in Path(f"/proc/{pid}/status").read_text().splitlines() if one.startswith("VmRSS"))
    return int(line.split()[1]) >> 10


# --- directly ---------------------------------------------------------------------------------------------------


def _raw(folder: Path, dimensions: int) -> None:
    import qdrant_edge as edge

    from craton.index.analysis import query_terms
    from craton.index.edge.shard import DENSE, LEXICAL, _config, _point

    settings = EdgeSettings()
    shard = edge.EdgeShard.load(os.path.realpath(folder / "raw"))
    times = []
    for vector, text in zip(
        np.load(folder / "asked.npy"), json.loads((folder / "words.json").read_text()), strict=True
    ):
        started = time.perf_counter()
        terms = query_terms(text)
        for query, ef in (
            (edge.Query.Nearest(vector.tolist(), using=DENSE), settings.ef),
            (edge.Query.Nearest(edge.SparseVector(terms, [1.0] * len(terms)), using=LEXICAL), None),
        ):
            params = edge.SearchParams(hnsw_ef=ef)
            shard.query(edge.QueryRequest(limit=LIMIT, query=query, params=params))
        times.append(time.perf_counter() - started)
    shard.close()
    (folder / "fresh").mkdir()
    fresh = edge.EdgeShard.create(str(folder / "fresh"), _config(IndexSpec("bench", "raw", dimensions), settings))
    writing = 0.0
    for batch in _points(RAW_SAMPLE, dimensions):
        started = time.perf_counter()
        fresh.update(edge.UpdateOperation.upsert_points([_point(point, "bench") for point in batch]))
        writing += time.perf_counter() - started
    fresh.close()
    print(
        json.dumps(
            {
                "hybrid_ms": round(1000 * statistics.median(times), 2),
                "points_per_second": round(RAW_SAMPLE / writing),
            }
        )
    )


if __name__ == "__main__":
    main()
