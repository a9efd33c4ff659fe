"""Rerank."""

from __future__ import annotations

from craton.core.chat import Json
from craton.core.errors import InvalidRequest
from craton.knowledge.protocol import Ranking
from craton.wire.aws.handling import Handle, call_of, refuse_members
from craton.wire.aws.names import model_name
from craton.wire.aws.service import Operation
from craton.wire.http import Reply, Request, encode_json


class RerankOperations:
    """Handlers by operation name."""

    def __init__(self, ranking: Ranking) -> None:
        self._ranking = ranking
        self.handlers: dict[str, Handle] = {"Rerank": self.rerank}

    async def rerank(self, operation: Operation, request: Request, value: Json) -> Reply:
        options = value["rerankingConfiguration"]["bedrockRerankingConfiguration"]
        refuse_members(options["modelConfiguration"], ["additionalModelRequestFields"], "modelConfiguration")
        if value.get("nextToken"):
            raise InvalidRequest("all results came with the first page", "nextToken")
        documents = [source["inlineDocumentSource"] for source in value["sources"]]
        scored = await self._ranking.rank(
            call_of(operation, request),
            model_name(options["modelConfiguration"]["modelArn"]),
            value["queries"][0]["textQuery"].get("text", ""),
            [_text(document) for document in documents],
            options.get("numberOfResults"),
        )
        results = [
            {"index": one.index, "relevanceScore": one.score, "document": documents[one.index]} for one in scored
        ]
        return operation.write({"results": results})


def _text(document: Json) -> str:
    if document["type"] == "JSON":
        return encode_json(document.get("jsonDocument")).decode()
    text: str = document.get("textDocument", {}).get("text", "")
    return text
