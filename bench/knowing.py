"""Knowledge bases of a real server, for benchmarks: SciFact as a folder of files, a base over it, its ingestion."""

from __future__ import annotations

import itertools
import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx

from bench.inprocess import CHAT, EMBEDDING
from tests.fetch_starters import main as fetch_starters
from tests.proof.processes import command_line, descendants
from tests.servers import RunningServer, serving

STARTERS = Path("build/starters")
DATA = Path("../shared/data")
ROOT = "/api/craton/v1/kb"
POLL = 0.1  # seconds
_numbers = itertools.count(1)


def documents(data: Path, folder: Path, count: int | None = None) -> int:
    """Writes the first documents of SciFact into the folder, one text file each. How many those were."""
    folder.mkdir(parents=True)
    lines = (data / "scifact" / "corpus.jsonl").read_text().splitlines()[:count]
    for document in map(json.loads, lines):
        (folder / f"{document['_id']}.txt").write_text(f"{document['title']}\n\n{document['text']}\n")
    return len(lines)


def questions(data: Path) -> list[str]:
    """SciFact's."""
    return [json.loads(line)["text"] for line in (data / "scifact" / "queries.jsonl").read_text().splitlines()]


@contextmanager
def knowing_server(home: Path, sources: Path) -> Iterator[RunningServer]:
    """A server with the starter models, whose tenants may read what lies below `sources`."""
    fetch_starters(STARTERS)
    with serving(home, config=f"[sources]\nfolders = [{json.dumps(str(sources.resolve()))}]\n") as server:
        for name in (CHAT, EMBEDDING):
            server.craton("models", "pull", name, "--from", str(STARTERS))
        yield server


def new_tenant(server: RunningServer) -> httpx.Client:
    """A client of a tenant that has nothing: vectors of texts that a tenant embedded before are not computed again."""
    tenant = f"bench{next(_numbers)}"
    server.craton("keys", "tenants", "create", tenant)
    token = server.craton("keys", "create", "--role", "admin", "--tenant", tenant).stdout.split()[-1]
    return httpx.Client(base_url=server.url, headers={"authorization": f"Bearer {token}"}, trust_env=False, timeout=120)


def new_base(client: httpx.Client, folder: Path) -> tuple[str, str]:
    """A knowledge base and its one source: their ids."""
    base = _asked(client.post(ROOT, json={"name": "bench", "embedder": EMBEDDING}))["id"]
    spec = {"kind": "folder", "options": {"path": str(folder.resolve())}}
    source = _asked(client.post(f"{ROOT}/{base}/sources", json={"name": "files", "spec": spec}))["id"]
    return base, source


def ingest(client: httpx.Client, base: str, source: str) -> tuple[float, dict[str, Any]]:
    """Seconds from asking for the ingestion until it says that it is complete, and what it says then."""
    started = time.perf_counter()
    path = f"{ROOT}/{base}/sources/{source}/ingestions"
    ingestion = _asked(client.post(path, json={}))
    while ingestion["status"] in {"starting", "in_progress"}:
        time.sleep(POLL)
        ingestion = _asked(client.get(f"{path}/{ingestion['id']}"))
    seconds = time.perf_counter() - started
    if ingestion["status"] != "complete" or ingestion["statistics"].get("failed"):
        raise RuntimeError(f"the ingestion went wrong: {ingestion}")
    return seconds, ingestion


def jobs(server: RunningServer) -> list[int]:
    """The processes of jobs that run now."""
    return [pid for pid in descendants(server.pid) if _is_job(command_line(pid))]


def _is_job(command: list[str]) -> bool:
    return any(pair == ("job", "run") for pair in itertools.pairwise(command))


def _asked(answer: httpx.Response) -> dict[str, Any]:
    if answer.is_error:
        raise RuntimeError(f"{answer.request.url}: {answer.status_code} {answer.text}")
    found: dict[str, Any] = answer.json()
    return found
