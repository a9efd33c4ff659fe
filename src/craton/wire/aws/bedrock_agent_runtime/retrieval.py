"""Retrieve."""

from __future__ import annotations

from collections.abc import Collection

from craton.core.chat import Json
from craton.core.errors import InvalidRequest, Unsupported
from craton.core.knowledge import Document, Reranking, RetrieveRequest
from craton.knowledge.protocol import Documents, Retrieving
from craton.wire.aws.bedrock_agent_runtime.filters import read_filter
from craton.wire.aws.bedrock_agent_runtime.passages import write_content, write_location, write_metadata
from craton.wire.aws.handling import Handle, call_of, next_token, refuse_members
from craton.wire.aws.names import knowledge_base_id, model_name
from craton.wire.aws.service import Operation
from craton.wire.http import Reply, Request

DEFAULT_RESULTS = 5
MAX_RESULTS = 100


class RetrievalOperations:
    """Handlers by operation name."""

    def __init__(self, retrieving: Retrieving, documents: Documents) -> None:
        self._retrieving, self._documents = retrieving, documents
        self.handlers: dict[str, Handle] = {
            "Retrieve": self.retrieve,
            "CheckIngestedDocumentAcl": self.check_access,
            "GetIngestedDocumentAcl": self.get_access,
        }

    async def retrieve(self, operation: Operation, request: Request, value: Json) -> Reply:
        query = value["retrievalQuery"]
        if query.get("type", "TEXT") != "TEXT" or "image" in query:
            raise Unsupported("Retrieval by image", "Ask with a text.")
        if not query.get("text"):
            raise InvalidRequest("must not be empty", "retrievalQuery.text")
        refuse_guardrail(value)
        asked = read_retrieval(
            knowledge_base_id(value["knowledgeBaseId"], request.authenticated.tenant),
            value.get("retrievalConfiguration", {}),
            query=query["text"],
            user=value.get("userContext", {}).get("userId", ""),
            cursor=value.get("nextToken", ""),
        )
        found = await self._retrieving.retrieve(call_of(operation, request), asked)
        results = [
            {
                "content": write_content(passage),
                "location": write_location(passage),
                "score": passage.score,
                "metadata": write_metadata(passage),
                **({"documentId": passage.document} if passage.document else {}),
            }
            for passage in found.passages
        ]
        return operation.write({"retrievalResults": results, **next_token(found.cursor)})

    async def check_access(self, operation: Operation, request: Request, value: Json) -> Reply:
        document = await self._document(request, value)
        return operation.write({"hasAccess": document.access.admits(value["userContext"]["userId"])})

    async def get_access(self, operation: Operation, request: Request, value: Json) -> Reply:
        document = await self._document(request, value)
        access = {
            name: {"memberRelation": "OR", "conditions": [{"conditionOperator": "OR", "users": _write_users(users)}]}
            for name, users in (("allowList", document.access.allow), ("denyList", document.access.deny))
            if users
        }
        return operation.write({"documentAcl": access})

    async def _document(self, request: Request, value: Json) -> Document:
        tenant = request.authenticated.tenant
        base = knowledge_base_id(value["knowledgeBaseId"], tenant)
        return await self._documents.find(tenant, base, value["dataSourceId"], value["documentId"])


def _write_users(users: Collection[str]) -> list[Json]:
    return [{"id": user, "type": "KNOWLEDGE_BASE"} for user in users]


def refuse_guardrail(value: Json) -> None:
    """Guardrails do not exist yet; a caller who names one must not believe that it watches."""
    refuse_members(value, ["guardrailConfiguration"], "", "Guardrails are not built yet.")


def read_retrieval(
    base: str, configuration: Json, *, query: str, user: str = "", cursor: str = "", decompose: bool = False
) -> RetrieveRequest:
    """knowledgeBaseRetrievalConfiguration, with the defaults that Bedrock has."""
    given = configuration.get("vectorSearchConfiguration") or configuration.get("managedSearchConfiguration") or {}
    refuse_members(
        given, ["implicitFilterConfiguration"], "vectorSearchConfiguration", "Write the filter yourself: `filter`."
    )
    top = given.get("numberOfResults", DEFAULT_RESULTS)
    if not 1 <= top <= MAX_RESULTS:
        raise InvalidRequest(f"must be from 1 to {MAX_RESULTS}", "numberOfResults")
    mode = given.get("overrideSearchType")
    return RetrieveRequest(
        knowledge_base=base,
        query=query,
        top=top,
        mode=None if mode is None else "semantic" if mode == "SEMANTIC" else "hybrid",
        filter=read_filter(given.get("filter")),
        reranking=_read_reranking(given),
        user=user,
        decompose=decompose,
        cursor=cursor,
    )


def _read_reranking(given: Json) -> Reranking | None:
    configuration = given.get("rerankingConfiguration")
    if given.get("rerankingModelType") == "MANAGED":
        raise Unsupported("rerankingModelType MANAGED", "Name a model in rerankingConfiguration.")
    if configuration is None or given.get("rerankingModelType") == "NONE":
        return None
    options = configuration.get("bedrockRerankingConfiguration")
    if options is None:
        raise InvalidRequest("needs bedrockRerankingConfiguration", "rerankingConfiguration")
    refuse_members(options["modelConfiguration"], ["additionalModelRequestFields"], "modelConfiguration")
    refuse_members(options, ["metadataConfiguration"], "bedrockRerankingConfiguration")
    return Reranking(model_name(options["modelConfiguration"]["modelArn"]), options.get("numberOfRerankedResults"))
