"""An object up and down through boto3 against a plain copy of the same file, in turn: megabytes a second, and ratios.

The copy is synced too: an upload is acknowledged only once it is on the medium.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any

import boto3
from botocore.config import Config

from tests.servers import serving

MEGABYTE = 2**20


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m bench s3", description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--megabytes", type=int, default=128)
    given = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as name, serving(Path(name) / "home") as server:
        folder = Path(name)
        client = boto3.client(
            "s3",
            endpoint_url=server.url,
            aws_access_key_id=server.access_key_id,
            aws_secret_access_key=server.secret_access_key,
            region_name="us-east-1",
            config=Config(retries={"total_max_attempts": 1}),
        )
        client.create_bucket(Bucket="bench")
        source = folder / "source"
        source.write_bytes(os.urandom(given.megabytes * MEGABYTE))
        sides: dict[str, Callable[[], Any]] = {
            "copy": lambda: _copy(source, folder / "copy"),
            "put_object": lambda: _put(client, source),
            "upload_file": lambda: client.upload_file(str(source), "bench", "parts"),
            "get_object": lambda: _get(client),
            "download_file": lambda: client.download_file("bench", "parts", str(folder / "down")),
        }
        seconds: dict[str, list[float]] = {side: [] for side in sides}
        for _ in range(given.rounds):
            for side, run in sides.items():
                started = time.perf_counter()
                run()
                seconds[side].append(time.perf_counter() - started)
    for side, rounds in seconds.items():
        ratio = median(copy / own for copy, own in zip(seconds["copy"], rounds, strict=True))
        print(f"{side:14} {given.megabytes / median(rounds):8.0f} MB/s   {ratio:5.2f} of a copy")


def _copy(source: Path, target: Path) -> None:
    with source.open("rb") as read, target.open("wb") as write:
        while block := read.read(MEGABYTE):
            write.write(block)
        write.flush()
        os.fsync(write.fileno())


def _put(client: Any, source: Path) -> None:
    with source.open("rb") as file:
        client.put_object(Bucket="bench", Key="whole", Body=file)


def _get(client: Any) -> None:
    for _ in client.get_object(Bucket="bench", Key="whole")["Body"].iter_chunks(MEGABYTE):
        pass


if __name__ == "__main__":
    main()
