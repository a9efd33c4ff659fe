"""Tags of this service's resources: kept and given back. Nothing is decided by them."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping

from craton.core.chat import Json
from craton.core.errors import NotFound
from craton.customizing.tags import Tags
from craton.wire.aws.bedrock.listings import read_tags, write_tags
from craton.wire.aws.handling import Handle
from craton.wire.aws.names import resource_of
from craton.wire.aws.service import Operation
from craton.wire.http import Reply, Request

Find = Callable[[str, str], Awaitable[object]]
"""(tenant, id) -> the resource. Raises NotFound."""


class TagOperations:
    """Handlers by operation name. owners: how resources are found, by the kind that their ARNs name."""

    def __init__(self, tags: Tags, owners: Mapping[str, Find]) -> None:
        self._tags, self._owners = tags, owners
        self.handlers: dict[str, Handle] = {
            "ListTagsForResource": self.list,
            "TagResource": self.tag,
            "UntagResource": self.untag,
        }

    async def list(self, operation: Operation, request: Request, value: Json) -> Reply:
        tenant, resource = await self._resource(request, value)
        return operation.write({"tags": write_tags(await self._tags.list(tenant, resource))})

    async def tag(self, operation: Operation, request: Request, value: Json) -> Reply:
        tenant, resource = await self._resource(request, value)
        await self._tags.add(tenant, resource, read_tags(value["tags"]))
        return operation.write({})

    async def untag(self, operation: Operation, request: Request, value: Json) -> Reply:
        tenant, resource = await self._resource(request, value)
        await self._tags.remove(tenant, resource, value["tagKeys"])
        return operation.write({})

    async def _resource(self, request: Request, value: Json) -> tuple[str, str]:
        """Raises NotFound for what is not the tenant's, or has no tags here."""
        tenant = request.authenticated.tenant
        named = resource_of(value["resourceARN"], tenant)
        find = self._owners.get(named.kind) if named is not None else None
        if named is None or find is None:
            raise NotFound("resource", value["resourceARN"][:200])
        await find(tenant, named.id)
        return tenant, f"{named.kind}/{named.id}"
