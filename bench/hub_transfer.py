"""A large file by Git LFS and over plain HTTP with the stock client: against the client's own sha256, against a copy of
the file on the same disk, and the server's memory.

The server hashes what comes in and syncs it before it answers. A download is measured as it is after the upload, and
again after a restart, when the server reads and checks the file while it sends it; through Xet, where the server is set
to offer that; and by the same client from a server that does nothing but one sendfile.
"""

from __future__ import annotations

import argparse
import hashlib
import io
import os
import shutil
import socket
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median
from urllib.parse import urlsplit

from huggingface_hub import CommitOperationAdd, HfApi
from huggingface_hub.utils import disable_progress_bars

from bench.bare import bare_server
from bench.watching import Watched, watching
from tests.servers import RunningServer, serving

MEGABYTE = 2**20
REPO, NAME, CHUNKED = "acme/weights", "w.safetensors", "chunked.safetensors"
OFFERED = '[hub]\nxet_above = "1MB"\n'


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m bench hub_transfer", description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--megabytes", type=int, default=1024)
    given = parser.parse_args(arguments)
    disable_progress_bars()
    with tempfile.TemporaryDirectory() as name:
        _Bench(Path(name), given.rounds, given.megabytes).run()


class _Bench:
    def __init__(self, folder: Path, rounds: int, megabytes: int) -> None:
        self._folder, self._rounds, self._megabytes = folder, rounds, megabytes
        self._source, self._copy = folder / "source.bin", folder / "copy.bin"

    def run(self) -> None:
        ups, downs, raws, firsts, chunked, bare, sent = [], [], [], [], [], [], []
        for _ in range(self._rounds):
            self._make()
            with serving(self._folder / "home") as server:
                ups.append(self._measured(server, self._upload))
                downs.append(self._measured(server, self._download))
                raws.append(self._measured(server, self._read))
            with serving(self._folder / "home") as server:
                firsts.append(self._measured(server, self._download))
            with serving(self._folder / "home", config=OFFERED) as server:
                self._upload_chunked(server)
                chunked.append(self._measured(server, lambda it: self._fetch(it.url, it.token, CHUNKED)))
            with bare_server(self._source) as url:
                started = time.perf_counter()
                self._fetch(url, "-", NAME)
                bare.append(time.perf_counter() - started)
                self._send(HfApi(endpoint=url, token="-"))
                sent.append(time.perf_counter() - started - bare[-1])
            shutil.rmtree(self._folder / "home")
        hashing, copying = self._median(self._hash), self._median(self._cp)
        print(f"sha256 {self._megabytes / hashing:6.0f} MB/s, cp {self._megabytes / copying:6.0f} MB/s")
        self._tell("up", ups, hashing, "the client's own sha256")
        self._tell("up", ups, median(sent), "the same client on a bare server")
        self._tell("down", downs, copying, "cp")
        self._tell("down into a bare socket", raws, copying, "cp")
        self._tell("down, first since a start", firsts, copying, "cp")
        self._tell("down", downs, median(bare), "the same client on a bare file server")
        self._tell("down through Xet", chunked, copying, "cp")
        self._tell("down through Xet", chunked, median(it[0] for it in downs), "the way without")

    def _make(self) -> None:
        with self._source.open("wb") as file:
            for _ in range(self._megabytes // 16):
                file.write(os.urandom(16 * MEGABYTE))
        self._hash()

    def _measured(self, server: RunningServer, work: Callable[[RunningServer], None]) -> tuple[float, Watched]:
        with watching(lambda: [server.pid]) as watched:
            started = time.perf_counter()
            work(server)
            return time.perf_counter() - started, watched

    def _upload(self, server: RunningServer) -> None:
        api = HfApi(endpoint=server.url, token=server.token)
        api.create_repo(REPO, exist_ok=True)
        self._send(api)

    def _send(self, api: HfApi) -> None:
        """All of it: the client's hashing, the sending, the commit. Through a buffer, which the client does not send
        through Xet."""
        with self._source.open("rb") as file:
            operation = CommitOperationAdd(NAME, io.BufferedReader(file.raw))
            api.create_commit(REPO, [operation], commit_message="Weights")

    def _upload_chunked(self, server: RunningServer) -> None:
        HfApi(endpoint=server.url, token=server.token).upload_file(
            path_or_fileobj=self._source, path_in_repo=CHUNKED, repo_id=REPO
        )

    def _download(self, server: RunningServer) -> None:
        self._fetch(server.url, server.token, NAME)

    def _fetch(self, url: str, token: str, name: str) -> None:
        target = self._folder / "target"
        HfApi(endpoint=url, token=token).hf_hub_download(REPO, name, local_dir=target)
        assert (target / name).stat().st_size == self._source.stat().st_size
        shutil.rmtree(target)

    def _read(self, server: RunningServer) -> None:
        """What the server can do when its client is not the bound: bytes are received and thrown away."""
        address = urlsplit(server.url)
        head = f"GET /{REPO}/resolve/main/{NAME} HTTP/1.1\r\nhost: {address.netloc}\r\nconnection: close\r\n"
        block, received = bytearray(MEGABYTE), 0
        with socket.create_connection((address.hostname or "", address.port or 0)) as connection:
            connection.sendall(f"{head}authorization: Bearer {server.token}\r\n\r\n".encode())
            while count := connection.recv_into(block):
                received += count
        assert received > self._megabytes * MEGABYTE

    def _median(self, work: Callable[[], None]) -> float:
        times = []
        for _ in range(self._rounds):
            started = time.perf_counter()
            work()
            times.append(time.perf_counter() - started)
        return median(times)

    def _hash(self) -> None:
        with self._source.open("rb") as file:
            hashlib.file_digest(file, "sha256")

    def _cp(self) -> None:
        self._copy.unlink(missing_ok=True)
        os.system(f"cp --reflink=never {self._source} {self._copy}")

    def _tell(self, what: str, found: list[tuple[float, Watched]], other: float, name: str) -> None:
        seconds = median(it[0] for it in found)
        print(
            f"{what}: {self._megabytes / seconds:6.0f} MB/s ({other / seconds:4.2f} of {name});"
            f" server: {median(it[1].cpu for it in found):4.2f} s of CPU,"
            f" at most {max(it[1].bytes for it in found) / 1e6:.0f} MB"
        )
