"""Copies of custom models: create, get, list."""

from __future__ import annotations

from craton.core.chat import Json
from craton.core.errors import NotFound
from craton.customizing.importing.copying import Copies
from craton.customizing.importing.values import CopyJob
from craton.wire.aws.account import account_of
from craton.wire.aws.bedrock.import_jobs import OURS, STATUSES
from craton.wire.aws.bedrock.listings import present, read_listing, read_tags, write_tags
from craton.wire.aws.handling import Handle, next_token
from craton.wire.aws.names import resource_arn, resource_id
from craton.wire.aws.service import Operation
from craton.wire.aws.sigv4 import claimed_region
from craton.wire.http import Reply, Request

KIND = "model-copy-job"
_MODEL = "custom-model"


class CopyJobOperations:
    """Handlers by operation name."""

    def __init__(self, copies: Copies) -> None:
        self._copies = copies
        self.handlers: dict[str, Handle] = {
            "CreateModelCopyJob": self.create,
            "GetModelCopyJob": self.get,
            "ListModelCopyJobs": self.list,
        }

    async def create(self, operation: Operation, request: Request, value: Json) -> Reply:
        tenant = request.authenticated.tenant
        source: str = value["sourceModelArn"]
        made = await self._copies.create(
            tenant,
            resource_id(source, _MODEL, tenant),
            value["targetModelName"],
            read_tags(value.get("targetModelTags")),
            {"sourceModelArn": source, **{name: value[name] for name in ("modelKmsKeyId",) if name in value}},
            value.get("clientRequestToken", ""),
        )
        return operation.write({"jobArn": resource_arn(KIND, made.id, tenant, claimed_region(request))})

    async def get(self, operation: Operation, request: Request, value: Json) -> Reply:
        tenant, region = request.authenticated.tenant, claimed_region(request)
        found = await self._copies.get(tenant, resource_id(value["jobArn"], KIND, tenant))
        return operation.write(_write(found, region))

    async def list(self, operation: Operation, request: Request, value: Json) -> Reply:
        tenant, region = request.authenticated.tenant, claimed_region(request)
        listing = read_listing({**value, "nameContains": value.get("targetModelNameContains", "")}, OURS)
        source = value.get("sourceModelArnEquals", "")
        try:
            named = resource_id(source, _MODEL, tenant) if source else ""
        except NotFound:
            named = None
        if named is None or value.get("sourceAccountEquals", account_of(tenant)) != account_of(tenant):
            return operation.write({"modelCopyJobSummaries": []})  # nothing is copied between accounts
        jobs, cursor = await self._copies.list(tenant, listing, named)
        written = [_write(one, region) for one in jobs]
        return operation.write({"modelCopyJobSummaries": written, **next_token(cursor)})


def _write(job: CopyJob, region: str) -> Json:
    return {
        **present(targetModelKmsKeyArn=job.extra.get("modelKmsKeyId")),
        "jobArn": resource_arn(KIND, job.id, job.tenant, region),
        "status": STATUSES[job.status],
        "creationTime": job.created,
        "targetModelArn": resource_arn(f"{_MODEL}/copied", job.model, job.tenant, region),
        "targetModelName": job.name,
        "sourceAccountId": account_of(job.tenant),
        "sourceModelArn": job.extra["sourceModelArn"],
        "sourceModelName": job.source_name,
        "targetModelTags": write_tags(job.tags),
    }
