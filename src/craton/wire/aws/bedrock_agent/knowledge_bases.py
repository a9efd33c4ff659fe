"""Knowledge bases: create, get, list, update, delete."""

from __future__ import annotations

from craton.core.chat import Json
from craton.core.errors import InvalidRequest, Unsupported
from craton.core.knowledge import KnowledgeBase
from craton.knowledge.protocol import Bases, NewKnowledgeBase
from craton.wire.aws.account import account_of
from craton.wire.aws.bedrock_agent.structured import read_structured
from craton.wire.aws.handling import Handle, next_token, page_of, refuse_members
from craton.wire.aws.names import knowledge_base_arn, model_arn, model_name
from craton.wire.aws.service import Operation
from craton.wire.aws.sigv4 import claimed_region
from craton.wire.http import Reply, Request

STARTER_EMBEDDER = "all-minilm-l6-v2"
"""What a MANAGED knowledge base embeds with when it names no model."""

_STATUSES = {
    "creating": "CREATING",
    "active": "ACTIVE",
    "updating": "UPDATING",
    "deleting": "DELETING",
    "failed": "FAILED",
}


class KnowledgeBaseOperations:
    """Handlers by operation name."""

    def __init__(self, bases: Bases) -> None:
        self._bases = bases
        self.handlers: dict[str, Handle] = {
            "CreateKnowledgeBase": self.create,
            "GetKnowledgeBase": self.get,
            "ListKnowledgeBases": self.list,
            "UpdateKnowledgeBase": self.update,
            "DeleteKnowledgeBase": self.delete,
        }

    async def create(self, operation: Operation, request: Request, value: Json) -> Reply:
        tenant = request.authenticated.tenant
        base = await self._bases.create(tenant, read_knowledge_base(value), value.get("clientToken", ""))
        return operation.write({"knowledgeBase": write_knowledge_base(base, claimed_region(request))})

    async def get(self, operation: Operation, request: Request, value: Json) -> Reply:
        base = await self._bases.get(request.authenticated.tenant, value["knowledgeBaseId"])
        return operation.write({"knowledgeBase": write_knowledge_base(base, claimed_region(request))})

    async def update(self, operation: Operation, request: Request, value: Json) -> Reply:
        tenant = request.authenticated.tenant
        before = await self._bases.get(tenant, value["knowledgeBaseId"])
        new = read_knowledge_base({"tags": before.extra.get("tags", {}), **value})
        base = await self._bases.update(tenant, before.id, new)
        return operation.write({"knowledgeBase": write_knowledge_base(base, claimed_region(request))})

    async def delete(self, operation: Operation, request: Request, value: Json) -> Reply:
        base = await self._bases.delete(request.authenticated.tenant, value["knowledgeBaseId"])
        return operation.write({"knowledgeBaseId": base.id, "status": _STATUSES[base.status]})

    async def list(self, operation: Operation, request: Request, value: Json) -> Reply:
        bases, cursor = await self._bases.list(request.authenticated.tenant, page_of(value))
        summaries = [
            {
                "knowledgeBaseId": base.id,
                "name": base.name,
                **({"description": base.description} if base.description else {}),
                "status": _STATUSES[base.status],
                "updatedAt": base.updated,
            }
            for base in bases
        ]
        return operation.write({"knowledgeBaseSummaries": summaries, **next_token(cursor)})


def read_knowledge_base(value: Json) -> NewKnowledgeBase:
    """Raises InvalidRequest and Unsupported for what cannot be honoured."""
    configuration = value["knowledgeBaseConfiguration"]
    storage = value.get("storageConfiguration")
    index, register = _read_storage(storage) if storage else ("edge", "")
    over = read_structured(configuration) if configuration["type"] == "SQL" else {}
    extra = {"roleArn": value["roleArn"], "configuration": configuration, "tags": value.get("tags", {})}
    return NewKnowledgeBase(
        name=value["name"],
        description=value.get("description", ""),
        embedder=_read_embedder(configuration),
        dimensions=_read_dimensions(configuration),
        index=index,
        storage={**({"aws": storage} if storage else {}), **({"register": register} if register else {}), **over},
        extra=extra,
        kind="sql" if configuration["type"] == "SQL" else "vector",
    )


def _model_configuration(configuration: Json) -> Json:
    """The member that says which model embeds."""
    kind = configuration["type"]
    name = {"VECTOR": "vectorKnowledgeBaseConfiguration", "MANAGED": "managedKnowledgeBaseConfiguration"}.get(kind)
    if name is None:
        return {}
    found: Json = configuration.get(name, {})
    if kind == "VECTOR" and not found:
        raise InvalidRequest("a knowledge base of type VECTOR needs it", f"knowledgeBaseConfiguration.{name}")
    refuse_members(found, ["supplementalDataStorageConfiguration"], name, "Images in documents are not embedded.")
    return found


def _read_embedder(configuration: Json) -> str:
    if configuration["type"] == "KENDRA":
        raise Unsupported("A knowledge base of type KENDRA", "Use VECTOR.")
    if configuration["type"] == "SQL":
        return ""
    arn = _model_configuration(configuration).get("embeddingModelArn")
    return model_name(arn) if arn else STARTER_EMBEDDER


def _read_dimensions(configuration: Json) -> int | None:
    options = _model_configuration(configuration).get("embeddingModelConfiguration", {})
    options = options.get("bedrockEmbeddingModelConfiguration", {})
    refuse_members(options, ["audio", "video", "modelConfiguration"], "bedrockEmbeddingModelConfiguration")
    if options.get("embeddingDataType") == "BINARY":
        raise Unsupported("embeddingDataType BINARY", "Use FLOAT32.")
    dimensions: int | None = options.get("dimensions")
    return dimensions


def _read_storage(storage: Json) -> tuple[str, str]:
    """Where the index lives, and the name under which the operator registered it.

    RDS is a real PostgreSQL. The other vector stores' configurations are kept and given back, and Craton's own index
    stands in for them: scripts that set one up go on working.
    """
    if storage["type"] == "RDS":
        return "postgres", storage["rdsConfiguration"]["resourceArn"]
    return "edge", ""


def write_knowledge_base(base: KnowledgeBase, region: str) -> Json:
    configuration = base.extra.get("configuration") or {
        "type": "VECTOR",
        "vectorKnowledgeBaseConfiguration": {"embeddingModelArn": model_arn(base.embedder, region)},
    }
    storage = base.storage.get("aws")
    return {
        "knowledgeBaseId": base.id,
        "name": base.name,
        "knowledgeBaseArn": knowledge_base_arn(base.id, base.tenant, region),
        **({"description": base.description} if base.description else {}),
        "roleArn": base.extra.get("roleArn") or f"arn:aws:iam::{account_of(base.tenant)}:role/craton",
        "knowledgeBaseConfiguration": configuration,
        **({"storageConfiguration": storage} if storage else {}),
        "status": _STATUSES[base.status],
        "createdAt": base.created,
        "updatedAt": base.updated,
        "failureReasons": list(base.failures),
    }
