"""Craton's own routes to knowledge bases: what the command line speaks. The values are those of `core.knowledge`."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any, TypeVar

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from craton.core.access import Action
from craton.core.errors import CratonError, Internal
from craton.core.knowledge import AnswerEvent, AskRequest, RetrieveRequest
from craton.core.streams import closing
from craton.knowledge.protocol import Knowledge, NewDataSource, NewKnowledgeBase, Page
from craton.serve.inference import Call
from craton.wire.body import read_body
from craton.wire.http import Handler, Reply, Request, Route, encode_json, json_reply
from craton.wire.openai.errors import write_error

T = TypeVar("T")
ROOT = "/api/craton/v1/kb"
PAGE = 1000


class StartIngestion(Struct, frozen=True):
    """confirm_shrinking: let a source that lost most of its documents have its way."""

    description: str = ""
    confirm_shrinking: bool = False


_BASES = msgspec.json.Decoder(NewKnowledgeBase)
_SOURCES = msgspec.json.Decoder(NewDataSource)
_INGESTIONS = msgspec.json.Decoder(StartIngestion)
_RETRIEVALS = msgspec.json.Decoder(RetrieveRequest)
_QUESTIONS = msgspec.json.Decoder(AskRequest)


class NativeKnowledge:
    """Errors are written as `wire.native` writes them."""

    name = "craton"

    def __init__(self, knowledge: Knowledge) -> None:
        self._knowledge = knowledge

    def routes(self) -> list[Route]:
        def route(method: str, pattern: str, operation: str, handler: Handler, action: Action) -> Route:
            return Route(method, ROOT + pattern, self.name, operation, handler, write_error, action)

        read, write, invoke = Action.READ, Action.WRITE, Action.INVOKE
        source = "/{base}/sources/{source}"
        return [
            route("GET", "", "ListKnowledgeBaseDetails", self._list, read),
            route("POST", "", "NewKnowledgeBase", self._create, write),
            route("GET", "/{base}", "GetKnowledgeBaseDetails", self._get, read),
            route("DELETE", "/{base}", "RemoveKnowledgeBase", self._delete, write),
            route("POST", "/{base}/reindex", "ReindexKnowledgeBase", self._reindex, write),
            route("GET", "/{base}/documents/{document}", "GetDocumentText", self._text, read),
            route("POST", "/{base}/retrieve", "RetrievePassages", self._retrieve, invoke),
            route("POST", "/{base}/ask", "AskKnowledgeBase", self._ask, invoke),
            route("GET", "/{base}/sources", "ListSources", self._sources, read),
            route("POST", "/{base}/sources", "NewSource", self._create_source, write),
            route("DELETE", source, "RemoveSource", self._delete_source, write),
            route("GET", f"{source}/documents", "ListDocuments", self._documents, read),
            route("GET", f"{source}/ingestions", "ListIngestions", self._ingestions, read),
            route("POST", f"{source}/ingestions", "NewIngestion", self._ingest, write),
            route("GET", f"{source}/ingestions/{{ingestion}}", "GetIngestion", self._ingestion, read),
        ]

    async def _list(self, request: Request) -> Reply:
        bases, cursor = await self._knowledge.bases.list(_tenant(request), _page(request))
        return json_reply(200, {"knowledge_bases": bases, "cursor": cursor})

    async def _create(self, request: Request) -> Reply:
        new = read_body(_BASES, request.body, {})
        return json_reply(201, await self._knowledge.bases.create(_tenant(request), new))

    async def _get(self, request: Request) -> Reply:
        return json_reply(200, await self._knowledge.bases.get(_tenant(request), request.params["base"]))

    async def _delete(self, request: Request) -> Reply:
        return json_reply(202, await self._knowledge.bases.delete(_tenant(request), await self._id(request)))

    async def _reindex(self, request: Request) -> Reply:
        job = await self._knowledge.bases.reindex(_tenant(request), await self._id(request))
        return json_reply(202, {"job": job})

    async def _retrieve(self, request: Request) -> Reply:
        asked = read_body(_RETRIEVALS, request.body, {})
        asked = replace(asked, knowledge_base=await self._id(request))
        return json_reply(200, await self._knowledge.retrieving.retrieve(_call(request, "RetrievePassages"), asked))

    async def _ask(self, request: Request) -> Reply:
        asked = read_body(_QUESTIONS, request.body, {})
        retrieval = asked.retrieval or RetrieveRequest("", asked.question)
        asked = replace(asked, retrieval=replace(retrieval, knowledge_base=await self._id(request)))
        events = self._knowledge.answering.ask(_call(request, "AskKnowledgeBase"), asked)
        headers = {"content-type": "application/x-ndjson", "x-request-id": request.request_id}
        return Reply(200, _lines(events, await anext(events), request), headers)

    async def _text(self, request: Request) -> Reply:
        """What citations' spans count in. user: whose access lists count."""
        base, user = await self._id(request), request.query_params().get("user", "")
        found = await self._knowledge.documents.text(_tenant(request), base, request.params["document"], user)
        return json_reply(200, {"document": found[0], "text": found[1]})

    async def _sources(self, request: Request) -> Reply:
        found = await self._knowledge.sources.list(_tenant(request), await self._id(request), _page(request))
        return json_reply(200, {"sources": found[0], "cursor": found[1]})

    async def _create_source(self, request: Request) -> Reply:
        new = read_body(_SOURCES, request.body, {})
        return json_reply(201, await self._knowledge.sources.create(_tenant(request), await self._id(request), new))

    async def _delete_source(self, request: Request) -> Reply:
        base, source = await self._id(request), request.params["source"]
        return json_reply(202, await self._knowledge.sources.delete(_tenant(request), base, source))

    async def _documents(self, request: Request) -> Reply:
        base, source = await self._id(request), request.params["source"]
        found = await self._knowledge.documents.list(_tenant(request), base, source, _page(request))
        return json_reply(200, {"documents": found[0], "cursor": found[1]})

    async def _ingestions(self, request: Request) -> Reply:
        base, source = await self._id(request), request.params["source"]
        found = await self._knowledge.ingestions.list(_tenant(request), base, source, _page(request))
        return json_reply(200, {"ingestions": found[0], "cursor": found[1]})

    async def _ingest(self, request: Request) -> Reply:
        base, source = await self._id(request), request.params["source"]
        start = read_body(_INGESTIONS, request.body or b"{}", {})
        ingestion = await self._knowledge.ingestions.start(
            _tenant(request),
            base,
            source,
            description=start.description,
            confirm_shrinking=start.confirm_shrinking,
        )
        return json_reply(202, ingestion)

    async def _ingestion(self, request: Request) -> Reply:
        base, source, ingestion = await self._id(request), request.params["source"], request.params["ingestion"]
        return json_reply(200, await self._knowledge.ingestions.get(_tenant(request), base, source, ingestion))

    async def _id(self, request: Request) -> str:
        """Names and ids are both taken; below this, only ids are."""
        return (await self._knowledge.bases.get(_tenant(request), request.params["base"])).id


def _tenant(request: Request) -> str:
    return request.authenticated.tenant


def _call(request: Request, operation: str) -> Call:
    return Call(request.authenticated, request.request_id, "craton", operation)


def _page(request: Request) -> Page:
    return Page(PAGE, request.query_params().get("cursor", ""))


async def _lines(events: AsyncIterator[AnswerEvent], first: AnswerEvent, request: Request) -> AsyncIterator[bytes]:
    """One JSON value a line; an error in mid-stream is the last one."""
    async with closing(events) as rest:
        try:
            yield encode_json(first) + b"\n"
            async for event in rest:
                yield encode_json(event) + b"\n"
        except CratonError as error:
            yield _error_line(error, request)
        except Exception:
            yield _error_line(Internal(request.request_id), request)
            raise


def _error_line(error: CratonError, request: Request) -> bytes:
    body: Any = write_error(error, request).body
    return bytes(body) + b"\n"
