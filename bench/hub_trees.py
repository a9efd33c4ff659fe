"""Commits of many files and lists of big trees: on the core alone, and over HTTP against a real server.

python -m bench hub_trees [--files 10000] [--entries 100000]
"""

from __future__ import annotations

import argparse
import resource
import statistics
import sys
import tempfile
import time
from collections.abc import Iterable
from pathlib import Path

import httpx

from craton.app.config import Home
from craton.app.platform import Platform, open_platform
from craton.core.repo import Add, Delete, RepoId
from craton.hub.contents import Contents
from tests.servers import RunningServer, serving

TENANT = "default"
REPEATS = 200


def seconds(since: float) -> str:
    return f"{time.perf_counter() - since:.2f} s"


def peak() -> str:
    return f"{resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:.0f} MB"


def stored(platform: Platform, contents: Iterable[bytes]) -> list[tuple[str, int]]:
    return [(file.digest, file.size) for file in platform.hub.store_small(TENANT, contents)]


def committing(platform: Platform, files: int) -> None:
    """A commit of many different small files, as an upload of a folder makes it; then a small one on top."""
    repo = RepoId("dataset", "bench", "files")
    platform.hub.create(TENANT, repo)
    began = time.perf_counter()
    blobs = stored(platform, (f"content {number}".encode() for number in range(files)))
    print(f"storing {files:,} small files, each durably: {seconds(began)}")
    began = time.perf_counter()
    adds = [Add(f"data/{n // 1000:03}/{n:06}.txt", digest, size) for n, (digest, size) in enumerate(blobs)]
    head = platform.hub.commit(TENANT, repo, "main", None, adds, "all", "bench").id
    print(f"a commit of {files:,} new files: {seconds(began)}; peak memory {peak()}")
    began = time.perf_counter()
    platform.hub.commit(TENANT, repo, "main", head, [Add("data/000/new.txt", *blobs[0])], "one", "bench")
    print(f"a commit of one file on top: {seconds(began)}")


def listing(platform: Platform, entries: int) -> None:
    """One folder of very many names (one blob, so that trees alone are measured)."""
    repo = RepoId("dataset", "bench", "wide")
    platform.hub.create(TENANT, repo)
    [(digest, size)] = stored(platform, [b"x"])
    began = time.perf_counter()
    adds = [Add(f"part-{number:07}.parquet", digest, size) for number in range(entries)]
    head = platform.hub.commit(TENANT, repo, "main", None, adds, "wide", "bench").id
    print(f"a commit of {entries:,} names in one folder: {seconds(began)}; peak memory {peak()}")
    began = time.perf_counter()
    change = [Delete("part-0000001.parquet"), Add("part-x.parquet", digest, size)]
    platform.hub.commit(TENANT, repo, "main", head, change, "two", "bench")
    print(f"a commit of two changes to that folder: {seconds(began)}")
    contents, after, count = Contents(platform.database), "", 0
    began, before = time.perf_counter(), resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    while True:
        page = contents.page(TENANT, repo, "main", recursive=True, after=after)
        count += len(page.items)
        after = page.items[-1].path
        if not page.more:
            break
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    print(f"listing {count:,} entries, page by page: {seconds(began)}; the peak grew by {grown / 1024:.1f} MB")


def asking(server: RunningServer) -> None:
    """Pages of 1,000 entries over HTTP, and of 50 with their commits."""
    with httpx.Client(
        base_url=server.url, headers={"authorization": f"Bearer {server.token}"}, trust_env=False
    ) as client:
        for name, path in (
            ("1,000 entries of 100,000", "wide/tree/main"),
            ("1,000 entries, recursive", "files/tree/main?recursive=true"),
            ("50 entries with their commits", "files/tree/main/data%2F000?expand=true"),
            ("information without files", "files?expand=sha&expand=tags"),
        ):
            took = []
            for _ in range(REPEATS):
                began = time.perf_counter()
                client.get(f"/api/datasets/bench/{path}").raise_for_status()
                took.append((time.perf_counter() - began) * 1000)
            took.sort()
            print(f"{name}: p50 {statistics.median(took):.1f} ms, p95 {took[int(len(took) * 0.95)]:.1f} ms")


def main(arguments: list[str]) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--files", type=int, default=10_000)
    parser.add_argument("--entries", type=int, default=100_000)
    asked = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder) / "home"
        platform = open_platform(Home(home))
        committing(platform, asked.files)
        listing(platform, asked.entries)
        platform.close()
        with serving(home) as server:
            asking(server)


if __name__ == "__main__":
    main(sys.argv[1:])
