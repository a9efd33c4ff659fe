"""Tags of knowledge bases: kept and given back. Nothing is decided by them."""

from __future__ import annotations

from craton.core.chat import Json
from craton.core.errors import TooLarge
from craton.core.knowledge import KnowledgeBase
from craton.knowledge.protocol import Bases, NewKnowledgeBase
from craton.wire.aws.handling import Handle
from craton.wire.aws.names import knowledge_base_id
from craton.wire.aws.service import Operation
from craton.wire.http import Reply, Request

MAX_TAGS = 50


class TagOperations:
    """Handlers by operation name."""

    def __init__(self, bases: Bases) -> None:
        self._bases = bases
        self.handlers: dict[str, Handle] = {
            "ListTagsForResource": self.list,
            "TagResource": self.tag,
            "UntagResource": self.untag,
        }

    async def list(self, operation: Operation, request: Request, value: Json) -> Reply:
        base = await self._base(request, value)
        return operation.write({"tags": base.extra.get("tags", {})})

    async def tag(self, operation: Operation, request: Request, value: Json) -> Reply:
        base = await self._base(request, value)
        tags = {**base.extra.get("tags", {}), **value["tags"]}
        if len(tags) > MAX_TAGS:
            raise TooLarge("The resource's tags", MAX_TAGS, len(tags), "tags")
        await self._keep(base, tags)
        return operation.write({})

    async def untag(self, operation: Operation, request: Request, value: Json) -> Reply:
        base = await self._base(request, value)
        gone = set(value["tagKeys"])
        await self._keep(base, {key: tag for key, tag in base.extra.get("tags", {}).items() if key not in gone})
        return operation.write({})

    async def _base(self, request: Request, value: Json) -> KnowledgeBase:
        tenant = request.authenticated.tenant
        return await self._bases.get(tenant, knowledge_base_id(value["resourceArn"], tenant))

    async def _keep(self, base: KnowledgeBase, tags: Json) -> None:
        kept = NewKnowledgeBase(
            name=base.name,
            description=base.description,
            embedder=base.embedder,
            dimensions=base.dimensions,
            index=base.index,
            storage=base.storage,
            extra={**base.extra, "tags": tags},
            kind=base.kind,
        )
        await self._bases.update(base.tenant, base.id, kept)
