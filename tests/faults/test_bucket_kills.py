"""kill -9 of the server amid uploads: what it acknowledged is there, whole; what it did not is invisible."""

from __future__ import annotations

import hashlib
import itertools
import os
import random
import signal
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from tests.servers import RunningServer, serving

BUCKET = "docs"
PART = 5 * 2**20  # bytes
SIZES = (0, 1, 1_000, 200_000, 3_000_000)


def connect(server: RunningServer) -> Any:
    return boto3.session.Session().client(
        "s3",
        endpoint_url=server.url,
        aws_access_key_id=server.access_key_id,
        aws_secret_access_key=server.secret_access_key,
        region_name="us-east-1",
        config=Config(retries={"total_max_attempts": 1}, connect_timeout=20, read_timeout=20),
    )


def body(seed: str, size: int) -> bytes:
    return random.Random(seed).randbytes(size)


@dataclass
class Done:
    """What was tried, and what of it was acknowledged."""

    tried: dict[str, bytes] = field(default_factory=dict)  # key -> MD5
    kept: set[str] = field(default_factory=set)
    versions: list[int] = field(default_factory=list)  # of the one key that is written again and again
    parts: dict[tuple[str, int], str] = field(default_factory=dict)  # upload, number -> ETag
    joined: dict[str, bytes] = field(default_factory=dict)  # key -> MD5


def put_objects(s3: Any, name: str, done: Done, stop: threading.Event) -> None:
    for number in range(10_000):
        if stop.is_set():
            return
        key, data = f"{name}/{number}", body(f"{name} {number}", SIZES[number % len(SIZES)])
        done.tried[key] = hashlib.md5(data).digest()
        s3.put_object(Bucket=BUCKET, Key=key, Body=data)
        done.kept.add(key)


def rewrite(s3: Any, done: Done, stop: threading.Event) -> None:
    for number in itertools.count(len(done.versions)):
        if stop.is_set():
            return
        s3.put_object(Bucket=BUCKET, Key="again", Body=f"{number} ".encode() * 10_000)
        done.versions.append(number)


def put_parts(s3: Any, done: Done, stop: threading.Event) -> None:
    data = body("part", PART)
    for number in range(10_000):
        if stop.is_set():
            return
        key = f"joined/{number}"
        upload = s3.create_multipart_upload(Bucket=BUCKET, Key=key)["UploadId"]
        parts = []
        for part in (1, 2):
            here = {"Bucket": BUCKET, "Key": key, "UploadId": upload, "PartNumber": part}
            etag = s3.upload_part(**here, Body=data)["ETag"]
            done.parts[upload, part] = etag
            parts.append({"PartNumber": part, "ETag": etag})
        done.tried[key] = hashlib.md5(data * 2).digest()
        s3.complete_multipart_upload(Bucket=BUCKET, Key=key, UploadId=upload, MultipartUpload={"Parts": parts})
        done.joined[key] = done.tried[key]


@pytest.mark.slow
def test_what_was_acknowledged_is_whole_and_the_rest_is_invisible(tmp_path: Path) -> None:
    home, done = tmp_path / "home", Done()
    rng = random.Random(20)
    with serving(home) as server:
        connect(server).create_bucket(Bucket=BUCKET)
    for round_number in range(3):
        with serving(home) as server:
            load_until_killed(server, done, f"r{round_number}", 1.0 + 2.0 * rng.random())
        with serving(home) as again:
            check(connect(again), done)
    assert done.kept
    assert done.versions


def load_until_killed(server: RunningServer, done: Done, name: str, seconds: float) -> None:
    stop = threading.Event()

    def run(work: Any, *arguments: Any) -> None:
        try:
            work(connection, *arguments, done, stop)
        except (BotoCoreError, ClientError):
            return  # the server is gone

    connection = connect(server)
    threads = [
        threading.Thread(target=run, args=(put_objects, f"{name}a")),
        threading.Thread(target=run, args=(put_objects, f"{name}b")),
        threading.Thread(target=run, args=(rewrite,)),
        threading.Thread(target=run, args=(put_parts,)),
    ]
    for thread in threads:
        thread.start()
    time.sleep(seconds)
    os.kill(server.pid, signal.SIGKILL)
    server.process.wait(20)
    stop.set()
    for thread in threads:
        thread.join()


def check(s3: Any, done: Done) -> None:
    seen = {}
    for page in s3.get_paginator("list_objects_v2").paginate(Bucket=BUCKET):
        for listed in page.get("Contents", []):
            data = s3.get_object(Bucket=BUCKET, Key=listed["Key"])["Body"].read()
            assert len(data) == listed["Size"]
            seen[listed["Key"]] = data
    assert (done.kept | done.joined.keys()) <= seen.keys()
    for key, data in seen.items():
        if key != "again":
            assert hashlib.md5(data).digest() == done.tried[key], key
    if done.versions:
        word = seen["again"].split()[0]
        assert seen["again"] == (word + b" ") * 10_000  # one version, whole: the last acknowledged, or the one after
        assert int(word) in {done.versions[-1], done.versions[-1] + 1}
    going = {one["UploadId"]: one["Key"] for one in s3.list_multipart_uploads(Bucket=BUCKET).get("Uploads", [])}
    for (upload, number), etag in done.parts.items():
        if upload in going:
            listed_parts = s3.list_parts(Bucket=BUCKET, Key=going[upload], UploadId=upload).get("Parts", [])
            assert etag in [part["ETag"] for part in listed_parts if part["PartNumber"] == number]
    for upload, key in going.items():
        s3.abort_multipart_upload(Bucket=BUCKET, Key=key, UploadId=upload)
    done.parts.clear()
