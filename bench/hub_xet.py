"""A large file through Xet with the stock client: against the client's own hashing, against the same client on a server
that throws the bytes away, the server's memory, and what ten revisions that are fine-tuned from one model cost on the
disk.

The weights are bfloat16 of a normal distribution, as models' are: a little of them can be compressed.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import hf_xet
import numpy as np

from bench.bare import bare_server
from bench.watching import watching
from craton.core.repo import RepoId
from tests.servers import RunningServer, serving

MEGABYTE = 2**20
BLOCK = 16 * MEGABYTE
REPO = RepoId("model", "acme", "weights")
REVISIONS = 10
TUNED = 0.05  # of a model that a revision changes, in two runs


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m bench hub_xet", description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--megabytes", type=int, default=1024)
    parser.add_argument("--keep", choices=("plain", "chunks"), nargs="*", default=("plain", "chunks"))
    parser.add_argument("--model", type=int, default=128, help="megabytes of the model that is fine-tuned; 0: none")
    given = parser.parse_args(arguments)
    for keep in given.keep:
        for number in range(given.rounds):
            with _running(keep) as (server, folder):
                _upload(server, folder, given.megabytes, keep, number)
        if not given.model:
            continue
        with _running(keep) as (server, folder):
            _revisions(server, folder, given.model, keep)


@contextmanager
def _running(keep: str) -> Iterator[tuple[RunningServer, Path]]:
    """A server with an empty repository, and a folder in which the client remembers nothing yet."""
    with tempfile.TemporaryDirectory() as name, serving(Path(name) / "home") as server:
        os.environ["HF_XET_CACHE"] = f"{name}/cache"
        with server.client() as client:
            made = client.post("/api/repos/create", json={"name": REPO.name, "organization": REPO.namespace})
            made.raise_for_status()
            client.put(f"/api/models/{REPO.path}/keep", json={"keep": keep}).raise_for_status()
        yield server, Path(name)


def _upload(server: RunningServer, folder: Path, megabytes: int, keep: str, seed: int) -> None:
    path, size = folder / "w.bin", megabytes * MEGABYTE
    source = np.random.default_rng(seed)
    with path.open("wb") as file:
        for _ in range(size // BLOCK):
            file.write(_weights(source, BLOCK))
    started = time.perf_counter()
    hf_xet.hash_files([str(path)])
    hashing = time.perf_counter() - started
    started = time.perf_counter()
    digest = _sha256(path)
    both = hashing + time.perf_counter() - started
    with watching(lambda: [server.pid]) as watched:
        started = time.perf_counter()
        info = _send(_keys(server, "write"), path)
        sending = time.perf_counter() - started
    assert info.sha256 == digest
    with bare_server(path) as url:
        keys = {"token_refresh_url": f"{url}/xet-write-token/main", "token_refresh_headers": {"authorization": "-"}}
        started = time.perf_counter()
        _send(keys, path)
        bare = time.perf_counter() - started
    started = time.perf_counter()
    _fetch(server, info.hash, size, folder / "out.bin")
    fetching = time.perf_counter() - started
    assert _sha256(folder / "out.bin") == digest
    print(
        f"{keep:7} up {megabytes / sending:5.0f} MB/s, {hashing / sending:4.2f} of the client's chunk hashing alone,"
        f" {both / sending:4.2f} of that and its sha256, {bare / sending:4.2f} of the same client on a bare server"
        f" (which is {both / bare:4.2f}); server: {watched.cpu:4.1f} s of CPU,"
        f" at most {watched.bytes / 1e6:.0f} MB; down through Xet {megabytes / fetching:5.0f} MB/s",
        flush=True,
    )


def _revisions(server: RunningServer, folder: Path, megabytes: int, keep: str) -> None:
    source, path = np.random.default_rng(0), folder / "w.bin"
    model = bytearray(_weights(source, megabytes * MEGABYTE))
    path.write_bytes(model)
    _send(_keys(server, "write"), path)
    before, run = _stored(server), int(len(model) * TUNED / 2)
    for _ in range(REVISIONS):
        tuned = bytearray(model)
        for half in (0, len(model) // 2):
            at = half + int(source.integers(0, len(model) // 2 - run))
            tuned[at : at + run] = _weights(source, run)
        path.write_bytes(tuned)
        _send(_keys(server, "write"), path)
    differ = 2 * run * REVISIONS
    print(f"{keep:7} {REVISIONS} revisions take {(_stored(server) - before) / differ:.2f} of the bytes that differ")


def _weights(source: np.random.Generator, size: int) -> bytes:
    values = source.standard_normal(size // 2 + 1, dtype=np.float32) * np.float32(0.02)
    return (values.view(np.uint32) >> 16).astype(np.uint16).tobytes()[:size]


def _keys(server: RunningServer, kind: str) -> dict[str, Any]:
    url = f"{server.url}/api/models/{REPO.path}/xet-{kind}-token/main"
    return {"token_refresh_url": url, "token_refresh_headers": {"authorization": f"Bearer {server.token}"}}


def _send(keys: dict[str, Any], path: Path) -> Any:
    with hf_xet.XetSession().new_upload_commit(**keys) as commit:
        handle = commit.start_upload_file(str(path), sha256=hf_xet.COMPUTE_SHA256)
    return handle.result().xet_info


def _fetch(server: RunningServer, hash: str, size: int, target: Path) -> None:
    with hf_xet.XetSession().new_file_download_group(**_keys(server, "read")) as group:
        group.start_download_file(hf_xet.XetFileInfo(hash, size), str(target))


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _stored(server: RunningServer) -> int:
    return sum(path.stat().st_size for path in (server.home / "blobs").rglob("*") if path.is_file())
