"""Craton's own routes to the rows of datasets: what the console and the command line speak."""

from __future__ import annotations

from typing import Any

import msgspec

from craton.core.access import Action
from craton.core.errors import InvalidRequest
from craton.core.repo import RepoId
from craton.data.viewing.taking import take
from craton.data.viewing.values import Page
from craton.data.viewing.viewer import MAX_PAGE, Place, Viewer
from craton.wire.http import Handler, Reply, Request, Route, json_reply
from craton.wire.openai.errors import write_error

ROOT = "/api/craton/v1/datasets/{namespace}/{name}"


class NativeDatasets:
    """Errors are written as `wire.native` writes them. config and split, where they are not given, are the first."""

    name = "craton"

    def __init__(self, viewer: Viewer) -> None:
        self._viewer = viewer

    def routes(self) -> list[Route]:
        def route(path: str, operation: str, handler: Handler) -> Route:
            return Route("GET", ROOT + path, self.name, operation, handler, write_error, Action.READ)

        return [
            route("/splits", "ListSplits", self._splits),
            route("/schema", "GetSchema", self._schema),
            route("/first-rows", "PeekRows", self._first_rows),
            route("/rows", "ListRows", self._rows),
            route("/statistics", "DescribeRows", self._statistics),
        ]

    async def _splits(self, request: Request) -> Reply:
        place = await self._place(request)
        configs = await self._viewer.configs(place)
        listed = [
            {"config": config.name, "split": split.name, "files": [file.path for file in split.files]}
            for config in configs
            for split in config.splits
        ]
        return json_reply(200, {"revision": place.revision, "splits": listed})

    async def _schema(self, request: Request) -> Reply:
        """The columns, and how large each split is."""
        place = await self._place(request)
        query = request.query_params()
        config, _ = await self._viewer.split(place, query.get("config", ""), query.get("split", ""))
        taken = await take(self._viewer, place, config.name, query.get("split", ""))
        splits = [
            {"name": one.split.name, "rows": one.rows, "bytes": one.size, "files": len(one.files)}
            for one in taken.opened
        ]
        return json_reply(
            200,
            {
                "revision": place.revision,
                "config": config.name,
                "features": taken.opened[0].features if taken.opened else {},
                "splits": splits,
                "pending": [split for _, split in taken.pending],
                "failed": [{"split": failure.split, "reason": str(failure.error)} for failure in taken.failed],
                "partial": any(one.partial for one in taken.opened),
            },
        )

    async def _first_rows(self, request: Request) -> Reply:
        place, query = await self._place(request), request.query_params()
        length = _number(query, "length", MAX_PAGE)
        page = await self._viewer.first_rows(place, query.get("config", ""), query.get("split", ""), length)
        return json_reply(200, _page(place, page))

    async def _rows(self, request: Request) -> Reply:
        """where, orderby: a condition in SQL over the columns. search: words."""
        place, query = await self._place(request), request.query_params()
        split = (query.get("config", ""), query.get("split", ""))
        window = (_number(query, "offset", 0), _number(query, "length", MAX_PAGE))
        where, order, words = query.get("where", ""), query.get("orderby", ""), query.get("search", "")
        if words and (where or order):
            raise InvalidRequest("words and a condition cannot be asked for at once", "search")
        if words:
            page = await self._viewer.search(place, *split, words, *window)
        elif where or order:
            page = await self._viewer.filter(place, *split, where, order, *window)
        else:
            page = await self._viewer.rows(place, *split, *window)
        return json_reply(200, _page(place, page))

    async def _statistics(self, request: Request) -> Reply:
        place, query = await self._place(request), request.query_params()
        found = await self._viewer.statistics(place, query.get("config", ""), query.get("split", ""))
        return json_reply(200, {"revision": place.revision, **msgspec.to_builtins(found)})

    async def _place(self, request: Request) -> Place:
        repo = RepoId("dataset", request.params["namespace"], request.params["name"])
        revision = request.query_params().get("revision", "")
        return await self._viewer.place(request.authenticated.tenant, repo, revision)


def _page(place: Place, page: Page) -> dict[str, Any]:
    rows = [{"index": row.index, "cells": msgspec.Raw(row.cells), "truncated": row.truncated} for row in page.rows]
    return {
        "revision": place.revision,
        "features": page.features,
        "rows": rows,
        "total": page.total,
        "partial": page.partial,
    }


def _number(query: dict[str, str], name: str, default: int) -> int:
    text = query.get(name, "")
    if not text:
        return default
    if not (text.isascii() and text.isdigit()) or len(text) > 12:
        raise InvalidRequest("must be a number from 0 on", name)
    return int(text)
