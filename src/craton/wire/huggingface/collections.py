"""Collections on the wire. A slug is two segments: namespace/title-id."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any

import msgspec
from msgspec import Struct

from craton.core.access import Action
from craton.core.errors import Conflict, InvalidRequest, NotFound, Unsupported
from craton.hub.collaboration.collections import (
    Collection,
    CollectionChange,
    CollectionFilter,
    Collections,
    Sort,
)
from craton.hub.collaboration.items import MAX_ITEMS, Item, Items
from craton.hub.reaching import Reached, Reaching
from craton.wire.body import read_body
from craton.wire.http import Handler, Reply, Request, Route, json_reply
from craton.wire.huggingface.naming import KINDS, hub_route, repo_named
from craton.wire.huggingface.people import limit_of, offset_of, page_of, write_page, write_person
from craton.wire.huggingface.query import Query
from craton.wire.huggingface.values import write_time

ROOT = "/api/collections"
PREVIEW = 4  # items that a list shows of each collection, as clients know it
MAX_FILTERS = 20
_SORTS: dict[str, Sort] = {"lastModified": "lastModified", "": "lastModified"}


class NewCollection(Struct, frozen=True):
    title: str
    namespace: str = ""
    description: str | None = None
    private: bool = False


class ItemName(Struct, frozen=True):
    id: str
    type: str


class NewItem(Struct, frozen=True):
    item: ItemName
    note: str | None = None


class ItemChange(Struct, frozen=True):
    note: str | None = None
    position: int | None = None


_NEW = msgspec.json.Decoder(NewCollection)
_CHANGE = msgspec.json.Decoder(CollectionChange)
_ITEM = msgspec.json.Decoder(NewItem)
_ITEM_CHANGE = msgspec.json.Decoder(ItemChange)


class CollectionRoutes:
    def __init__(self, reaching: Reaching, collections: Collections) -> None:
        self._reaching, self._collections, self._items = reaching, collections, Items(collections)

    def routes(self) -> list[Route]:
        return [*self._routes()]

    def _routes(self) -> Iterator[Route]:
        def route(method: str, rest: str, operation: str, handler: Handler, action: Action) -> Route:
            return hub_route(method, ROOT + rest, operation, handler, action)

        one, read, write = "/{namespace}/{slug}", Action.READ, Action.WRITE
        item = f"{one}/items/{{item}}"
        yield route("GET", "", "ListCollections", self._list, read)
        yield route("POST", "", "CreateCollection", self._create, write)
        yield route("GET", one, "GetCollection", self._get, read)
        yield route("PATCH", one, "UpdateCollection", self._change, write)
        yield route("DELETE", one, "DeleteCollection", self._delete, write)
        yield route("POST", f"{one}/items", "AddCollectionItem", self._add, write)
        yield route("PATCH", item, "UpdateCollectionItem", self._change_item, write)
        yield route("DELETE", item, "DeleteCollectionItem", self._remove, write)
        pattern = f"{ROOT}{one}/resource-group"
        yield hub_route("POST", pattern, "SetResourceGroup", _refuse_groups, write, status="refused")

    async def _list(self, request: Request) -> Reply:
        who = request.authenticated.tenant
        query = Query.of(request)
        owners, named = tuple(query.all("owner")), query.all("item")
        if len(owners) > MAX_FILTERS or len(named) > MAX_FILTERS:
            raise InvalidRequest(f"there may be {MAX_FILTERS} of one kind", "item")
        sort = _SORTS.get(query.text("sort"))
        if sort is None:
            raise Unsupported("Sorting collections so", "There are no votes here: sort by lastModified.")
        holding = await asyncio.to_thread(self._reach_all, who, named)
        asked = CollectionFilter(owners, holding if named else None, query.text("q")[:200])
        limit = limit_of(request)
        offset = offset_of(request)
        if named and not holding:
            return write_page(request, [], None)
        found = await asyncio.to_thread(self._collections.list, who, asked, sort, offset, limit + 1)
        shown, more = page_of(found, limit)
        bodies = [await self._body(who, it, PREVIEW) for it in shown]
        return write_page(request, bodies, str(offset + limit) if more else None)

    async def _create(self, request: Request) -> Reply:
        who, new = request.authenticated.tenant, read_body(_NEW, request.body, {})
        try:
            made = await asyncio.to_thread(
                lambda: self._collections.create(
                    who, new.namespace or who, new.title, new.description, private=new.private
                )
            )
        except Conflict as error:
            if "/" not in error.name:
                raise
            return json_reply(409, {"error": str(error), "slug": error.name}, {"x-request-id": request.request_id})
        return json_reply(200, await self._body(who, made, MAX_ITEMS))

    async def _get(self, request: Request) -> Reply:
        who = request.authenticated.tenant
        return await self._whole(who, await asyncio.to_thread(self._collections.get, who, _slug(request)))

    async def _change(self, request: Request) -> Reply:
        who, change = request.authenticated.tenant, read_body(_CHANGE, request.body, {})
        made = await asyncio.to_thread(self._collections.change, who, _slug(request), change)
        return json_reply(200, {"success": True, "data": await self._body(who, made, MAX_ITEMS)})

    async def _delete(self, request: Request) -> Reply:
        await asyncio.to_thread(self._collections.delete, request.authenticated.tenant, _slug(request))
        return json_reply(200, {"success": True})

    async def _add(self, request: Request) -> Reply:
        who, new = request.authenticated.tenant, read_body(_ITEM, request.body, {})
        item = await asyncio.to_thread(self._item, who, new.item)
        found = await asyncio.to_thread(self._items.add, who, _slug(request), item, new.note)
        return await self._whole(who, await asyncio.to_thread(self._collections.get, who, found.slug))

    async def _change_item(self, request: Request) -> Reply:
        who, change = request.authenticated.tenant, read_body(_ITEM_CHANGE, request.body, {})
        item = request.params["item"]
        await asyncio.to_thread(self._items.change, who, _slug(request), item, change.note, change.position)
        return json_reply(200, {"success": True})

    async def _remove(self, request: Request) -> Reply:
        who, item = request.authenticated.tenant, request.params["item"]
        await asyncio.to_thread(self._items.remove, who, _slug(request), item)
        return json_reply(200, {"success": True})

    async def _whole(self, who: str, found: Collection) -> Reply:
        return json_reply(200, await self._body(who, found, MAX_ITEMS))

    async def _body(self, who: str, found: Collection, limit: int) -> dict[str, Any]:
        items = await asyncio.to_thread(self._items.of, who, found, limit)
        body = {
            "slug": found.slug,
            "title": found.title,
            "owner": write_person(found.namespace),
            "items": [_item(it, position) for position, it in enumerate(items)],
            "lastUpdated": write_time(found.modified),
            "private": found.private,
            "theme": found.theme,
            "upvotes": 0,
            "isUpvotedByUser": False,
        }
        if found.description:
            body["description"] = found.description
        if limit != PREVIEW:  # clients count the positions of a list themselves
            body["position"] = found.position
        return body

    def _item(self, who: str, named: ItemName) -> Reached | str:
        """What is to be added. Raises NotFound, Unsupported for what Craton keeps none of."""
        if named.type == "collection":
            return named.id
        if named.type not in ("model", "dataset", "space"):
            raise Unsupported(f"A {named.type[:20]} in a collection", "Add models, datasets, spaces and collections.")
        return self._reaching.reach(who, repo_named(named.type, named.id, who, field="item"))

    def _reach_all(self, who: str, named: list[str]) -> tuple[Reached, ...]:
        """Those repositories, written "models/acme/bert", that the caller may see."""
        found = []
        for text in named:
            plural, _, path = text.partition("/")
            kind = KINDS.get(plural) or KINDS.get(f"{plural}s")
            if kind is None:
                continue
            try:
                found.append(self._reaching.reach(who, repo_named(kind, path, who, field="item")))
            except NotFound:
                continue
        return tuple(found)


def _item(item: Item, position: int) -> dict[str, Any]:
    body: dict[str, Any] = {
        "_id": item.id,
        "id": item.name,
        "type": item.kind,
        "position": position,
        "private": item.private,
        "lastModified": write_time(item.modified),
    }
    if item.note:
        body["note"] = {"text": item.note}
    if item.kind == "collection":
        body |= {"slug": item.name, "title": item.title}
    else:
        body |= {"author": item.name.partition("/")[0], "repoType": item.kind, "gated": item.gated or False}
    return body


def _slug(request: Request) -> str:
    return f"{request.params['namespace']}/{request.params['slug']}"


async def _refuse_groups(request: Request) -> Reply:
    raise Unsupported("A resource group", "Who may see what goes by tenants.")
