"""A dataset's rows as Parquet files: listed, and sent whole or in parts, as DuckDB and fsspec read them."""

from __future__ import annotations

import asyncio
import re
from io import FileIO

from craton.core.access import Action
from craton.core.errors import NotFound
from craton.core.repo import RepoId
from craton.data.viewing.taking import take
from craton.data.viewing.viewer import Opened, Viewer
from craton.wire.file_body import FileBody, pulled
from craton.wire.http import Reply, Request, Route, json_reply
from craton.wire.huggingface.errors import identified, write_error
from craton.wire.huggingface.links import base_url
from craton.wire.huggingface.naming import hub_route, params_text
from craton.wire.huggingface.query import Query
from craton.wire.huggingface.ranges import Unsatisfiable, asked_range, is_known
from craton.wire.huggingface.write_dataset import parquet_url

ROOT = "/api/datasets/{namespace}/{name}/parquet"
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
        size, etag = copied.described.size, f'"{copied.key}"'
        headers = {
            **identified(request),
            "content-type": "application/vnd.apache.parquet",
            "accept-ranges": "bytes",
            "etag": etag,
            "x-revision": place.revision,
        }
        if is_known(request.headers, etag):
            return Reply(304, b"", headers)
        try:
            part = asked_range(request.headers, size, etag)
        except Unsatisfiable as error:
            reply = write_error(error, request)
            return Reply(416, reply.body, reply.headers | {"content-range": f"bytes */{size}"})
        start, end = part or (0, size)
        headers["content-length"] = str(end - start)
        if part:
            headers["content-range"] = f"bytes {start}-{end - 1}/{size}"
        if request.method == "HEAD":
            return Reply(206 if part else 200, pulled(iter(())), headers)
        file = await asyncio.to_thread(FileIO, copied.path)
        return Reply(206 if part else 200, FileBody(file, start, end - start), headers)


def _repo(request: Request) -> RepoId:
    return RepoId("dataset", request.params["namespace"], request.params["name"])


def _number(request: Request, opened: Opened) -> int:
    name = params_text(request, "file")
    match = _FILE.fullmatch(name)
    if match is None or int(match[1]) >= len(opened.files):
        raise NotFound("file", name)
    return int(match[1])
