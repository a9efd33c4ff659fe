"""A dataset's rows as Parquet files: listed, and sent whole or in parts, as DuckDB and fsspec read them."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator
from pathlib import Path
from typing import BinaryIO

from craton.core.access import Action
from craton.core.errors import NotFound
from craton.core.repo import RepoId
from craton.data.viewing.taking import take
from craton.data.viewing.viewer import Opened, Viewer
from craton.wire.http import Reply, Request, Route, json_reply
from craton.wire.huggingface.errors import identified
from craton.wire.huggingface.links import base_url
from craton.wire.huggingface.naming import hub_route, params_text
from craton.wire.huggingface.query import Query
from craton.wire.huggingface.write_dataset import parquet_url

ROOT = "/api/datasets/{namespace}/{name}/parquet"
_CHUNK = 1 << 20
_RANGE = re.compile(r"bytes=(\d{0,18})-(\d{0,18})")
_FILE = re.compile(r"(\d{1,5})\.parquet")


class ParquetRoutes:
    """GET /api/datasets/acme/churn/parquet/default/train/0.parquet and the lists above it."""

    def __init__(self, viewer: Viewer) -> None:
        self._viewer = viewer

    def routes(self) -> list[Route]:
        def route(method: str, rest: str, operation: str) -> Route:
            handler = self._file if "{file}" in rest else self._list
            return hub_route(method, ROOT + rest, operation, handler, Action.READ)

        file = "/{config}/{split}/{file}"
        return [
            route("GET", "", "ListParquetExport"),
            route("GET", "/{config}", "ListParquetExport"),
            route("GET", "/{config}/{split}", "ListParquetExport"),
            route("GET", file, "GetParquetFile"),
            route("HEAD", file, "HeadParquetFile"),
        ]

    async def _list(self, request: Request) -> Reply:
        """Addresses, below their split, below their configuration; less deep where the path names these."""
        repo = _repo(request)
        place = await self._viewer.place(request.authenticated.tenant, repo, Query.of(request).text("revision"))
        config, split = params_text(request, "config"), params_text(request, "split")
        taken = await take(self._viewer, place, config, split)
        found: dict[str, dict[str, list[str]]] = {}
        for opened in taken.opened:
            urls = [parquet_url(base_url(request), repo.path, opened, number) for number in range(len(opened.files))]
            found.setdefault(opened.config.name, {})[opened.split.name] = urls
        body = found.get(config, {}).get(split, []) if split else found.get(config, {}) if config else found
        return json_reply(200, body, {"x-revision": place.revision})

    async def _file(self, request: Request) -> Reply:
        repo = _repo(request)
        place = await self._viewer.place(request.authenticated.tenant, repo, Query.of(request).text("revision"))
        opened = await self._viewer.open(place, params_text(request, "config"), params_text(request, "split"))
        copied = opened.files[_number(request, opened)]
        size = copied.described.size
        headers = {
            **identified(request),
            "content-type": "application/vnd.apache.parquet",
            "accept-ranges": "bytes",
            "etag": f'"{copied.key}"',
            "x-revision": place.revision,
        }
        start, end = _range(request, size)
        if start >= size and size:
            return Reply(416, b"", {**headers, "content-range": f"bytes */{size}"})
        headers["content-length"] = str(end - start)
        partial = end - start < size
        if partial:
            headers["content-range"] = f"bytes {start}-{end - 1}/{size}"
        body = _nothing() if request.method == "HEAD" else _send(copied.path, start, end)
        return Reply(206 if partial else 200, body, headers)


def _repo(request: Request) -> RepoId:
    return RepoId("dataset", request.params["namespace"], request.params["name"])


def _number(request: Request, opened: Opened) -> int:
    name = params_text(request, "file")
    match = _FILE.fullmatch(name)
    if match is None or int(match[1]) >= len(opened.files):
        raise NotFound("file", name)
    return int(match[1])


def _range(request: Request, size: int) -> tuple[int, int]:
    """From and to (excluded). What is no single range of bytes is no range, as RFC 9110 has it."""
    match = _RANGE.fullmatch(request.headers.get("range", "").strip())
    if match is None or match[0] == "bytes=-":
        return 0, size
    first, last = match[1], match[2]
    if not first:
        return max(size - int(last), 0), size
    end = min(int(last) + 1, size) if last else size
    return (int(first), end) if not last or int(last) >= int(first) else (0, size)


async def _nothing() -> AsyncIterator[bytes]:
    return
    yield b""


async def _send(path: Path, start: int, end: int) -> AsyncIterator[bytes]:
    file: BinaryIO = await asyncio.to_thread(path.open, "rb", 0)
    try:
        await asyncio.to_thread(file.seek, start)
        while start < end:
            chunk = await asyncio.to_thread(file.read, min(_CHUNK, end - start))
            if not chunk:
                raise OSError("the file became shorter")
            start += len(chunk)
            yield chunk
    finally:
        file.close()
