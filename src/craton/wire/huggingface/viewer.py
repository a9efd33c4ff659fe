"""The dataset viewer's routes (the Hub has them on a host of its own, datasets-server.huggingface.co).

They stand below /datasets-server. A client that makes the viewer's address out of the Hub's by putting
"datasets-server." before its host finds them too, once that name leads here (`viewer_host`).
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from craton.core.access import Action
from craton.core.errors import InvalidRequest, Unsupported
from craton.data.viewing.taking import Taken, take
from craton.data.viewing.values import Page
from craton.data.viewing.viewer import MAX_PAGE, Place, Viewer
from craton.wire.http import Reply, Request, Route, json_reply
from craton.wire.huggingface.links import base_url
from craton.wire.huggingface.naming import hub_route, repo_named
from craton.wire.huggingface.query import Query
from craton.wire.huggingface.write_dataset import (
    Named,
    write_first_rows,
    write_infos,
    write_parquet,
    write_rows,
    write_sizes,
    write_statistics,
)

PREFIX = "/datasets-server"

Answer = Callable[[Named, Place, Query, str], Awaitable[dict[str, Any]]]


class ViewerRoutes:
    """prefix: "" where the host says that the viewer is meant."""

    def __init__(self, viewer: Viewer, prefix: str = PREFIX) -> None:
        self._viewer, self._prefix = viewer, prefix

    def routes(self) -> list[Route]:
        def route(path: str, operation: str, answer: Answer) -> Route:
            async def handle(request: Request) -> Reply:
                query = Query.of(request)
                repo = repo_named("dataset", _needed(query, "dataset"), request.authenticated.tenant, field="dataset")
                place = await self._viewer.place(request.authenticated.tenant, repo, query.text("revision"))
                named = Named(repo.path, query.text("config"), query.text("split"))
                body = await answer(named, place, query, base_url(request))
                return json_reply(200, body, {"x-revision": place.revision})

            return hub_route("GET", self._prefix + path, operation, handle, Action.READ, opens=True)

        return [
            route("/is-valid", "IsDatasetValid", self._is_valid),
            route("/splits", "ListDatasetSplits", self._splits),
            route("/info", "GetDatasetSchema", self._info),
            route("/size", "GetDatasetSize", self._size),
            route("/parquet", "ListParquetFiles", self._parquet),
            route("/first-rows", "GetFirstRows", self._first_rows),
            route("/rows", "GetRows", self._rows),
            route("/search", "SearchRows", self._search),
            route("/filter", "FilterRows", self._filter),
            route("/statistics", "GetStatistics", self._statistics),
        ]

    async def _is_valid(self, _: Named, place: Place, query: Query, base: str) -> dict[str, Any]:
        try:
            await self._viewer.configs(place)
            rows = self._viewer.reads
        except (Unsupported, InvalidRequest):
            rows = False
        asked = rows and self._viewer.searches
        return {"preview": rows, "viewer": rows, "search": asked, "filter": asked, "statistics": rows}

    async def _splits(self, named: Named, place: Place, query: Query, base: str) -> dict[str, Any]:
        configs = await self._viewer.configs(place)
        splits = [
            {"dataset": named.dataset, "config": config.name, "split": split.name}
            for config in configs
            if named.config in {"", config.name}
            for split in config.splits
        ]
        return {"splits": splits, "pending": [], "failed": []}

    async def _info(self, named: Named, place: Place, query: Query, base: str) -> dict[str, Any]:
        return write_infos(named, await self._taken(named, place))

    async def _size(self, named: Named, place: Place, query: Query, base: str) -> dict[str, Any]:
        return write_sizes(named, await self._taken(named, place))

    async def _parquet(self, named: Named, place: Place, query: Query, base: str) -> dict[str, Any]:
        return write_parquet(named, await self._taken(named, place), base)

    async def _taken(self, named: Named, place: Place) -> Taken:
        return await take(self._viewer, place, named.config, named.split)

    async def _first_rows(self, named: Named, place: Place, query: Query, base: str) -> dict[str, Any]:
        _needed(query, "config"), _needed(query, "split")
        return write_first_rows(named, await self._viewer.first_rows(place, named.config, named.split))

    async def _rows(self, named: Named, place: Place, query: Query, base: str) -> dict[str, Any]:
        return write_rows(await self._viewer.rows(place, *_split(query), *_window(query)), MAX_PAGE)

    async def _search(self, named: Named, place: Place, query: Query, base: str) -> dict[str, Any]:
        words = _needed(query, "query")
        page: Page = await self._viewer.search(place, *_split(query), words, *_window(query))
        return write_rows(page, MAX_PAGE)

    async def _filter(self, named: Named, place: Place, query: Query, base: str) -> dict[str, Any]:
        where, order = query.text("where"), query.text("orderby")
        page = await self._viewer.filter(place, *_split(query), where, order, *_window(query))
        return write_rows(page, MAX_PAGE)

    async def _statistics(self, named: Named, place: Place, query: Query, base: str) -> dict[str, Any]:
        return write_statistics(await self._viewer.statistics(place, *_split(query)))


def _needed(query: Query, name: str) -> str:
    text = query.text(name)
    if not text:
        raise InvalidRequest("it is required", name)
    return text


def _split(query: Query) -> tuple[str, str]:
    return _needed(query, "config"), _needed(query, "split")


def _window(query: Query) -> tuple[int, int]:
    """offset, length."""
    return _count(query, "offset", 0), _count(query, "length", MAX_PAGE)


def _count(query: Query, name: str, default: int) -> int:
    text = query.text(name)
    if not text:
        return default
    if not (text.isascii() and text.isdigit()) or len(text) > 12:
        raise InvalidRequest("must be a number from 0 on", name)
    return int(text)
