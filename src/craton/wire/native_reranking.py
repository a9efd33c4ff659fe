"""Craton's own route to reranking, as Jina, Cohere, vLLM and llama.cpp's server have it.

POST /v1/rerank (and /v2/rerank, which Cohere's newer client asks)
  {"model": "acme/judge", "query": "...", "documents": ["...", {"text": "..."}], "top_n": 3, "return_documents": true}
  -> {"id": "...", "model": "acme/judge",
      "results": [{"index": 1, "relevance_score": 0.93, "document": {"text": "..."}}]}
"""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import Meta, Struct

from craton.core.access import Action
from craton.core.chat import Json
from craton.knowledge.protocol import Ranking
from craton.knowledge.reranking import MAX_CHARACTERS
from craton.serve.inference import Call
from craton.wire.body import Refusal, read_body
from craton.wire.http import Reply, Request, Route, json_reply
from craton.wire.openai.errors import write_error

PATHS = ("/v1/rerank", "/v2/rerank")
MAX_BODY = 8 * MAX_CHARACTERS  # a letter may be six bytes of JSON


class Text(Struct, frozen=True):
    text: str


class RerankBody(Struct, frozen=True):
    """top_n: all, where it is left out."""

    model: str
    query: str
    documents: list[str | Text]
    top_n: Annotated[int, Meta(ge=1)] | None = None
    return_documents: bool = True


_WHOLE = Refusal(hint="A document is read as it is given, from its beginning, as far as the model reads.")
_REFUSED = {"rank_fields": _WHOLE, "max_chunks_per_doc": _WHOLE, "max_tokens_per_doc": _WHOLE}
_DECODER = msgspec.json.Decoder(RerankBody)


class RerankingDialect:
    """Errors are written as `wire.native` writes them."""

    name = "craton"

    def __init__(self, ranking: Ranking) -> None:
        self._ranking = ranking

    def routes(self) -> list[Route]:
        return [
            Route("POST", path, self.name, "RerankTexts", self._rerank, write_error, Action.INVOKE, max_body=MAX_BODY)
            for path in PATHS
        ]

    async def _rerank(self, request: Request) -> Reply:
        body = read_body(_DECODER, request.body, _REFUSED)
        texts = [document if isinstance(document, str) else document.text for document in body.documents]
        call = Call(request.authenticated, request.request_id, self.name, "RerankTexts")
        scored = await self._ranking.rank(call, body.model, body.query, texts, body.top_n)
        results: list[Json] = [{"index": one.index, "relevance_score": one.score} for one in scored]
        if body.return_documents:
            for one in results:
                one["document"] = {"text": texts[one["index"]]}
        return json_reply(200, {"id": request.request_id, "model": body.model, "results": results})
