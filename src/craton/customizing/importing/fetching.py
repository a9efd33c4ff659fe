"""The files of a model, from a bucket or a repository, into a folder that outlives a killed process: what is there
already is not fetched again."""

from __future__ import annotations

import asyncio
from collections.abc import Collection
from pathlib import Path, PurePosixPath

from craton.buckets.buckets import Buckets
from craton.core.errors import NotFound, TooLarge, Unsupported
from craton.core.job import Progress, Running
from craton.hub.importing import is_safe
from craton.hub.names import check_path

MAX_FILES = 1000
_PICKLES = (".bin", ".pt", ".pth", ".pkl", ".ckpt")


async def fetch(running: Running, buckets: Buckets, source: str, folder: Path) -> None:
    """source: "s3://bucket/folder/". Files that could run anything stay outside.

    Raises NotFound when there are none, Unsupported when the weights are pickled, TooLarge, InvalidRequest for a key
    that would leave the folder.
    """
    tenant = running.job.tenant
    bucket, _, prefix = source.removeprefix("s3://").partition("/")
    prefix = prefix and prefix.rstrip("/") + "/"
    keys: dict[str, str] = {}
    left: list[str] = []
    async for info in buckets.list(tenant, bucket, prefix):
        if info.key.endswith("/"):
            continue
        if is_safe(info.key):
            keys[info.key] = info.etag
        else:
            left.append(info.key)
        if len(keys) > MAX_FILES:
            raise TooLarge("The model's folder", MAX_FILES, unit="files")
    check_weights(source, keys, left)
    if not keys:
        raise NotFound("model in the bucket", source, "Upload its files below that folder first.")
    done: dict[str, str] = dict((running.load() or {}).get("files", {}))
    for number, (key, etag) in enumerate(keys.items()):
        running.report(Progress(number, len(keys), "files", key[len(prefix) :]))
        path = folder / _safe(key.removeprefix(prefix))
        if done.get(key) == etag and path.is_file():
            continue
        await _fetch_one(running, buckets, bucket, key, path)
        done[key] = etag
        await asyncio.to_thread(running.save, {"files": done})


async def _fetch_one(running: Running, buckets: Buckets, bucket: str, key: str, path: Path) -> None:
    await asyncio.to_thread(path.parent.mkdir, parents=True, exist_ok=True)
    partial = path.with_name(f"{path.name}.partial")
    with partial.open("wb") as file:
        async for block in buckets.read(running.job.tenant, bucket, key):
            running.check()
            await asyncio.to_thread(file.write, block)
    partial.replace(path)


def check_weights(source: str, taken: Collection[str], left: Collection[str]) -> None:
    """left: the names of files that could run anything. Raises Unsupported when they are all the weights there are."""
    pickles = sorted(name for name in left if name.endswith(_PICKLES))
    if pickles and not any(name.endswith((".safetensors", ".gguf")) for name in taken):
        raise Unsupported(
            f"Weights in a pickle ({pickles[0].rpartition('/')[2][:80]}, in {source})",
            "Loading one can run anything; save them as safetensors: `model.save_pretrained(folder)`.",
        )


def _safe(path: str) -> PurePosixPath:
    """Raises InvalidRequest for a path that a repository may not have, so for one that leaves its folder."""
    check_path(path)
    return PurePosixPath(path)
